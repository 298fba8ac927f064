package protocol

import (
	"testing"
	"time"
)

// Whoever takes over after a session of silence finds nothing on its way any more.
func TestHolds(t *testing.T) {
	for _, session := range []time.Duration{ShortestSession, 15 * time.Second, 20 * time.Second, 30 * time.Second, time.Hour} {
		if h := Holds(session); h <= 0 || h > Lease || h+Lease > session {
			t.Errorf("with a session of %s a decision holds for %s", session, h)
		}
	}
	if Holds(0) != Lease || Holds(2*time.Second) != time.Second {
		t.Errorf("without a session it holds for %s, with one of 2s for %s", Holds(0), Holds(2*time.Second))
	}
}
