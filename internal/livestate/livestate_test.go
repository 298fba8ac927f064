package livestate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

var middle = geo.LonLat{Lon: 106.55, Lat: 29.56}

// scene is a State with a registry that tests write to, and a short way to say what was observed.
type scene struct {
	*State
	meta map[sensor.DatastreamID]Info
	seq  uint64
	now  int64
}

func (b *scene) Meta(d sensor.DatastreamID) (Info, bool) { i, ok := b.meta[d]; return i, ok }

func newScene(t testing.TB) *scene {
	b := &scene{meta: map[sensor.DatastreamID]Info{}, now: start}
	b.State = New(b, testCatalogue(t), at(start))
	return b
}

// stream declares a Datastream of owner/name.
func (b *scene) stream(name string, info Info) sensor.DatastreamID {
	info.Thing = sensor.ThingID("owner/" + name)
	id := sensor.NewDatastreamID(info.Thing, sensor.PropertyCode(fmt.Sprint(info.Property)), info.Statistic, "k")
	b.meta[id] = info
	return id
}

func open(p sensor.PropertyNumber) Info {
	return Info{Property: p, Class: sensor.Government, Grade: sensor.Open}
}

// says applies one row, now, at p unless that is nil.
func (b *scene) says(name string, id sensor.DatastreamID, p *geo.LonLat, result float64, text string) {
	o := sensor.Observation{Datastream: id, Thing: sensor.ThingID("owner/" + name).Key(), PhenomenonTime: b.now, ResultTime: b.now,
		Result: result, Text: text, Lon: sensor.NoPosition, Lat: sensor.NoPosition}
	if p != nil {
		o.Lon, o.Lat = p.E7()
	}
	var batch sensor.Batch
	b.seq++
	batch.AppendRow(batch.ProducerIndex(sensor.Producer{Gateway: "g", Epoch: 1}), b.seq, 0, b.now, &o)
	b.Apply(&batch, at(b.now))
}

func (b *scene) passes(d time.Duration) { b.now += d.Milliseconds(); b.Tick(at(b.now)) }

func TestLatest(t *testing.T) {
	b := newScene(t)
	id := b.stream("a", Info{Statistic: sensor.Maximum, Grade: sensor.Open})
	if _, ok := b.Latest(id); ok {
		t.Fatal("a value before there is one")
	}
	b.says("a", id, nil, math.NaN(), "西南")
	if l, ok := b.Latest(id); !ok || l.Text != "西南" || !math.IsNaN(l.Result) || l.PhenomenonTime != start || l.Statistic != sensor.Maximum || !l.Fresh || l.Mapped {
		t.Errorf("%+v", l)
	}
	b.now++
	b.says("a", id, nil, 3, "")
	if l, _ := b.Latest(id); l.Text != "" || l.Result != 3 {
		t.Errorf("%+v", l)
	}
	if got := b.LatestOf(sensor.ThingID("owner/a").Key()); len(got) != 1 || got[0].Datastream != id {
		t.Errorf("%+v", got)
	}
	if th, ok := b.Thing(sensor.ThingID("owner/a").Key(), 0); !ok || th.Placed || th.ID != "owner/a" || th.Latest.Result != 3 || th.Cell != 0 {
		t.Errorf("%+v", th)
	}
	if _, ok := b.Thing(1, 0); ok || b.LatestOf(1) != nil {
		t.Error("a Thing nobody knows")
	}
}

