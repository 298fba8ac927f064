package storetest

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
	"github.com/situ-city/situ/schema"
)

func testMigrate(t *testing.T, f *fixture) {
	f.migrate(t)
	f.migrate(t)
	n := f.count(t, "schema_migrations FINAL")
	// A crash before the record: every statement runs again over its own tables.
	f.exec(t, "TRUNCATE TABLE "+f.db+".schema_migrations")
	f.migrate(t)
	if again := f.count(t, "schema_migrations FINAL"); again != n || n != migrations(t) {
		t.Errorf("%d migrations recorded, then %d, want %d", n, again, migrations(t))
	}
	// A crash between two statements: some of a migration's tables are there.
	f.exec(t, "DROP VIEW "+f.db+".latest")
	f.exec(t, "TRUNCATE TABLE "+f.db+".schema_migrations")
	errs := make(chan error, 2) // and two processes at once
	for range 2 {
		go func() { errs <- f.Migrate(t.Context()) }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	f.count(t, "latest")
}

// migrations is the number of files.
func migrations(t *testing.T) uint64 {
	t.Helper()
	files, err := fs.Glob(schema.FS, "clickhouse/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	return uint64(len(files))
}

func testNewerTables(t *testing.T, f *fixture) {
	f.migrate(t)
	f.exec(t, "INSERT INTO "+f.db+".schema_migrations (number, name) VALUES (9999, '9999_from_tomorrow.sql')")
	err := f.Migrate(t.Context())
	if !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), "9999_from_tomorrow.sql") {
		t.Errorf("%v, want ErrSchema naming the file", err)
	}
}

// Positions move when a block is stored, so what is stored has to be on the disk; and only a window keeps tokens.
func testSynced(t *testing.T, f *fixture) {
	f.migrate(t)
	tables := "FROM system.tables WHERE database = '" + f.db + "' AND engine LIKE '%MergeTree'"
	if n := f.number(t, "SELECT count() "+tables); n < 10 {
		t.Errorf("%d tables", n)
	}
	var bad []string
	if err := f.conn.QueryRow(t.Context(), "SELECT groupArray(name) "+tables+
		" AND NOT (create_table_query LIKE '%fsync_after_insert = 1%' AND create_table_query LIKE '%fsync_part_directory = 1%')").Scan(&bad); err != nil {
		t.Fatal(err)
	}
	bad = slices.DeleteFunc(bad, func(name string) bool { // copies of the registry, which are made anew at each start
		return slices.Contains([]string{"thing_versions", "datastream_versions", "property_versions"}, name)
	})
	if len(bad) > 0 {
		t.Errorf("inserts into %v are not synced", bad)
	}
	if n := f.number(t, "SELECT count() "+tables+" AND name = 'observations' AND create_table_query LIKE '%deduplication_window = 10000%'"); n != 1 {
		t.Error("observations remembers no tokens")
	}
}

func testComments(t *testing.T, f *fixture) {
	f.migrate(t)
	for _, view := range []string{"observations", "history", "latest", "things", "datastreams", "properties", "deadletters", "gaps",
		"ingest_blocks", "repeats", "thing_versions", "datastream_versions", "property_versions", "deadletter_versions", "schema_migrations",
		"taken", "empties", "balance", "cells_5m", "cells_1h", "cells_1d", "datastream_1h", "rollup_5m", "rollup_1h", "rollup_1d",
		"rollup_datastream_1h", "rollup_dirty", "rollup_clock", "gap_shares", "removed"} {
		rows, err := f.conn.Query(t.Context(), "SELECT name, comment FROM system.columns WHERE database = '"+f.db+"' AND table = '"+view+"'")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for ; rows.Next(); n++ {
			var name, comment string
			if err := rows.Scan(&name, &comment); err != nil {
				t.Fatal(err)
			}
			english, chinese, ok := strings.Cut(comment, " / ")
			if !ok || english == "" || !strings.ContainsFunc(chinese, func(r rune) bool { return r >= 0x4e00 }) {
				t.Errorf("%s.%s: comment %q, want 'English / 中文'", view, name, comment)
			}
		}
		if n == 0 {
			t.Errorf("%s has no columns", view)
		}
	}
}

