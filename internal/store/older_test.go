package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// What a data directory of before revisions holds is shown as it was, can be revised, and goes on.
func TestTablesOfBeforeRevisions(t *testing.T) {
	conn, db := embedded(t)
	s, err := store.Open(t.Context(), store.Options{Conn: conn, Database: db, Cell: benchCell})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	must(s.MigrateTo(t.Context(), 9))
	noon := time.Date(2026, 11, 15, 12, 0, 0, 0, time.UTC).UnixMilli()
	p := sensor.Producer{Gateway: "gw", Epoch: 1}
	put := func(from int64, first uint64) {
		b := &store.Block{Log: "00112233445566778899aabbccddeeff", From: from, To: from + 50, Batch: new(sensor.Batch)}
		for i := range uint64(50) {
			at := noon + int64(i%40)*1000 + int64(first) // ten of them twice
			o := sensor.Observation{Datastream: 7, Thing: 1, PhenomenonTime: at, ResultTime: at, Result: float64(first + i), Lon: sensor.NoPosition, Lat: sensor.NoPosition}
			b.Batch.Add(p, first+i, &sensor.Message{Arrival: noon + int64(first+i), Observations: []sensor.Observation{o}})
			b.Repeats = append(b.Repeats, store.Pair{Datastream: 7, PhenomenonTime: at})
		}
		must(s.InsertRepeats(t.Context(), b))
		must(s.InsertRows(t.Context(), b, false)) // an INSERT that names the columns of before, as it did
	}
	history := func() (text string) {
		rows, err := conn.Query(t.Context(), "SELECT toUnixTimestamp64Milli(phenomenon_time), result, seq FROM "+db+".history ORDER BY 1")
		must(err)
		defer rows.Close()
		for rows.Next() {
			var at int64
			var result float64
			var seq uint64
			must(rows.Scan(&at, &result, &seq))
			text += fmt.Sprintln(at, result, seq)
		}
		must(rows.Err())
		return text
	}
	put(0, 1)
	before := history()
	must(s.Migrate(t.Context()))
	if after := history(); after != before || before == "" {
		t.Errorf("history was\n%s\nand is\n%s", before, after)
	}
	m := store.Message{Producer: p, Seq: 20, Arrival: noon + 20}
	stands, err := s.Standing(t.Context(), []store.Message{m})
	must(err)
	if len(stands[m]) != 1 || stands[m][0].Revision != 0 {
		t.Fatalf("%+v", stands)
	}
	v := new(store.Revision)
	now := stands[m][0]
	now.Revision, now.Retracted = 1, true
	v.Append(m, now)
	must(s.InsertRevision(t.Context(), v, 0))
	if got := strings.Count(history(), "\n"); got != 39 {
		t.Errorf("%d instants, want 40 without one", got)
	}
	put(100, 1001) // a second later, so that 39 instants are the same
	var n, retracted uint64
	must(conn.QueryRow(t.Context(), "SELECT count(), countIf(seq = 20) FROM "+db+".history").Scan(&n, &retracted))
	if n != 41 || retracted != 0 {
		t.Errorf("%d instants, want 41; %d of the message that says nothing any more", n, retracted)
	}
}