// What a newer decoder made of the message that stands takes its place, whatever its idx; of any other message it does not.
func TestReviseTakesThePlaceOfItsMessage(t *testing.T) {
	b := newScene(t)
	id := b.stream("a", open(1))
	revise := func(seq uint64, arrival, at int64, idx uint16, result float64) float64 {
		o := sensor.Observation{Datastream: id, Thing: sensor.ThingID("owner/a").Key(), PhenomenonTime: at, ResultTime: at - 5, Result: result,
			Lon: sensor.NoPosition, Lat: sensor.NoPosition}
		var batch sensor.Batch
		batch.AppendRow(batch.ProducerIndex(sensor.Producer{Gateway: "g", Epoch: 1}), seq, idx, arrival, &o)
		b.Revise(&batch, time.UnixMilli(b.now))
		l, _ := b.Latest(id)
		return l.Result
	}
	b.says("a", id, nil, 10, "")
	b.now++
	b.says("a", id, nil, 20, "")
	if got := revise(1, b.now-1, b.now-1, 0, 1); got != 20 {
		t.Errorf("%v after an older message was read again, want 20", got)
	}
	if got := revise(2, b.now, b.now, 0, 2); got != 2 {
		t.Errorf("%v after the newest was, want 2", got)
	}
	b.now++
	b.says("a", id, nil, 30, "")
	if got := revise(2, b.now-1, b.now-1, 7, 3); got != 30 {
		t.Errorf("%v, want 30", got)
	}
}

func TestWithoutPlaceNotOnTheMap(t *testing.T) {
	b := newScene(t)
	id := b.stream("a", open(1))
	b.says("a", id, nil, 3, "")
	if cells, version := b.Cells(nil, 1, 5, world360, sensor.ScopeAll); len(cells) != 0 || version != 0 {
		t.Errorf("%+v", cells)
	}
	b.now++
	b.says("a", id, &middle, 4, "")
	if cells, _ := b.Cells(nil, 1, 5, world360, sensor.ScopeAll); len(cells) != 1 || cells[0].Mean != 4 {
		t.Errorf("%+v", cells)
	}
	b.now++
	b.says("a", id, nil, 5, "") // a fix was lost: it stands where it stood
	if cells, _ := b.Cells(nil, 1, 5, world360, sensor.ScopeAll); len(cells) != 1 || cells[0].Mean != 5 {
		t.Errorf("%+v", cells)
	}
}

// TestUnknownIsHeld: a value that comes before its declaration is on the map as soon as that is there.
func TestUnknownIsHeld(t *testing.T) {
	for _, how := range []string{"tick", "declaration", "refresh"} {
		b := newScene(t)
		id := b.stream("a", open(1))
		info := b.meta[id]
		delete(b.meta, id)
		b.says("a", id, &middle, 3, "")
		if st := b.Stats(); st.Unresolved != 1 || st.Datastreams != 1 {
			t.Fatalf("%+v", st)
		}
		if l, ok := b.Latest(id); !ok || l.Result != 3 || l.Mapped {
			t.Fatalf("%+v", l)
		}
		b.meta[id] = info
		switch how {
		case "tick":
			b.Tick(at(b.now))
		case "declaration":
			b.Apply(&sensor.Batch{Declarations: make([]sensor.Declaration, 1)}, at(b.now))
		case "refresh":
			b.Refresh(sensor.ThingID("owner/a").Key(), 77)
		}
		if cells, _ := b.Cells(nil, 1, 9, world360, sensor.ScopeOpen); len(cells) != 1 || b.Stats().Unresolved != 0 {
			t.Errorf("%s: %+v %+v", how, cells, b.Stats())
		}
	}
}

func TestUnknownIsBounded(t *testing.T) {
	b := newScene(t)
	b.maxUnresolved = 10
	for i := range sensor.DatastreamID(20) {
		b.says("a", i+1, &middle, 3, "")
	}
	if st := b.Stats(); st.Unresolved != 10 || st.Unheld != 10 || st.Datastreams != 10 {
		t.Errorf("%+v", st)
	}
}

