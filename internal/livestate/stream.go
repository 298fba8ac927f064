package livestate

import (
	"math"

	"github.com/situ-city/situ/pkg/sensor"
)

// key orders values of one Datastream. The last of equal phenomenonTime wins: greatest resultTime, then
// arrivalTime, as in the store's views; seq and idx only break ties inside one gateway.
type key struct {
	phenomenon, result, arrival int64
	seq                         uint64
	idx                         uint16
}

func (k key) less(o key) bool {
	switch {
	case k.phenomenon != o.phenomenon:
		return k.phenomenon < o.phenomenon
	case k.result != o.result:
		return k.result < o.result
	case k.arrival != o.arrival:
		return k.arrival < o.arrival
	case k.seq != o.seq:
		return k.seq < o.seq
	}
	return k.idx < o.idx
}

// stream is a Datastream and its latest value. Streams of one Thing are a list; those that count on the map are
// also members of a leaf node. An observation reads and writes this and nothing of its link: it is one cache line,
// as node and thing are (the state is far larger than the caches, so lines touched are what an observation costs).
type stream struct {
	phenomenon, resultTime, arrival int64
	seq                             uint64
	result                          float64
	interval                        uint32 // ms a value stays fresh
	thing                           uint32
	leaf                            uint32 // node of resolution Finest it counts in, or nothing
	after                           uint32 // next member of the same leaf
	idx                             uint16
	quality                         sensor.Quality
	property                        sensor.PropertyNumber
	statistic                       sensor.Statistic
	flags                           uint8
}

// link is the rest of a stream.
type link struct {
	id   sensor.DatastreamID
	next uint32 // of the same Thing
	prev uint32 // member of the same leaf
	due  uint32 // next in the same slot of the wheel
}

func (st *stream) key() key {
	return key{st.phenomenon, st.resultTime, st.arrival, st.seq, st.idx}
}

func (st *stream) setKey(k key) {
	st.phenomenon, st.resultTime, st.arrival, st.seq, st.idx = k.phenomenon, k.result, k.arrival, k.seq, k.idx
}

const (
	known   = 1 << iota // the registry knows it
	mapped              // property and statistic belong on the map
	fresh               // not older than its interval at State.now
	wheeled             // stands in the wheel
	rivals              // another mapped stream of the Thing has the same property
	hasText             // State.texts holds its result
)

func (st *stream) has(flag uint8) bool { return st.flags&flag != 0 }

func (st *stream) set(flag uint8, on bool) {
	if on {
		st.flags |= flag
	} else {
		st.flags &^= flag
	}
}

// contribution is what a member adds to its leaf and the leaf's ancestors.
type contribution struct {
	result float64
	newest int64
	fresh  bool
}

func (st *stream) contribution() contribution {
	return contribution{st.result, st.phenomenon, st.has(fresh)}
}

// stream finds a Datastream, or makes room for it and its Thing when it is seen for the first time.
func (s *State) stream(id sensor.DatastreamID, thing sensor.ThingKey) (uint32, bool) {
	if si, ok := s.streamOf[id]; ok {
		return si, true
	}
	info, ok := s.lookup.Meta(id)
	if !ok && len(s.unresolved) >= s.maxUnresolved {
		return 0, false
	}
	ti := s.thing(thing)
	si := uint32(len(s.streams))
	s.streams = append(s.streams, stream{phenomenon: never, thing: ti, leaf: nothing, after: nothing, interval: freshFor(0)})
	s.links = append(s.links, link{id: id, next: s.things[ti].first, prev: nothing, due: nothing})
	s.things[ti].first = si
	s.streamOf[id] = si
	switch th := &s.things[ti]; {
	case !ok:
		s.unresolved = append(s.unresolved, si)
	case th.stratum != sensor.StratumOf(info.Class, info.Grade): // the other streams move with it
		s.reenter(ti, func() { s.learn(si, info) })
	default:
		s.learn(si, info)
	}
	return si, true
}

func freshFor(info int64) uint32 {
	if info <= 0 {
		info = DefaultInterval.Milliseconds()
	}
	return uint32(min(2*info, math.MaxUint32))
}

// learn takes what the registry says of a stream. The stream must not be a member of a leaf.
func (s *State) learn(si uint32, info Info) {
	st := &s.streams[si]
	before := st.interval
	if st.interval = freshFor(info.Interval.Milliseconds()); st.interval < before && st.has(wheeled) {
		s.sooner(si)
	}
	st.property, st.statistic = info.Property, info.Statistic
	st.set(known, true)
	st.set(mapped, info.mapped())
	th := &s.things[st.thing]
	s.names[st.thing].id, th.class, th.stratum = info.Thing, info.Class, sensor.StratumOf(info.Class, info.Grade)
	s.markRivals(st.thing, st.property)
}

// mapped says whether values of the Datastream belong on the map, of Things that have a place.
func (i *Info) mapped() bool {
	return i.Property != 0 && !i.Retired && (i.Statistic == sensor.Instant || i.Statistic == sensor.Average)
}

// learnt reports whether learn would change nothing.
func (s *State) learnt(si uint32, info Info) bool {
	st := &s.streams[si]
	th := &s.things[st.thing]
	return st.has(known) && st.has(mapped) == info.mapped() && st.property == info.Property && st.statistic == info.Statistic &&
		st.interval == freshFor(info.Interval.Milliseconds()) && th.class == info.Class &&
		th.stratum == sensor.StratumOf(info.Class, info.Grade) && s.names[st.thing].id == info.Thing
}

