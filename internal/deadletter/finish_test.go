package deadletter

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// A replay is killed at each of its steps; the next process finishes it by itself, with the correction of the clock that it
// had, and nothing is left that the balance cannot judge.
func TestKilledReplayIsFinished(t *testing.T) {
	for _, c := range []Clock{{}, {Shift: -8 * time.Hour}, {Shift: 90 * time.Second}} {
		left := 0
		for step := 1; ; step++ {
			m, n := newMemory(letter(1, 0, "abc", ""), letter(2, 0, "d?", "")), 0
			m.fail = func() (bool, bool) { n++; return n > step, false } // from here on nothing is done any more
			_, err := m.replayer(&scales{}).Replay(t.Context(), []sensor.Identity{name(1, 0), name(2, 0)}, Options{Clock: c})
			m.fail = nil
			if err == nil {
				break
			}
			if l := m.letters[name(1, 0)]; l.Pending {
				left++
				if was, then, ok := cutNote(l.Detail); was != "what" || then != c || !ok {
					t.Fatalf("the letter says %q", l.Detail)
				}
			}
			pending := m.letters[name(1, 0)].Pending
			if err := m.replayer(&scales{}).Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			one, two := m.letters[name(1, 0)], m.letters[name(2, 0)]
			if one.Pending || two.Pending {
				t.Fatalf("killed at step %d, they are left as %+v and %+v", step, one, two)
			}
			if !pending {
				continue // it had stored nothing yet
			}
			if one.State != store.LetterResolved || two.State != store.LetterOpen || len(m.idxs(1)) != 3 || len(m.idxs(2)) != 1 {
				t.Fatalf("killed at step %d, they became %+v and %+v", step, one, two)
			}
			for id, times := range m.rows {
				want := now.UnixMilli() - int64(id.Idx) + c.Shift.Milliseconds()
				if len(times) != 1 || times[0] != want || !m.stale[id] {
					t.Fatalf("killed at step %d: %s is there at %v, want %d, its roll-up marked: %v", step, id.Name(), times, want, m.stale[id])
				}
			}
		}
		if left < 3 {
			t.Errorf("only %d steps left something under way", left)
		}
	}
}

// What is refused meanwhile stays under way, with the correction of then, and is not tried again and again.
func TestLeftAndRefused(t *testing.T) {
	l := letter(1, 0, "broken", "")
	l.Pending, l.Detail = true, Clock{Arrival: true}.note("what")
	old := letter(2, 0, "a", "")
	old.Pending = true // of an older situ, which noted no correction
	m := newMemory(l, old)
	if err := m.replayer(&scales{}).Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if was, c, ok := cutNote(m.letters[name(1, 0)].Detail); was != "broken" || !c.Arrival || !ok || !m.letters[name(1, 0)].Pending {
		t.Errorf("it is %+v", m.letters[name(1, 0)])
	}
	if now := m.letters[name(2, 0)]; now.Version != 1 || len(m.rows) != 0 {
		t.Errorf("of an older situ's it made %+v", now)
	}
}

// Run finishes at the start, when the store comes, and after a replay that failed in this process.
func TestRunFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(letter(1, 0, "ab", ""), letter(2, 0, "c", ""))
		l := m.letters[name(1, 0)]
		l.Pending, l.Detail = true, Clock{}.note(l.Detail)
		m.letters[name(1, 0)] = l
		var there atomic.Bool
		of := func() Store {
			if there.Load() {
				return m
			}
			return nil
		}
		r := New(Config{Store: of, Reader: &scales{}, Logger: slog.New(slog.DiscardHandler), Allowed: func(string, string) bool { return true }})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		there.Store(true)
		time.Sleep(2 * finishEvery)
		synctest.Wait()
		if m.letters[name(1, 0)].State != store.LetterResolved {
			t.Errorf("%+v", m.letters[name(1, 0)])
		}
		n := 0
		m.fail = func() (bool, bool) { n++; return n == 5, false } // its rows
		if _, err := r.Replay(t.Context(), []sensor.Identity{name(2, 0)}, Options{}); err == nil {
			t.Error("it did not fail")
		}
		time.Sleep(2 * finishEvery)
		synctest.Wait()
		if m.letters[name(2, 0)].State != store.LetterResolved {
			t.Errorf("%+v", m.letters[name(2, 0)])
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
