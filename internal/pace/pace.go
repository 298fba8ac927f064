// Package pace lets one stream of rows go first and another take a share beside it: what was measured days ago must not
// delay what the map waits for (between steps 4 and 6 of 8).
//
// In: what each has moved. Out: Wait, which holds the second while the first is behind and its share is used up. As long
// as the first keeps up, the second goes as fast as it can. It knows no clock: shares are of rows. Callers:
// internal/app, for the ingester's partitions, and internal/app/edge, for the pumps.
package pace

import (
	"context"
	"sync"
	"time"
)

// DefaultShare is what the second has of all rows while the first is behind.
const DefaultShare = 0.2

const (
	// window is how many rows of the first may be saved up: a burst of the second afterwards is its share of them.
	window = 100_000
	// lookAgain is for a first that is no longer behind although it moved nothing: somebody removed what it had to do.
	lookAgain = time.Second
)

// Share is between two streams. Its methods may be called from any goroutine.
type Share struct {
	ratio  float64 // rows of the second for one of the first
	behind func() bool

	mu     sync.Mutex // guards what follows
	credit float64    // rows that the second may move now; below 0, it waits
	moved  chan struct{}
}

// New makes one. share is the second's part of all rows, above 0; 1 and more: it never waits. behind tells whether the
// first has more to do than it gets done.
func New(share float64, behind func() bool) *Share {
	s := &Share{behind: behind, moved: make(chan struct{})}
	if share > 0 && share < 1 {
		s.ratio = share / (1 - share)
	}
	return s
}

// First says that the first has moved so many rows.
func (s *Share) First(rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credit = min(s.credit+s.ratio*float64(rows), s.ratio*window)
	close(s.moved)
	s.moved = make(chan struct{})
}

// Second says that the second has moved so many rows.
func (s *Share) Second(rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credit -= float64(rows)
}

// Wait returns when the second may move its next rows, however many: what they are above its share it waits for the
// next time. An error is ctx's.
func (s *Share) Wait(ctx context.Context) error {
	for {
		s.mu.Lock()
		may, moved := s.ratio == 0 || s.credit > 0, s.moved
		s.mu.Unlock()
		if may {
			return nil
		}
		if !s.behind() {
			s.mu.Lock()
			s.credit = max(s.credit, 0) // what it took while nobody wanted it is no debt
			s.mu.Unlock()
			return nil
		}
		again := time.NewTimer(lookAgain)
		select {
		case <-moved:
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return ctx.Err()
		}
		again.Stop()
	}
}
