package rollup_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"
	"time"

	simulated "github.com/situ-city/situ/internal/city"
	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/rollup"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// played is a simulated city in the store: registered by its own file, decoded and normalised as by a gateway.
type played struct {
	*world
	*simulated.City
	registry  *registry.Registry
	normalize *normalize.Normalizer
	decoders  map[string]decode.Decoder
}

func played1(t *testing.T, w *world, cfg simulated.Config) *played {
	t.Helper()
	divisions, err := geo.LoadDivisions()
	must(t, err)
	catalogue, err := sensor.LoadCatalogue()
	must(t, err)
	p := &played{world: w, decoders: map[string]decode.Decoder{}}
	p.City, err = simulated.New(cfg, divisions)
	must(t, err)
	for i := 0; i < len(p.Things()); i += 29 { // more faults than a city has, so that there is something to count
		th, fault := &p.Things()[i], []simulated.Fault{simulated.Silent, simulated.Odd, simulated.Repeating}[i%3]
		if th.Fault == simulated.Healthy && th.CanHave(fault) {
			th.Fault = fault
		}
	}
	p.registry, err = registry.Open(t.Context(), filepath.Join(t.TempDir(), "registry.sqlite"), registry.Options{Catalogue: catalogue, Divisions: divisions,
		CellAt: func(at geo.LonLat) geo.Cell { return h3.CellAt(at, 12) }})
	must(t, err)
	t.Cleanup(func() { must(t, p.registry.Close()) })
	var csv bytes.Buffer
	must(t, p.CSV(&csv))
	rows, err := registry.ParseCSV(&csv)
	must(t, err)
	verdicts, err := p.registry.RegisterRows(t.Context(), rows)
	must(t, err)
	for _, v := range verdicts {
		if v.Error != "" {
			t.Fatal(v.Error)
		}
	}
	must(t, w.SyncProperties(t.Context(), catalogue.All()))
	p.normalize = normalize.New(normalize.Options{Catalogue: catalogue, Ledger: func() normalize.Ledger { return p.registry.Snapshot() }})
	for _, one := range all.Protocols() {
		if one.Name == "hj212" || one.Name == "json" { // the city's
			p.decoders[one.Name], err = one.New(decode.Settings{})
			must(t, err)
		}
	}
	p.sync(t)
	return p
}

// sync copies the registry into the store.
func (p *played) sync(t *testing.T) {
	t.Helper()
	var things []sensor.Thing
	var streams []sensor.Datastream
	for th := range p.registry.Snapshot().ThingsFrom(0) {
		things = append(things, *th)
	}
	for d := range p.registry.Snapshot().DatastreamsFrom(0) {
		streams = append(streams, *d)
	}
	must(t, p.SyncRegistry(t.Context(), things, streams))
}

// hear stores what the city says in a span of time; what is refused or broken is gone, as dead letters are from the tables.
func (p *played) hear(t *testing.T, from, to time.Time) (rows int) {
	t.Helper()
	var messages [][]sensor.Observation
	var declared []sensor.Declaration
	var live, back sensor.Message
	for i := range p.Things() {
		thing := &p.Things()[i]
		src := normalize.Source{Topic: p.Topic(i), Protocol: thing.Protocol, Thing: thing.ID}
		for at := p.Due(i, from); at.Before(to); at = at.Add(thing.Interval) {
			payload, ok := p.Payload(nil, i, at)
			if !ok {
				continue
			}
			readings, err := p.decoders[thing.Protocol].Decode(nil, payload)
			if err != nil {
				continue
			}
			live.Reset()
			back.Reset()
			live.Arrival = at.UnixMilli()
			p.normalize.Normalize(&src, readings, payload, &live, &back)
			for _, m := range []*sensor.Message{&live, &back} {
				declared = append(declared, m.Declarations...)
				if len(m.Observations) > 0 {
					messages = append(messages, slices.Clone(m.Observations))
					rows += len(m.Observations)
				}
			}
		}
	}
	_, err := p.registry.Declare(t.Context(), declared)
	must(t, err)
	p.sync(t)
	b := p.block(messages...)
	p.rows = nil // the model needs too much memory for a city
	p.insert(t, b)
	return rows
}

