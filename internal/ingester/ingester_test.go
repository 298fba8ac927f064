package ingester

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/pace"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

var gw = sensor.Producer{Gateway: "gw", Epoch: 1}

func message(seq uint64, rows int) logged {
	m := logged{p: gw, seq: seq, m: sensor.Message{Arrival: time.Now().UnixMilli()}}
	for i := range rows {
		m.m.Observations = append(m.m.Observations, sensor.Observation{Datastream: sensor.DatastreamID(i + 1), PhenomenonTime: int64(seq)})
	}
	return m
}

// watched notes what reaches the store, and when.
type watched struct {
	*memStore
	mu     sync.Mutex // guards what follows
	blocks []string
	sizes  []int
	fail   func(try int) error // called by InsertRows
	tries  int
}

func (w *watched) InsertRows(ctx context.Context, b *store.Block, doubtful bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries++
	if w.fail != nil {
		if err := w.fail(w.tries); err != nil {
			return err
		}
	}
	w.blocks = append(w.blocks, fmt.Sprintf("%d-%d doubtful=%v", b.From, b.To, doubtful))
	w.sizes = append(w.sizes, b.Batch.Len())
	return w.memStore.InsertRows(ctx, b, doubtful)
}

// running is an ingester under test; stop ends it and gives Run's error.
type running struct {
	*Ingester
	log   *memLog
	group *memGroup
	store *watched
	reg   *prometheus.Registry
	stop  func() error
}

func start(t *testing.T, opt Options, prepare ...func(*running)) *running {
	t.Helper()
	r := &running{log: newLog(1), store: &watched{memStore: newStore()}, reg: prometheus.NewRegistry()}
	r.group = newGroup(r.log)
	for _, p := range prepare {
		p(r)
	}
	opt.Log, opt.Group, opt.Store, opt.Registerer = r.log, r.group, r.store, r.reg
	in, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	r.Ingester = in
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()
	r.stop = func() error { cancel(); return <-ended }
	return r
}

func TestLoneReadingIsStoredSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{})
		time.Sleep(time.Hour) // nothing to do
		began := time.Now()
		r.log.append(0, message(1, 2))
		for len(r.store.count()) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(began); d > time.Second {
			t.Errorf("stored after %s", d)
		}
		synctest.Wait()
		if at := r.group.at[0]; at != (bus.Position{Offset: 1}) {
			t.Errorf("idle position %+v, want offset 1 and no intent", at)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A commit without an answer may arrive once more: until it cannot, nothing follows it, not even the same commit.
func TestCommitWithoutAnswerIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{}, func(r *running) {
			r.log.append(0, message(1, 1))
			r.group.unanswered = 2
		})
		time.Sleep(time.Minute)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if len(r.group.sent) < 3 {
			t.Fatalf("%d commits", len(r.group.sent))
		}
		for i := range 2 {
			if gap := r.group.sent[i+1].Sub(r.group.sent[i]); gap < protocol.Lease {
				t.Errorf("commit %d is sent %v after the one without an answer", i+1, gap)
			}
		}
		if r.group.at[0] != (bus.Position{Offset: 1}) || len(r.store.count()) != 1 {
			t.Errorf("position %+v, rows %v", r.group.at[0], r.store.count())
		}
	})
}

// What a replaced process was about to read may be freed by its successor: that is no fault of the log.
func TestReplacedReaderDoesNotStopTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{}, func(r *running) {
			r.log.append(0, message(1, 1), message(2, 1))
		})
		time.Sleep(time.Second)
		r.group.mu.Lock()
		r.group.generation++
		r.group.at[0] = bus.Position{Offset: 4}
		r.group.mu.Unlock()
		r.log.mu.Lock()
		r.log.first[0] = 4
		r.log.mu.Unlock()
		r.log.append(0, message(3, 1), message(4, 1), message(5, 1))
		time.Sleep(time.Second)
		if err := r.stop(); err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestBlocksAreBigWhenMuchComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{MaxRows: 1000}, func(r *running) {
			for seq := range uint64(1500) {
				r.log.append(0, message(seq+1, 2))
			}
		})
		time.Sleep(time.Second)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		// All of it was there when a log without a position was taken over, so it is compared.
		if got := strings.Join(r.store.blocks, " "); got != "0-500 doubtful=true 500-1000 doubtful=true 1000-1500 doubtful=true" {
			t.Errorf("blocks %s", got)
		}
	})
}

func TestCommitTakesTheNextIntentAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var commits []bus.Position
		r := start(t, Options{MaxRows: 2}, func(r *running) {
			for seq := range uint64(6) {
				r.log.append(0, message(seq+1, 1))
			}
			r.store.fail = func(int) error { // sees the group's position at each insert, which takes its time
				time.Sleep(time.Millisecond)
				r.group.mu.Lock()
				defer r.group.mu.Unlock()
				commits = append(commits, r.group.at[0])
				return nil
			}
		})
		time.Sleep(time.Second)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		for n, c := range commits {
			if i, err := protocol.ParseIntent(c.Meta); err != nil || i == nil || i.From != c.Offset || c.Offset != int64(2*n) || i.To != c.Offset+2 {
				t.Errorf("at insert %d: %+v", n, c)
			}
		}
		if len(commits) != 3 || r.group.at[0] != (bus.Position{Offset: 6}) {
			t.Errorf("%d inserts seen, last position %+v", len(commits), r.group.at[0])
		}
		// 3 intents of which 2 carry the offset before, and the last offset: the group was asked 4 times, not 6.
		if r.group.commits != 4 {
			t.Errorf("%d commits for 3 blocks, want 4", r.group.commits)
		}
	})
}

func TestStoreThatIsAwayIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{}, func(r *running) {
			r.store.fail = func(try int) error {
				if try <= 20 {
					return fmt.Errorf("insert: %w", store.ErrUnavailable)
				}
				return nil
			}
			r.log.append(0, message(1, 3))
		})
		time.Sleep(10 * time.Second)
		if err := r.Ready(); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "partition 0: rows") {
			t.Errorf("not ready because of %v", err)
		}
		r.log.append(0, message(2, 3))
		time.Sleep(3 * time.Minute)
		if err := r.Ready(); err != nil {
			t.Errorf("still not ready: %v", err)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if got := strings.Join(r.store.blocks, " "); got != "0-1 doubtful=true 1-2 doubtful=false" {
			t.Errorf("blocks %s", got)
		}
		if n := testutil.ToFloat64(r.m.retries.WithLabelValues("rows")); n != 20 {
			t.Errorf("%v retries counted, want 20", n)
		}
	})
}

// A full disk under the commits heals; it used to end the process after six tries.
func TestFullDiskUnderTheCommitsIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{}, func(r *running) {
			r.group.full = 30
			r.log.append(0, message(1, 3))
		})
		time.Sleep(10 * time.Second)
		if err := r.Ready(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("not ready because of %v", err)
		}
		time.Sleep(time.Minute)
		if err := r.Ready(); err != nil {
			t.Errorf("still not ready: %v", err)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if got := strings.Join(r.store.blocks, " "); !strings.HasPrefix(got, "0-1 ") || len(r.store.blocks) != 1 {
			t.Errorf("blocks %s", got)
		}
	})
}

func TestStopFlushesWhatIsFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{Linger: time.Hour}, func(r *running) { r.log.append(0, message(1, 3)) })
		synctest.Wait()
		if n := len(r.store.count()); n != 0 {
			t.Fatalf("%d rows before the linger: the test shows nothing", n)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if n := len(r.store.count()); n != 3 {
			t.Errorf("%d rows, want 3", n)
		}
		if at := r.group.at[0]; at != (bus.Position{Offset: 1}) {
			t.Errorf("position %+v", at)
		}
	})
}

func TestStopWithoutAStoreEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{}, func(r *running) {
			r.store.fail = func(int) error { return store.ErrUnavailable }
			r.log.append(0, message(1, 3))
		})
		time.Sleep(time.Minute)
		began := time.Now()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d > DefaultPatience {
			t.Errorf("took %s", d)
		}
		if i, err := protocol.ParseIntent(r.group.at[0].Meta); err != nil || i == nil {
			t.Errorf("the intent is gone: %+v %v", r.group.at[0], err)
		}
	})
}

// Told to stop while it could not read the block that it was to replay, it used to end as if something had gone wrong.
func TestStopInAReplayWithoutABusIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{}, func(r *running) {
			r.log.append(0, message(1, 3))
			r.log.away = errors.New("no broker answers")
			intent := protocol.Intent{Version: 1, Log: r.log.id.String(), To: 1, First: true}
			r.group.at[0] = bus.Position{Meta: intent.Encode()}
		})
		time.Sleep(time.Minute)
		if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "no broker answers") {
			t.Errorf("ready: %v", err)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestOffsetThatIsNotInTheLogStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{}, func(r *running) {
			for seq := range uint64(10) {
				r.log.append(0, message(seq+1, 1))
			}
			r.log.first[0] = 7
			r.group.at[0] = bus.Position{Offset: 5}
			r.store.memStore.blocks["x"] = &store.Block{Log: r.log.id.String(), To: 5}
		})
		time.Sleep(time.Second)
		err := r.stop()
		if !errors.Is(err, bus.ErrOffset) || !strings.Contains(err.Error(), "holds offsets 7 to 9 and the next to store is 5") ||
			!strings.Contains(err.Error(), "bring the log back") {
			t.Errorf("%v", err)
		}
		if len(r.store.count()) != 0 {
			t.Error("it stored something all the same")
		}
	})
}

