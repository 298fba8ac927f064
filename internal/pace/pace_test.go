package pace

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// While the first is behind, the second gets its share of the rows, whatever the sizes of the blocks; as soon as the
// first has caught up it gets all it wants.
func TestShare(t *testing.T) {
	for _, c := range []struct {
		share         float64
		first, second int // rows of a block
	}{{0.2, 1000, 1000}, {0.2, 1000, 10}, {0.2, 10, 1000}, {0.5, 500, 500}, {0.1, 100_000, 100_000}, {0.9, 100, 100}} {
		synctest.Test(t, func(t *testing.T) {
			var behind atomic.Bool
			behind.Store(true)
			s := New(c.share, behind.Load)
			ctx, cancel := context.WithCancel(t.Context())
			var second atomic.Int64
			done := make(chan struct{})
			go func() {
				defer close(done)
				for s.Wait(ctx) == nil {
					if second.Add(int64(c.second)) > 20_000_000 {
						return // nobody holds it
					}
					s.Second(c.second)
				}
			}()
			first := 0
			for first < 40*max(c.first, c.second) {
				synctest.Wait() // the second has done all it may
				first += c.first
				s.First(c.first)
			}
			synctest.Wait()
			want := float64(first) * c.share / (1 - c.share)
			if got := float64(second.Load()); got < 0.9*want-float64(c.second) || got > 1.1*want+float64(c.second) {
				t.Errorf("share %g: %d rows beside %d, want about %.0f", c.share, second.Load(), first, want)
			}
			behind.Store(false)
			<-done
			cancel()
		})
	}
}

func TestSharesAreNotSavedUpForEver(t *testing.T) {
	s := New(0.5, func() bool { return true })
	for range 1000 {
		s.First(100_000)
	}
	moved := 0
	for ctx, cancel := context.WithCancel(t.Context()); ; moved += 1000 {
		if moved > 2*window {
			t.Fatal("days of the first let the second run for days")
		}
		s.mu.Lock()
		used := s.credit <= 0
		s.mu.Unlock()
		if used {
			cancel()
			if err := s.Wait(ctx); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			break
		}
		if err := s.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		s.Second(1000)
	}
	if moved != window {
		t.Fatalf("%d rows", moved)
	}
}

func TestWholeShareNeverWaits(t *testing.T) {
	s := New(1, func() bool { return true })
	for range 10 {
		if err := s.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Second(1_000_000)
	}
}

// What was taken while nobody else wanted it is not to be paid back.
func TestNoDebtFromQuietTimes(t *testing.T) {
	behind := false
	s := New(0.2, func() bool { return behind })
	for range 10 {
		if err := s.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Second(1_000_000)
	}
	if err := s.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	behind = true
	s.First(1000)
	if err := s.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}
