package sensor

import (
	"encoding/json"
	"strings"
	"testing"
)

// Known vectors, computed by another implementation of xxHash64: whoever sees the four parts gets these numbers.
func TestNewDatastreamID(t *testing.T) {
	for _, c := range []struct {
		thing     ThingID
		property  PropertyCode
		statistic Statistic
		key       string
		want      DatastreamID
	}{
		{"cq-eco/station-7", "pm2_5", Instant, "a34004-Rtd", 0xf4a9132645873d62},
		{"cq-eco/station-7", "pm2_5", Average, "a34004-Avg", 0x7c57950cc7f8b17d},
		{"liu/roof", "", Instant, "wind", 0x571717c467a5d41e},
		{"渝中/站", "pm2_5", ConvertedMaximum, strings.Repeat("k", 300), 0x28d3d29156eb725b},
	} {
		if got := NewDatastreamID(c.thing, c.property, c.statistic, c.key); got != c.want {
			t.Errorf("%s %s %s: %s, want %s", c.thing, c.property, c.statistic, got, c.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { NewDatastreamID("cq-eco/station-7", "pm2_5", Average, "a34004-Avg") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The parts are kept apart: moving a character from one to the next is another Datastream.
func TestDatastreamIDKeepsPartsApart(t *testing.T) {
	seen := map[DatastreamID]string{}
	for _, p := range []struct {
		thing    ThingID
		property PropertyCode
		key      string
	}{{"a/b", "cd", "e"}, {"a/bc", "d", "e"}, {"a/b", "c", "de"}, {"a/b", "", "cde"}, {"a/bcde", "", ""}} {
		id := NewDatastreamID(p.thing, p.property, Instant, p.key)
		if other, ok := seen[id]; ok {
			t.Errorf("%v collides with %s", p, other)
		}
		seen[id] = p.key
	}
}

func TestParseDatastreamID(t *testing.T) {
	for text, want := range map[string]DatastreamID{
		"f4a9132645873d62": 0xf4a9132645873d62, "F4A9132645873D62": 0xf4a9132645873d62, "1": 1, "00000000000000ff": 0xff,
	} {
		if got, err := ParseDatastreamID(text); got != want || err != nil {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "0", "0000000000000000", "x", "12zz", "12 34", " 12", "-1", "+1", "0x12", "1_2", "f4a9132645873d620", "12\n",
	} {
		if got, err := ParseDatastreamID(text); err == nil {
			t.Errorf("%q passed as %s", text, got)
		}
	}
}

func TestDatastreamJSON(t *testing.T) {
	b, err := json.Marshal(Datastream{ID: 0xff, Thing: "a/b", Statistic: Average, SourceKey: "k", Version: 1})
	want := `{"id":"00000000000000ff","thing":"a/b","property":"","statistic":"avg","source_key":"k","version":1}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v\nwant %s", b, err, want)
	}
	var back Datastream
	if err := json.Unmarshal(b, &back); err != nil || back.ID != 0xff || back.Statistic != Average {
		t.Errorf("%+v, %v", back, err)
	}
}
