package hj212

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/sensor"
)

// expected is an entry of EXPECTED.json, made by other hands with another decoder.
type expected struct {
	Readings *[]struct {
		Code, Param string
		Flag        *string
		Value       float64
	}
	Header  map[string]string
	CPOther map[string]string `json:"cp_other"`
	Length  struct {
		Actual, Declared int
		OK               bool
	}
	CRC struct {
		Declared, HJ212 string
		OK              bool
		MatchesInstead  *string `json:"matches_instead"`
	}
	PasswordPresent bool                  `json:"password_present"`
	DataTime        *struct{ UTC string } `json:"data_time"`
	QNTime          *struct{ UTC string } `json:"qn_time"`
}

func TestSamples(t *testing.T) {
	dir, entries := decodetest.Expected(t, protocol)
	n := 0
	for name, raw := range entries {
		var want expected
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(name, err)
		}
		if want.Readings == nil { // the glued stream has a test of its own
			continue
		}
		n++
		t.Run(name, func(t *testing.T) {
			payload := read(t, dir, name)
			sampleFrame(t, payload, &want)
			sampleReadings(t, payload, &want)
			sampleSettings(t, payload, &want)
		})
	}
	if n < 20 {
		t.Errorf("only %d frames in EXPECTED.json", n)
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sampleFrame compares what Parse shows: header, fields, values as text, length, CRC and times.
func sampleFrame(t *testing.T, payload []byte, want *expected) {
	f, err := Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	header := map[string]string{}
	for name, value := range map[string]string{
		"QN": f.QN, "ST": f.ST, "CN": f.CN, "MN": f.MN, "Flag": f.Flag, "PNUM": f.PNUM, "PNO": f.PNO,
	} {
		if value != "" {
			header[name] = value
		}
	}
	for _, x := range f.Extra {
		header[x.Name] = x.Value
	}
	other := map[string]string{}
	for _, x := range f.Fields {
		other[x.Name] = x.Value
	}
	if want.CPOther == nil {
		want.CPOther = other
		if len(other) > 0 {
			t.Errorf("other fields %v, want none", other)
		}
	}
	same(t, "header", header, want.Header)
	same(t, "other fields", other, want.CPOther)
	same(t, "password", f.PW != "", want.PasswordPresent)
	same(t, "length", [2]int{f.Actual, f.Declared}, [2]int{want.Length.Actual, want.Length.Declared})
	same(t, "length ok", f.Actual == f.Declared, want.Length.OK)
	c := f.Checksum
	same(t, "crc", []any{c.Declared, fmt.Sprintf("%04X", c.Right), c.OK}, []any{want.CRC.Declared, want.CRC.HJ212, want.CRC.OK})
	if want.CRC.MatchesInstead == nil {
		want.CRC.MatchesInstead = new(string)
	}
	same(t, "crc variant", c.Variant, *want.CRC.MatchesInstead)
	for _, x := range []struct {
		what, text string
		want       *struct{ UTC string }
	}{{"DataTime", f.DataTime, want.DataTime}, {"QN", f.QN, want.QNTime}} {
		ms, err := ParseTime(x.text, beijing(t))
		if (err == nil) != (x.want != nil) {
			t.Errorf("%s %q: %v, want %v", x.what, x.text, err, x.want)
		} else if err == nil {
			same(t, x.what, ms, unixMilli(t, x.want.UTC))
		}
	}
	same(t, "values", len(f.Values), len(*want.Readings))
	for i, w := range *want.Readings {
		flag := ""
		if w.Flag != nil {
			flag = *w.Flag
		}
		v := f.Values[i]
		same(t, "value", []string{v.Code, v.Param, v.Flag}, []string{w.Code, w.Param, flag})
	}
}

// sampleReadings compares what Decode makes of it when every checksum passes.
func sampleReadings(t *testing.T, payload []byte, want *expected) {
	d := decoder(t, decode.Settings{CRC: "off"})
	got, err := decodetest.Invariants(t, d, payload)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "readings", len(got), len(*want.Readings))
	for i, w := range *want.Readings {
		r := got[i]
		same(t, "reading", []any{r.Key, r.Property, r.Number, r.Serial, r.Err, r.Text},
			[]any{w.Code + "-" + w.Param, w.Code, w.Value, want.Header["MN"], error(nil), ""})
		same(t, "time", r.Time, unixMilli(t, want.DataTime.UTC))
		q := sensor.Quality(0)
		if w.Flag != nil && strings.EqualFold(*w.Flag, "D") {
			q = sensor.SourceFault
		}
		if !want.CRC.OK {
			q |= sensor.ChecksumWrong
		}
		if !want.Length.OK {
			q |= sensor.LengthWrong
		}
		same(t, "quality", r.Quality, q)
		statistic := map[string]sensor.Statistic{
			"Avg": sensor.Average, "Min": sensor.Minimum, "Max": sensor.Maximum, "ValidNum": sensor.Count, "TotalNum": sensor.Count,
		}[w.Param]
		same(t, "statistic", r.Statistic, statistic)
		resultTime := int64(0)
		if want.QNTime != nil {
			if qn := unixMilli(t, want.QNTime.UTC); qn >= r.Time && qn-r.Time <= maxDelay {
				resultTime = qn
			}
		}
		same(t, "result time", r.ResultTime, resultTime)
	}
}

