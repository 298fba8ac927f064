package lorawan

import (
	"encoding/base64"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
	"github.com/situ-city/situ/internal/decode/wasm"
)

// read has profiles read one frame.
func read(t testing.TB, ps *Profiles, w *doc.Walk, port int, raw []byte) ([]decode.Reading, error) {
	t.Helper()
	if _, err := w.Begin(nil, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	w.Base.Serial, w.Base.Time = "70b3d57ed0061a07", 1772337600000
	u := Uplink{Port: port, Data: gjson.Result{Type: gjson.String, Str: base64.StdEncoding.EncodeToString(raw)}}
	if !ps.Read(w, &u) {
		w.Fail("data", u.Data, Missing("give it a codec", &u))
	}
	return w.End()
}

func walk(t testing.TB) *doc.Walk {
	w, err := doc.NewWalk("chirpstack", decode.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	return &w
}

// Every number form, both orders, masked and signed, at its ends.
func TestNumberForms(t *testing.T) {
	none := uint64(0x7fff)
	for name, k := range map[string]struct {
		field decode.Field
		raw   string
		want  float64
		is    error
	}{
		"u8":               {decode.Field{Type: "u8"}, "\xff", 255, nil},
		"i8":               {decode.Field{Type: "i8"}, "\xff", -1, nil},
		"u16be":            {decode.Field{Type: "u16be"}, "\x01\x02", 258, nil},
		"u16le":            {decode.Field{Type: "u16le"}, "\x01\x02", 513, nil},
		"i16be":            {decode.Field{Type: "i16be"}, "\x80\x00", -32768, nil},
		"i24le":            {decode.Field{Type: "i24le"}, "\xfe\xff\xff", -2, nil},
		"u24be":            {decode.Field{Type: "u24be"}, "\xff\xff\xff", 1<<24 - 1, nil},
		"i32be":            {decode.Field{Type: "i32be"}, "\xff\xff\xff\xfd", -3, nil},
		"i64le":            {decode.Field{Type: "i64le"}, "\xff\xff\xff\xff\xff\xff\xff\xff", -1, nil},
		"f32be":            {decode.Field{Type: "f32be"}, "\x41\xac\x00\x00", 21.5, nil},
		"f64le":            {decode.Field{Type: "f64le"}, "\x00\x00\x00\x00\x00\x80\x35\x40", 21.5, nil},
		"not a number":     {decode.Field{Type: "f32be"}, "\x7f\xc0\x00\x00", 0, decode.ErrNumber},
		"scaled":           {decode.Field{Type: "u16be", Scale: 0.1}, "\x00\xd5", 21.3, nil},
		"scaled and added": {decode.Field{Type: "u8", Scale: 2, Add: -40}, "\x1e", 20, nil},
		"masked":           {decode.Field{Type: "u16be", Mask: 0x0ff0}, "\xa5\x5a", 0x55, nil},
		"masked, signed":   {decode.Field{Type: "i16be", Mask: 0x0fff}, "\xaf\xff", -1, nil},
		"none":             {decode.Field{Type: "i16be", None: &none}, "\x7f\xff", math.NaN(), nil},
		"short":            {decode.Field{Type: "u32be"}, "\x01\x02", 0, decode.ErrTruncated},
		"short, optional":  {decode.Field{Type: "u32be", Optional: true}, "\x01\x02", math.NaN(), nil},
		"from the end":     {decode.Field{Type: "u8", Offset: -1}, "\x01\x02\x03", 3, nil},
		"before the start": {decode.Field{Type: "u8", Offset: -4}, "\x01\x02\x03", 0, decode.ErrTruncated},
	} {
		k.field.Property = "x"
		ps, err := New([]decode.Profile{{Fields: []decode.Field{k.field}}}, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		rs, err := read(t, ps, walk(t), 1, []byte(k.raw))
		switch {
		case !errors.Is(err, k.is):
			t.Errorf("%s: %v, want %v", name, err, k.is)
		case k.is == nil && math.IsNaN(k.want) && len(rs) != 0, k.is == nil && !math.IsNaN(k.want) && (len(rs) != 1 || rs[0].Number != k.want):
			t.Errorf("%s: %+v, want %v", name, rs, k.want)
		}
	}
}

// What cannot work is said when the configuration is read.
func TestBadProfiles(t *testing.T) {
	field := decode.Field{Property: "x", Type: "u8"}
	for want, p := range map[string]decode.Profile{
		"want one of":      {},
		"and fields":       {Decoder: "cayenne", Fields: []decode.Field{field}},
		"there is cayenne": {Decoder: "lpp"},
		"f_port 300":       {Port: 300, Decoder: "cayenne"},
		"u16be":            {Fields: []decode.Field{{Property: "x", Type: "u16"}}},
		"property":         {Fields: []decode.Field{{Type: "u8"}}},
		"at most 1024":     {Fields: []decode.Field{{Property: "x", Type: "u8", Offset: 1024}}},
		"whole numbers":    {Fields: []decode.Field{{Property: "x", Type: "f32be", Mask: 1}}},
		"make a position":  {Fields: []decode.Field{{Property: "lon", Type: "i32be"}}},
		"fields[1]":        {Fields: []decode.Field{field, {Property: "x", Type: "u8", Unit: "fortnights"}}},
		"65 fields":        {Fields: make([]decode.Field, MaxFields+1)},
		"no such file":     {Plugin: decode.Plugin{File: filepath.Join(t.TempDir(), "none.wasm")}},
	} {
		if _, err := New([]decode.Profile{p}, wasm.Protocol().New); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", p, err, want)
		}
	}
	if _, err := New(make([]decode.Profile, MaxProfiles+1), nil); err == nil {
		t.Error("profiles without a bound")
	}
}

// A plug-in reads frames too, and what it does not say the network server has said.
func TestPlugin(t *testing.T) {
	file := filepath.Join("..", "..", "..", "testdata", "plugins", "acme.wasm")
	ps, err := New([]decode.Profile{{Port: 5, Plugin: decode.Plugin{File: file}}}, wasm.Protocol().New)
	if err != nil {
		t.Fatal(err)
	}
	w := walk(t)
	rs, err := read(t, ps, w, 5, []byte("\x01\x00\x00\x00\x07\x69\xa3\xb8\x00\x09\x24\x3d\x0e\x10"))
	if err != nil || len(rs) != 3 || rs[0].Number != 23.4 || rs[0].Time == 0 || rs[0].Serial == "" {
		t.Fatalf("%+v, %v", rs, err)
	}
	if note := ps.Note(); !strings.Contains(note, "14 raw bytes of f_port 5") || !strings.Contains(note, "acme.wasm") {
		t.Error(note)
	}
	if _, err := read(t, ps, w, 5, []byte("\x09")); err == nil || !strings.Contains(err.Error(), "acme.wasm") {
		t.Error(err)
	}
	if _, err := read(t, ps, w, 6, []byte("\x01")); !errors.Is(err, decode.ErrUnsupported) || !strings.Contains(err.Error(), "profiles: [{") {
		t.Error(err)
	}
}

func FuzzCayenne(f *testing.F) {
	f.Add([]byte("\x01\x67\x00\xea\x02\x68\x7b"))
	f.Add([]byte("\x03\x88\x04\x82\xcc\x10\x42\x2c\x00\x65\x2c"))
	f.Add([]byte("\x04\x71\x00\x0c\xfc\x17\x00\x00"))
	ps, err := New([]decode.Profile{{Decoder: "cayenne"}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	w := walk(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		rs, err := read(t, ps, w, 2, raw)
		if err != nil && len(rs) > 0 || len(rs) > 3*len(raw) {
			t.Fatalf("%d readings of %d bytes, %v", len(rs), len(raw), err)
		}
		for _, r := range rs {
			if r.Err != nil || r.Key == "" || r.Number-r.Number != 0 || r.Serial == "" || r.HasPosition && !r.Position.Valid() {
				t.Fatalf("%+v", r)
			}
		}
	})
}
