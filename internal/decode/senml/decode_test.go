package senml

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestGolden(t *testing.T) {
	t.Run("json", func(t *testing.T) { decodetest.Golden(t, JSON()) })
	t.Run("cbor", func(t *testing.T) { decodetest.Golden(t, CBOR()) })
}

func decoder(tb testing.TB, p decode.Protocol, s decode.Settings) decode.Decoder {
	tb.Helper()
	d, err := p.New(s)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func TestSplit(t *testing.T) {
	for _, c := range []struct{ name, device, value string }{
		{"urn:dev:ow:10e2073a01080063:voltage", "urn:dev:ow:10e2073a01080063", "voltage"},
		{"urn:dev:ow:10e2073a01080063", "urn:dev:ow:10e2073a01080063", ""},
		{"urn:dev:ow:10e2073a01080063:", "urn:dev:ow:10e2073a01080063", ""},
		{"urn:dev:ow:264437f5000000ed_humidity", "urn:dev:ow:264437f5000000ed", "humidity"},
		{"URN:DEV:mac:0024befffe804ff1/3303/0/5700", "URN:DEV:mac:0024befffe804ff1", "3303/0/5700"},
		{"urn:dev:org:32473-foo:room:temp", "urn:dev:org:32473-foo", "room:temp"},
		{"urn:dev:", "urn:dev:", ""},
		{"urn:uuid:2e1bca6e-0db5-4d5e-9d23-1c5a5a0e4d9f", "urn:uuid:2e1bca6e-0db5-4d5e-9d23-1c5a5a0e4d9f", ""},
		{"urn:uuid:2e1bca6e:temp", "urn:uuid:2e1bca6e", "temp"},
		{"urn:imei:49-01542-332:3303/0/5700", "urn:imei:49-01542-332:3303/0", "5700"},
		{"2001:db8::2/temperature", "2001:db8::2", "temperature"},
		{"http://station.example/a/temp", "http://station.example/a", "temp"},
		{"pump:rpm", "pump", "rpm"},
		{"/3303/0/5700", "", "3303/0/5700"},
		{"temperature", "", "temperature"},
		{"", "", ""},
	} {
		if d, v := split([]byte(c.name)); string(d) != c.device || string(v) != c.value {
			t.Errorf("%s: %q and %q, want %q and %q", c.name, d, v, c.device, c.value)
		}
	}
}

// Every symbol of the registry becomes a unit; those that a city's sensors send are ones situ can convert.
func TestUnits(t *testing.T) {
	beyond := map[string]bool{"sr": true, "kat": true, "bit": true, "bit/s": true, "B": true, "KiB": true, "GB": true,
		"Mbit/s": true, "B/s": true, "MB/s": true, "dBW": true, "Bspl": true}
	for symbol, code := range units {
		if _, err := sensor.ParseUnit(code); (err != nil) != beyond[symbol] {
			t.Errorf("%s is %s: %v", symbol, code, err)
		}
	}
	p := &pack{}
	if got := [...]string{p.unit([]byte("C")), p.unitSeconds([]byte("W")), p.unitSeconds([]byte("Cel")), p.unit(nil), p.unit([]byte("°C"))}; got != [...]string{"Cel", "W.s", "", "", "°C"} {
		t.Error(got)
	}
	p.strict = true
	if got := p.unit([]byte("C")); got != "A.s" {
		t.Error(got)
	}
}

// The numbers of RFC 8949 appendix A that are numbers of SenML.
func TestCBORNumbers(t *testing.T) {
	d := decoder(t, CBOR(), decode.Settings{})
	for hex, want := range map[string]float64{
		"\x00": 0, "\x17": 23, "\x18\x18": 24, "\x19\x03\xe8": 1000, "\x1a\x00\x0f\x42\x40": 1e6,
		"\x1b\x00\x00\x00\xe8\xd4\xa5\x10\x00": 1e12, "\x1b\xff\xff\xff\xff\xff\xff\xff\xff": 18446744073709551615,
		"\x20": -1, "\x39\x03\xe7": -1000, "\x3b\xff\xff\xff\xff\xff\xff\xff\xff": -18446744073709551616,
		"\xf9\x00\x00": 0, "\xf9\x3c\x00": 1, "\xf9\x3e\x00": 1.5, "\xf9\x7b\xff": 65504, "\xf9\x00\x01": 5.960464477539063e-8,
		"\xf9\x04\x00": 0.00006103515625, "\xf9\xc4\x00": -4, "\xfa\x47\xc3\x50\x00": 100000, "\xfa\x7f\x7f\xff\xff": 3.4028234663852886e+38,
		"\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a": 1.1, "\xfb\x7e\x37\xe4\x3c\x88\x00\x75\x9c": 1e300,
		"\xc4\x82\x21\x19\x6a\xb3": 273.15, "\xc4\x82\x02\x20": -100, "\xc4\x82\x39\x01\x43\x01": 1e-324, "\xd9\xd9\xf7\x05": 5,
	} {
		payload := append([]byte("\x81\xa2\x00\x61x\x02"), hex...)
		got, err := decodetest.Invariants(t, d, payload)
		if err != nil || len(got) != 1 || got[0].Err != nil || got[0].Number != want {
			t.Errorf("%x: %+v, %v; want %v", hex, got, err, want)
		}
	}
	for hex, cause := range map[string]error{
		"\xf9\x7c\x00": decode.ErrNumber, "\xf9\x7e\x00": decode.ErrNumber, "\xfb\xff\xf0\x00\x00\x00\x00\x00\x00": decode.ErrNumber,
		"\x61x": decode.ErrMalformed, "\xf5": decode.ErrMalformed, "\xc4\x82\xf9\x3c\x00\x01": decode.ErrMalformed,
		"\x82\x01\x02": decode.ErrMalformed, "\xc4\x82\x19\x03\xe8\x01": decode.ErrNumber,
	} {
		payload := append([]byte("\x81\xa2\x00\x61x\x02"), hex...)
		got, err := decodetest.Invariants(t, d, payload)
		if err != nil || len(got) != 1 || !errors.Is(got[0].Err, cause) {
			t.Errorf("%x: %+v, %v; want %v", hex, got, err, cause)
		}
	}
}

// What says that it is larger than any payload, or deeper than any stack, costs nothing.
func TestBombs(t *testing.T) {
	for _, c := range []struct {
		name    string
		p       decode.Protocol
		payload string
		cause   error
	}{
		{"array of 2^60", CBOR(), "\x9b\x10\x00\x00\x00\x00\x00\x00\x00", decode.ErrTruncated},
		{"array of 2^64-1 numbers", CBOR(), "\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02", decode.ErrTruncated},
		{"map of 2^60", CBOR(), "\x81\xbb\x10\x00\x00\x00\x00\x00\x00\x00", decode.ErrTruncated},
		{"map of 2^63 in an unknown field", CBOR(), "\x81\xa1\x61x\xbb\x80\x00\x00\x00\x00\x00\x00\x00", decode.ErrTruncated},
		{"text of 2^63", CBOR(), "\x81\xa1\x00\x7b\x80\x00\x00\x00\x00\x00\x00\x00", decode.ErrTruncated},
		{"bytes of 2^64-1", CBOR(), "\x81\xa1\x08\x5b\xff\xff\xff\xff\xff\xff\xff\xff", decode.ErrTruncated},
		{"nested arrays", CBOR(), "\x81\xa1\x61x" + strings.Repeat("\x81", 100_000), decode.ErrBound},
		{"nested streams", CBOR(), "\x81\xa1\x61x" + strings.Repeat("\x9f", 100_000), decode.ErrBound},
		{"nested arrays as label", CBOR(), "\x81\xa1" + strings.Repeat("\x81", 100_000), decode.ErrBound},
		{"tags without end", CBOR(), "\x81\xa1\x02" + strings.Repeat("\xc1", 100_000), decode.ErrTruncated},
		{"stream without end", CBOR(), "\x9f", decode.ErrTruncated},
		{"reserved", CBOR(), "\x81\xa1\x02\x1c", decode.ErrMalformed},
		{"break in an array", CBOR(), "\x82\xff", decode.ErrMalformed},
		{"bytes behind the pack", CBOR(), "\x80\x80", decode.ErrMalformed},
		{"another document", CBOR(), "\x01", decode.ErrUnsupported},
		{"too many values", CBOR(), "\x9f" + strings.Repeat("\xa2\x00\x61x\x02\x00", decode.MaxReadings+1) + "\xff", decode.ErrBound},
		{"too many places", CBOR(), "\x9f" + strings.Repeat("\xa2\x01\x63lon\x02\x00", decode.MaxReadings+1) + "\xff", decode.ErrBound},
		{"nested arrays", JSON(), strings.Repeat("[", 100_000), decode.ErrBound},
		{"too many values", JSON(), "[" + strings.Repeat(`{"n":"x","v":1},`, decode.MaxReadings) + `{"n":"x","v":1}]`, decode.ErrBound},
		{"another document", JSON(), "5", decode.ErrUnsupported},
	} {
		if got, err := decodetest.Invariants(t, decoder(t, c.p, decode.Settings{}), []byte(c.payload)); !errors.Is(err, c.cause) {
			t.Errorf("%s %s: %d readings, %v; want %v", c.p.Name, c.name, len(got), err, c.cause)
		}
	}
}

// What Append writes, Decode reads, in both forms, the same.
func TestAppend(t *testing.T) {
	yes, sum := true, 12.5
	p := Pack{Name: "urn:dev:mac:0024befffe804ff1:", Time: 1767225600, Records: []Record{
		{Name: "temp", Unit: "Cel", Value: 23.1}, {Name: "power", Unit: "W", Value: -7, Time: -5, Sum: &sum},
		{Name: "place", Text: "Halle \"3\" 超标"}, {Name: "open", Truth: &yes}, {Name: "raw", Data: []byte{0xff, 0, 1}},
		{Name: "half", Value: 0.5}, {Name: "zero", Value: math.Copysign(0, -1)}, {Name: "large", Value: 1e300},
	}}
	var got [2]string
	for i, form := range [...]struct {
		p       decode.Protocol
		payload []byte
	}{{JSON(), AppendJSON(nil, p)}, {CBOR(), AppendCBOR(nil, p)}} {
		rs, err := decodetest.Invariants(t, decoder(t, form.p, decode.Settings{Strict: true}), form.payload)
		if err != nil || len(rs) != len(p.Records)+1 {
			t.Fatalf("%s: %+v, %v", form.payload, rs, err)
		}
		if r := rs[2]; r.Statistic != sensor.Sum || r.Number != 12.5 || r.Unit != "W.s" || r.Key != "power" || r.Time != 1767225595000 {
			t.Errorf("%+v", r)
		}
		if r := rs[5]; r.Text != "_wAB" || r.Key != "raw" {
			t.Errorf("%+v", r)
		}
		got[i] = fmt.Sprintf("%+v", rs)
	}
	if got[0] != got[1] {
		t.Errorf("JSON %s\nCBOR %s", got[0], got[1])
	}
}

func TestSteadyStateAllocations(t *testing.T) {
	p := bench(20)
	for _, form := range [...]struct {
		p       decode.Protocol
		payload []byte
		most    float64
	}{{JSON(), AppendJSON(nil, p), 1}, {CBOR(), AppendCBOR(nil, p), 0}} {
		d := decoder(t, form.p, decode.Settings{})
		room := make([]decode.Reading, 0, 64)
		if n := testing.AllocsPerRun(100, func() { room, _ = d.Decode(room[:0], form.payload) }); n > form.most || len(room) != 20 {
			t.Errorf("%s: %v allocations for %d values", form.p.Name, n, len(room))
		}
	}
}

func TestEmptyPayload(t *testing.T) {
	for _, p := range []decode.Protocol{JSON(), CBOR()} {
		if _, err := decoder(t, p, decode.Settings{}).Decode(nil, bytes.TrimSpace([]byte(" "))); !errors.Is(err, decode.ErrEmpty) {
			t.Error(p.Name, err)
		}
	}
}