// sampleSettings checks which of the frames each CRC setting lets pass.
func sampleSettings(t *testing.T, payload []byte, want *expected) {
	for setting, pass := range map[string]bool{
		"strict": want.CRC.OK, "variants": want.CRC.OK || *want.CRC.MatchesInstead != "", "off": true,
		"": want.CRC.OK || *want.CRC.MatchesInstead != "",
	} {
		_, err := decoder(t, decode.Settings{CRC: setting}).Decode(nil, payload)
		if (err == nil) != pass || err != nil && decode.ReasonOf(err) != sensor.ReasonChecksum {
			t.Errorf("crc %q: %v, want pass %t", setting, err, pass)
		}
	}
}

func TestSampleStream(t *testing.T) {
	dir, _ := decodetest.Expected(t, protocol)
	stream := read(t, dir, "stream-4-frames.bin")
	frames, rest := Split(stream)
	if len(frames) != 3 || len(rest) == 0 {
		t.Fatalf("%d frames, %d bytes left", len(frames), len(rest))
	}
	// The fourth frame is made whole by its last three bytes.
	more, rest := Split(append(rest, "0\r\n"...))
	if len(more) != 1 || len(rest) != 0 {
		t.Fatalf("%d frames, %q left", len(more), rest)
	}
	d := decoder(t, decode.Settings{CRC: "strict"})
	for i, want := range []int{0, 7, 1, 11} {
		frame := append(frames, more...)[i]
		if got, err := d.Decode(nil, frame); err != nil || len(got) != want {
			t.Errorf("frame %d: %d readings, %v; want %d", i, len(got), err, want)
		}
	}
	got, err := d.Decode(nil, stream)
	if err != nil || len(got) != 9 || decode.ReasonOf(got[8].Err) != sensor.ReasonTruncated {
		t.Errorf("the stream as one payload: %d readings, %v: %+v", len(got), err, got)
	}
}

func TestSampleCapture(t *testing.T) {
	dir, _ := decodetest.Expected(t, protocol)
	text := read(t, dir, "microstation-capture-raw.hex")
	payload, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decoder(t, decode.Settings{}).Decode(nil, payload)
	if err != nil || len(got) != 6 {
		t.Fatalf("%d readings, %v", len(got), err)
	}
	same(t, "first", []any{got[0].Key, got[0].Number, got[0].Quality, got[0].Serial},
		[]any{"TEMP-Rtd", 22.0, sensor.ChecksumWrong, "8888888826462285"})
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

func unixMilli(t *testing.T, text string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

func beijing(t *testing.T) *time.Location {
	t.Helper()
	loc, err := decode.Settings{}.Location()
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func decoder(tb testing.TB, s decode.Settings) *Decoder {
	tb.Helper()
	d, err := New(s)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}
