package normalize

import (
	"sync"

	"github.com/situ-city/situ/pkg/sensor"
)

// Memory keeps what Things were judged by from one connection to the next: most battery devices open one for each
// message. A Normalizer takes out what there is of a Thing when it meets it, and puts it back when its connection ends.
// Of two connections of one Thing the one that ends last is remembered. When it is full, any other Thing gives way.
type Memory struct {
	mu     sync.Mutex // guards the following
	things map[sensor.ThingID]*past
	left   int64 // bytes
}

// past is what is remembered of a Thing.
type past struct {
	skew    skew
	streams []pastStream
}

type pastStream struct {
	id         sensor.DatastreamID
	conversion sensor.Conversion
	series
}

// What is counted for them, in bytes: about what they take.
const (
	pastBytes       = 256
	pastStreamBytes = 112
)

func (p *past) bytes(id sensor.ThingID) int64 {
	return int64(pastBytes + len(id) + pastStreamBytes*len(p.streams))
}

// NewMemory makes a Memory of so many bytes.
func NewMemory(bytes int64) *Memory {
	return &Memory{things: make(map[sensor.ThingID]*past), left: bytes}
}

// Recall makes n remember in m. It is called before the first message.
func (n *Normalizer) Recall(m *Memory) { n.memory = m }

// Leave ends n: what it prepared is let go, and what its Things are judged by is left to who meets them next.
func (n *Normalizer) Leave() {
	if n.memory != nil && !n.opt.Alone {
		for id, t := range n.things {
			n.memory.put(id, t.past())
		}
	}
	n.Forget()
}

// past gives what is worth remembering of t; nil: nothing.
func (t *thing) past() *past {
	p := &past{skew: t.skew}
	for i := range t.streams {
		if s := &t.streams[i]; s.lastAt != 0 {
			p.streams = append(p.streams, pastStream{s.id, s.conversion, s.series})
		}
	}
	if p.skew.arrival == 0 && len(p.streams) == 0 {
		return nil
	}
	return p
}

func (m *Memory) put(id sensor.ThingID, p *past) {
	if p == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.things[id]; old != nil {
		m.drop(id, old)
	}
	bytes := p.bytes(id)
	for other, old := range m.things { // any will do
		if m.left >= bytes {
			break
		}
		m.drop(other, old)
	}
	if m.left >= bytes {
		m.left -= bytes
		m.things[id] = p
	}
}

func (m *Memory) drop(id sensor.ThingID, p *past) {
	delete(m.things, id)
	m.left += p.bytes(id)
}

// take takes out what there is of a Thing; nil: nothing.
func (m *Memory) take(id sensor.ThingID) *past {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.things[id]
	if p != nil {
		m.drop(id, p)
		p.skew.message = 0 // of another Normalizer's count
	}
	return p
}

// recall gives s the series that its Thing brought along, once.
func (t *thing) recall(s *stream) {
	for i := range t.brought {
		if p := &t.brought[i]; p.id == s.id && p.conversion == s.conversion {
			s.series = p.series
			t.brought[i] = t.brought[len(t.brought)-1]
			t.brought = t.brought[:len(t.brought)-1]
			return
		}
	}
}