func testRepeats(t *testing.T, f *fixture) {
	f.migrate(t)
	at := func(result float64, later int64, moved int32) sensor.Observation {
		o := observation(10, noon, result)
		o.ResultTime, o.Lon, o.Lat = noon+later, 1_000_000_000+moved, 300_000_000
		return o
	}
	alone := observation(11, noon, 11)
	// Results carry what they should lose or win by; the winner came neither first nor last, and stands elsewhere.
	b := block(0, batch(1, []sensor.Observation{at(1, 0, 0), alone}, []sensor.Observation{at(2, 500, 5000)}, []sensor.Observation{at(3, 500, 0)},
		[]sensor.Observation{at(4, 100, 0)}))
	b.Repeats = []store.Pair{{Datastream: 10, PhenomenonTime: noon}, {Datastream: 11, PhenomenonTime: noon}, {Datastream: 12, PhenomenonTime: noon}}
	insert(t, f, b, false)
	insert(t, f, b, false)
	for _, c := range []struct {
		query string
		want  uint64
	}{
		{"SELECT count() FROM %s.observations", 5},
		{"SELECT count() FROM %s.history", 2},
		{"SELECT toUInt64(result) FROM %s.history WHERE datastream = 10", 3}, // 500 ms later, arrived after the other one
		{"SELECT toUInt64(result) FROM %s.history WHERE datastream = 11", 11},
		{"SELECT toUInt64(result) FROM %s.latest WHERE datastream = 10", 3},
		{"SELECT count() FROM %[1]s.history WHERE phenomenon_time = fromUnixTimestamp64Milli(toInt64(" + fmt.Sprint(noon) + "), 'UTC')", 2},
		{"SELECT (SELECT count() FROM %[1]s.observations) - (SELECT count() FROM %[1]s.history)", 3}, // repeats are countable
	} {
		query := fmt.Sprintf(c.query, f.db)
		if got := f.number(t, "SELECT toUInt64(("+query+"))"); got != c.want {
			t.Errorf("%s: %d, want %d", query, got, c.want)
		}
	}
	points, _, err := f.Observations(t.Context(), 10, noon, noon+1, 10, "")
	if err != nil || len(points) != 1 || points[0].Result != 3 {
		t.Errorf("Observations: %+v %v, want the one with result 3", points, err)
	}
}