// A city in which some Things fall silent, disagree with their neighbours and repeat themselves: these are found, and no others.
func TestTheCityIsJudged(t *testing.T) {
	w := newStore(t, seed())
	p := played1(t, w, simulated.Config{Seed: 11, Things: 1200, Interval: 150 * time.Second})
	now := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	worker, err := rollup.New(rollup.Options{Store: w.Store, Now: func() time.Time { return now.Add(6 * time.Minute) }})
	must(t, err)
	must(t, worker.Settle(t.Context())) // situ is there before the city speaks
	rows := 0
	for range 4 { // half of them before an hour at which the silent begin to speak, or the speaking to be silent
		rows += p.hear(t, now, now.Add(time.Hour))
		now = now.Add(time.Hour)
		must(t, worker.Settle(t.Context()))
	}

	faults := map[string]*simulated.Thing{}
	for i := range p.Things() {
		faults[string(p.Things()[i].ID)] = &p.Things()[i]
	}
	found := map[string]map[string]int{} // judgement, Thing
	r, err := w.conn.Query(t.Context(), "SELECT judgement, thing, count() FROM judgements WHERE window >= '2026-03-01 00:00:00' GROUP BY ALL")
	must(t, err)
	defer r.Close()
	for r.Next() {
		var what, thing string
		var n uint64
		must(t, r.Scan(&what, &thing, &n))
		if found[what] == nil {
			found[what] = map[string]int{}
		}
		found[what][thing] = int(n)
	}
	must(t, r.Err())
	ring := p.surrounded(t, faults)
	for _, c := range []struct {
		what  string
		fault simulated.Fault
		must  func(th *simulated.Thing) bool
		may   func(th *simulated.Thing) bool
	}{
		{"missing", simulated.Silent, func(th *simulated.Thing) bool {
			return th.Fault == simulated.Silent || th.Fault == simulated.BadCRC || th.Fault == simulated.MadClock
		},
			func(th *simulated.Thing) bool { return false }},
		// One that is stuck or drifts disagrees sooner or later.
		{"neighbour", simulated.Odd, func(th *simulated.Thing) bool { return th.Fault == simulated.Odd && ring[string(th.ID)] },
			func(th *simulated.Thing) bool {
				return th.Fault == simulated.Stuck || th.Fault == simulated.Drifting || th.Fault == simulated.Odd
			}},
		{"repeat", simulated.Repeating, func(th *simulated.Thing) bool { return th.Fault == simulated.Repeating }, func(th *simulated.Thing) bool { return false }},
	} {
		planted, hit, wrong := 0, 0, 0
		for id, th := range faults {
			_, is := found[c.what][id]
			switch {
			case c.must(th):
				if planted++; is {
					hit++
				} else {
					t.Errorf("%s %s: %s was not found", id, th.Fault, c.what)
				}
			case is && !c.may(th):
				wrong++
				t.Errorf("%s is %s: %s", id, th.Fault, c.what)
			}
		}
		if planted == 0 {
			t.Errorf("nobody to be found for %s", c.what)
		}
		t.Logf("%s: %d planted, %d found, %d wrongly: recall %.2f, precision %.2f", c.what, planted, hit, wrong,
			float64(hit)/float64(planted), float64(hit)/float64(max(hit+wrong, 1)))
	}
	if n := len(found["contradiction"]) + len(found["correction"]); n > 0 {
		t.Errorf("%d Things contradict themselves", n)
	}
	t.Logf("%d observations of %d Things in four hours", rows, len(p.Things()))
}

// surrounded are the Things with at least three others in the ring that measure temperature, where few of all are odd.
func (p *played) surrounded(t *testing.T, faults map[string]*simulated.Thing) map[string]bool {
	t.Helper()
	r, err := p.conn.Query(t.Context(), `WITH places AS (SELECT thing, any(h3ToParent(cell, 7)) AS c FROM history WHERE property = 'temperature' AND cell != 0 GROUP BY thing)
		SELECT a.thing, groupArray(b.thing) FROM places AS a INNER JOIN (SELECT thing, arrayJoin(h3kRing(c, 1)) AS c FROM places) AS b ON a.c = b.c GROUP BY a.thing HAVING count() > 3`)
	must(t, err)
	defer r.Close()
	list := map[string]bool{}
	for r.Next() {
		var id string
		var ring []string
		must(t, r.Scan(&id, &ring))
		odd := 0
		for _, other := range ring {
			if f := faults[other].Fault; f == simulated.Odd || f == simulated.Drifting || f == simulated.Stuck {
				odd++
			}
		}
		list[id] = odd == 1 || odd*5 <= len(ring)
	}
	must(t, r.Err())
	return list
}
