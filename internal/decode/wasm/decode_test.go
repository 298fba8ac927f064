package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/sensor"
)

func file(name string) string { return filepath.Join("..", "..", "..", "testdata", "plugins", name) }

func newDecoder(tb testing.TB, p decode.Plugin) decode.Decoder {
	tb.Helper()
	d, err := Protocol().New(decode.Settings{Plugin: p})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// report is what the logger of the example sends.
func report(serial, seconds uint32, temperature int16, humidity byte, battery uint16) []byte {
	b := binary.BigEndian.AppendUint32([]byte{1}, serial)
	b = binary.BigEndian.AppendUint32(b, seconds)
	b = binary.BigEndian.AppendUint16(b, uint16(temperature))
	return binary.BigEndian.AppendUint16(append(b, humidity), battery)
}

func TestExample(t *testing.T) {
	d := newDecoder(t, decode.Plugin{File: file("acme.wasm")})
	got, err := decodetest.Invariants(t, d, report(0x1234abcd, 1_795_000_000, -523, 131, 3604))
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, want := range []decode.Reading{
		{Key: "air_temperature", Number: -5.23, Unit: "Cel"}, {Key: "humidity", Number: 65.5, Unit: "%"}, {Key: "battery_voltage", Number: 3604, Unit: "mV"},
	} {
		want.Property, want.Serial, want.Time = want.Key, "acme-1234abcd", 1_795_000_000_000
		if got[i] != want {
			t.Errorf("%+v, want %+v", got[i], want)
		}
	}
	got, err = decodetest.Invariants(t, d, report(1, 2, -32768, 0, 0))
	if err != nil || len(got) != 3 || !errors.Is(got[0].Err, decode.ErrNumber) || !strings.Contains(got[0].Err.Error(), "probe is not connected") {
		t.Errorf("without its probe: %+v, %v", got, err)
	}
	if got, err := decodetest.Invariants(t, d, []byte{0}); err != nil || len(got) != 0 || d.(decode.Emptier).Empty() != sensor.ReasonHeartbeat {
		t.Errorf("a heartbeat: %+v, %v, %s", got, err, d.(decode.Emptier).Empty())
	}
	for name, c := range map[string]struct {
		payload []byte
		want    error
		at      int
	}{
		"empty":     {nil, decode.ErrEmpty, 0},
		"version 2": {[]byte{2, 0}, decode.ErrUnsupported, 0},
		"short":     {report(1, 2, 3, 4, 5)[:13], decode.ErrTruncated, 13},
		"too large": {make([]byte, 70_000), decode.ErrBound, -1},
	} {
		_, err := decodetest.Invariants(t, d, c.payload)
		var e *decode.Error
		if !errors.Is(err, c.want) || !errors.As(err, &e) || e.Offset != c.at || !strings.HasPrefix(e.Protocol, "wasm ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHostile: whatever a module does, its payload becomes a dead letter that says what it was, within its bounds; the next
// payload is read as if nothing had been.
func TestHostile(t *testing.T) {
	d := newDecoder(t, decode.Plugin{File: file("hostile.wasm"), Memory: 1, Time: 2 * time.Second})
	cases := []struct {
		what  string
		cause error // of the payload
		value error // or of the value
		says  string
	}{
		0: {"runs for ever", decode.ErrPlugin, nil, "longer than 2s"}, 1: {"takes all memory", decode.ErrPlugin, nil, "unreachable"},
		2: {"traps", decode.ErrPlugin, nil, "unreachable"}, 3: {"a name beyond its memory", decode.ErrPlugin, nil, "100 bytes"},
		4: {"a name of negative length", decode.ErrPlugin, nil, "-1 bytes"}, 5: {"100,000 values", decode.ErrBound, nil, "more than"},
		6: {"NaN", nil, decode.ErrNumber, ""}, 7: {"words that are not UTF-8", nil, decode.ErrEncoding, ""},
		8: {"a value without name", nil, decode.ErrMalformed, ""}, 9: {"a place outside the world", nil, decode.ErrPosition, ""},
		10: {"recursion without end", decode.ErrPlugin, nil, ""}, 11: {"an unknown reason", decode.ErrMalformed, nil, ""},
		12: {"a bad value without name or reason", nil, decode.ErrMalformed, ""}, 13: {"60,000 bytes of words", decode.ErrPlugin, nil, "60000"},
		14: {"a time long ago", nil, nil, ""}, 15: {"a serial of 60,000 bytes", decode.ErrPlugin, nil, "60000"},
		16: {"a unit of 60,000 bytes", decode.ErrPlugin, nil, "60000"}, 17: {"values, and then none", decode.ErrMalformed, nil, "k"},
	}
	for i, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			payload := append([]byte{byte(i)}, "0123456789"...)
			got, err := decodetest.Invariants(t, d, payload)
			switch {
			case c.cause != nil && (!errors.Is(err, c.cause) || !strings.Contains(err.Error(), c.says)):
				t.Errorf("%+v, %v", got, err)
			case c.cause == nil && (err != nil || len(got) != 1 || c.value != nil && !errors.Is(got[0].Err, c.value)):
				t.Errorf("%+v, %v", got, err)
			}
			if got, err := d.Decode(nil, []byte{200, 1, 2}); err != nil || len(got) != 1 || got[0].Number != 3 {
				t.Errorf("the payload behind it: %+v, %v", got, err)
			}
		})
	}
}

// TestManyConnections share a few instances.
func TestManyConnections(t *testing.T) {
	p := Protocol()
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			d, err := p.New(decode.Settings{Plugin: decode.Plugin{File: file("hostile.wasm"), Time: time.Second}})
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 50 {
				if n == 0 && i%10 == 0 {
					if _, err := d.Decode(nil, []byte{2}); !errors.Is(err, decode.ErrPlugin) {
						t.Error(err)
					}
					continue
				}
				payload := make([]byte, 1+n+i)
				payload[0] = 200
				if got, err := d.Decode(nil, payload); err != nil || len(got) != 1 || got[0].Number != float64(len(payload)) {
					t.Errorf("%+v, %v", got, err)
				}
			}
		})
	}
	all.Wait()
}

