package rollup_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/rollup"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// world is a small city that does everything that makes a roll-up stale, and remembers what it sent.
type world struct {
	*store.Store
	conn   driver.Conn
	db     string
	random *rand.Rand

	things  []sensor.Thing
	streams []sensor.Datastream
	numbers []sensor.PropertyNumber // of streams
	offset  int64
	seq     uint64
	seen    map[store.Pair]bool
	rows    []row
}

// row is what the model knows of an observation.
type row struct {
	sensor.Observation
	id      sensor.Identity
	arrival int64
}

var noon = time.Date(2026, 10, 31, 22, 0, 0, 0, time.UTC) // windows of two days and two months are near

func cellE7(lon, lat int32) geo.Cell { return h3.CellAt(geo.FromE7(lon, lat), 12) }

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := newStore(t, seed)
	w.declare(t)
	return w
}

// newStore is a world in which nothing has been declared.
func newStore(t *testing.T, seed uint64) *world {
	t.Helper()
	t.Logf("seed %d", seed)
	conn, _ := enginetest.Start(t)
	w := &world{conn: conn, random: rand.New(rand.NewPCG(seed, 1)), seen: map[store.Pair]bool{}}
	if err := conn.QueryRow(t.Context(), "SELECT currentDatabase()").Scan(&w.db); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.Store, err = store.Open(t.Context(), store.Options{Conn: conn, Database: w.db, Cell: cellE7}); err != nil {
		t.Fatal(err)
	}
	must(t, w.Migrate(t.Context()))
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// declare registers 12 Things over four regions, each with an instant and an average of one property.
func (w *world) declare(t *testing.T) {
	t.Helper()
	properties := []sensor.ObservedProperty{
		{Number: 1, Code: "temperature", Unit: "Cel", Min: -40, Max: 60, Worse: "both"},
		{Number: 2, Code: "pm2_5", Unit: "ug/m3", Min: 0, Max: 1000, Worse: "high"},
	}
	for i := range 12 {
		thing := sensor.Thing{ID: sensor.ThingID(fmt.Sprintf("owner%d/t%d", i%5, i)), Class: sensor.OwnerClass(i % 3), Grade: sensor.AccessGrade(i % 3),
			Division: geo.DivisionCode(500100 + i%2), Version: 1}
		w.things = append(w.things, thing)
		for _, statistic := range []sensor.Statistic{sensor.Instant, sensor.Average, sensor.Maximum} {
			code := properties[i%2].Code
			d := sensor.Datastream{ID: sensor.NewDatastreamID(thing.ID, code, statistic, "k"), Thing: thing.ID, Property: code, Statistic: statistic, SourceKey: "k",
				Interval: time.Duration(i%4) * 10 * time.Minute, Version: 1}
			w.streams, w.numbers = append(w.streams, d), append(w.numbers, properties[i%2].Number)
		}
	}
	must(t, w.SyncProperties(t.Context(), properties))
	must(t, w.SyncRegistry(t.Context(), w.things, w.streams))
}

// observe makes an observation of stream i.
func (w *world) observe(i int, at int64) sensor.Observation {
	o := sensor.Observation{Datastream: w.streams[i].ID, Thing: w.streams[i].Thing.Key(), Property: w.numbers[i], PhenomenonTime: at, ResultTime: at,
		Result: float64(w.random.IntN(2000)-500) / 10, Lon: sensor.NoPosition, Lat: sensor.NoPosition}
	place := i / 3 // the Thing's own, in region place%4
	switch w.random.IntN(12) {
	case 0: // nowhere
		return o
	case 1: // somewhere else
		place = w.random.IntN(12)
	case 2:
		o.Quality = sensor.Quality(1 << w.random.IntN(14))
	case 3:
		o.Result = []float64{math.NaN(), math.Inf(1), 1e300, 0}[w.random.IntN(4)]
	case 4:
		o.Result, o.Text = math.NaN(), "on"
	}
	o.Lon = int32(1_065_000_000 + place%4*4_000_000 + place*20_000)
	o.Lat = int32(295_000_000 + place*20_000)
	return o
}

// message is a handful of values: on time, late, or of an instant that was there before, with an earlier, the same or a
// later resultTime.
func (w *world) message() []sensor.Observation {
	var list []sensor.Observation
	for range 1 + w.random.IntN(4) {
		at := noon.UnixMilli() + int64(len(w.rows))*2500
		if w.random.IntN(5) == 0 {
			at -= int64(w.random.IntN(40 * 3600_000)) // back over the day's and the month's end
		}
		i := w.random.IntN(len(w.streams))
		if n := len(w.rows); n > 0 && w.random.IntN(4) == 0 {
			old := w.rows[n-1-w.random.IntN(min(n, 300))]
			i, at = slices.IndexFunc(w.streams, func(d sensor.Datastream) bool { return d.ID == old.Datastream }), old.PhenomenonTime
		}
		o := w.observe(i, at)
		o.ResultTime += int64(w.random.IntN(3)-1) * 1000
		list = append(list, o)
	}
	return list
}

// block makes the next block, with the pairs that may be there already and a few that are not.
func (w *world) block(messages ...[]sensor.Observation) *store.Block {
	b := &store.Block{Log: "00112233445566778899aabbccddeeff", From: w.offset, Batch: new(sensor.Batch)}
	for _, m := range messages {
		w.seq++
		w.offset++
		arrival := noon.UnixMilli() + int64(w.seq)
		p := sensor.Producer{Gateway: "gw", Epoch: 1, Lane: sensor.Lane(w.seq % 2)}
		b.Batch.Add(p, w.seq, &sensor.Message{Arrival: arrival, Observations: m})
		for i, o := range m {
			w.rows = append(w.rows, row{o, sensor.Identity{Producer: p, Seq: w.seq, Idx: uint16(i)}, arrival})
			pair := store.Pair{Datastream: o.Datastream, PhenomenonTime: o.PhenomenonTime}
			if w.seen[pair] || w.random.IntN(40) == 0 {
				b.Repeats = append(b.Repeats, pair)
			}
			w.seen[pair] = true
		}
	}
	b.To, b.Watermarks = w.offset, b.Batch.Watermarks
	return b
}

// insert does what the ingester does with a block, in its order.
func (w *world) insert(t *testing.T, b *store.Block) {
	t.Helper()
	must(t, w.InsertRepeats(t.Context(), b))
	must(t, w.InsertRows(t.Context(), b, false))
	must(t, w.InsertBeside(t.Context(), b))
}

func (w *world) some(n int) *store.Block {
	messages := make([][]sensor.Observation, n)
	for i := range messages {
		messages[i] = w.message()
	}
	return w.block(messages...)
}

func (w *world) worker(t *testing.T, s rollup.Store) *rollup.Worker {
	t.Helper()
	worker, err := rollup.New(rollup.Options{Store: s, Now: func() time.Time { return noon.Add(6 * time.Hour) }})
	must(t, err)
	return worker
}

// exact settles and compares: SQL against SQL, and the views against the model.
func (w *world) exact(t *testing.T) {
	t.Helper()
	must(t, w.worker(t, w.Store).Settle(t.Context()))
	w.check(t, false)
	w.compareViews(t)
}

// check wants no difference; waiting says whether dirty windows may be left.
func (w *world) check(t *testing.T, waiting bool) store.RollupCheck {
	t.Helper()
	c, err := w.CheckRollups(t.Context())
	must(t, err)
	for i, d := range c.Differences {
		if i < 5 {
			t.Error(d)
		}
	}
	if n := len(c.Differences); n > 0 {
		t.Fatalf("%d differences", n)
	}
	if !waiting && (c.Waiting != 0 || c.Alike == 0) {
		t.Fatalf("%+v", c)
	}
	return c
}
