package sl651

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSettings(t *testing.T) {
	for _, s := range []decode.Settings{{CRC: "maybe"}, {Zone: "Middle/Earth"}, {Encoding: "EBCDIC"}} {
		if _, err := Protocol().New(s); err == nil {
			t.Errorf("%+v passed", s)
		}
	}
}

// The check value of the catalogue of parametrised CRC algorithms, of "123456789".
func TestChecksum(t *testing.T) {
	same(t, "MODBUS", checksum([]byte("123456789")), 0x4b37)
	same(t, "ARC", crc16([]byte("123456789"), 0), 0xbb3d)
	same(t, "swapped", variant([]byte("123456789"), 0x4b37, 0x374b), variantSwapped)
	same(t, "arc", variant([]byte("123456789"), 0x4b37, 0xbb3d), variantARC)
	same(t, "none", variant([]byte("123456789"), 0x4b37, 0x1234), "")
}

// Every row of the table has a unit situ can convert from, and no name twice.
func TestElements(t *testing.T) {
	names := map[string]bool{}
	for id, e := range elements {
		if e.use == asUnknown {
			continue
		}
		if names[e.name] || e.name == "" {
			t.Errorf("%02XH: name %q", id, e.name)
		}
		names[e.name] = true
		if _, err := sensor.ParseUnit(e.unit); e.unit != "" && err != nil {
			t.Errorf("%s: %v", e.name, err)
		}
		if got := byName([]byte(strings.ToLower(e.name))); e.use != asStep && got == nil {
			t.Errorf("%s is not found by its name", e.name)
		}
	}
	if len(names) != 126 {
		t.Errorf("%d elements", len(names))
	}
}

// What the catalogue takes an element for can be counted in the element's unit, and the commonest are known.
func TestElementsInTheCatalogue(t *testing.T) {
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range elements {
		m, ok := catalogue.Mean(protocol, e.name)
		if !ok || e.unit == "" {
			continue
		}
		if _, err := sensor.NewConversion(e.unit, m.Property.Unit); err != nil {
			t.Errorf("%s is taken for %s: %v", e.name, m.Property.Code, err)
		}
	}
	for name, want := range map[string]sensor.PropertyCode{
		"Z": "water_level", "PJ": "rainfall", "PT": "rainfall_total", "VT": "supply_voltage", "Q": "flow", "P1": "rainfall_hour",
		"DRP": "rainfall_5min", "H": "groundwater_depth", "HW": "wave_height", "GH": "gate_opening", "GTP": "ground_temperature",
		"ZU": "reservoir_level", "ZB": "downstream_level", "M10": "soil_moisture", "UC": "wind_direction", "CD": "cadmium", "DRZ1": "relative_level",
	} {
		if m, ok := catalogue.Mean(protocol, name); !ok || m.Property.Code != want {
			t.Errorf("%s is taken for %+v, want %s", name, m.Property, want)
		}
	}
}

// river is a frame of a river station.
func river(t testing.TB, body ...byte) Frame {
	t.Helper()
	b, err := AppendStation(nil, "0050600123", 'H')
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	return Frame{
		Center: 1, Station: "0050600123", Password: 0x1234, Function: 0x32, Serial: 7, Sent: "260101080003",
		Body: append(AppendTime(b, at), body...),
	}
}