func TestRefusedModules(t *testing.T) {
	good, err := os.ReadFile(file("acme.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for what, c := range map[string]struct {
		plugin decode.Plugin
		says   string
	}{
		"no file":        {decode.Plugin{}, "plugin: {file"},
		"not there":      {decode.Plugin{File: filepath.Join(dir, "x")}, "no such file"},
		"no module":      {decode.Plugin{File: write("text", []byte("hello"))}, "not a situ decoder"},
		"cut":            {decode.Plugin{File: write("cut", good[:len(good)/2])}, "not a situ decoder"},
		"nothing in it":  {decode.Plugin{File: write("none", []byte("\x00asm\x01\x00\x00\x00"))}, "exports no memory"},
		"another hash":   {decode.Plugin{File: file("acme.wasm"), SHA256: strings.Repeat("0", 64)}, "bring back the file"},
		"memory":         {decode.Plugin{File: file("acme.wasm"), Memory: 1000}, "1 to 256"},
		"time":           {decode.Plugin{File: file("acme.wasm"), Time: time.Hour}, "1ms to 10s"},
		"wants a clock":  {decode.Plugin{File: write("wasi", withImport)}, "wasi_snapshot_preview1"},
		"little memory":  {decode.Plugin{File: write("big", bigMemory), Memory: 1}, "not a situ decoder"},
		"too large":      {decode.Plugin{File: write("large", make([]byte, maxModule+1))}, "at most"},
		"other function": {decode.Plugin{File: write("input", noInput)}, "exports no function situ_abi"},
	} {
		if _, err := Protocol().New(decode.Settings{Plugin: c.plugin}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Modules by hand [WebAssembly core specification 5.5]: sections of type, import, memory, export.
var (
	withImport = []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" +
		"\x02\x20\x01\x16wasi_snapshot_preview1\x05clock\x00\x00" + "\x05\x03\x01\x00\x01" + "\x07\x0a\x01\x06memory\x02\x00")
	bigMemory = []byte("\x00asm\x01\x00\x00\x00" + "\x05\x04\x01\x00\xe8\x07" + "\x07\x0a\x01\x06memory\x02\x00")
	noInput   = []byte("\x00asm\x01\x00\x00\x00" + "\x05\x03\x01\x00\x01" + "\x07\x0a\x01\x06memory\x02\x00")
)

// TestNewContent: a file that was exchanged is another module, and a decoder of before keeps what it has.
func TestNewContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plugin.wasm")
	put := func(name string) {
		b, err := os.ReadFile(file(name))
		if err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p := Protocol()
	open := func() *Decoder {
		d, err := p.New(decode.Settings{Plugin: decode.Plugin{File: path}})
		if err != nil {
			t.Fatal(err)
		}
		return d.(*Decoder)
	}
	put("acme.wasm")
	first, second := open(), open()
	put("hostile.wasm")
	third := open()
	if first.p != second.p || first.p == third.p || first.Module() == third.Module() {
		t.Errorf("%s, %s, %s", first.Module(), second.Module(), third.Module())
	}
	if _, err := first.Decode(nil, []byte{0}); err != nil {
		t.Error(err)
	}
}

func FuzzExample(f *testing.F) {
	f.Add(report(1, 1_795_000_000, 2150, 100, 3600))
	f.Add([]byte{0})
	d := newDecoder(f, decode.Plugin{File: file("acme.wasm"), Time: 5 * time.Second})
	f.Fuzz(func(t *testing.T, b []byte) { decodetest.Invariants(t, d, b) })
}

func BenchmarkExample(b *testing.B) {
	d := newDecoder(b, decode.Plugin{File: file("acme.wasm")})
	payload := report(0x1234abcd, 1_795_000_000, 2150, 131, 3604)
	var dst []decode.Reading
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = d.Decode(dst[:0], payload); err != nil || len(dst) != 3 {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(3*b.N)/b.Elapsed().Seconds(), "readings/s")
}

func ExampleProtocol() {
	d, err := Protocol().New(decode.Settings{Plugin: decode.Plugin{File: file("acme.wasm")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	readings, err := decode.DecodeOn(d, nil, "acme/yard/up", report(7, 1_795_000_000, 2150, 131, 3604))
	for _, r := range readings {
		fmt.Println(r.Serial, r.Key, r.Number, r.Unit)
	}
	fmt.Println(err)
	// Output:
	// acme-00000007 air_temperature 21.5 Cel
	// acme-00000007 humidity 65.5 %
	// acme-00000007 battery_voltage 3604 mV
	// <nil>
}

// Who was checked with a content goes on with it, while the file holds another, or nothing that works; only the newest few
// contents of a file are kept.
func TestPinnedContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plugin.wasm")
	put := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(file("acme.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	put(good)
	pinned := decode.Plugin{File: path}
	if err := Pin(&pinned); err != nil || len(pinned.SHA256) != 64 {
		t.Fatal(pinned, err)
	}
	p := Protocol()
	open := func(plugin decode.Plugin) error {
		_, err := p.New(decode.Settings{Plugin: plugin})
		return err
	}
	if err := open(pinned); err != nil {
		t.Fatal(err)
	}
	put([]byte("half"))
	if err := open(pinned); err != nil {
		t.Error("a new connection with the content of before: ", err)
	}
	if err := open(decode.Plugin{File: path}); err == nil {
		t.Error("half a module is taken")
	}
	for i := range maxKept + 1 { // a custom section each [5.5.3], so that they differ
		put(append(append([]byte(nil), good...), 0, 3, 1, byte('a'+i), 0))
		if err := open(decode.Plugin{File: path}); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(pinned); err == nil {
		t.Error("contents of a file are kept without a bound")
	}
	if err := Pin(&decode.Plugin{File: path + "x"}); err == nil {
		t.Error("a file that is not there has a hash")
	}
}
