package rollup_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/rollup"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

var (
	seedFlag = flag.Uint64("rollup.seed", 0, "seed of the random cities; 0 = of the clock")
	rounds   = flag.Int("rollup.rounds", 3, "rounds of the random cities")
)

func seed() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	return uint64(time.Now().UnixNano())
}

// Whatever comes, in whatever order and blocks, the roll-ups end equal to a recompute from the rows, and the views to
// what Go makes of them. On the way, what is not equal is marked.
func TestExactAfterEverything(t *testing.T) {
	w := newWorld(t, seed())
	for range *rounds {
		for range 1 + w.random.IntN(3) {
			w.insert(t, w.some(1+w.random.IntN(40)))
		}
		w.check(t, true)
		w.exact(t)
	}
	w.rejudged(t)
}

// life runs a worker that dies at its n-th call to the store, before or after it.
type life struct {
	rollup.Store
	left  int
	after bool
}

var errDead = errors.New("killed")

func (l *life) call(do func() error) error {
	if l.left--; l.left == 0 && !l.after || l.left < 0 {
		return errDead
	}
	if err := do(); err != nil {
		return err
	}
	if l.left == 0 {
		return errDead
	}
	return nil
}

func (l *life) ClaimRollup(ctx context.Context) (v uint64, err error) {
	err = l.call(func() (err error) { v, err = l.Store.ClaimRollup(ctx); return })
	return v, err
}

func (l *life) Recompute(ctx context.Context, version uint64, r store.RollupRange) error {
	return l.call(func() error { return l.Store.Recompute(ctx, version, r) })
}

func (l *life) DoneRollups(ctx context.Context, version uint64, list []store.DirtySpan) error {
	return l.call(func() error { return l.Store.DoneRollups(ctx, version, list) })
}

func (l *life) SplitRollup(ctx context.Context, d store.DirtySpan) error {
	return l.call(func() error { return l.Store.SplitRollup(ctx, d) })
}

// The worker dies between any two of its steps. What is stale is still marked, and the next one ends it.
func TestWorkerDiesBetweenSteps(t *testing.T) {
	w := newWorld(t, seed())
	w.insert(t, w.some(30))
	for n := 1; ; n += 1 + w.random.IntN(3) {
		l := &life{Store: w.Store, left: n, after: w.random.IntN(2) == 0}
		w.insert(t, w.some(2))
		err := w.worker(t, l).Settle(t.Context())
		if err != nil && !errors.Is(err, errDead) {
			t.Fatal(err)
		}
		if w.check(t, true); err == nil {
			t.Logf("the last death at call %d", n-1)
			break
		}
	}
	w.exact(t)
	w.rejudged(t)
}

// Two workers and the ingester at the same time: none of them waits for another.
func TestTwoWorkersAtOnce(t *testing.T) {
	w := newWorld(t, seed())
	w.insert(t, w.some(20))
	ctx, stop := context.WithCancel(t.Context())
	var both sync.WaitGroup
	for range 2 {
		worker := w.worker(t, w.Store)
		both.Go(func() {
			for ctx.Err() == nil {
				if err := worker.Settle(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	for range 12 {
		w.insert(t, w.some(5))
	}
	stop()
	both.Wait()
	w.exact(t)
	w.rejudged(t)
}

// A recompute that reads early and stores late does not win over one that saw more, and the check sees one that would.
func TestOlderRecomputeNeverWins(t *testing.T) {
	w := newWorld(t, seed())
	w.insert(t, w.some(20))
	w.exact(t)
	for _, table := range []string{"rollup_5m", "rollup_1h", "rollup_1d"} {
		stale := fmt.Sprintf(`INSERT INTO %[1]s.%[2]s SELECT * REPLACE (version - 1 AS version, arrayMap(x -> x + 7, n) AS n) FROM %[1]s.%[2]s FINAL`, w.db, table)
		must(t, w.conn.Exec(t.Context(), stale))
	}
	must(t, w.conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO %[1]s.rollup_datastream_1h SELECT * REPLACE (version - 1 AS version, n + 7 AS n) FROM %[1]s.rollup_datastream_1h FINAL", w.db)))
	w.check(t, false)
	w.compareViews(t)
}

// CheckRollups finds what is wrong: rows that nobody marked, a value that is not so, a row too many, one too few.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	w := newWorld(t, seed())
	o := w.observe(0, noon.UnixMilli())
	o.Result, o.Text, o.Quality = 1, "", 0
	o.Lon, o.Lat = 1_065_000_000, 295_000_000
	w.insert(t, w.block([]sensor.Observation{o}))
	w.exact(t)
	differences := func(want int, what string) {
		t.Helper()
		c, err := w.CheckRollups(t.Context())
		must(t, err)
		if len(c.Differences) != want {
			t.Errorf("%s: %d differences, want %d: %v", what, len(c.Differences), want, c.Differences)
		}
	}
	for _, c := range []struct {
		what, change, back string
		want               int
	}{
		{"a value", "INSERT INTO %s.rollup_5m SELECT * REPLACE (version + 1 AS version, [toFloat64(2)] AS max) FROM %[1]s.rollup_5m FINAL",
			"INSERT INTO %s.rollup_5m SELECT * REPLACE (version + 1 AS version, [toFloat64(1)] AS max) FROM %[1]s.rollup_5m FINAL", 1},
		{"a row too few", "INSERT INTO %s.rollup_1h (window, region, version) SELECT window, region, version + 1 FROM %[1]s.rollup_1h FINAL",
			"INSERT INTO %s.rollup_1h SELECT * REPLACE (version + 2 AS version) FROM %[1]s.rollup_1h WHERE notEmpty(n) ORDER BY version LIMIT 1", 1},
		{"a row too many", "INSERT INTO %s.rollup_1d SELECT * REPLACE (toDateTime('2020-01-01 00:00:00', 'UTC') AS window) FROM %[1]s.rollup_1d FINAL",
			"ALTER TABLE %s.rollup_1d DELETE WHERE window < '2026-01-01 00:00:00' SETTINGS mutations_sync = 2", 1},
	} {
		must(t, w.conn.Exec(t.Context(), fmt.Sprintf(c.change, w.db)))
		differences(c.want, c.what)
		must(t, w.conn.Exec(t.Context(), fmt.Sprintf(c.back, w.db)))
		differences(0, c.what+", mended")
	}
	o.PhenomenonTime += 7_200_000
	b := w.block([]sensor.Observation{o})
	must(t, w.InsertRows(t.Context(), b, false))
	differences(3+1, "rows without marks") // the day is there, with one less
	must(t, w.InsertBeside(t.Context(), b))
	differences(0, "rows with marks that wait")
	w.exact(t)
}

// What the registry says now holds for the past at once: nothing of it is in a roll-up.
func TestWithdrawnGrantActsOnThePast(t *testing.T) {
	w := newWorld(t, seed())
	w.insert(t, w.some(60))
	w.exact(t)
	for i := range w.things {
		w.things[i].Grade, w.things[i].Division, w.things[i].Version = sensor.Restricted, 500199, 2
	}
	must(t, w.SyncRegistry(t.Context(), w.things, nil))
	w.compareViews(t)
}
