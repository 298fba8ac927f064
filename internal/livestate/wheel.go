package livestate

// wheel holds the fresh streams by the second in which they may grow stale. A stream stands in it once; its newer
// values do not move it. When its second comes it is looked at, and put back if it has become newer meanwhile, so
// that an observation costs the wheel nothing.
type wheel struct {
	slots [wheelSlots]uint32 // heads of lists through link.due
	at    int64              // the first second not yet looked at
	early []early
}

const wheelSlots = 4096 // seconds; what is due later is looked at on the way

// early is a stream whose interval was shortened while it stood in the wheel for the longer one.
type early struct {
	stream uint32
	until  int64 // second by which the wheel has come to it
}

func newWheel(now int64) wheel {
	w := wheel{at: now / 1000}
	for i := range w.slots {
		w.slots[i] = nothing
	}
	return w
}

// add files a stream under the second its value grows stale in.
func (w *wheel) add(st *stream, l *link, si uint32) {
	second := min(max(st.staleAfter(), w.at), w.at+wheelSlots-1)
	slot := &w.slots[second%wheelSlots]
	l.due, *slot = *slot, si
	st.flags |= wheeled
}

// expire looks at every stream whose last fresh second is over. One that is not fresh any more leaves the fresh
// numbers of its cells.
func (s *State) expire() {
	w, now := &s.wheel, s.now/1000
	for second := max(w.at, now-wheelSlots); second < now; second++ {
		head := w.slots[second%wheelSlots]
		w.slots[second%wheelSlots] = nothing
		w.at = second + 1
		for head != nothing {
			si := head
			head = s.links[si].due
			s.streams[si].flags &^= wheeled
			s.grow(si)
		}
	}
	kept := w.early[:0]
	for _, e := range w.early {
		s.grow(e.stream)
		if e.until >= now { // even if it is stale: it may become fresh again and still stand in the far slot
			kept = append(kept, e)
		}
	}
	w.early = kept
}

// grow lets a stream grow older: it turns stale, or waits on.
func (s *State) grow(si uint32) {
	old := s.streams[si].contribution()
	s.refreshen(si)
	if old.fresh && !s.streams[si].has(fresh) {
		s.counters.expired++
		s.settle(si, old)
	}
}

// sooner has a stream looked at every time until the wheel has come to it.
func (s *State) sooner(si uint32) {
	s.wheel.early = append(s.wheel.early, early{si, s.wheel.at + wheelSlots})
}
