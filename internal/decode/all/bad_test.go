package all

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

// settings are those that a protocol needs to begin at all.
func settings(p decode.Protocol) (s decode.Settings) {
	if p.Name == "wasm" {
		s.Plugin.File = filepath.Join("..", "..", "..", "testdata", "plugins", "acme.wasm")
	}
	return s
}

// bad are payloads that are nothing in any protocol, or far too much of something.
func bad(t *testing.T) map[string][]byte {
	times := func(s string, n int) []byte { return []byte(strings.Repeat(s, n)) }
	gb, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(`{"站点":"北碚","温度":21.5}`))
	if err != nil {
		t.Fatal(err)
	}
	const mib = 1 << 20
	all := map[string][]byte{
		"empty":                      {},
		"byte order mark":            []byte("\ufeff"),
		"byte order mark of UTF-16":  []byte("\xff\xfe{\x00}\x00"),
		"blanks":                     []byte(" \t\r\n"),
		"NUL":                        {0},
		"1 MiB of NUL":               times("\x00", mib),
		"CR":                         times("\r", 1000),
		"LF":                         times("\n", 1000),
		"GB 18030":                   gb,
		"half a letter of GB 18030":  gb[:4],
		"arrays 10000 deep":          append(times("[", 10000), times("]", 10000)...),
		"arrays without end":         times("[", 10000),
		"objects 10000 deep":         append(append(times(`{"a":`, 10000), '1'), times("}", 10000)...),
		"objects without end":        times(`{"a":`, 10000),
		"a name 256 KiB long":        []byte(`{"` + strings.Repeat("n", mib/4) + `":1}`),
		"a text 256 KiB long":        []byte(`{"a":"` + strings.Repeat("t", mib/4) + `"}`),
		"a number 256 KiB long":      []byte(`{"a":` + strings.Repeat("9", mib/4) + `}`),
		"a text without end":         []byte(`{"a":"` + strings.Repeat("t", mib/4)),
		"one name 100000 times":      []byte("{" + strings.Repeat(`"a":1,`, 99999) + `"a":1}`),
		"100000 names":               names(100000),
		"100000 numbers":             append(append(times("[", 1), times("1,", 99999)...), "1]"...),
		"half a surrogate pair":      []byte(`{"\ud800":"\udc00\ud800"}`),
		"CBOR array of 2^60":         []byte("\x9b\x10\x00\x00\x00\x00\x00\x00\x00\x01"),
		"CBOR array of 2^64-1":       []byte("\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
		"CBOR map of 2^60":           []byte("\x81\xbb\x10\x00\x00\x00\x00\x00\x00\x00\x02\xfb"),
		"CBOR bytes of 2^60":         []byte("\x81\xa1\x00\x5b\x10\x00\x00\x00\x00\x00\x00\x00a"),
		"CBOR text of 2^63":          []byte("\x81\xa1\x00\x7b\x80\x00\x00\x00\x00\x00\x00\x00a"),
		"CBOR tags 100000 deep":      append(times("\xc1", 100000), 0x80),
		"CBOR arrays 100000 deep":    times("\x81", 100000),
		"CBOR streams without end":   times("\x9f", 100000),
		"CBOR break alone":           {0xff},
		"protobuf length beyond":     []byte("\x12\xff\xff\xff\xff\x0f\x0a\x01a"),
		"protobuf length of 2^63":    []byte("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		"protobuf varint of 11 byte": []byte("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		"protobuf metric too long":   []byte("\x12\x05\x0a\x40abc"),
		"protobuf groups":            times("\x13", 10000),
		"protobuf field 0":           {0, 1},
		"protobuf 10000 deep":        nested(10000),
		"gzip of 16 MiB":             zipped(t, 16*mib),
		"HJ 212 length beyond":       []byte("##9999QN=20260101080000000;CN=2011;CP=&&&&0000\r\n"),
		"HJ 212 length negative":     []byte("##-001CN=2011;CP=&&&&0000\r\n"),
		"SL 651 length beyond":       []byte("\x7e\x7e\x01\x00\x12\x34\x56\x78\x12\x34\x32\x0f\xff\x02"),
		"GB/T 26875.3 length beyond": []byte("@@\x00\x00\x01\x01" + strings.Repeat("\x00", 18) + "\xff\xff\x02"),
		"a form of 100000 fields":    times("a=1&", 100000),
		"a CSV of 100000 columns":    append(times("timepoint,", 50000), times("stationcode,", 50000)...),
		"a quote without end":        []byte("timepoint,stationcode,pm10\n\"" + strings.Repeat("x", mib/4)),
	}
	for _, c := range []byte("\x00\x01 \x16\x7e#@{[\"09-a&=,\n\x81\x9f\xff") {
		all[fmt.Sprintf("64 KiB of %q", c)] = bytes.Repeat([]byte{c}, mib/16)
	}
	for _, c := range []byte("\x00{") {
		all[fmt.Sprintf("16 MiB of %q", c)] = bytes.Repeat([]byte{c}, 16*mib)
	}
	return all
}

func names(n int) []byte {
	b := []byte{'{'}
	for i := range n {
		b = fmt.Appendf(b, `"n%d":%d,`, i, i)
	}
	b[len(b)-1] = '}'
	return b
}

// nested is a protobuf message in a message, n times.
func nested(n int) []byte {
	var b []byte
	for range n {
		length := []byte{byte(len(b)&0x7f | 0x80), byte(len(b)>>7&0x7f | 0x80), byte(len(b) >> 14)}
		b = slices.Concat([]byte{0x12}, length, b)
	}
	return b
}

func zipped(t *testing.T, n int) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Whatever a payload is, it ends in readings, in a reason to be empty, or in an error that says where and why; the memory
// that it costs is bounded by its size.
func TestBad(t *testing.T) {
	payloads, room := bad(t), make([]decode.Reading, 0, decode.MaxReadings+1)
	for _, p := range Protocols() {
		t.Run(p.Name, func(t *testing.T) {
			for name, payload := range payloads {
				for _, strict := range []bool{false, true} {
					if strict && len(payload) > 2<<20 {
						continue
					}
					s := settings(p)
					s.Strict = strict
					judge(t, fmt.Sprintf("%s, strict %t", name, strict), named{decoder(t, p, s), p.Name, room}, payload)
				}
			}
		})
	}
}

func decoder(t *testing.T, p decode.Protocol, s decode.Settings) decode.Decoder {
	t.Helper()
	d, err := p.New(s)
	if err != nil {
		t.Fatal(p.Name, err)
	}
	return d
}

// named is a decoder that knows what it is called, with room for all that it may give.
type named struct {
	decode.Decoder
	protocol string
	room     []decode.Reading
}

// Bounds of what one payload may allocate: so many bytes for each of its own, and as many again for whoever is new.
const (
	perByte = 64
	perNew  = 1 << 20
)

// judge decodes once and looks at what came out.
func judge(t *testing.T, name string, d named, payload []byte) {
	t.Helper()
	defer func() {
		if why := recover(); why != nil {
			t.Errorf("%s: panics: %v", name, why)
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	readings, err := d.Decode(d.room, payload)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > perNew+perByte*uint64(len(payload)) {
		t.Errorf("%s: %d bytes of payload allocate %d", name, len(payload), used)
	}
	switch {
	case err != nil:
		place(t, name, d.protocol, payload, err)
		if len(readings) != 0 {
			t.Errorf("%s: %d readings and %v", name, len(readings), err)
		}
	case len(readings) == 0:
		if e, ok := d.Decoder.(decode.Emptier); !ok || e.Empty() == "" {
			t.Errorf("%s: no readings, no error and no reason", name)
		}
	}
	if len(readings) > min(len(payload), decode.MaxReadings) {
		t.Errorf("%s: %d readings out of %d bytes", name, len(readings), len(payload))
	}
	for _, r := range readings {
		if r.Err != nil {
			place(t, name, d.protocol, payload, r.Err)
		}
	}
}

// place wants an error to say protocol, byte and cause.
func place(t *testing.T, name, protocol string, payload []byte, err error) {
	t.Helper()
	var where *decode.Error
	switch {
	case !errors.As(err, &where):
		t.Errorf("%s: %v is no decode.Error", name, err)
	case where.Protocol != protocol && !strings.HasPrefix(where.Protocol, protocol+" "):
		t.Errorf("%s: %v names protocol %q", name, err, where.Protocol)
	case where.Offset < -1 || where.Offset > len(payload):
		t.Errorf("%s: %v: byte %d of %d", name, err, where.Offset, len(payload))
	case where.Offset < 0 && where.Field == "" && !errors.Is(err, decode.ErrBound) && !errors.Is(err, decode.ErrPlugin):
		t.Errorf("%s: %v says neither byte nor field", name, err)
	case len(err.Error()) > 1000:
		t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
	}
	if !slices.ContainsFunc(causes, func(cause error) bool { return errors.Is(err, cause) }) {
		t.Errorf("%s: %v has no cause", name, err)
	}
}

var causes = []error{
	decode.ErrTruncated, decode.ErrChecksum, decode.ErrMalformed, decode.ErrUnsupported, decode.ErrEncoding, decode.ErrNumber,
	decode.ErrPosition, decode.ErrTime, decode.ErrBound, decode.ErrEmpty, decode.ErrPlugin, decode.ErrThing,
}

// The same holds for every golden payload that something has happened to on its way.
func TestDamaged(t *testing.T) {
	room := make([]decode.Reading, 0, decode.MaxReadings+1)
	for _, p := range Protocols() {
		if p.Name == "wasm" {
			continue // has no cases
		}
		t.Run(p.Name, func(t *testing.T) {
			decodetest.Each(t, p, func(name string, fresh func() decode.Decoder, payload []byte) {
				if len(payload) > 16<<10 {
					return // those that are there for their size
				}
				for how, damaged := range damage(payload) {
					judge(t, name+", "+how, named{fresh(), p.Name, room}, damaged)
				}
			})
		})
	}
}

// damage is what happens to payloads.
func damage(payload []byte) map[string][]byte {
	replace := func(old, new string) []byte { return bytes.ReplaceAll(payload, []byte(old), []byte(new)) }
	lf := bytes.ReplaceAll(payload, []byte("\r\n"), []byte("\n"))
	half := len(payload) / 2
	all := map[string][]byte{
		"glued":                 slices.Concat(payload, payload),
		"glued with CR LF":      slices.Concat(payload, []byte("\r\n"), payload),
		"glued with NUL":        slices.Concat(payload, []byte{0}, payload),
		"its second half":       payload[half:],
		"both halves exchanged": slices.Concat(payload[half:], payload[:half]),
		"torn by another":       slices.Concat(payload[:half], payload),
		"a byte order mark":     slices.Concat([]byte("\ufeff"), payload),
		"behind NUL":            slices.Concat([]byte{0}, payload),
		"before NUL":            slices.Concat(payload, []byte{0}),
		"in UTF-16":             wide(payload),
		"line ends CR LF":       bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n")),
		"line ends CR":          bytes.ReplaceAll(lf, []byte("\n"), []byte("\r")),
		"line ends mixed":       bytes.Replace(bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n")), []byte("\r\n"), []byte("\r"), 1),
		"commas for points":     replace(".", ","),
		"numbers in quotes":     replace(":1", `:"1"`),
		"upper case":            bytes.ToUpper(payload),
		"in an array":           slices.Concat([]byte("["), payload, []byte("]")),
		"as a text":             quoted(payload),
	}
	for _, part := range []int{1, 3, 7, 15} { // cut off
		all[fmt.Sprintf("the first %d/16", part)] = payload[:len(payload)*part/16]
	}
	step := max(1, len(payload)/32)
	for i := 0; i < len(payload); i += step {
		flipped := bytes.Clone(payload)
		flipped[i] ^= 0x80
		all[fmt.Sprintf("byte %d wrong", i)] = flipped
		if payload[i]-'0' <= 9 {
			all[fmt.Sprintf("10000 levels at byte %d", i)] = slices.Concat(payload[:i], bytes.Repeat([]byte("["), 10000), payload[i:])
			all[fmt.Sprintf("a great number at byte %d", i)] = slices.Concat(payload[:i], bytes.Repeat([]byte("9"), 400), payload[i:])
		}
	}
	return all
}

func wide(payload []byte) []byte {
	b := []byte("\xff\xfe")
	for _, c := range payload {
		b = append(b, c, 0)
	}
	return b
}

func quoted(payload []byte) []byte {
	b, err := json.Marshal(string(payload))
	if err != nil {
		panic(err)
	}
	return b
}