func frame(t testing.TB, f Frame) []byte {
	t.Helper()
	b, err := Append(nil, f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func number(t testing.TB, dst []byte, id byte, v float64) []byte {
	t.Helper()
	b, err := AppendNumber(dst, id, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every plain element of the table comes back as it was written, negative too.
func TestNumbersRoundTrip(t *testing.T) {
	d := decoder(t, decode.Settings{CRC: "strict", Strict: true})
	for id, e := range elements {
		if e.use != asNumber && e.use != asSpecial || e.ten != 0 {
			continue
		}
		for _, v := range []float64{0, 1, -1, 12.5, 99999} {
			want := v
			if e.d == 0 && v == 12.5 {
				want = 13
			}
			got, err := d.Decode(nil, frame(t, river(t, number(t, nil, byte(id), v)...)))
			if err != nil || len(got) != 1 || got[0].Number != want || got[0].Key != e.name || got[0].Unit != e.unit {
				t.Errorf("%s %v: %+v, %v", e.name, v, got, err)
			}
		}
	}
}

// Frames arrive in pieces; whatever the pieces, the frames come out whole and once, noise and torn frames aside.
func TestSplitInPieces(t *testing.T) {
	one := frame(t, river(t, number(t, nil, 0x39, 10.49)...))
	text := frame(t, Frame{Text: true, Center: 1, Station: "0050600123", Function: 0x32, Serial: 7, Sent: "260101080003",
		Body: []byte("ST 0050600123 H TT 2601010800 Z 10.490 ")})
	stream := slices.Concat([]byte("www.usr.cn\x01~"), one, one, one[:20], one, []byte{0, 0x7E}, text, text[:30], text, []byte("\r\n"), one)
	for size := 1; size < 120; size++ {
		counts := decodetest.Pieces(t, Split, stream, size)
		if counts[string(one)] != 4 || counts[string(text)] != 2 || len(counts) != 4 {
			t.Fatalf("pieces of %d: %d, %d of %d", size, counts[string(one)], counts[string(text)], len(counts))
		}
	}
}

func TestSplitIsBounded(t *testing.T) {
	for _, noise := range []string{
		strings.Repeat("~", 1<<20), strings.Repeat("~~\x01", 1<<18), "~~" + strings.Repeat("\x00", 1<<20),
		strings.Repeat("\x01"+strings.Repeat("F", 22)+"\x16", 1<<14), strings.Repeat("~~000000000\xff\xff\x16", 1<<16),
	} {
		begin := time.Now()
		_, rest := Split([]byte(noise))
		if took := time.Since(begin); len(rest) > maxFrame || took > 20*time.Second {
			t.Errorf("%.10q: %d bytes left, took %v", noise, len(rest), took)
		}
	}
}

func TestMegabyte(t *testing.T) {
	d := decoder(t, decode.Settings{CRC: "off"})
	for name, payload := range map[string]string{
		"starts":  strings.Repeat("~~\x01\x02\x03\x04\x05\x06\x07\x08\x32\xff\xff\x16", 1<<16),
		"digits":  "7E7E" + strings.Repeat("0F", 1<<19),
		"packets": strings.Repeat(string(frame(t, Frame{Station: "0000000001", Function: 0x31, Total: 4095, Number: 9})), 1<<15),
		"text":    strings.Repeat("\x01"+strings.Repeat("0", 22)+"\x02", 1<<15),
	} {
		begin := time.Now()
		_, _ = decodetest.Invariants(t, d, []byte(payload))
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

func TestPacketsInAnyOrder(t *testing.T) {
	whole := river(t, number(t, number(t, nil, 0x39, 10.49), 0x20, 4)...)
	var parts [][]byte
	for i, n := 1, len(whole.Body); i <= 3; i++ {
		f := whole
		f.Total, f.Number, f.End, f.Body = 3, i, etb, whole.Body[(i-1)*n/3:i*n/3]
		if i == 3 {
			f.End = etx
		}
		parts = append(parts, frame(t, f))
	}
	want, err := decoder(t, decode.Settings{}).Decode(nil, frame(t, whole))
	if err != nil || len(want) != 2 {
		t.Fatal(want, err)
	}
	for _, order := range [][]int{{0, 1, 2}, {2, 0, 1}, {1, 1, 0, 2}} {
		var payload []byte
		for _, i := range order {
			payload = append(payload, parts[i]...)
		}
		got, err := decodetest.Invariants(t, decoder(t, decode.Settings{CRC: "strict"}), payload)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v: %+v, %v", order, got, err)
		}
	}
	for _, order := range [][]int{{0}, {0, 1}, {2, 1}} {
		var payload []byte
		for _, i := range order {
			payload = append(payload, parts[i]...)
		}
		if got, err := decoder(t, decode.Settings{}).Decode(nil, payload); !errors.Is(err, decode.ErrTruncated) {
			t.Errorf("%v: %+v, %v", order, got, err)
		}
	}
}

func TestReply(t *testing.T) {
	at := time.Date(2026, 1, 1, 8, 0, 5, 0, time.UTC)
	up := river(t)
	answer := func(f Frame, stay Stay) (Frame, bool) {
		f.Begin = or(f.Begin, stx)
		b, ok := Reply(nil, &f, nil, at, stay)
		if !ok {
			return Frame{}, false
		}
		a, err := Parse(b)
		if err != nil || !a.Checksum.OK || !a.Down || a.Serial != f.Serial || a.Sent != "260101080005" || a.Station != f.Station ||
			a.Center != f.Center || a.Password != f.Password || a.Function != f.Function || a.Text != f.Text || a.Declared != a.Actual {
			t.Errorf("%X: %+v, %v", b, a, err)
		}
		return a, true
	}
	up.End = etx
	for _, text := range []bool{false, true} {
		up.Text = text
		if a, _ := answer(up, HangUp); a.End != eot {
			t.Errorf("%+v", a)
		}
		if a, _ := answer(up, Online); a.End != esc {
			t.Errorf("%+v", a)
		}
		more := up
		more.End = etb
		if a, _ := answer(more, Online); a.End != ack {
			t.Errorf("%+v", a)
		}
	}
	for _, f := range []Frame{{Function: 0x2F, End: etx}, {Function: 0x32, Down: true}, {Function: 0x36, Total: 3, Number: 2, End: etb}} {
		if a, ok := answer(f, Online); ok {
			t.Errorf("%+v was answered with %+v", f, a)
		}
	}
	last := Frame{Station: "0050600123", Function: 0x36, Total: 3, Number: 3, End: etx}
	b, ok := Refuse(nil, &last, &Frame{Serial: 9}, 2, at)
	a, err := Parse(b)
	if !ok || err != nil || a.End != nak || a.Number != 2 || a.Total != 3 || a.Serial != 9 || !a.Checksum.OK {
		t.Errorf("%X: %+v, %v", b, a, err)
	}
	if _, ok := Refuse(nil, &last, nil, 4, at); ok {
		t.Error("a packet beyond the set was asked for")
	}
}

func TestAppendRefuses(t *testing.T) {
	good := river(t)
	for name, f := range map[string]Frame{
		"station": {Station: "12", Sent: good.Sent}, "time": {Station: good.Station, Sent: "x"},
		"body": {Station: good.Station, Sent: good.Sent, Body: make([]byte, 4096)}, "packet": {Station: good.Station, Sent: good.Sent, Total: 2, Number: 3},
	} {
		if b, err := Append(nil, f); err == nil || len(b) != 0 {
			t.Errorf("%s: %X passed", name, b)
		}
	}
	if _, err := AppendNumber(nil, 0x45, 1); !errors.Is(err, decode.ErrUnsupported) {
		t.Error(err)
	}
	if _, err := AppendNumber(nil, 0x39, 1e20); !errors.Is(err, decode.ErrNumber) {
		t.Error(err)
	}
	if _, err := AppendStation(nil, "x", 0); err == nil {
		t.Error("a station of one letter passed")
	}
}

func TestNoAllocation(t *testing.T) {
	d := decoder(t, decode.Settings{})
	payload := hourly(t)
	var room []decode.Reading
	if n := testing.AllocsPerRun(100, func() { room, _ = d.Decode(room[:0], payload) }); n != 0 || len(room) != 27 {
		t.Errorf("%v allocations for %d readings", n, len(room))
	}
}
