package engine

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
)

func TestSpace(t *testing.T) {
	died := 0
	s := &space{dir: t.TempDir(), least: 1, log: slog.New(slog.DiscardHandler), die: func() { died++ }}
	if err := errors.Join(s.check(), s.wait(t.Context())); err != nil || died > 0 {
		t.Fatalf("there is room: %v, died %d times", err, died)
	}
	s.least = 1 << 60
	if err := s.check(); err != nil || died != 1 {
		t.Errorf("no disk has so much room: %v, died %d times", err, died)
	}
	s.dir += "/gone"
	if s.check() == nil {
		t.Error("a disk that cannot be asked is taken for one with room")
	}
}

// Without room the engine is not started: it waits until there is some, or is told to stop.
func TestSpaceIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &space{dir: dir, least: 1 << 60, log: slog.New(slog.DiscardHandler), die: func() {}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*spaceAgain)
		defer cancel()
		if err := s.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it did not wait: %v", err)
		}
	})
}
