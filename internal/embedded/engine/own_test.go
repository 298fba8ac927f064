package engine_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
)

// own runs a store of this test alone.
func own(t testing.TB) (*engine.Supervisor, string) {
	t.Helper()
	library := enginetest.Library(t)
	dir, err := os.MkdirTemp("", "situ-own") // t.TempDir() may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	s, socket, stop, err := enginetest.Supervised(dir, library, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop store: %v", err)
		}
		os.RemoveAll(dir)
	})
	ready(t, s)
	return s, socket
}

func ready(t testing.TB, s *engine.Supervisor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := s.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
}
