package query

import (
	"cmp"
	"math"
	"slices"

	"github.com/situ-city/situ/pkg/sensor"
)

// trackSize bounds the numbers that a track remembers: at one in ten seconds half a day.
const trackSize = 4096

// track follows one canary at one place: what it has seen there, and what it should have. It is a pure core.
type track struct {
	seen    map[uint64]sensor.Identity
	first   uint64 // the least number ever seen here; what was before it nobody watched
	newest  uint64
	time    int64 // of the newest number's PUBLISH, Unix ms
	missing uint64
	doubled uint64
}

// see takes a reading and reports whether its number is new here. A number comes again under its own identity when a
// log is read again, which is nothing; under another one it is a double. The acknowledged number that a reading names
// must have been seen before it, for the log keeps their order.
func (t *track) see(number, acknowledged uint64, id sensor.Identity) (fresh bool) {
	if t.seen == nil {
		t.seen, t.first = map[uint64]sensor.Identity{}, number
	}
	if was, known := t.seen[number]; known {
		switch was {
		case id:
		case sensor.Identity{}: // missed before, and here after all
			t.seen[number] = id
		default:
			t.doubled++
		}
		return false
	}
	if number < t.first || number+trackSize < t.newest {
		return false // from before this watch began, or long ago
	}
	t.seen[number] = id
	if _, known := t.seen[acknowledged]; !known && acknowledged >= t.first && acknowledged+trackSize >= t.newest {
		t.missing++
		t.seen[acknowledged] = sensor.Identity{}
	}
	if number > t.newest {
		t.newest = number
		t.forget()
	}
	return true
}

func (t *track) forget() {
	if len(t.seen) <= 2*trackSize {
		return
	}
	for n := range t.seen {
		if n+trackSize < t.newest {
			delete(t.seen, n)
		}
	}
}

// latencySize is how many latencies a window holds: an hour of one in ten seconds.
const latencySize = 360

// latencies is a window over the last ones, in milliseconds.
type latencies struct {
	ring []float64
	next int
}

func (l *latencies) add(ms float64) {
	if len(l.ring) < latencySize {
		l.ring = append(l.ring, ms)
		return
	}
	l.ring[l.next] = ms
	l.next = (l.next + 1) % latencySize
}

// quantiles gives the p50 and p99 of the window (the nearest rank), nil when it is empty.
func (l *latencies) quantiles() (p50, p99 *float64) {
	if len(l.ring) == 0 {
		return nil, nil
	}
	sorted := slices.SortedFunc(slices.Values(l.ring), cmp.Compare[float64])
	rank := func(p float64) *float64 { return &sorted[int(math.Ceil(p*float64(len(sorted))))-1] }
	return rank(0.5), rank(0.99)
}
