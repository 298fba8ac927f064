package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/bustest"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/pkg/sensor"
)

var errEnough = errors.New("enough")

// consume runs one member until handle has been called for the live partition.
func (w *world) consume(t *testing.T, g *Group, handle func(context.Context, bus.Assignment) error) error {
	t.Helper()
	err := g.Consume(t.Context(), func(ctx context.Context, a bus.Assignment) error {
		if a.Partition() != w.Partition(sensor.Live) {
			return nil
		}
		if err := handle(ctx, a); err != nil {
			return err
		}
		return errEnough
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// TestLogThatWentBackwards: the topic has the id it had, and its offsets stand for other messages. Whoever stops says
// under which name to go on; under it nothing is committed, and from then on it holds for those who were not told, too.
func TestLogThatWentBackwards(t *testing.T) {
	w := newWorld(t)
	part := w.Partition(sensor.Live)
	w.publish(t, sensor.Live, bustest.Messages(1, 5))
	old, err := w.bus.ID(t.Context(), part)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.consume(t, w.bus.Group("g"), func(ctx context.Context, a bus.Assignment) error {
		return a.Commit(ctx, bus.Position{Offset: 500, Meta: "intent"})
	}); err != nil {
		t.Fatal(err)
	}
	for _, why := range []error{protocol.ErrLogShrank, protocol.ErrCommitsBehind, bus.ErrOffset} {
		err := w.consume(t, w.bus.Group("g"), func(context.Context, bus.Assignment) error { return why })
		if !errors.Is(err, why) || !strings.Contains(err.Error(), "--kafka-accept "+renamed(old).String()) {
			t.Errorf("it stops with %v", err)
		}
	}
	told := connect(t, w.brokers, w.topic)
	told.cfg.Accept = renamed(old)
	w.members = append(w.members, told)
	if id, err := told.ID(t.Context(), part); err != nil || id != renamed(old) {
		t.Fatalf("the log is called %v, was %v; %v", id, old, err)
	}
	if err := w.consume(t, told.Group("g"), func(ctx context.Context, a bus.Assignment) error {
		if p, err := a.Committed(ctx); err != nil || p.Offset != -1 {
			return fmt.Errorf("under the new name %+v is committed, %w", p, err)
		}
		return a.Commit(ctx, bus.Position{Offset: 3, Meta: "other"})
	}); err != nil {
		t.Fatal(err)
	}
	other := connect(t, w.brokers, w.topic) // nobody told it
	w.members = append(w.members, other)
	if p, err := other.Group("g").Committed(t.Context(), part); err != nil || p != (bus.Position{Offset: 3, Meta: "other"}) {
		t.Errorf("a process that was not told finds %+v, %v", p, err)
	}
	if id, err := other.ID(t.Context(), part); err != nil || id != renamed(old) {
		t.Errorf("and calls the log %v, %v", id, err)
	}
	told.cfg.Accept = bus.LogID{1} // of another topic
	if id, err := told.ID(t.Context(), part); err != nil || id != renamed(old) {
		t.Errorf("the log is called %v, %v", id, err)
	}
}

// TestRenamedMeanwhile: who holds a partition under the old name while another process has gone on under the new one drops
// it, joins anew, and goes on under the new one.
func TestRenamedMeanwhile(t *testing.T) {
	w := newWorld(t)
	part := w.Partition(sensor.Live)
	old, err := w.bus.ID(t.Context(), part)
	if err != nil {
		t.Fatal(err)
	}
	times := 0
	err = w.consume(t, w.bus.Group("g"), func(ctx context.Context, a bus.Assignment) error {
		mine := a.(*assignment)
		if times++; times > 1 {
			if p, err := a.Committed(ctx); err != nil || p.Offset != 7 || mine.id != renamed(old) {
				return fmt.Errorf("the second time it is %v at %+v, %w", mine.id, p, err)
			}
			return nil
		}
		theirs := &assignment{g: mine.g, part: mine.part, generation: mine.generation, member: mine.member, id: renamed(old)}
		if err := theirs.Commit(ctx, bus.Position{Offset: 7, Meta: "x"}); err != nil {
			return err
		}
		_, err := a.Committed(ctx)
		return err
	})
	if err != nil || times != 2 {
		t.Fatalf("%v, called %d times", err, times)
	}
}

// TestSettle: what a member sent before is refused however late it comes, because it is another member then.
func TestSettle(t *testing.T) {
	w := newWorld(t)
	var first *assignment
	err := w.consume(t, w.bus.Group("g"), func(ctx context.Context, a bus.Assignment) error {
		if first == nil {
			first = a.(*assignment)
			return bus.Settler(first).Settle(ctx)
		}
		if now := a.(*assignment); now.generation <= first.generation {
			return fmt.Errorf("generation %d comes after %d", now.generation, first.generation)
		}
		if err := first.Commit(ctx, bus.Position{Offset: 9, Meta: "late"}); !errors.Is(err, bus.ErrGeneration) {
			return fmt.Errorf("a commit from before is answered by %w", err)
		}
		if p, err := a.Committed(ctx); err != nil || p.Offset != -1 {
			return fmt.Errorf("committed is %+v, %w", p, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