func TestThingsOfACell(t *testing.T) {
	b := newScene(t)
	near := geo.LonLat{Lon: middle.Lon + 0.00005, Lat: middle.Lat}
	far := geo.LonLat{Lon: 108, Lat: 31}
	for name, p := range map[string]geo.LonLat{"a": middle, "b": near, "c": far} {
		b.says(name, b.stream(name, open(1)), &p, 1, "")
		b.now++
		b.says(name, b.stream(name, open(2)), &p, 2, "")
	}
	b.says("hidden", b.stream("hidden", Info{Property: 1}), &middle, 9, "")
	b.says("odd", b.stream("odd", Info{Grade: sensor.Open}), &middle, 9, "") // not in the catalogue, but it stands there
	full := h3.CellAt(middle, 12)
	for res := 12; res >= 0; res-- {
		c := full.Parent(res)
		want := 3
		if c == h3.CellAt(far, 12).Parent(res) {
			want = 4
		}
		if h3.CellAt(near, 12).Parent(res) != c {
			want--
		}
		things, more := b.Things(nil, c, sensor.ScopeOpen, 0, 100)
		if len(things) != want || more {
			t.Errorf("resolution %d: %d things, want %d", res, len(things), want)
		}
		if only, _ := b.Things(nil, c, sensor.ScopeOpen, 2, 100); len(only) != want-1 || only[0].Latest.Property != 2 {
			t.Errorf("resolution %d: %+v", res, only)
		}
		if cut, more := b.Things(nil, c, sensor.ScopeOpen, 0, 1); len(cut) != 1 || !more {
			t.Errorf("resolution %d: %d things, more %v", res, len(cut), more)
		}
		cells := b.Cell(c, sensor.ScopeOpen)
		if len(cells) != 2 || cells[0].Property != 1 || int(cells[0].N) != want-1 || cells[0].Cell != c || cells[1].Mean != 2 {
			t.Errorf("resolution %d: %+v", res, cells)
		}
		if cells := b.Cell(c, sensor.ScopeAll); int(cells[0].N) != want {
			t.Errorf("resolution %d, all: %+v", res, cells)
		}
	}
	for _, c := range []geo.Cell{0, 1 << 59, 0x8fffffffffffffff, h3.CellAt(geo.LonLat{Lon: 2, Lat: 48}, 7)} {
		if things, _ := b.Things(nil, c, sensor.ScopeAll, 0, 100); len(things) != 0 || len(b.Cell(c, sensor.ScopeAll)) != 0 {
			t.Errorf("%v: %+v", c, things)
		}
	}
}

// TestForgetting: cells that Things have left are told of, and their memory is used again.
func TestForgetting(t *testing.T) {
	b := newScene(t)
	id := b.stream("bus", open(1))
	b.says("bus", id, &middle, 1, "")
	for i := range 200 {
		b.now += 30_000
		b.says("bus", id, &geo.LonLat{Lon: 105.5 + float64(i)/50, Lat: 29.5}, 1, "")
		b.Tick(at(b.now))
	}
	b.passes(keepEmpty * time.Millisecond)
	if n := b.Stats().Nodes; n != levels {
		t.Errorf("%d cells for one Thing, want %d", n, levels)
	}
	if len(b.nodes) > 100 {
		t.Errorf("room for %d cells: not used again", len(b.nodes))
	}
	if len(b.empties) != 0 || len(b.layers[1].nodes[levels-1]) != 1 {
		t.Errorf("%d emptied cells remembered, %d in the index", len(b.empties), len(b.layers[1].nodes[levels-1]))
	}
	if _, _, complete := b.Changes(nil, 1, 9, world360, sensor.ScopeAll, b.floor-1); complete {
		t.Error("changes since before the forgotten ones called complete")
	}
}

// TestAWaveGrowsStale: far more values than one step holds grow stale at once.
func TestAWaveGrowsStale(t *testing.T) {
	f := newFleet(3000)
	s := f.loaded(t)
	s.Tick(at(start + 120_999))
	if n := fresh2(s); n != 3000 {
		t.Fatalf("%d fresh in the last second, want 3000", n)
	}
	s.Tick(at(start + 121_000))
	if n := fresh2(s); n != 0 {
		t.Fatalf("%d still fresh", n)
	}
	if st := s.Stats(); st.Expired != 6000 {
		t.Errorf("%+v", st)
	}
}