func testRegistry(t *testing.T, f *fixture) {
	f.migrate(t)
	id := sensor.ThingID("water-bureau/站-7")
	thing := sensor.Thing{ID: id, Class: sensor.Government, Grade: sensor.Open, Placed: true, Location: geo.LonLat{Lon: 106.5, Lat: 29.5},
		CRS: geo.GCJ02, Original: geo.LonLat{Lon: 106.6, Lat: 29.6}, Division: 500112, Scenes: []string{"flood"}, Version: 5}
	o := sensor.Observation{Thing: id.Key(), Datastream: sensor.NewDatastreamID(id, "level", sensor.Average, "z-Avg"), Property: 3,
		PhenomenonTime: noon, ResultTime: noon + 20, Result: 171.35, Lon: 1_065_000_000, Lat: 295_000_000, Quality: sensor.Late}
	unknown := observation(99, noon, 1)
	unknown.Property = 0
	b := new(sensor.Batch)
	b.Add(producer, 1, &sensor.Message{Arrival: noon + 30, Observations: []sensor.Observation{o, unknown}})
	insert(t, f, block(0, b), false)

	row := func() (got [9]string) {
		t.Helper()
		if err := f.conn.QueryRow(t.Context(), "SELECT owner, thing, property, statistic, source_key, unit, toString(division), owner_class, grade FROM "+
			f.db+".history WHERE idx = 0").Scan(&got[0], &got[1], &got[2], &got[3], &got[4], &got[5], &got[6], &got[7], &got[8]); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got, want := row(), [9]string{6: "0"}; got != want {
		t.Errorf("before anything is declared: %q, want %q", got, want)
	}
	must(t, f.SyncProperties(t.Context(), []sensor.ObservedProperty{{Number: 3, Code: "level", Unit: "m"}}))
	must(t, f.SyncRegistry(t.Context(), []sensor.Thing{thing}, []sensor.Datastream{
		{ID: o.Datastream, Thing: id, Property: "level", Statistic: sensor.Average, SourceKey: "z-Avg", Interval: time.Minute, Version: 6},
		{ID: 99, Thing: "a/b", SourceKey: "foo", Version: 7}}))
	if got, want := row(), [9]string{"water-bureau", string(id), "level", "avg", "z-Avg", "m", "500112", "government", "open"}; got != want {
		t.Errorf("declared: %q, want %q", got, want)
	}
	if n := f.number(t, "SELECT count() FROM "+f.db+".history WHERE property = 'foo' AND source_key = 'foo'"); n != 1 {
		t.Error("a property outside the catalogue is not found by its source key")
	}
	thing.Grade, thing.Version = sensor.Restricted, 8 // withdrawn: it acts on the past at once
	must(t, f.SyncRegistry(t.Context(), []sensor.Thing{thing}, nil))
	thing.Grade, thing.Version = sensor.Open, 4 // an old version that comes late changes nothing
	must(t, f.SyncRegistry(t.Context(), []sensor.Thing{thing}, nil))
	if got := row(); got[8] != "restricted" {
		t.Errorf("after the grant was withdrawn: grade %q", got[8])
	}
	for query, want := range map[string]uint64{
		"SELECT count() FROM %s.things WHERE id = 'water-bureau/站-7' AND has(scenes, 'flood') AND original_lon = 106.6 AND version = 8": 1,
		"SELECT count() FROM %s.datastreams WHERE interval_ms = 60000":                                                                  1,
		"SELECT count() FROM %s.properties": 1,
		"SELECT count() FROM %s.history h JOIN %[1]s.things t ON h.thing_key = t.key WHERE h.lon = 106.5 AND h.lat = 29.5 AND h.quality = 32": 1,
	} {
		if got := f.number(t, fmt.Sprintf(query, f.db)); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testLatest(t *testing.T, f *fixture) {
	f.migrate(t)
	var messages [][]sensor.Observation
	const things = 9000 // more than one chunk
	for i := range things {
		d := sensor.DatastreamID(1000 + i)
		messages = append(messages, []sensor.Observation{observation(d, noon+5, 2), observation(d, noon, 1), observation(d, noon+5-86400_000*40, 3)})
	}
	insert(t, f, block(0, batch(1, messages...)), false)
	for _, since := range []int64{0, noon + 5, noon + 6} {
		seen := map[sensor.DatastreamID]bool{}
		err := f.Latest(t.Context(), since, func(b *sensor.Batch) error {
			for i := range b.Len() {
				_, _, o := b.Row(i)
				if seen[o.Datastream] || o.Result != 2 || o.PhenomenonTime != noon+5 || o.Registry != 3 {
					return fmt.Errorf("unexpected %+v", o)
				}
				seen[o.Datastream] = true
			}
			return nil
		})
		if want := map[bool]int{true: 0, false: things}[since > noon+5]; err != nil || len(seen) != want {
			t.Errorf("since %d: %d Datastreams, %v, want %d", since, len(seen), err, want)
		}
	}
	stop := errors.New("enough")
	if err := f.Latest(t.Context(), 0, func(*sensor.Batch) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of the reader: %v", err)
	}
	n := 0
	must(t, f.NewestTimes(t.Context(), func(d sensor.DatastreamID, at int64) {
		n++
		if at != noon+5 {
			t.Errorf("newest of %s: %d", d, at)
		}
	}))
	if n != things {
		t.Errorf("newest times of %d Datastreams, want %d", n, things)
	}
}

func testPages(t *testing.T, f *fixture) {
	f.migrate(t)
	var messages [][]sensor.Observation
	for i := range 25 {
		messages = append(messages, []sensor.Observation{observation(10, noon+int64(i), float64(i)), observation(20, noon+int64(i), -1),
			observation(10, noon+int64(i), float64(i))}) // each comes twice
	}
	insert(t, f, block(0, batch(1, messages...)), false)
	var got []float64
	cursor, pages := "", 0
	for {
		points, next, err := f.Observations(t.Context(), 10, noon+2, noon+24, 10, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range points {
			got = append(got, p.Result)
		}
		if pages++; next == "" {
			break
		}
		cursor = next
	}
	if pages != 3 || len(got) != 22 || got[0] != 2 || got[21] != 23 {
		t.Errorf("%d pages: %v", pages, got)
	}
	if _, _, err := f.Observations(t.Context(), 10, 0, 1, 10, "x' OR 1"); !errors.Is(err, store.ErrCursor) {
		t.Errorf("a forged cursor: %v", err)
	}
	if points, _, err := f.Observations(t.Context(), 10, -1<<62, 1<<62, 100, ""); err != nil || len(points) != 25 {
		t.Errorf("all time: %d points, %v", len(points), err)
	}
}

func testDeadLetters(t *testing.T, f *fixture) {
	f.migrate(t)
	b := new(sensor.Batch)
	const n = 25
	for i := range n {
		reason := []sensor.Reason{sensor.ReasonMalformed, sensor.ReasonThing}[i%2]
		at := noon + int64(i/5) // five at the same instant
		b.Add(producer, uint64(i+1), &sensor.Message{Arrival: at, DeadLetters: []sensor.DeadLetter{{Reason: reason, Detail: "why",
			Topic: "situ/v1/o/t/json", Owner: fmt.Sprintf("o%d", i%3), Size: 5, Payload: []byte("\x00\xff'\n" + fmt.Sprint(i))}}})
	}
	b.Add(producer, n+1, &sensor.Message{Arrival: noon - 86400_000*40, DeadLetters: []sensor.DeadLetter{{Reason: sensor.ReasonTime}}})
	for range 2 {
		must(t, f.InsertBeside(t.Context(), block(0, b)))
	}
	for _, c := range []struct {
		filter store.DeadLetterFilter
		want   int
	}{{store.DeadLetterFilter{}, n + 1}, {store.DeadLetterFilter{Reason: sensor.ReasonThing}, 12}, {store.DeadLetterFilter{Owner: "o1"}, 8}} {
		var got []store.StoredDeadLetter
		c.filter.Limit = 7
		for {
			letters, next, err := f.DeadLetters(t.Context(), c.filter)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, letters...)
			if next == "" {
				break
			}
			c.filter.Cursor = next
		}
		seen := map[uint64]bool{}
		for i, l := range got {
			seen[l.Seq] = true
			if i > 0 && l.Arrival > got[i-1].Arrival {
				t.Errorf("%+v: not newest first at %d", c.filter, i)
			}
			if l.Reason != sensor.ReasonTime && string(l.Payload) != "\x00\xff'\n"+fmt.Sprint(l.Seq-1) {
				t.Errorf("payload of %d: %q", l.Seq, l.Payload)
			}
			if l.State != "open" || l.Producer != producer {
				t.Errorf("%+v", l)
			}
		}
		if len(got) != c.want || len(seen) != c.want {
			t.Errorf("%+v: %d dead letters, %d different, want %d", c.filter, len(got), len(seen), c.want)
		}
	}
	if _, _, err := f.DeadLetters(t.Context(), store.DeadLetterFilter{Limit: 1, Cursor: "%%"}); !errors.Is(err, store.ErrCursor) {
		t.Errorf("a forged cursor: %v", err)
	}
}

func testErrors(t *testing.T, f *fixture) {
	b := block(0, batch(1, []sensor.Observation{observation(10, noon, 1)}))
	err := f.InsertRows(t.Context(), b, false) // no tables
	if !errors.Is(err, store.ErrRefused) || store.Retryable(err) || store.Code(err) == 0 {
		t.Errorf("no table: %v (code %d), want refused", err, store.Code(err))
	}
	if err := f.InsertBlock(t.Context(), b); !errors.Is(err, store.ErrRefused) {
		t.Errorf("no table: %v, want refused", err)
	}
}
