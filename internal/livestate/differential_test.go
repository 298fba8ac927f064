package livestate

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

const start = int64(1_790_000_000_000)

// spots are places of every relation two places can have: same, same fine cell, neighbours, same city, across the
// antimeridian, on a pentagon, at a pole, and none.
func spots() [][2]int32 {
	var out [][2]int32
	for _, p := range []geo.LonLat{
		{Lon: 106.55, Lat: 29.56}, {Lon: 106.5501, Lat: 29.5601}, {Lon: 106.5503, Lat: 29.5602}, {Lon: 106.553, Lat: 29.561},
		{Lon: 106.58, Lat: 29.57}, {Lon: 107.4, Lat: 30.1}, {Lon: 179.9999, Lat: 0.001}, {Lon: -179.9999, Lat: 0.001},
		{Lon: 10.53619907546772, Lat: 64.70000012793489}, {Lon: 0, Lat: 90},
	} {
		lon, lat := p.E7()
		out = append(out, [2]int32{lon, lat})
	}
	return append(out, [2]int32{sensor.NoPosition, sensor.NoPosition})
}

func testCatalogue(t interface{ Fatal(...any) }) *sensor.Catalogue {
	c, err := sensor.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// city is the State under test, its model, and a client that follows by Changes alone.
type city struct {
	t         *rapid.T
	catalogue *sensor.Catalogue
	state     *State
	model     model
	streams   []Info
	ids       []sensor.DatastreamID
	batch     sensor.Batch
	seq       uint64
	past      []modelRow

	client  map[geo.Cell]sensor.CellSummary
	version uint64
	watch   struct {
		property *sensor.ObservedProperty
		res      int
		scope    sensor.Scope
	}
}

func newCity(t *rapid.T, catalogue *sensor.Catalogue) *city {
	c := &city{t: t, catalogue: catalogue, model: model{meta: map[sensor.DatastreamID]Info{}, now: start}}
	c.state = New(&c.model, catalogue, at(start))
	for thing := range 7 {
		id := sensor.ThingID(fmt.Sprintf("owner/%d", thing))
		for i, info := range []Info{
			{Property: 1, Statistic: sensor.Instant}, {Property: 1, Statistic: sensor.Average}, {Property: 1, Statistic: sensor.Maximum},
			{Property: 2, Statistic: sensor.Instant}, {Property: 1, Statistic: sensor.Instant}, {Statistic: sensor.Instant},
		} {
			info.Thing, info.Interval = id, []time.Duration{0, time.Minute, time.Hour, 3 * time.Hour}[thing%4]
			info.Class, info.Grade = sensor.OwnerClass(thing%4), sensor.AccessGrade(thing%3)
			ds := sensor.NewDatastreamID(id, sensor.PropertyCode(fmt.Sprint(info.Property)), info.Statistic, fmt.Sprint(i))
			c.streams, c.ids = append(c.streams, info), append(c.ids, ds)
			if (thing+i)%5 != 0 { // the others are declared later, or never
				c.model.meta[ds] = info
			}
		}
	}
	c.watch.property, _ = catalogue.ByNumber(1)
	c.watch.res = rapid.IntRange(0, Finest).Draw(t, "watched resolution")
	c.watch.scope = sensor.Scope(rapid.IntRange(1, int(sensor.ScopeAll)).Draw(t, "watched scope"))
	c.client = map[geo.Cell]sensor.CellSummary{}
	return c
}

// report applies some random rows: new, out of order, of equal times, and repeats of earlier ones.
func (c *city) report(t *rapid.T) {
	c.batch.Reset()
	places := spots()
	for range rapid.IntRange(1, 12).Draw(t, "rows") {
		if len(c.past) > 0 && rapid.IntRange(0, 4).Draw(t, "repeat") == 0 {
			c.append(rapid.SampledFrom(c.past).Draw(t, "which"), sensor.Live)
			continue
		}
		i := rapid.IntRange(0, len(c.ids)-1).Draw(t, "datastream")
		place := rapid.SampledFrom(places).Draw(t, "place")
		late := rapid.SampledFrom([]int64{0, 0, 1, 1000, 59_000, 120_000, 20 * 60_000, 7_200_000, -60_000}).Draw(t, "late")
		c.seq++
		r := modelRow{
			key:   key{phenomenon: c.model.now - late, result: c.model.now - late, arrival: c.model.now, seq: c.seq, idx: uint16(c.seq % 3)},
			ds:    c.ids[i],
			thing: c.streams[i].Thing.Key(),
			lon:   place[0], lat: place[1],
		}
		r.key.result += rapid.Int64Range(0, 2).Draw(t, "lag")
		r.result = rapid.OneOf(rapid.Float64Range(-10, 10), rapid.SampledFrom([]float64{0, 1, 1e18, -1e18, 1e-9}), rapid.Float64()).Draw(t, "result")
		c.past = append(c.past, r)
		c.append(r, sensor.Live)
		c.model.rows = append(c.model.rows, r)
	}
	if rapid.IntRange(0, 9).Draw(t, "backfill") == 0 {
		r := c.past[len(c.past)-1]
		r.phenomenon += 5
		c.append(r, sensor.Backfill) // must change nothing
	}
	c.state.Apply(&c.batch, at(c.model.now))
}

func (c *city) append(r modelRow, lane sensor.Lane) {
	b := &c.batch
	o := sensor.Observation{Datastream: r.ds, Thing: r.thing, PhenomenonTime: r.phenomenon, ResultTime: r.key.result,
		Result: r.result, Lon: r.lon, Lat: r.lat}
	b.AppendRow(b.ProducerIndex(sensor.Producer{Gateway: "g", Epoch: 1, Lane: lane}), r.seq, r.idx, r.arrival, &o)
}

func (c *city) pass(t *rapid.T) {
	c.model.now += rapid.SampledFrom([]int64{1, 500, 1000, 59_999, 60_001, 1_200_000, 9_000_000, 30_000_000}).Draw(t, "passes")
	c.state.Tick(at(c.model.now))
}

// register changes what the registry says.
func (c *city) register(t *rapid.T) {
	i := rapid.IntRange(0, len(c.ids)-1).Draw(t, "datastream")
	info, ok := c.model.meta[c.ids[i]]
	if !ok {
		info = c.streams[i]
	}
	switch rapid.IntRange(0, 5).Draw(t, "change") {
	case 0:
		delete(c.model.meta, c.ids[i])
		c.state.Refresh(c.streams[i].Thing.Key())
		return
	case 1:
		info.Retired = !info.Retired
	case 2:
		info.Interval = rapid.SampledFrom([]time.Duration{0, time.Minute, 5 * time.Hour}).Draw(t, "interval")
	case 3:
		grade := rapid.SampledFrom([]sensor.AccessGrade{sensor.Restricted, sensor.Conditional, sensor.Open}).Draw(t, "grade")
		for j, s := range c.streams { // a grade is the Thing's
			if s.Thing == info.Thing {
				c.streams[j].Grade = grade
				if m, ok := c.model.meta[c.ids[j]]; ok {
					m.Grade = grade
					c.model.meta[c.ids[j]] = m
				}
			}
		}
		info.Grade = grade
	case 4: // learnt by a Tick, if it was not known
		if !ok {
			c.model.meta[c.ids[i]] = info
			c.state.Tick(at(c.model.now))
			return
		}
	}
	c.model.meta[c.ids[i]] = info
	c.state.Refresh(info.Thing.Key())
}

// follow lets the client catch up.
func (c *city) follow(*rapid.T) {
	cells, version, complete := c.state.Changes(nil, c.watch.property.Number, c.watch.res, world360, c.watch.scope, c.version)
	if !complete {
		clear(c.client)
	}
	for _, s := range cells {
		if c.client[s.Cell] = s; s.N == 0 {
			delete(c.client, s.Cell)
		}
	}
	c.version = version
}

var world360 = geo.Box{West: -180, South: -90, East: 180, North: 90}

func (c *city) check(t *rapid.T) {
	scope := sensor.Scope(rapid.IntRange(0, int(sensor.ScopeAll)).Draw(t, "scope"))
	for _, number := range []sensor.PropertyNumber{1, 2} {
		p, _ := c.catalogue.ByNumber(number)
		for res := range Finest + 1 {
			want, scale := c.model.cells(p, res, scope)
			got, _ := c.state.Cells(nil, number, res, world360, scope)
			if len(got) != len(want) {
				t.Fatalf("property %d resolution %d scope %b: %d cells, want %d\n%+v\n%+v", number, res, scope, len(got), len(want), got, want)
			}
			for _, g := range got {
				if !same(g, want[g.Cell], scale[g.Cell]) {
					t.Fatalf("property %d resolution %d scope %b:\n got %+v\nwant %+v", number, res, scope, g, want[g.Cell])
				}
				one := c.state.Cell(g.Cell, scope)
				if i := len(one); i == 0 || one[0].Property != number && one[i-1].Property != number {
					t.Fatalf("Cell(%v) lacks property %d: %+v", g.Cell, number, one)
				}
			}
		}
	}
	c.follow(t)
	want, scale := c.model.cells(c.watch.property, c.watch.res, c.watch.scope)
	if len(want) != len(c.client) {
		t.Fatalf("client has %d cells, want %d\n%+v\n%+v", len(c.client), len(want), c.client, want)
	}
	for cell, w := range want {
		if !same(c.client[cell], w, scale[cell]) {
			t.Fatalf("client, %v:\n got %+v\nwant %+v", cell, c.client[cell], w)
		}
	}
	c.checkPoints(t)
}

func (c *city) checkPoints(t *rapid.T) {
	box := geo.Box{West: 106.5, South: 29.5, East: 106.56, North: 29.6}
	got, _ := c.state.Points(nil, 1, box, sensor.ScopeAll, 100)
	n := 0
	for _, a := range c.model.shown() {
		if a.info.Property != 1 || !box.Contains(geo.FromE7(a.place.lon, a.place.lat)) {
			continue
		}
		n++
		found := false
		for _, g := range got {
			found = found || g.ID == a.info.Thing && g.Result == a.row.result && g.Newest == a.row.phenomenon && g.Fresh == a.fresh &&
				g.Place == geo.FromE7(a.place.lon, a.place.lat)
		}
		if !found {
			t.Fatalf("point of %s %+v not in %+v", a.info.Thing, a.row, got)
		}
	}
	if n != len(got) {
		t.Fatalf("%d points, want %d", len(got), n)
	}
}

// TestSameAsRecomputed: whatever happens, and in whatever order, every number equals one computed from all rows.
func TestSameAsRecomputed(t *testing.T) {
	catalogue := testCatalogue(t)
	rapid.Check(t, func(t *rapid.T) {
		c := newCity(t, catalogue)
		t.Repeat(map[string]func(*rapid.T){
			"report": c.report, "report more": c.report, "report much": c.report,
			"pass": c.pass, "register": c.register, "follow": c.follow,
			"": c.check,
		})
	})
}