func fresh2(s *State) (n int) {
	cells, _ := s.Cells(nil, 2, 0, world360, sensor.ScopeAll)
	for _, c := range cells {
		n += int(c.Fresh)
	}
	return n
}

// TestRebuilt: the latest rows alone give the same cells as the whole history, with any of it applied again after.
func TestRebuilt(t *testing.T) {
	f := newFleet(500)
	var history sensor.Batch
	for i := range 5 {
		for thing := range f.things {
			f.add(&history, thing, start+int64(i)*1000, true)
		}
	}
	whole := New(f, testCatalogue(t), at(start))
	whole.Apply(&history, at(start+5000))
	var latest sensor.Batch
	for i := history.Len() - 2*len(f.things); i < history.Len(); i++ {
		id, arrival, o := history.Row(i)
		latest.AppendRow(latest.ProducerIndex(id.Producer), id.Seq, id.Idx, arrival, &o)
	}
	rebuilt := New(f, testCatalogue(t), at(start))
	rebuilt.Apply(&latest, at(start+5000))
	rebuilt.Apply(&history, at(start+5000))
	for res := range Finest + 1 {
		a, _ := whole.Cells(nil, 1, res, world360, sensor.ScopeOpen)
		b, _ := rebuilt.Cells(nil, 1, res, world360, sensor.ScopeOpen)
		cells := map[geo.Cell]sensor.CellSummary{}
		for _, c := range b {
			cells[c.Cell] = c
		}
		if len(a) != len(b) || len(a) == 0 {
			t.Fatalf("resolution %d: %d and %d cells", res, len(a), len(b))
		}
		for _, c := range a {
			if !same(c, cells[c.Cell], 100) {
				t.Fatalf("%+v\n%+v", c, cells[c.Cell])
			}
		}
	}
}