// markRivals notes which streams of a Thing share a property, so that only they pay for choosing.
func (s *State) markRivals(ti uint32, p sensor.PropertyNumber) {
	n := 0
	for si := s.things[ti].first; si != nothing; si = s.links[si].next {
		if st := &s.streams[si]; st.has(mapped) && st.property == p {
			n++
		}
	}
	for si := s.things[ti].first; si != nothing; si = s.links[si].next {
		if st := &s.streams[si]; st.has(mapped) && st.property == p {
			st.set(rivals, n > 1)
		}
	}
}

// resolve looks up again up to n of the streams the registry did not know.
func (s *State) resolve(n int) {
	waiting := s.unresolved
	n = min(n, len(waiting))
	s.unresolved = waiting[n:]
	for _, si := range waiting[:n] {
		if info, ok := s.lookup.Meta(s.links[si].id); ok {
			s.reenter(s.streams[si].thing, func() { s.learn(si, info) })
		} else {
			s.unresolved = append(s.unresolved, si)
		}
	}
	if len(s.unresolved) == 0 {
		s.unresolved = nil // let the consumed front go
	}
}

// refresh looks up again every stream of a Thing. Most are as they were: a registry tells of all of them at start.
func (s *State) refresh(ti uint32) {
	same := true
	for si := s.things[ti].first; si != nothing && same; si = s.links[si].next {
		info, ok := s.lookup.Meta(s.links[si].id)
		same = ok && s.learnt(si, info) || !ok && !s.streams[si].has(known)
	}
	if same {
		return
	}
	s.reenter(ti, func() {
		for si := s.things[ti].first; si != nothing; si = s.links[si].next {
			st := &s.streams[si]
			info, ok := s.lookup.Meta(s.links[si].id)
			switch {
			case ok:
				s.learn(si, info)
			case st.has(known): // withdrawn
				st.flags &^= known | mapped
				s.unresolved = append(s.unresolved, si)
			}
		}
	})
	s.dropResolved()
}

// dropResolved keeps the list of unknown streams to those.
func (s *State) dropResolved() {
	kept := s.unresolved[:0]
	for _, si := range s.unresolved {
		if !s.streams[si].has(known) {
			kept = append(kept, si)
		}
	}
	s.unresolved = kept
}

// reenter takes a Thing off the map, lets change happen, and puts it back where it then belongs.
func (s *State) reenter(ti uint32, change func()) {
	for si := s.things[ti].first; si != nothing; si = s.links[si].next {
		if s.streams[si].leaf != nothing {
			s.leave(si, s.streams[si].contribution())
		}
	}
	change()
	for si := s.things[ti].first; si != nothing; si = s.links[si].next {
		if s.streams[si].phenomenon != never {
			s.refreshen(si) // all of them before the first is put back: it may be chosen against the others
		}
	}
	for si := s.things[ti].first; si != nothing; si = s.links[si].next {
		s.settle(si, s.streams[si].contribution())
	}
}

func (s *State) setText(si uint32, text string) {
	s.streams[si].set(hasText, text != "")
	if text == "" {
		delete(s.texts, si)
	} else {
		s.texts[si] = text
	}
}

// refreshen judges whether the stream's value is fresh now, and has the wheel look again when it ceases to be.
func (s *State) refreshen(si uint32) {
	st := &s.streams[si]
	isFresh := st.staleAfter() >= s.now/1000
	st.set(fresh, isFresh)
	if isFresh && !st.has(wheeled) {
		s.wheel.add(st, &s.links[si], si)
	}
}

// staleAfter is the last second in which the value is fresh.
func (st *stream) staleAfter() int64 { return (st.phenomenon + int64(st.interval)) / 1000 }

// candidate says whether the stream may stand for its Thing and property on the map.
func (s *State) candidate(si uint32) bool {
	st := &s.streams[si]
	return st.has(mapped) && st.phenomenon != never && s.things[st.thing].cell != 0 &&
		!math.IsNaN(st.result) && !math.IsInf(st.result, 0)
}

// settle brings the map into line with a stream whose value or freshness has changed; old is what it was.
func (s *State) settle(si uint32, old contribution) {
	st := &s.streams[si]
	switch ok := s.candidate(si); {
	case st.leaf != nothing && ok:
		s.replace(st.leaf, old, st.contribution())
	case st.leaf != nothing:
		s.leave(si, old)
	case ok && !st.has(rivals):
		s.enter(si)
	}
	if st.has(rivals) {
		s.choose(st.thing, st.property)
	}
}

// choose lets the best of a Thing's streams of one property, and no other, stand on the map.
func (s *State) choose(ti uint32, p sensor.PropertyNumber) {
	best, now := nothing, nothing
	for si := s.things[ti].first; si != nothing; si = s.links[si].next {
		st := &s.streams[si]
		if !st.has(mapped) || st.property != p {
			continue
		}
		if st.leaf != nothing {
			now = si
		}
		if s.candidate(si) && (best == nothing || s.before(si, best)) {
			best = si
		}
	}
	if best == now {
		return
	}
	if now != nothing {
		s.leave(now, s.streams[now].contribution())
	}
	if best != nothing {
		s.enter(best)
	}
}

// before is the order of preference between two streams of one Thing and property.
func (s *State) before(a, b uint32) bool {
	st, o := &s.streams[a], &s.streams[b]
	switch {
	case st.has(fresh) != o.has(fresh):
		return st.has(fresh)
	case st.statistic != o.statistic:
		return st.statistic == sensor.Instant
	case st.key() != o.key():
		return o.key().less(st.key())
	}
	return s.links[a].id < s.links[b].id
}
