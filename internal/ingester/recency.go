package ingester

import (
	"math"
	"sync"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// recency knows, of each Datastream, phenomenonTimes that surely are not stored yet. What it cannot say that of goes to
// the table of repeats, where history looks for a second row of the same instant. It errs to one side only: a time that
// it calls new is new, as far as this process's partitions go.
//
// Sensors report in rising order, and a device that was offline sends its backlog in rising order after its first fresh
// reading. So a Datastream needs four numbers: the greatest time, the least, and the one hole between them that a backlog
// fills. About 60 bytes each.
type recency struct {
	mu    sync.Mutex // guards spans; partitions share a Datastream (live and backfill)
	spans map[sensor.DatastreamID]span
}

// span: nothing is stored below low, above high, or inside the open interval (holeLow, holeHigh).
type span struct{ low, holeLow, holeHigh, high int64 }

// nothingKnown as low says that anything may be stored below high.
const nothingKnown = math.MinInt64

func newRecency() *recency { return &recency{spans: make(map[sensor.DatastreamID]span)} }

// loaded takes the greatest stored time of a Datastream from the store. Another process may have stored in between, so
// whatever was known of lesser times is forgotten.
func (r *recency) loaded(id sensor.DatastreamID, high int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.spans[id]; ok {
		high = max(high, s.high)
	}
	r.spans[id] = span{low: nothingKnown, high: high}
}

// forgetHoles is loaded for the Datastreams that the store had nothing of.
func (r *recency) forgetHoles() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, s := range r.spans {
		r.spans[id] = span{low: nothingKnown, high: s.high}
	}
}

// repeats appends the pairs of b that may be stored already, or come twice in b, and remembers all of b.
func (r *recency) repeats(dst []store.Pair, b *sensor.Batch) []store.Pair {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, id := range b.Datastream {
		t := b.PhenomenonTime[i]
		s, known := r.spans[id]
		if !known {
			r.spans[id] = span{low: t, high: t}
			continue
		}
		s, fresh := s.add(t)
		if !fresh {
			dst = append(dst, store.Pair{Datastream: id, PhenomenonTime: t})
			continue
		}
		r.spans[id] = s
	}
	return dst
}

// add remembers t and reports whether it was surely not there.
func (s span) add(t int64) (span, bool) {
	switch {
	case t > s.high:
		if t-s.high > s.holeHigh-s.holeLow {
			s.holeLow, s.holeHigh = s.high, t
		}
		s.high = t
	case t < s.low:
		s.low = t
	case s.holeLow < t && t < s.holeHigh:
		if t-s.holeLow > s.holeHigh-t { // keep the wider half: the other one only costs time
			s.holeHigh = t
		} else {
			s.holeLow = t
		}
	default:
		return s, false
	}
	return s, true
}