// TestRadius: no cell's corner is farther from its centre than the margins of windows assume.
func TestRadius(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for i := range 20_000 {
		res := i % len(radius)
		p := geo.LonLat{Lon: rng.Float64()*360 - 180, Lat: math.Asin(rng.Float64()*2-1) * 180 / math.Pi}
		c := h3.CellAt(p, res)
		m := centre(c)
		corners, err := h3.AppendBoundary(nil, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range corners {
			if d := metres(m, q); d > radius[res] {
				t.Fatalf("%s: a corner is %.0f m from the centre, radius %.0f", c, d, radius[res])
			}
		}
	}
}

func metres(a, b geo.LonLat) float64 {
	const rad = math.Pi / 180
	h := math.Pow(math.Sin((b.Lat-a.Lat)*rad/2), 2) + math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*math.Pow(math.Sin((b.Lon-a.Lon)*rad/2), 2)
	return 2 * 6_371_008.8 * math.Asin(math.Sqrt(h))
}

// TestAreas: whatever the area, a cell that touches it is in the answer, with the same numbers as in the whole
// world's; and the answer to a small area is small.
func TestAreas(t *testing.T) {
	f := &fleet{meta: map[sensor.DatastreamID]Info{}, rng: rand.New(rand.NewPCG(5, 5))}
	for i := range 2000 {
		p := geo.LonLat{Lon: f.rng.Float64()*360 - 180, Lat: f.rng.Float64()*168 - 84}
		if i%2 == 0 {
			p = geo.LonLat{Lon: 106 + f.rng.Float64(), Lat: 29 + f.rng.Float64()}
		}
		f.put(sensor.ThingID(fmt.Sprintf("owner/%d", i)), p)
	}
	s := f.loaded(t)
	rapid.Check(t, func(t *rapid.T) {
		res := rapid.IntRange(0, Finest).Draw(t, "res")
		z := rapid.IntRange(0, 14).Draw(t, "z")
		thing := rapid.IntRange(0, len(f.things)-1).Draw(t, "near")
		p := geo.FromE7(f.lon[thing], f.lat[thing])
		box := geo.TileAt(p, uint8(z)).Bounds()
		if shift := rapid.Float64Range(-1, 1).Draw(t, "shift") * (box.East - box.West); z > 1 {
			box.West, box.East = turned(box.West+shift), turned(box.East+shift) // may cross the antimeridian now
		}
		all := map[geo.Cell]sensor.CellSummary{}
		whole, _ := s.Cells(nil, 1, res, world360, sensor.ScopeOpen)
		for _, c := range whole {
			all[c.Cell] = c
		}
		got, _ := s.Cells(nil, 1, res, box, sensor.ScopeOpen)
		in := map[geo.Cell]bool{}
		for _, c := range got {
			if in[c.Cell] || !same(c, all[c.Cell], 100) {
				t.Fatalf("twice, or not as in the whole world: %+v, %+v", c, all[c.Cell])
			}
			in[c.Cell] = true
		}
		for c := range all {
			corners, err := h3.AppendBoundary(nil, c)
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range append(corners, centre(c)) {
				if contains(box, q) && !in[c] {
					t.Fatalf("resolution %d: %s touches %+v at %+v and is not in the answer", res, c, box, q)
				}
			}
		}
		points, _ := s.Points(nil, 1, box, sensor.ScopeOpen, 10_000)
		n := 0
		for i := range f.things {
			if contains(box, geo.FromE7(f.lon[i], f.lat[i])) {
				n++
			}
		}
		if n != len(points) {
			t.Fatalf("%d points in %+v, want %d", len(points), box, n)
		}
	})
	small, _ := s.Cells(nil, 1, 9, geo.TileAt(geo.LonLat{Lon: 106.5, Lat: 29.5}, 14).Bounds(), sensor.ScopeOpen)
	if len(small) > 20 {
		t.Errorf("%d cells in the answer to a small area", len(small))
	}
}

func turned(lon float64) float64 {
	switch {
	case lon < -180:
		return lon + 360
	case lon > 180:
		return lon - 360
	}
	return lon
}

// TestReadersAndWriters: the race detector watches; whoever reads sees one moment.
func TestReadersAndWriters(t *testing.T) {
	f := newFleet(1000)
	s := f.loaded(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			var version uint64
			for {
				select {
				case <-stop:
					return
				case <-s.Changed():
				}
				var cells []sensor.CellSummary
				cells, version, _ = s.Changes(nil, 1, 6, world360, sensor.ScopeOpen, version)
				for _, c := range cells {
					if c.N < c.Fresh || c.Fresh > 0 && (c.Mean < c.Min-1e-9 || c.Mean > c.Max+1e-9) {
						t.Errorf("torn: %+v", c)
					}
				}
				s.Points(nil, 1, world360, sensor.ScopeOpen, 100)
				s.Cell(f.cells[0].Parent(7), sensor.ScopeOpen)
				s.Things(nil, f.cells[0].Parent(4), sensor.ScopeOpen, 0, 10)
				s.Thing(f.things[0], 0)
				s.Latest(f.ids[0])
				s.Stats()
			}
		})
	}
	var b sensor.Batch
	for i := range 60 {
		now := start + int64(i)*1000
		f.fill(&b, 400, now, i%2 == 0)
		s.Apply(&b, at(now))
		s.Tick(at(now))
		s.Refresh(f.things[i])
	}
	close(stop)
	f.fill(&b, 1, start+70_000, true)
	s.Apply(&b, at(start+70_000)) // wakes those that wait
	wg.Wait()
}

func TestMetrics(t *testing.T) {
	b := newScene(t)
	id := b.stream("a", open(1))
	b.says("a", id, &middle, 1, "")
	b.seq--
	b.says("a", id, &middle, 1, "") // again
	reg := prometheus.NewRegistry()
	b.Register(reg, func() time.Time { return at(start + 2500) })
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{"situ_livestate_observations_total": 2, "situ_livestate_refused_total older": 1,
		"situ_livestate_age_seconds": 2.5, "situ_livestate_things": 1, "situ_livestate_placed_things": 1, "situ_livestate_cells": levels} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
}
