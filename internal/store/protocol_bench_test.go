package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/bus/inproc"
	"github.com/situ-city/situ/internal/ingester"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// protocolRows is one run of BenchmarkProtocol: 250,000 messages of four values.
const protocolRows = 1_000_000

// BenchmarkProtocol stores the same spool twice in turn, from the bus to SELECT: by the ingester with all that it does
// for "exactly once" (watermarks, intents and commits synced, tokens and the engine's window of them, the record of the
// block, pairs that repeat, identity columns), and by a loop that fetches and inserts the data columns and promises
// nothing. Both sync their parts to disk. It prints CPU-seconds a million rows of both processes and bytes a row of
// merged tables, and their ratios: what the protocol costs.
//
//	go test -run '^$' -bench Protocol -benchtime 3x ./internal/store
func BenchmarkProtocol(b *testing.B) {
	dir := b.TempDir()
	var with, without time.Duration
	var full, bare float64
	runs := 0
	for b.Loop() {
		s, conn, name := benchStore(b) // anew: the blocks of the run before are known to the old one
		runs++
		log, rest := protocolSpool(b, filepath.Join(dir, fmt.Sprint(runs), "live"))
		bus, err := inproc.Open(inproc.Config{Spools: []*spool.Spool{log}, Dir: filepath.Join(dir, fmt.Sprint(runs)), Groups: []string{"ingest", "keep"}})
		if err != nil {
			b.Fatal(err)
		}
		ingest(b, s, bus) // what a log holds before its first commit is compared by identity, once in its life
		rest()
		if err := conn.Exec(b.Context(), "CREATE OR REPLACE TABLE bare AS observations"); err != nil {
			b.Fatal(err)
		}
		for _, c := range []string{"gateway", "epoch", "lane", "seq", "idx"} {
			if err := conn.Exec(b.Context(), "ALTER TABLE bare DROP COLUMN "+c); err != nil {
				b.Fatal(err)
			}
		}
		if err := conn.Exec(b.Context(), "ALTER TABLE bare MODIFY SETTING non_replicated_deduplication_window = 0"); err != nil {
			b.Fatal(err)
		}
		pair := []func(){
			func() { with += cpuOf(b, func() { ingest(b, s, bus) }) },
			func() { without += cpuOf(b, func() { pour(b, s, bus) }) },
		}
		for i := range pair { // each goes first every other time
			pair[(i+runs)%2]()
		}
		for _, table := range []string{"observations", "bare"} {
			var n uint64
			if err := conn.QueryRow(b.Context(), "SELECT count() FROM "+table).Scan(&n); err != nil || n != protocolRows {
				b.Fatalf("%s has %d rows: %v", table, n, err)
			}
		}
		if err := errors.Join(bus.Close(), log.Close()); err != nil {
			b.Fatal(err)
		}
		full, bare = merged(b, conn, name, "observations"), merged(b, conn, name, "bare")
	}
	m := float64(runs) * protocolRows / 1e6
	b.ReportMetric(with.Seconds()/m, "with-cpu-s/M")
	b.ReportMetric(without.Seconds()/m, "without-cpu-s/M")
	b.ReportMetric(with.Seconds()/without.Seconds(), "cpu-ratio")
	b.ReportMetric(full, "with-B/row")
	b.ReportMetric(bare, "without-B/row")
	b.ReportMetric(full/bare, "bytes-ratio")
}

// cpuOf is the CPU time of this process and of the engine while f runs.
func cpuOf(b *testing.B, f func()) time.Duration {
	ours, theirs := cpu(b)
	f()
	ours2, theirs2 := cpu(b)
	return ours2 - ours + theirs2 - theirs
}

// protocolSpool makes a spool with the first message of a city; rest appends all others.
func protocolSpool(b *testing.B, dir string) (s *spool.Spool, rest func()) {
	s, err := spool.Open(spool.Config{Dir: dir, Gateway: "gw1", MaxBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	var city cityBlock
	var m sensor.Message
	acks := &synced{b: b}
	rows, i := city.next(protocolRows), 0
	put := func(end int) {
		for i < end {
			m.Observations = m.Observations[:0]
			id, arrival, _ := rows.Row(i)
			for ; i < rows.Len() && rows.Seq[i] == id.Seq; i++ {
				_, _, o := rows.Row(i)
				m.Observations = append(m.Observations, o)
			}
			m.Arrival = arrival
			acks.Add(1)
			if err := s.Append(sensor.AppendMessage(nil, &m), spool.Ack{To: acks}); err != nil {
				b.Fatal(err)
			}
		}
		acks.Wait()
	}
	put(1)
	return s, func() { put(rows.Len()) }
}

type synced struct {
	sync.WaitGroup
	b *testing.B
}

func (a *synced) Acked(_ uint64, err error) {
	if err != nil {
		a.b.Error(err)
	}
	a.Done()
}

// ingest stores everything in the bus with situ's own ingester.
func ingest(b *testing.B, s *store.Store, bus *inproc.Bus) {
	group, err := bus.Group("ingest")
	if err != nil {
		b.Fatal(err)
	}
	in, err := ingester.New(ingester.Options{Log: bus, Group: group, Store: s})
	if err != nil {
		b.Fatal(err)
	}
	_, next, err := bus.Bounds(b.Context(), 0)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for at := int64(-1); at != next; {
		select {
		case err := <-ended:
			b.Fatal(err)
		case <-tick.C:
		}
		p, err := group.Committed(ctx, 0)
		if err != nil {
			b.Fatal(err)
		}
		at = p.Offset
	}
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

// pour fetches and inserts, and promises nothing.
func pour(b *testing.B, s *store.Store, bus *inproc.Bus) {
	first, next, err := bus.Bounds(b.Context(), 0)
	if err != nil {
		b.Fatal(err)
	}
	var batch sensor.Batch
	for from := first; from < next; {
		batch.Reset()
		if from, err = bus.Fetch(b.Context(), 0, from, next, ingester.DefaultMaxRows, &batch); err != nil {
			b.Fatal(err)
		}
		if err := s.InsertBare(b.Context(), "bare", &batch); err != nil {
			b.Fatal(err)
		}
	}
}

// merged is the size of a row once the table is one part.
func merged(b *testing.B, conn driver.Conn, database, table string) (bytes float64) {
	if err := conn.Exec(b.Context(), "OPTIMIZE TABLE "+table+" FINAL"); err != nil {
		b.Fatal(err)
	}
	if err := conn.QueryRow(b.Context(), "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE active AND table = '"+table+"' AND database = '"+
		database+"'").Scan(&bytes); err != nil {
		b.Fatal(err)
	}
	return bytes
}
