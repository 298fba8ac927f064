package store

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// A block marks all that it touches, and never more than maxMarks spans, whatever its rows.
func TestMarksAreFewAndCoverAll(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	base := time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC).Unix()
	for _, c := range []struct {
		name                  string
		rows, reach, repeats  int // reach: how far back the rows go, s
		regions, finest, most int
	}{
		{"live", 100_000, 600, 10, 300, 300, maxMarks},
		{"one Thing's month", 100_000, 30 * 86400, 0, 1, 3600, maxMarks},
		{"a city's week", 50_000, 7 * 86400, 0, 100, 86400, maxMarks},
		{"a city's years", 50_000, 26 * 365 * 86400, 0, 300, wholeMonth, 26*12 + 2}, // all regions of each month
		{"everything again", 20_000, 86400, 20_000, 10, 0, maxMarks},
		{"nothing", 0, 1, 0, 1, 300, 0},
	} {
		m := touched{set: make(map[DirtySpan]struct{})}
		type place struct {
			at     int64
			region uint64
			id     sensor.DatastreamID
		}
		var all []place
		for i := range c.rows {
			p := place{at: base - int64(random.IntN(c.reach)), region: uint64(random.IntN(c.regions))<<30 | 1}
			all = append(all, p)
			if i < c.repeats {
				all = append(all, place{at: p.at, id: sensor.DatastreamID(1 + random.IntN(5000))})
			}
		}
		for _, p := range all {
			m.add(p.at, p.region, p.id)
		}
		if len(m.set) > c.most {
			t.Errorf("%s: %d marks, want at most %d", c.name, len(m.set), c.most)
		}
		for _, p := range all {
			if !covered(m.set, p.at, p.region, p.id) {
				t.Fatalf("%s: %+v is not marked", c.name, p)
			}
		}
		for d := range m.set {
			if c.finest != 0 && d.Span != int64(c.finest) && c.finest != wholeMonth {
				t.Fatalf("%s: a mark of %d s, want %d: wider than needed", c.name, d.Span, c.finest)
			}
		}
	}
}

// covered looks for the span that holds a place, whatever its width.
func covered(set map[DirtySpan]struct{}, at int64, region uint64, id sensor.DatastreamID) bool {
	d := DirtySpan{Window: at - at%spans[0], Span: spans[0], Region: region, Datastream: id}
	for level := 0; level <= len(spans); level++ {
		if level > 0 {
			d = d.widened(level)
		}
		if _, ok := set[d]; ok {
			return d.Window <= at && at < d.End()
		}
	}
	return false
}

func TestRegionIsTheParent(t *testing.T) {
	for _, text := range []string{"8c40e9a1bffffff", "8c2a1072b59a9ff", "8c0800000000dff"} {
		cell, err := geo.ParseCell(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := regionOf(cell), uint64(cell.Parent(RegionResolution)); got != want {
			t.Errorf("%s: region %x, want %x", text, got, want)
		}
	}
	if regionOf(0) != 0 {
		t.Error("no cell has a region")
	}
}

// Marks are remembered under one number of the clock only.
func TestMarksAreRememberedByClock(t *testing.T) {
	var m marks
	a, b := DirtySpan{Window: 300}, DirtySpan{Window: 600}
	m.add(3, []DirtySpan{a})
	if !m.has(3, a) || m.has(3, b) || m.has(4, a) {
		t.Error("remembers what it should not, or not what it should")
	}
	m.add(4, []DirtySpan{b})
	if m.has(4, a) || !m.has(4, b) {
		t.Error("a mark of an older number counts for the newer")
	}
	m.add(3, []DirtySpan{a}) // an answer that was late
	if m.has(4, a) || m.has(3, a) {
		t.Error("an older number came back")
	}
}
