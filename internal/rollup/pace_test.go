package rollup

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// ledger stands for the store where only time and order matter.
type ledger struct {
	mu         sync.Mutex // guards what follows
	waiting    map[store.DirtySpan]store.Waiting
	clock      uint64
	recomputed []store.RollupRange
	took       time.Duration // of one recompute
	err        error         // of the next recompute
	tooLarge   int64         // more window-regions than this are Exhausted; 0 = none are
}

func (l *ledger) mark(d store.DirtySpan, computed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[d] = store.Waiting{DirtySpan: d, Marked: l.clock + 1, Computed: computed, At: time.Now()}
}

func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// state gives what was recomputed and how much waits.
func (l *ledger) state() ([]store.RollupRange, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.recomputed), len(l.waiting)
}

func (l *ledger) ClaimRollup(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	return l.clock, nil
}

func (l *ledger) WaitingRollups(_ context.Context, version uint64, limit int) (list []store.Waiting, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiting {
		if version == 0 || w.Marked <= version {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, func(a, b store.Waiting) int { return int(b.Window - a.Window) })
	return list[:min(len(list), limit)], nil
}

func (l *ledger) RollupRegions(_ context.Context, _, _ int64, ids []sensor.DatastreamID) ([]uint64, error) {
	if len(ids) == 0 {
		return []uint64{1, 2, 3, 4, 5}, nil
	}
	return []uint64{uint64(ids[0])}, nil
}

func (l *ledger) MarkHours(context.Context, int64) error { return nil }

func (l *ledger) SplitRollup(context.Context, store.DirtySpan) error { return nil }

func (l *ledger) Recompute(ctx context.Context, _ uint64, r store.RollupRange) error {
	if size(r) > l.tooLarge && l.tooLarge > 0 {
		return &clickhouse.Exception{Code: 241}
	}
	select {
	case <-time.After(l.took):
	case <-ctx.Done():
		return ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.err; err != nil {
		l.err = nil
		return err
	}
	l.recomputed = append(l.recomputed, r)
	return nil
}

// size counts window-regions; all regions are five.
func size(r store.RollupRange) (n int64) {
	for _, p := range r.Parts {
		regions := int64(len(p.Regions))
		if regions == 0 {
			regions = 5
		}
		n += (p.To - p.From) / int64(r.Level.Window().Seconds()) * regions
	}
	return n
}

func (l *ledger) DoneRollups(_ context.Context, version uint64, list []store.DirtySpan) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range list {
		if w, ok := l.waiting[d]; ok && w.Marked <= version {
			delete(l.waiting, d)
		}
	}
	return nil
}

// pace runs a worker on a clock of its own; look is called with the worker asleep.
func pace(t *testing.T, l *ledger, look func(l *ledger)) {
	paceAt(t, l, nil, look)
}

func paceAt(t *testing.T, l *ledger, now func() time.Time, look func(l *ledger)) {
	synctest.Test(t, func(t *testing.T) {
		l.waiting = map[store.DirtySpan]store.Waiting{}
		w, err := New(Options{Store: l, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); w.Run(ctx) }()
		look(l)
		stop()
		<-ended
	})
}

func after(d time.Duration) { time.Sleep(d); synctest.Wait() }

func window(at time.Time) int64 { return at.Unix() - at.Unix()%300 }

// A window waits for its end and the grace, and is then done at once; late work never goes before it.
func TestFreshWindows(t *testing.T) {
	pace(t, &ledger{took: time.Second}, func(l *ledger) {
		open := window(time.Now())
		for i := range int64(400) { // a long way of late work, an hour each
			l.mark(store.DirtySpan{Window: open - 86400 - i*3600, Span: 3600, Region: 7}, true)
		}
		l.mark(store.DirtySpan{Window: open, Span: 300, Region: 1}, false)
		l.mark(store.DirtySpan{Window: open, Span: 300, Region: 2}, false)
		after(time.Unix(open+300, 0).Add(DefaultGrace - time.Second).Sub(time.Now()))
		recomputed, _ := l.state()
		for _, r := range recomputed {
			if r.Parts[0].From == open {
				t.Fatal("an open window was recomputed")
			}
		}
		after(DefaultEvery + turn + 3*time.Second)
		recomputed, _ = l.state()
		if !slices.ContainsFunc(recomputed, func(r store.RollupRange) bool {
			return r.Parts[0].From == open && slices.Equal(r.Parts[0].Regions, []uint64{1, 2})
		}) {
			t.Errorf("the closed window is not there, late work goes before it: %d recomputes", len(recomputed))
		}
	})
}

// Late work takes its share of the time and no more, and ends.
func TestLateWorkTakesItsShare(t *testing.T) {
	pace(t, &ledger{took: time.Second}, func(l *ledger) {
		open := window(time.Now())
		for i := range int64(100) {
			l.mark(store.DirtySpan{Window: open - (i+2)*86400, Span: 300, Region: 7}, true)
		}
		after(5 * time.Minute)
		recomputed, _ := l.state()
		if n := len(recomputed); n < 30 || n > 75 { // a fifth of 300 s, a second each; a turn of 5 or 6 s may just have ended
			t.Errorf("%d recomputes of a second in 5 minutes, want about 60", n)
		}
		after(10 * time.Minute)
		recomputed, waiting := l.state()
		if waiting != 0 || len(recomputed) != 100 {
			t.Errorf("%d waiting, %d recomputed", waiting, len(recomputed))
		}
	})
}

// The day that is not over is recomputed every ten minutes, not with each of its hours.
func TestOpenDay(t *testing.T) {
	pace(t, &ledger{}, func(l *ledger) {
		today := time.Now().Unix() - time.Now().Unix()%day
		for range 60 {
			l.mark(store.DirtySpan{Level: store.Rollup1d, Window: today, Span: day, Region: store.AllRegions}, true)
			after(time.Minute)
		}
		recomputed, _ := l.state()
		if n := len(recomputed); n < 4 || n > 7 {
			t.Errorf("%d recomputes of today in an hour", n)
		}
	})
}

// A wall clock that was a year ahead for a while and is put right must not let late work wait for a year.
func TestClockThatWasAhead(t *testing.T) {
	var shift atomic.Int64
	now := func() time.Time { return time.Now().Round(0).Add(time.Duration(shift.Load())) }
	paceAt(t, &ledger{}, now, func(l *ledger) {
		old := store.DirtySpan{Window: window(time.Now()) - 2*day, Span: 300, Region: 7}
		shift.Store(int64(365 * 24 * time.Hour))
		l.mark(old, true)
		after(2 * DefaultLate)
		shift.Store(0)
		l.mark(old, true)
		after(2 * DefaultLate)
		if recomputed, waiting := l.state(); len(recomputed) != 2 || waiting != 0 {
			t.Errorf("%d recomputed, %d waiting", len(recomputed), waiting)
		}
	})
}

// An error is tried again, later each time; nothing is forgotten.
func TestErrorsAreTriedAgain(t *testing.T) {
	pace(t, &ledger{}, func(l *ledger) {
		l.mark(store.DirtySpan{Window: window(time.Now()) - day, Span: 300, Region: 7}, false)
		for range 5 { // each is met once
			l.fail(errors.New("the disk is full"))
			after(time.Second)
		}
		l.fail(nil)
		after(2 * longPause)
		if recomputed, waiting := l.state(); len(recomputed) != 1 || waiting != 0 {
			t.Errorf("%d recomputed, %d waiting", len(recomputed), waiting)
		}
	})
}

// What is too large is halved until it fits, and all of it is done, once.
func TestHalves(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		l := &ledger{tooLarge: int64(1 + random.IntN(20))}
		w, err := New(Options{Store: l})
		if err != nil {
			t.Fatal(err)
		}
		var r store.RollupRange
		want := int64(0)
		for i := range 1 + random.IntN(5) {
			p := store.RollupPart{From: int64(i * 3600), To: int64(i*3600 + 300*(1+random.IntN(12)))}
			for region := range random.IntN(6) {
				p.Regions = append(p.Regions, uint64(region))
			}
			r.Parts = append(r.Parts, p)
		}
		want = size(r)
		if err := w.recompute(t.Context(), 1, r); err != nil {
			t.Fatal(err)
		}
		got := int64(0)
		for _, r := range l.recomputed {
			got += size(r)
		}
		if got != want {
			t.Errorf("%+v: %d window-regions recomputed, want %d", r, got, want)
		}
	}
}

// One window of one region that is too large is told, not tried for ever.
func TestTooLargeForEver(t *testing.T) {
	l := &ledger{err: &clickhouse.Exception{Code: 241}}
	w, err := New(Options{Store: l})
	if err != nil {
		t.Fatal(err)
	}
	one := store.RollupRange{Level: store.Rollup5m, Parts: []store.RollupPart{{From: 0, To: 300, Regions: []uint64{7}}}}
	if err := w.recompute(t.Context(), 1, one); !store.Exhausted(err) {
		t.Errorf("%v, want the engine's own error", err)
	}
}
