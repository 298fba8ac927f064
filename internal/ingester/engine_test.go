package ingester

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/bus/inproc"
	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Run(m)) }

// road is a spool, the bus on it, and a real engine behind a store.
type road struct {
	dir    string
	spools []*spool.Spool
	bus    *inproc.Bus
	conn   driver.Conn
	store  *store.Store

	seq      map[sensor.Lane]uint64
	messages [2]int
	rows     int
	letters  int
	kept     int
	instants map[store.Pair]bool
}

func newRoad(t *testing.T, opt store.Options) *road {
	t.Helper()
	s, err := store.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := &road{dir: t.TempDir(), store: s, seq: map[sensor.Lane]uint64{}, instants: map[store.Pair]bool{}}
	r.open(t)
	t.Cleanup(func() { r.close(t) })
	return r
}

func (r *road) open(t *testing.T) {
	t.Helper()
	r.spools = nil
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		s, err := spool.Open(spool.Config{Dir: filepath.Join(r.dir, lane.String()), Gateway: "gw", Lane: lane, MaxBytes: 64 << 20,
			CommitDelay: 100 * time.Microsecond})
		if err != nil {
			t.Fatal(err)
		}
		r.spools = append(r.spools, s)
	}
	var err error
	r.bus, err = inproc.Open(inproc.Config{Spools: r.spools, Dir: r.dir, Groups: []string{"ingest"}})
	if err != nil {
		t.Fatal(err)
	}
}

// keepForEver: the messages are of a fixed day.
func (r *road) keepForEver(t *testing.T) {
	t.Helper()
	if err := r.conn.Exec(t.Context(), "ALTER TABLE "+r.store.Database()+".payload_rows REMOVE TTL"); err != nil {
		t.Fatal(err)
	}
}