func TestDeclarationsComeBeforeTheOffsetMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group *memGroup
		var heard []sensor.ThingID
		tries := 0
		opt := Options{Declare: func(_ context.Context, d []sensor.Declaration) error {
			if tries++; tries < 3 {
				return errors.New("the registry is busy")
			}
			group.mu.Lock()
			defer group.mu.Unlock()
			if group.at[0].Offset != 0 {
				t.Error("the offset has moved already")
			}
			for _, d := range d {
				heard = append(heard, d.Thing.ID)
			}
			return nil
		}}
		m := message(1, 1)
		m.m.Declarations = []sensor.Declaration{{Thing: &sensor.Thing{ID: "a/b"}}}
		r := start(t, opt, func(r *running) {
			group = r.group
			r.log.append(0, m, message(2, 1))
		})
		time.Sleep(time.Minute)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if len(heard) != 1 || heard[0] != "a/b" {
			t.Errorf("declared: %v", heard)
		}
	})
}

func TestMetricsCountEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := message(1, 2)
		m.m.DeadLetters = []sensor.DeadLetter{{Reason: sensor.ReasonChecksum}}
		beat := logged{p: gw, seq: 2, m: sensor.Message{Empty: sensor.ReasonHeartbeat}}
		r := start(t, Options{}, func(r *running) { r.log.append(0, m, beat, m) })
		time.Sleep(time.Second)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if err := testutil.GatherAndCompare(r.reg, strings.NewReader(`
# HELP situ_ingester_dead_letters_total Dead letters stored.
# TYPE situ_ingester_dead_letters_total counter
situ_ingester_dead_letters_total{reason="checksum"} 1
# HELP situ_ingester_duplicates_total Messages dropped because their seq had been seen.
# TYPE situ_ingester_duplicates_total counter
situ_ingester_duplicates_total 1
# HELP situ_ingester_empties_total Messages that rightly have no observation.
# TYPE situ_ingester_empties_total counter
situ_ingester_empties_total{reason="heartbeat"} 1
# HELP situ_ingester_messages_total Messages stored.
# TYPE situ_ingester_messages_total counter
situ_ingester_messages_total 2
# HELP situ_ingester_observations_total Observations stored.
# TYPE situ_ingester_observations_total counter
situ_ingester_observations_total 2
# HELP situ_ingester_offset Everything before it is stored.
# TYPE situ_ingester_offset gauge
situ_ingester_offset{partition="0"} 3
`), "situ_ingester_messages_total", "situ_ingester_observations_total", "situ_ingester_duplicates_total",
			"situ_ingester_dead_letters_total", "situ_ingester_empties_total", "situ_ingester_offset"); err != nil {
			t.Error(err)
		}
	})
}

func TestNewWantsItsParts(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("an ingester without anything was made")
	}
	reg := prometheus.NewRegistry()
	l := newLog(1)
	opt := Options{Log: l, Group: newGroup(l), Store: newStore(), Registerer: reg}
	if _, err := New(opt); err != nil {
		t.Error(err)
	}
	if _, err := New(opt); err == nil {
		t.Error("the same metrics were registered twice")
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l := newLog(1)
	l.append(0, message(1, 1))
	ctx, cancel := context.WithCancel(t.Context())
	s := newStore()
	in, err := New(Options{Log: l, Group: newGroup(l), Store: s, Linger: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- in.Run(ctx) }()
	for len(s.count()) == 0 {
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// storm is the pace of two lanes as the processes make it, and notes how far backfill was when live had nothing left.
type storm struct {
	share          *pace.Share
	live, backfill atomic.Int64 // rows
	all            int64        // of live
	atLivesEnd     atomic.Int64 // rows of backfill by then
}

func (s *storm) Wait(ctx context.Context, part int32) error {
	if sensor.Lane(part) != sensor.Backfill {
		return nil
	}
	return s.share.Wait(ctx)
}

func (s *storm) Moved(part int32, rows int) {
	if sensor.Lane(part) == sensor.Backfill {
		s.backfill.Add(int64(rows))
		s.share.Second(rows)
		return
	}
	if s.live.Add(int64(rows)) == s.all {
		s.atLivesEnd.Store(s.backfill.Load())
	}
	s.share.First(rows)
}

// Gateways come back from days offline: while the map's readings wait as well, backfill has its share of the rows and
// little more, and afterwards all of it is stored.
func TestBackfillLetsLiveGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages, rows, block = 600, 10, 100
		s := &storm{all: messages * rows}
		s.share = pace.New(pace.DefaultShare, func() bool { return s.live.Load() < s.all })
		r := start(t, Options{MaxRows: block, Pace: s}, func(r *running) {
			for seq := uint64(1); seq <= messages; seq++ {
				m := message(seq, rows)
				r.log.append(int32(sensor.Live), m)
				m.p.Lane = sensor.Backfill
				r.log.append(int32(sensor.Backfill), m)
			}
		})
		for s.live.Load() < s.all || s.backfill.Load() < messages*rows {
			time.Sleep(time.Second)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		fair := pace.DefaultShare / (1 - pace.DefaultShare) * messages * rows
		if got := float64(s.atLivesEnd.Load()); got > fair+3*block { // blocks that had their turn and were not stored yet
			t.Errorf("%.0f rows of backfill were stored beside %d of live, %.0f are its share", got, s.all, fair)
		}
	})
}
