package sl651

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

// expected is an entry of EXPECTED.json, made by other hands.
type expected struct {
	Center   int
	Station  string
	Function string
	Serial   int
	Length   int
	Packets  int
	CRC      struct {
		Declared, Computed string
		OK                 bool
	}
	SendTime struct{ UTC string } `json:"send_time"`
	Observed string               `json:"observation_time"`
	Elements []struct {
		Element, Unit string
		Value         any
	}
}

func TestSamples(t *testing.T) {
	dir, entries := decodetest.Expected(t, protocol)
	n := 0
	for name, raw := range entries {
		n++
		t.Run(name, func(t *testing.T) {
			var want expected
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			payload, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if want.Packets > 0 {
				samplePicture(t, payload, want.Packets)
				return
			}
			sampleFrame(t, payload, &want)
			sampleReadings(t, payload, &want)
			if digits, err := os.ReadFile(strings.TrimSuffix(filepath.Join(dir, name), ".bin") + ".hex"); err == nil {
				sampleReadings(t, digits, &want)
			}
		})
	}
	if n < 9 {
		t.Errorf("only %d files in EXPECTED.json", n)
	}
}

func sampleFrame(t *testing.T, payload []byte, want *expected) {
	f, err := Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "head", []any{int(f.Center), f.Station, fmt.Sprintf("%02X", f.Function), int(f.Serial), f.Actual, f.Declared, f.Down},
		[]any{want.Center, want.Station, want.Function, want.Serial, want.Length, want.Length, false})
	c := f.Checksum
	same(t, "crc", []any{fmt.Sprintf("%04X", c.Declared), fmt.Sprintf("%04X", c.Right), c.OK}, []any{want.CRC.Declared, want.CRC.Computed, want.CRC.OK})
	ms, err := f.SentAt(decoder(t, decode.Settings{}).zone)
	same(t, "sent", []any{ms, err}, []any{unixMilli(t, want.SendTime.UTC), nil})
	f.Declared, f.Actual, f.Checksum = 0, 0, Checksum{}
	again, err := Append(nil, f)
	if err != nil || want.CRC.OK && string(again) != string(payload) {
		t.Errorf("written again: %X, %v; was %X", again, err, payload)
	}
}

func sampleReadings(t *testing.T, payload []byte, want *expected) {
	got, err := decodetest.Invariants(t, decoder(t, decode.Settings{CRC: "off"}), payload)
	if err != nil {
		t.Fatal(err)
	}
	type value struct {
		unit  string
		value any
		at    int64
	}
	var wanted []value
	for _, e := range want.Elements {
		at := unixMilli(t, want.SendTime.UTC)
		if want.Observed != "" {
			at = unixMilli(t, want.Observed)
		}
		series, isSeries := e.Value.([]any)
		switch {
		case strings.Contains(e.Element, "group 1"), strings.Contains(e.Element, "group 3"):
			at = unixMilli(t, "2017-07-18T10:05:00+08:00")
		case strings.Contains(e.Element, "group"):
			at = unixMilli(t, "2017-07-18T11:00:00+08:00")
		}
		for i, v := range series {
			if v != nil {
				wanted = append(wanted, value{e.Unit, v, at + int64(i)*fiveMinutes})
			}
		}
		if e.Value == "ADAT86-SW-V1.2(H)" { // the bytes 44 41 54 41 38 36 ... spell it otherwise
			e.Value = "DATA86-SW-V1.2(H)"
		}
		if !isSeries {
			wanted = append(wanted, value{e.Unit, e.Value, at})
		}
	}
	if want.Function == "46" { // EXPECTED.json gives only the bytes 20000004 00: ZT and its twelve bits
		if len(got) != 13 || got[0].Number != 0x400 || got[11].Key != "ZT-pump_stopped" || got[11].Number != 1 {
			t.Errorf("state: %+v", got)
		}
		return
	}
	same(t, "readings", len(got), len(wanted))
	for i, w := range wanted {
		r := got[i]
		v := any(r.Number)
		if r.Text != "" {
			v = r.Text
		}
		same(t, r.Key, []any{r.Serial, r.Unit, v, r.Time, r.ResultTime, r.Err},
			[]any{want.Station, w.unit, w.value, w.at, unixMilli(t, want.SendTime.UTC), nil})
		if r.Quality&sensor.ChecksumWrong != 0 == want.CRC.OK {
			t.Errorf("quality %s", r.Quality)
		}
	}
	if _, err := decoder(t, decode.Settings{}).Decode(nil, payload); (err == nil) != want.CRC.OK {
		t.Errorf("by the usual setting: %v", err)
	}
}

func samplePicture(t *testing.T, payload []byte, packets int) {
	d := decoder(t, decode.Settings{CRC: "strict"})
	got, err := decodetest.Invariants(t, d, payload)
	if err != nil || len(got) != 0 || d.Empty() != sensor.ReasonNoValues {
		t.Errorf("%d readings, %v, %s", len(got), err, d.Empty())
	}
	frames, rest := Split(payload)
	if len(frames) != packets || len(rest) != 0 {
		t.Fatalf("%d frames, %d bytes left", len(frames), len(rest))
	}
	var lead Frame
	for i, b := range frames {
		f, err := Parse(b)
		if err != nil || f.Number != i+1 || f.Total != packets || !f.Checksum.OK {
			t.Fatalf("%+v, %v", f, err)
		}
		if i == 0 {
			lead = f
		}
		a, ok := Reply(nil, &f, &lead, time.Now(), Online)
		if ok != (i == packets-1) {
			t.Errorf("packet %d: answer %X", i+1, a)
		}
	}
	if !strings.HasPrefix(hex.EncodeToString(lead.Body), "f1f1001234567848f0f05910111611f3f3ffd8ffe0") {
		t.Errorf("first packet %X", lead.Body[:32])
	}
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

func decoder(tb testing.TB, s decode.Settings) *Decoder {
	tb.Helper()
	d, err := New(s)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}
