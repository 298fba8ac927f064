package bustest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/pkg/sensor"
)

// member is one Consume whose handles hand their assignments to the test and wait to be let go.
type member struct {
	got    chan bus.Assignment
	cancel context.CancelFunc
	done   chan error
}

// join starts a member. A stubborn one holds on to its assignments after they were taken away, until leave.
func join(t *testing.T, g bus.Group, stubborn bool) *member {
	ctx, cancel := context.WithCancel(t.Context())
	m := &member{got: make(chan bus.Assignment, 100), cancel: cancel, done: make(chan error, 1)}
	go func() {
		m.done <- g.Consume(ctx, func(handle context.Context, a bus.Assignment) error {
			m.got <- a
			if stubborn {
				<-ctx.Done()
			} else {
				<-handle.Done()
			}
			return nil
		})
	}()
	var once sync.Once
	m.cancel = func() {
		once.Do(func() {
			cancel()
			<-m.done
		})
	}
	t.Cleanup(m.cancel)
	return m
}

// assigned waits for partition part.
func (m *member) assigned(t *testing.T, part int32) bus.Assignment {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		select {
		case a := <-m.got:
			if a.Partition() == part {
				return a
			}
		case err := <-m.done:
			m.done <- err
			t.Fatalf("consume ended: %v", err)
		case <-ctx.Done():
			t.Fatalf("partition %d was not assigned", part)
		}
	}
}

func mustCommit(t *testing.T, a bus.Assignment, p bus.Position) {
	t.Helper()
	if err := a.Commit(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Committed(t.Context()); err != nil || got != p {
		t.Fatalf("committed %+v, read back %+v, %v", p, got, err)
	}
}

func commitReadBack(t *testing.T, h Harness) {
	h.Publish(t, sensor.Live, Messages(20, 30))
	part, from := h.Partition(sensor.Live), first(t, h, sensor.Live)
	m := join(t, h.Group(t), false)
	a := m.assigned(t, part)
	if p, err := a.Committed(t.Context()); err != nil || p.Offset != -1 || p.Meta != "" {
		t.Fatalf("before any commit: %+v, %v", p, err)
	}
	long := bus.Position{Offset: from + 1, Meta: strings.Repeat(`{"intent":"1..9","registry":7,"区":"渝中"}`, 60)}
	for _, p := range []bus.Position{{Offset: from, Meta: "intent 1"}, {Offset: from + 1}, {Offset: from, Meta: "back again"}, long} {
		mustCommit(t, a, p)
	}
	m.cancel()

	h.Restart(t)
	m = join(t, h.Group(t), false)
	a = m.assigned(t, part)
	if p, err := a.Committed(t.Context()); err != nil || p != long {
		t.Fatalf("after a restart: %+v, %v", p, err)
	}
	mustCommit(t, a, bus.Position{Offset: from, Meta: "x"})
	m.cancel()
}

// zombieRefused: a member that does not let go of a partition which another one owns by now cannot commit.
func zombieRefused(t *testing.T, h Harness) {
	h.Publish(t, sensor.Live, Messages(21, 10))
	part, from := h.Partition(sensor.Live), first(t, h, sensor.Live)
	zombie := join(t, h.Group(t), true)
	old := zombie.assigned(t, part)
	mustCommit(t, old, bus.Position{Offset: from, Meta: "old"})

	heir := join(t, h.Group(t), false)
	a := heir.assigned(t, part)
	if err := old.Commit(t.Context(), bus.Position{Offset: from + 1, Meta: "zombie"}); !errors.Is(err, bus.ErrGeneration) {
		t.Fatalf("the zombie's commit gives %v", err)
	}
	if p, err := a.Committed(t.Context()); err != nil || p.Meta != "old" {
		t.Fatalf("the heir finds %+v, %v", p, err)
	}
	mustCommit(t, a, bus.Position{Offset: from + 1, Meta: "heir"})
	zombie.cancel()
	heir.cancel()
}

func consumeEnds(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{}, 100)
	done := make(chan error, 1)
	go func() {
		done <- h.Group(t).Consume(ctx, func(ctx context.Context, _ bus.Assignment) error {
			started <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-started
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("consume ended with %v", err)
	}

	broken := errors.New("the store is gone")
	part := h.Partition(sensor.Live)
	err := h.Group(t).Consume(t.Context(), func(ctx context.Context, a bus.Assignment) error {
		if a.Partition() == part {
			return broken
		}
		<-ctx.Done() // the others are told to end
		return nil
	})
	if !errors.Is(err, broken) {
		t.Fatalf("consume ended with %v", err)
	}
}
