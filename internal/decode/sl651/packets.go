package sl651

import "github.com/situ-city/situ/pkg/sensor"

// packets is a set of frames with SYN that together make one body (6.5.3). Parts alias the payload.
type packets struct {
	head    envelope // of the first one met
	parts   [][]byte
	count   int // different ones
	kept    int // with those sent again
	quality sensor.Quality
	body    []byte
}

// of reports whether e belongs to the set, or the set is none yet.
func (s *packets) of(e *envelope) bool {
	h := &s.head
	return s.count == 0 || h.text == e.text && h.station == e.station && h.function == e.function && h.total == e.total
}

// add keeps e's part and reports whether the set is whole now. A packet sent again replaces the earlier one.
func (s *packets) add(e *envelope, q sensor.Quality) bool {
	if s.count == 0 {
		s.head, s.quality = *e, 0
		if cap(s.parts) < e.total {
			s.parts = make([][]byte, e.total)
		}
		s.parts = s.parts[:e.total]
	}
	if s.parts[e.number-1] == nil {
		s.count++
	}
	s.parts[e.number-1] = e.body[:len(e.body):len(e.body)]
	s.quality |= q
	s.kept++
	return s.count == e.total
}

// joined gives the body.
func (s *packets) joined() []byte {
	s.body = s.body[:0]
	for _, p := range s.parts {
		s.body = append(s.body, p...)
	}
	return s.body
}

// forget keeps nothing of the payload.
func (s *packets) forget() {
	clear(s.parts[:cap(s.parts)])
	s.head, s.count, s.kept = envelope{}, 0, 0
}
