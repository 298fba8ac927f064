package doc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// flat is the smallest decoder there can be: all members, flattened.
func flat(t testing.TB, w *Walk, payload string) []decode.Reading {
	t.Helper()
	root, err := w.Begin(nil, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	w.Base = decode.Reading{Serial: "s1", Time: 7}
	w.Flatten("", root, func(name string) string { return w.Unit(map[string]string{"air.t": "°C", "x": "furlong"}[name]) })
	out, err := w.End()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func newWalk(t testing.TB) *Walk {
	t.Helper()
	w, err := NewWalk("test", decode.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	return &w
}

func TestFlatten(t *testing.T) {
	w := newWalk(t)
	got := flat(t, w, `{"a":1.5,"air":{"t":"21.5","list":[1,{"z":true}]},"ok":false,"none":null,"blank":" ","word":"open",
		"x":2,"far":1e400,"nan":"NaN","farText":"1e999","dup":1,"dup":2,"":3,"tab\t":4,"plus":"+3.5 ","time":"12:30","dot.ted":9,"empty":{}}`)
	var lines []string
	for _, r := range got {
		line := fmt.Sprintf("%s=%v%s%s", r.Key, r.Number, r.Text, r.Unit)
		if r.Err != nil {
			line = fmt.Sprintf("%s!%s", r.Key, decode.ReasonOf(r.Err))
		}
		if r.Serial != "s1" || r.Time != 7 || r.Property != r.Key {
			t.Errorf("%+v", r)
		}
		lines = append(lines, line)
	}
	want := "a=1.5 air.t=21.5Cel air.list.0=1 air.list.1.z=1 ok=0 word=0open x=2furlong far!number nan!number farText!number " +
		"dup=1 dup=2 !bound tab\t!bound plus=3.5 time=012:30 dot.ted=9"
	if s := strings.Join(lines, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

// Deep names, long names and long texts cost their reading, not the payload, and no memory to speak of.
func TestBounds(t *testing.T) {
	w := newWalk(t)
	long := strings.Repeat("n", MaxKey+1)
	got := flat(t, w, `{"`+long+`":1,"a":{"`+long+`":2},"t":"`+strings.Repeat("x", MaxText+1)+`","`+long[1:]+`":3}`)
	for i, bad := range []bool{true, true, true, false} {
		if (got[i].Err != nil) != bad || bad && !errors.Is(got[i].Err, decode.ErrBound) {
			t.Errorf("%d: %+v", i, got[i])
		}
	}
	dst := []decode.Reading{{Key: "before"}}
	root, err := w.Begin(dst, []byte("["+strings.Repeat("1,", decode.MaxReadings)+"1]"))
	if err != nil {
		t.Fatal(err)
	}
	w.Flatten("", root, nil)
	if out, err := w.End(); !errors.Is(err, decode.ErrBound) || len(out) != 1 || out[0].Key != "before" {
		t.Errorf("%d readings, %v", len(out), err)
	}
	if _, err := w.Begin(nil, []byte(`[1]`)); err != nil || w.Failed() {
		t.Error("the next payload is refused too")
	}
}

func TestFailKeepsTheFirst(t *testing.T) {
	w := newWalk(t)
	root, err := w.Begin(nil, []byte(`{"a":1,"b":2}`))
	if err != nil {
		t.Fatal(err)
	}
	w.Number("n", 1, "m")
	w.Fail("b", root.Get("b"), decode.ErrUnsupported)
	w.Fail("a", root.Get("a"), decode.ErrTime)
	w.Number("n", 2, "m")
	out, err := w.End()
	var where *decode.Error
	if !errors.As(err, &where) || where.Field != "b" || where.Offset != 11 || where.Protocol != "test" || len(out) != 0 {
		t.Errorf("%v %v", out, err)
	}
	if w.Empty() != sensor.ReasonNoValues {
		t.Error(w.Empty())
	}
	w.Nothing(sensor.ReasonHeartbeat)
	if w.Empty() != sensor.ReasonHeartbeat {
		t.Error(w.Empty())
	}
}

func TestTime(t *testing.T) {
	china, _ := decode.Settings{}.Location()
	const noon = 1767240000000 // 2026-01-01T04:00:00Z
	for _, c := range []struct {
		raw  string
		zone *time.Location
		want int64 // 0: refused
	}{
		{`1767240000`, nil, noon}, {`1767240000000`, nil, noon}, {`"1767240000"`, nil, noon}, {`1767240000.5`, nil, noon + 500},
		{`"2026-01-01T04:00:00Z"`, nil, noon}, {`"2026-01-01 12:00:00"`, china, noon}, {`"2026-01-01T12:00:00"`, nil, 0},
		{`"2026-01-01T04:00:00.118252739+00:00"`, china, noon + 118},
		{`0`, nil, 0}, {`""`, china, 0}, {`null`, china, 0}, {`{}`, china, 0}, {`"` + strings.Repeat("9", 99) + `"`, china, 0},
	} {
		got, err := Time(gjson.Parse(c.raw), c.zone)
		if got != c.want || (err != nil) != (c.want == 0) || err != nil && !errors.Is(err, decode.ErrTime) {
			t.Errorf("%s: %d, %v; want %d", c.raw, got, err, c.want)
		}
	}
}

func TestPosition(t *testing.T) {
	for _, c := range []struct {
		lon, lat string
		ok, bad  bool
	}{
		{"106.5", "29.5", true, false}, {`"106.5"`, `"29.5"`, true, false}, {"null", "", false, false},
		{"106.5", "null", false, true}, {"29.5", "106.5", false, true}, {`"x"`, "1", false, true}, {"true", "1", false, true},
	} {
		p, ok, err := Position(gjson.Parse(c.lon), gjson.Parse(c.lat))
		if ok != c.ok || (err != nil) != c.bad || ok && p != (geo.LonLat{Lon: 106.5, Lat: 29.5}) {
			t.Errorf("%s %s: %v %t %v", c.lon, c.lat, p, ok, err)
		}
		if c.bad && !errors.Is(err, decode.ErrPosition) {
			t.Error(err)
		}
	}
}

// A Walk that has seen the names allocates the copy of the payload and nothing else.
func TestAllocations(t *testing.T) {
	w := newWalk(t)
	payload := []byte(`{"a":1.5,"air":{"t":21.5,"list":[1,true]},"word":"open","n":"23.5","\u006f":1}`)
	var room []decode.Reading
	run := func() {
		root, _ := w.Begin(room[:0], payload)
		w.Flatten("", root, func(string) string { return w.Unit("°C") })
		room, _ = w.End()
	}
	if n := testing.AllocsPerRun(100, run); n > 1 {
		t.Errorf("%v allocations a payload", n)
	}
	if len(room) != 7 {
		t.Errorf("%d readings", len(room))
	}
}

func TestGB18030(t *testing.T) {
	w, err := NewWalk("test", decode.Settings{Encoding: "gb18030", Zone: "UTC", Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	got := flat(t, &w, "{\"\xce\xc2\xb6\xc8\":21.5}")
	if len(got) != 1 || got[0].Key != "温度" || !w.ZoneSet || !w.Strict || w.Zone != time.UTC {
		t.Errorf("%+v %+v", got, w)
	}
	for _, s := range []decode.Settings{{Zone: "Middle/Earth"}, {Encoding: "EBCDIC"}} {
		if _, err := NewWalk("test", s); err == nil {
			t.Errorf("%+v passed", s)
		}
	}
}
