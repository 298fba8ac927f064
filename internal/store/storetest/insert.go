package storetest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

func testResults(t *testing.T, f *fixture) {
	f.migrate(t)
	values := []float64{0, math.Copysign(0, -1), 0.1, 0.1 + 0.2, 18.5, -273.15, 1.0 / 3, 2147483647, 2147483648, -2147483648, 214748364.8,
		1e-9, 1e-10, 1e15, 1e300, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), math.NaN(), 1.005}
	for n := range 2000 { // every count of decimals, of both signs
		values = append(values, float64(n*7919-8000000)/math.Pow10(n%11))
	}
	var rows []sensor.Observation
	for i, v := range values {
		rows = append(rows, observation(sensor.DatastreamID(10+i%7), noon+int64(i), v))
	}
	insert(t, f, block(0, batch(1, rows)), false)
	for _, from := range []string{"observations", "history"} {
		r, err := f.conn.Query(t.Context(), "SELECT idx, result FROM "+f.db+"."+from+" ORDER BY idx")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		n := 0
		for ; r.Next(); n++ {
			var idx uint16
			var got float64
			if err := r.Scan(&idx, &got); err != nil {
				t.Fatal(err)
			}
			if !sameBits(got, values[idx]) {
				t.Errorf("%s: %v comes back as %v", from, values[idx], got)
			}
		}
		if r.Err() != nil || n != len(values) {
			t.Errorf("%s: %d of %d rows, %v", from, n, len(values), r.Err())
		}
	}
	if n := f.number(t, "SELECT count() FROM "+f.db+".observations WHERE decimals < 0"); n == 0 || n > uint64(len(values)/2) {
		t.Errorf("%d of %d results are stored as floats", n, len(values))
	}
}