func (r *road) close(t *testing.T) {
	t.Helper()
	if err := r.bus.Close(); err != nil {
		t.Error(err)
	}
	for _, s := range r.spools {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func (r *road) group(t *testing.T) *inproc.Group {
	t.Helper()
	g, err := r.bus.Group("ingest")
	if err != nil {
		t.Fatal(err)
	}
	return g
}

type acked struct {
	sync.WaitGroup
	t *testing.T
}

func (a *acked) Acked(_ uint64, err error) {
	if err != nil {
		a.t.Error(err)
	}
	a.Done()
}

// publish appends n messages of 0 to 3 values over both lanes and two months; every tenth value is of an instant that
// was there before. It returns when they are durable.
func (r *road) publish(t *testing.T, random *rand.Rand, n int) {
	t.Helper()
	acks := &acked{t: t}
	base := time.Date(2026, 10, 31, 23, 59, 0, 0, time.UTC).UnixMilli()
	for range n {
		lane := random.IntN(2)
		r.messages[lane]++
		m := sensor.Message{Arrival: base + int64(r.rows)}
		for range random.IntN(4) {
			at := base + int64(r.rows)*100
			if random.IntN(10) == 0 {
				at = base + int64(random.IntN(r.rows+1))*100
			}
			o := sensor.Observation{Datastream: sensor.DatastreamID(1 + random.IntN(5)), Thing: 1, Property: 1, PhenomenonTime: at, ResultTime: at,
				Result: float64(r.rows) / 10, Lon: sensor.NoPosition, Lat: sensor.NoPosition}
			r.instants[store.Pair{Datastream: o.Datastream, PhenomenonTime: at}] = true
			m.Observations = append(m.Observations, o)
			r.rows++
		}
		if len(m.Observations) == 0 {
			m.DeadLetters = []sensor.DeadLetter{{Reason: sensor.ReasonChecksum, Detail: "test", Owner: "o"}}
			r.letters++
		}
		if random.IntN(3) == 0 {
			m.Kept = &sensor.KeptPayload{Topic: "a/b", Size: 1, Payload: []byte{byte(r.rows)}}
			r.kept++
		}
		acks.Add(1)
		if err := r.spools[lane].Append(sensor.AppendMessage(nil, &m), spool.Ack{To: acks}); err != nil {
			t.Fatal(err)
		}
	}
	acks.Wait()
}

// done: everything in the log is committed, and nothing is under way.
func (r *road) done() bool {
	g, err := r.bus.Group("ingest")
	if err != nil {
		return false
	}
	for part, s := range r.spools {
		_, next := s.Bounds()
		at, err := g.Committed(context.Background(), int32(part))
		if err != nil || at.Offset != int64(next) && next > 1 || at.Meta != "" {
			return false
		}
	}
	return true
}

// check asks SQL: every message once, every instant once in history.
func (r *road) check(t *testing.T) {
	t.Helper()
	for _, c := range []struct {
		what, query string
		want        int
	}{
		{"rows", "SELECT count() FROM %s.observations", r.rows},
		{"identities", "SELECT uniqExact(gateway, epoch, lane, seq, idx) FROM %s.observations", r.rows},
		{"different results", "SELECT uniqExact(result) FROM %s.observations", r.rows},
		{"instants in history", "SELECT count() FROM %s.history", len(r.instants)},
		{"different instants in history", "SELECT uniqExact(datastream, phenomenon_time) FROM %s.history", len(r.instants)},
		{"dead letters", "SELECT count() FROM %s.deadletters", r.letters},
		{"kept payloads", "SELECT count() FROM %s.payloads", r.kept},
		{"messages that payloads are of", "SELECT uniqExact(gateway, epoch, lane, seq) FROM %s.payloads", r.kept},
		{"messages by the blocks' own count", "SELECT sum(messages) FROM %s.ingest_blocks FINAL", r.messages[0] + r.messages[1]},
		{"rows by the blocks' own count", "SELECT sum(observations) FROM %s.ingest_blocks FINAL", r.rows},
		{"blocks that overlap", "SELECT count() FROM %[1]s.ingest_blocks a JOIN %[1]s.ingest_blocks b ON a.log = b.log AND a.partition = b.partition " +
			"WHERE a.block_from < b.block_from AND b.block_from < a.block_to", 0},
	} {
		var n uint64
		if err := r.conn.QueryRow(t.Context(), fmt.Sprintf(c.query, r.store.Database())).Scan(&n); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if n != uint64(c.want) {
			t.Errorf("%s: %d, want %d", c.what, n, c.want)
		}
	}
}

// The process dies at every call that lasts, before and after it, one after the other, over one log and one engine.
func TestEngineExactlyOnceThroughCrashes(t *testing.T) {
	conn, _ := enginetest.Start(t)
	var database string
	if err := conn.QueryRow(t.Context(), "SELECT currentDatabase()").Scan(&database); err != nil {
		t.Fatal(err)
	}
	r := newRoad(t, store.Options{Conn: conn, Database: database})
	r.conn = conn
	r.keepForEver(t)
	random := rand.New(rand.NewPCG(1, 2))
	lives := 0
	for at := range 14 {
		for _, after := range []bool{false, true} {
			r.publish(t, random, 40)
			opt := Options{MaxRows: 10 + random.IntN(40), Linger: 5 * time.Millisecond}
			if _, err := life(r.bus, r.group(t), r.store, opt, &bomb{at: at, after: after}, r.done); err != nil {
				t.Fatalf("crash at call %d: %v", at, err)
			}
			lives++
			r.close(t)
			r.open(t)
		}
	}
	if _, err := life(r.bus, r.group(t), r.store, Options{Linger: 5 * time.Millisecond}, &bomb{at: -1}, r.done); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d lives, %d messages, %d rows", lives, r.messages[0]+r.messages[1], r.rows)
	r.check(t)
}

// The engine is killed in the middle of inserts; the ingester lives on, waits, and repeats.
func TestEngineKilledInMidInsert(t *testing.T) {
	library := enginetest.Library(t)
	dir, err := os.MkdirTemp("", "situ-ingester") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	super, socket, stop, err := enginetest.Supervised(dir, library, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	ready, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := super.WaitReady(ready); err != nil {
		t.Fatal(err)
	}
	r := newRoad(t, store.Options{ClickHouse: engine.Options(socket, "")})
	r.conn, err = engine.Open(socket, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.conn.Close()
	r.keepForEver(t)

	in, err := New(Options{Log: r.bus, Group: r.group(t), Store: r.store, MaxRows: 300, Linger: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 3 {
		victim := super.Pid()
		kill := time.AfterFunc(time.Duration(5+random.IntN(150))*time.Millisecond, func() {
			_ = syscall.Kill(victim, syscall.SIGKILL) // it is ours and alive
		})
		for super.Pid() == victim {
			r.publish(t, random, 200)
		}
		kill.Stop()
		up, cancel := context.WithTimeout(t.Context(), time.Minute)
		err := super.WaitReady(up)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(time.Minute); !r.done(); {
		select {
		case <-tick.C:
		case err := <-ended:
			t.Fatal(err)
		case <-limit:
			t.Fatalf("not done: %v", in.Ready())
		}
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	t.Logf("%d messages, %d rows", r.messages[0]+r.messages[1], r.rows)
	r.check(t)
}
