package store_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// TestPayloadBytes prints what a kept payload takes on disk, and what revisions cost whoever asks; docs/formats/payloads.md has
// the numbers.
func TestPayloadBytes(t *testing.T) {
	if os.Getenv("SITU_MEASURE") == "" {
		t.Skip("not run: SITU_MEASURE=1 measures bytes and times, which depend on the machine")
	}
	conn, db := embedded(t)
	s, err := store.Open(t.Context(), store.Options{Conn: conn, Database: db, Cell: benchCell})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	must(s.Migrate(t.Context()))
	random := rand.New(rand.NewPCG(1, 1))
	p := sensor.Producer{Gateway: "gw", Epoch: 1}
	const things, minutes, perBlock = 2000, 240, 100_000
	begin := time.Now().Add(-6 * time.Hour).UnixMilli()
	b := &store.Block{Log: "00112233445566778899aabbccddeeff", Batch: new(sensor.Batch)}
	flush := func() {
		must(s.InsertRepeats(t.Context(), b))
		must(s.InsertRows(t.Context(), b, false))
		must(s.InsertBeside(t.Context(), b))
		b = &store.Block{Log: b.Log, From: b.From + perBlock, To: b.From + 2*perBlock, Batch: &sensor.Batch{Watermarks: b.Batch.Watermarks}}
	}
	values := make([][2]float64, things)
	bytes := 0
	for m := range minutes {
		for i := range things {
			at := begin + int64(m)*60_000 + int64(i)*30 + random.Int64N(20)
			v := &values[i]
			v[0], v[1] = v[0]+float64(random.IntN(5)-2)/10, v[1]+float64(random.IntN(3)-1)
			payload := fmt.Appendf(nil, `{"t":%d,"lon":%.4f,"lat":29.5630,"temperature":%.1f,"pm2_5":%.0f,"battery":%.2f}`, at-40, 106.5+float64(i)/1e4, 20+v[0], 60+v[1], 3.6)
			bytes += len(payload)
			k := &sensor.KeptPayload{Topic: fmt.Sprintf("situ/v1/eco/air-%05d/json", i), Protocol: "json", Named: sensor.ThingID(fmt.Sprintf("eco/air-%05d", i)),
				Client: fmt.Sprintf("air-%05d", i), User: "eco", QoS: 1, Size: len(payload), Payload: payload}
			var o []sensor.Observation
			for j, x := range v {
				o = append(o, sensor.Observation{Datastream: sensor.DatastreamID(1 + 2*i + j), Thing: sensor.ThingKey(1 + i), Property: 1, PhenomenonTime: at - 40, ResultTime: at - 40,
					Result: x, Lon: 1_065_000_000 + int32(i)*1000, Lat: 295_630_000})
			}
			b.Batch.Add(p, uint64(m*things+i+1), &sensor.Message{Arrival: at, Observations: o, Kept: k})
			if b.Batch.Messages == perBlock {
				flush()
			}
		}
	}
	flush()
	ask := func(query string) (text string) {
		rows, err := conn.Query(t.Context(), query)
		must(err)
		defer rows.Close()
		for rows.Next() {
			var s string
			must(rows.Scan(&s))
			text += s + " "
		}
		must(rows.Err())
		return text
	}
	for _, table := range []string{"payload_rows", "observations"} {
		must(conn.Exec(t.Context(), "OPTIMIZE TABLE "+db+"."+table+" FINAL"))
		t.Log(table, ask(fmt.Sprintf("SELECT toString((sum(rows), round(sum(bytes_on_disk) / sum(rows), 2))) FROM system.parts WHERE active AND database = '%s' AND table = '%s'", db, table)),
			ask(fmt.Sprintf("SELECT concat(column, ' ', toString(round(sum(column_data_compressed_bytes) / sum(rows), 4))) FROM system.parts_columns WHERE active AND database = '%s' AND table = '%s' GROUP BY column HAVING sum(column_data_compressed_bytes) / sum(rows) > 0.01 OR column IN ('revision', 'retracted') ORDER BY sum(column_data_compressed_bytes) DESC", db, table)))
	}
	t.Logf("%d messages of %.1f bytes", things*minutes, float64(bytes)/things/minutes)
	took := func(what, query string) {
		best := time.Hour
		for range 5 {
			began := time.Now()
			ask(query)
			best = min(best, time.Since(began))
		}
		t.Log(what, best.Round(100*time.Microsecond))
	}
	queries := func(when string) {
		took(when+": count() of history", "SELECT toString(count()) FROM "+db+".history")
		took(when+": avg of history", "SELECT toString(avg(result)) FROM "+db+".history")
		took(when+": a Datastream's day", "SELECT toString(avg(result)) FROM "+db+".history WHERE datastream = 77")
		took(when+": count() of latest", "SELECT toString(count()) FROM "+db+".latest")
	}
	queries("nothing revised")
	v := new(store.Revision)
	for i := range things * minutes / 10 {
		at := begin + int64(i/things)*60_000
		v.Append(store.Message{Producer: p, Seq: uint64(i + 1), Arrival: at}, store.Standing{Revision: 1, Observation: sensor.Observation{Datastream: sensor.DatastreamID(1 + 2*(i%things)),
			Thing: sensor.ThingKey(1 + i%things), Property: 1, PhenomenonTime: at, ResultTime: at, Result: 1, Lon: sensor.NoPosition, Lat: sensor.NoPosition}})
		if v.Len() == 4096 {
			must(s.InsertRevision(t.Context(), v, 0))
			v = new(store.Revision)
		}
	}
	must(s.InsertRevision(t.Context(), v, 0))
	queries("48,000 pairs revised")
	const of = "SELECT *, result FROM %[1]s.observations WHERE (datastream, phenomenon_time) IN (SELECT datastream, phenomenon_time FROM %[1]s.repeats)"
	const best = " ORDER BY datastream, phenomenon_time, result_lag DESC, arrival_time DESC, gateway DESC, epoch DESC, lane DESC, seq DESC, idx DESC LIMIT 1 BY datastream, phenomenon_time"
	took("repeats alone, as before revisions", fmt.Sprintf("SELECT toString(avg(result)) FROM ("+of+best+")", db))
	took("repeats alone, with revisions", fmt.Sprintf("SELECT toString(avg(result)) FROM (SELECT * FROM ("+of+
		" ORDER BY datastream, phenomenon_time, gateway, epoch, lane, seq, revision DESC, result_lag DESC, idx DESC LIMIT 1 BY datastream, phenomenon_time, gateway, epoch, lane, seq) WHERE retracted = 0"+best+")", db))
}