func testRow(t *testing.T, f *fixture) {
	f.migrate(t)
	full := sensor.Observation{Datastream: 1<<64 - 1, Thing: 1<<64 - 2, Property: 65535, Registry: 1<<32 - 1, PhenomenonTime: noon + 1,
		ResultTime: noon - 86_399_999, Result: math.NaN(), Text: "门开\n'\\\x00 open", Lon: 1_065_500_000, Lat: -295_500_000,
		Cell: 0x8c40e9a1bffffff, Quality: 0x8001}
	b := new(sensor.Batch)
	p := sensor.Producer{Gateway: "渝-gw.7", Epoch: 1<<32 - 1, Lane: sensor.Backfill}
	b.Add(p, 1<<63, &sensor.Message{Arrival: noon + 7, Observations: []sensor.Observation{observation(5, noon, 1), full}})
	insert(t, f, block(0, b), false)
	var got sensor.Batch
	if err := f.Latest(t.Context(), 0, func(b *sensor.Batch) error {
		for i := range b.Len() {
			id, arrival, o := b.Row(i)
			got.AppendRow(got.ProducerIndex(id.Producer), id.Seq, id.Idx, arrival, &o)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i := range got.Len() {
		id, arrival, o := got.Row(i)
		if o.Datastream != full.Datastream {
			continue
		}
		if !math.IsNaN(o.Result) {
			t.Errorf("result %v, want NaN", o.Result)
		}
		o.Result, full.Result = 0, 0
		if want := (sensor.Identity{Producer: p, Seq: 1 << 63, Idx: 1}); o != full || id != want || arrival != noon+7 {
			t.Errorf("got  %+v %+v %d\nwant %+v %+v %d", id, o, arrival, want, full, noon+7)
		}
		return
	}
	t.Fatalf("row not found among %d", got.Len())
}

func testCell(t *testing.T, f *fixture) {
	f.migrate(t)
	at := func(lon, lat int32, cell geo.Cell) sensor.Observation {
		o := observation(20, noon, 1)
		o.Lon, o.Lat, o.Cell = lon, lat, cell
		return o
	}
	insert(t, f, block(0, batch(1, []sensor.Observation{
		at(1, 2, 0), at(1, 2, 0), at(3, 4, 0), at(1, 2, 0), at(5, 6, 99), at(sensor.NoPosition, sensor.NoPosition, 0),
	})), false)
	for idx, want := range []geo.Cell{fakeCell(1, 2), fakeCell(1, 2), fakeCell(3, 4), fakeCell(1, 2), 99, 0} {
		if got := f.number(t, fmt.Sprintf("SELECT cell FROM %s.observations WHERE idx = %d", f.db, idx)); got != uint64(want) {
			t.Errorf("row %d: cell %d, want %d", idx, got, want)
		}
	}
	var lon, lat *float64
	row := f.conn.QueryRow(t.Context(), "SELECT lon, lat FROM "+f.db+".history WHERE idx = 5")
	if err := row.Scan(&lon, &lat); err != nil || lon != nil || lat != nil {
		t.Errorf("no position: %v %v %v, want NULL", lon, lat, err)
	}
}

func testToken(t *testing.T, f *fixture) {
	f.migrate(t)
	b := block(0, batch(1, []sensor.Observation{observation(10, noon, 1), observation(11, noon, 2)}))
	for range 3 {
		insert(t, f, b, false)
	}
	if n := f.count(t, "observations"); n != 2 {
		t.Errorf("%d rows after the same block three times, want 2", n)
	}
	again := *b
	again.Log = "ffeeddccbbaa99887766554433221100" // a log made anew: same offsets, other rows
	insert(t, f, &again, false)
	if n := f.count(t, "observations"); n != 4 {
		t.Errorf("%d rows after the same offsets of another log, want 4", n)
	}
}

func testDoubtful(t *testing.T, f *fixture) {
	f.migrate(t)
	var messages [][]sensor.Observation
	for i := range 500 {
		messages = append(messages, []sensor.Observation{observation(10, noon+int64(i), 1), observation(11, noon+int64(i), 2)})
	}
	b := block(0, batch(1, messages...))
	insert(t, f, b, true) // nothing there
	insert(t, f, b, true) // all there, token known
	renamed := *b
	renamed.Log = "the engine forgot its tokens"
	insert(t, f, &renamed, true)
	if n := f.count(t, "observations"); n != 1000 {
		t.Fatalf("%d rows, want 1000", n)
	}
	late := *b // it waited for other blocks, and meanwhile another process has stored it
	late.Log, late.Announced = "and forgot them again", time.Now().Add(-protocol.Lease-time.Second)
	insert(t, f, &late, false)
	if n := f.count(t, "observations"); n != 1000 {
		t.Fatalf("%d rows after a block that was announced long ago, want 1000", n)
	}
	f.exec(t, "ALTER TABLE "+f.db+".observations DELETE WHERE seq % 3 = 0")
	insert(t, f, b, true)
	if n := f.count(t, "observations"); n != 1000 {
		t.Errorf("%d rows after a part was lost and the block repeated, want 1000", n)
	}
	if n := f.number(t, "SELECT uniqExact(gateway, epoch, lane, seq, idx) FROM "+f.db+".observations"); n != 1000 {
		t.Errorf("%d identities, want 1000", n)
	}
}

func testLostRows(t *testing.T, f *fixture) {
	f.migrate(t)
	b := block(0, batch(1, []sensor.Observation{observation(10, noon, 1), observation(11, noon, 2)}))
	insert(t, f, b, false)
	// What a kill between the engine's token and its rows leaves: the token is known, the rows are not there.
	f.exec(t, "ALTER TABLE "+f.db+".observations DELETE WHERE 1")
	insert(t, f, b, false)
	if n := f.count(t, "observations"); n != 0 {
		t.Fatalf("%d rows: the token was not remembered, so this test shows nothing", n)
	}
	insert(t, f, b, true)
	if n := f.count(t, "observations"); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

func (f *fixture) exec(t *testing.T, query string) {
	t.Helper()
	ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"mutations_sync": 2}))
	if err := f.conn.Exec(ctx, query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func testMonths(t *testing.T, f *fixture) {
	f.migrate(t)
	var rows []sensor.Observation
	times := []time.Time{
		time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 12, 31, 23, 59, 59, 999e6, time.UTC),
		time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 31, 23, 59, 59, 999e6, time.UTC), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
	}
	for i := range 100 {
		rows = append(rows, observation(10, times[i%len(times)].UnixMilli(), float64(i)))
	}
	b := block(0, batch(1, rows))
	for _, doubtful := range []bool{false, false, true} {
		insert(t, f, b, doubtful)
	}
	if n := f.count(t, "observations"); n != 100 {
		t.Errorf("%d rows, want 100", n)
	}
	if n := f.number(t, "SELECT uniqExact(toYYYYMM(phenomenon_time)) FROM "+f.db+".observations"); n != 4 {
		t.Errorf("%d months, want 4", n)
	}
	if n := f.number(t, "SELECT countIf(toUnixTimestamp64Milli(phenomenon_time) = 946684800000) FROM "+f.db+".observations"); n != 20 {
		t.Errorf("%d rows at the first instant of 2000, want 20", n)
	}
}

func testBlocks(t *testing.T, f *fixture) {
	f.migrate(t)
	b := batch(1, []sensor.Observation{observation(10, noon, 1)}, nil)
	b.Add(sensor.Producer{Gateway: "gw2", Epoch: 4, Lane: sensor.Backfill}, 77, &sensor.Message{Arrival: noon, Empty: sensor.ReasonHeartbeat})
	b.Gaps = append(b.Gaps, sensor.Gap{Producer: producer, From: 5, To: 9, At: noon, Reason: "full"})
	one := block(0, b)
	two := *one
	two.From, two.To = 3, 6
	two.Watermarks = map[sensor.Producer]uint64{producer: 1 << 60}
	for _, b := range []*store.Block{one, &two, one} { // twice is once
		if err := f.InsertBeside(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if err := f.InsertBlock(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		to   int64
		want int64
	}{{2, -1}, {3, 3}, {5, 3}, {6, 6}, {1 << 62, 6}} {
		got, found, err := f.NewestBlock(t.Context(), one.Log, 0, c.to)
		if err != nil || found != (c.want >= 0) || found && got.To != c.want {
			t.Errorf("newest to %d: %+v %v %v, want %d", c.to, got, found, err, c.want)
		}
		if c.want == 3 && (len(got.Watermarks) != 2 || got.Watermarks[sensor.Producer{Gateway: "gw2", Epoch: 4, Lane: sensor.Backfill}] != 77) {
			t.Errorf("watermarks %v", got.Watermarks)
		}
		if c.want == 6 && got.Watermarks[producer] != 1<<60 {
			t.Errorf("watermarks %v", got.Watermarks)
		}
	}
	other := *one // of a log that is gone
	other.Log, other.From, other.To = "0f", 40, 50
	other.Watermarks = map[sensor.Producer]uint64{producer: 9}
	if err := f.InsertBlock(t.Context(), &other); err != nil {
		t.Fatal(err)
	}
	for except, want := range map[string]uint64{one.Log: 9, other.Log: 1 << 60, "": 1 << 60} {
		all, err := f.Watermarks(t.Context(), except)
		if err != nil || all[producer] != want {
			t.Errorf("watermarks of all logs but %q: %v %v, want %d", except, all, err, want)
		}
	}
	if _, found, err := f.NewestBlock(t.Context(), one.Log, 1, 1<<62); found || err != nil {
		t.Errorf("another partition: %v %v", found, err)
	}
	if n := f.number(t, "SELECT count() FROM "+f.db+".gaps FINAL WHERE seq_from = 5 AND seq_to = 9"); n != 1 {
		t.Errorf("%d gaps, want 1", n)
	}
	if n := f.number(t, "SELECT empties['heartbeat'] + empties['declarations'] FROM "+f.db+".ingest_blocks FINAL WHERE block_from = 0"); n != 2 {
		t.Errorf("%d empties, want 2", n)
	}
}
