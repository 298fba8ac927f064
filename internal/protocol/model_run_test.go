package protocol

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
)

var (
	schedules = flag.Int("schedules", defaultSchedules, "schedules that the model runs")
	firstSeed = flag.Uint64("first", 1, "the first of their seeds")
	oneSeed   = flag.Uint64("seed", 0, "replay one schedule, with each of its steps")
	states    = flag.Bool("states", false, "also estimate the number of different states met (slower)")
)

// search runs schedules from seed first on, on all processors, and gives the least seed that failed.
func search(n int, first uint64, broken rule, habits habit, seen bool) (total stats, seed uint64, err error) {
	var mu sync.Mutex // guards what is returned
	var wg sync.WaitGroup
	total.seen = sketchIf(seen)
	workers := uint64(runtime.GOMAXPROCS(0))
	for k := range workers {
		wg.Go(func() {
			w := newWorld(broken, habits)
			w.seen = sketchIf(seen)
			var at uint64
			var failed error
			for at = first + k; at < first+uint64(n) && failed == nil; at += workers {
				failed = w.life(at)
			}
			mu.Lock()
			defer mu.Unlock()
			total.add(&w.stats)
			if failed != nil && (err == nil || at-workers < seed) {
				seed, err = at-workers, failed
			}
		})
	}
	wg.Wait()
	return total, seed, err
}

func sketchIf(want bool) *sketch {
	if want {
		return newSketch()
	}
	return nil
}

// replay tells one schedule step by step.
func replay(seed uint64, tape []uint32, broken rule, habits habit, tell func(string)) error {
	w := newWorld(broken, habits)
	w.trace, w.tape = tell, tape
	return w.life(seed)
}

// shrink cuts the choices of a failing schedule while it fails in the same way.
func shrink(seed uint64, broken rule, habits habit) []uint32 {
	w := newWorld(broken, habits)
	w.keep = true
	if w.life(seed) == nil {
		return nil
	}
	tape, what := append([]uint32{}, w.drawn...), words(w.err)
	fails := func(tape []uint32) bool {
		w := newWorld(broken, habits)
		w.tape = tape
		return words(w.life(seed)) == what
	}
	if !fails(tape) {
		return nil
	}
	for size := len(tape) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(tape); {
			shorter := append(append([]uint32{}, tape[:at]...), tape[at+size:]...)
			if fails(shorter) {
				tape = shorter
			} else {
				at += size
			}
		}
	}
	for i := range tape { // nothing special where nothing special is needed
		if old := tape[i]; old != 0 {
			if tape[i] = 0; !fails(tape) {
				tape[i] = old
			}
		}
	}
	return tape
}

// words is an error without what differs between two of a kind.
func words(err error) string {
	if err == nil {
		return ""
	}
	first, _, _ := strings.Cut(err.Error(), ":")
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, first)
}

// tellFailure prints the shortest schedule found that fails.
func tellFailure(t *testing.T, seed uint64, broken rule, habits habit, err error) {
	t.Helper()
	t.Errorf("seed %d: %v\nreplay it with: go test ./internal/protocol -run TestModel -seed %d", seed, err, seed)
	tape := shrink(seed, broken, habits)
	t.Logf("the same, cut to %d choices:", len(tape))
	_ = replay(seed, tape, broken, habits, func(s string) { t.Log(s) })
}

// TestModel is the promise: in all schedules each acknowledged message is stored once, or somebody says why not.
func TestModel(t *testing.T) {
	if *oneSeed != 0 {
		if err := replay(*oneSeed, nil, 0, 0, func(s string) { fmt.Println(s) }); err != nil {
			tellFailure(t, *oneSeed, 0, 0, err)
		}
		return
	}
	began := time.Now()
	s, seed, err := search(*schedules, *firstSeed, 0, 0, *states)
	if err != nil {
		tellFailure(t, seed, 0, 0, err)
		return
	}
	took := time.Since(began)
	per := func(n int) float64 { return float64(n) / float64(s.schedules) }
	t.Logf("%d schedules, seeds %d to %d, in %v: %.0f a second; 0 lost, 0 double", s.schedules, *firstSeed, *firstSeed+uint64(*schedules)-1,
		took.Round(time.Millisecond), float64(s.schedules)/took.Seconds())
	t.Logf("in one schedule: %.1f steps, %.1f messages, %.1f blocks, %.2f replays", per(s.turns), per(s.messages), per(s.blocks), per(s.replays))
	t.Logf("faults in one: %.2f crashes, %.2f zombies, %.2f commits refused to them, %.2f sleeps, %.2f kills of the store, %.2f of them power cuts",
		per(s.crashes), per(s.zombies), per(s.fenced), per(s.sleeps), per(s.kills), per(s.powerCuts))
	t.Logf("requests in one: %.2f lost, %.2f answers lost, %.2f late, %.2f ranges sent again", per(s.lostRequests), per(s.lostAnswers), per(s.delayed), per(s.repeated))
	t.Logf("in 100: %.1f spools lost, %.1f gaps, %.1f topics made anew, %.1f sabotages, %.1f stops", 100*per(s.spoolsLost), 100*per(s.gaps),
		100*per(s.logsRenewed), 100*per(s.sabotages), 100*per(s.stops))
	if s.seen != nil {
		t.Logf("about %d different states", s.seen.estimate())
	}
}
