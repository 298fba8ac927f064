package livestate

// wheel holds the fresh streams by the second in which they may grow stale. A stream stands in it once; its newer
// values do not move it. When its second comes it is looked at, and put back if it has become newer meanwhile, so
// that an observation costs the wheel nothing.
type wheel struct {
	slots [wheelSlots]uint32 // heads of lists through link.due
	at    int64              // the first second not yet looked at
	rest  uint32             // of the second before it: still to be looked at
	early []early
}

const wheelSlots = 4096 // seconds; what is due later is looked at on the way

// early is a stream whose interval was shortened while it stood in the wheel for the longer one.
type early struct {
	stream uint32
	until  int64 // second by which the wheel has come to it
}

func newWheel(now int64) wheel {
	w := wheel{at: now / 1000, rest: nothing}
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

// expire looks at the streams whose last fresh second is over, at most n of them. One that is not fresh any more
// leaves the fresh numbers of its cells. It reports whether there is more to do.
func (s *State) expire(n int) (more bool) {
	w, now := &s.wheel, s.now/1000
	w.at = max(w.at, now-wheelSlots) // further back every slot would come twice
	for {
		for ; w.rest != nothing && n > 0; n-- {
			si := w.rest
			w.rest = s.links[si].due
			s.streams[si].flags &^= wheeled
			s.grow(si)
		}
		if w.rest != nothing {
			return true
		}
		if w.at >= now {
			break
		}
		slot := &w.slots[w.at%wheelSlots]
		w.rest, *slot = *slot, nothing
		w.at++
	}
	kept := w.early[:0]
	for _, e := range w.early {
		s.grow(e.stream)
		if e.until >= now { // even if it is stale: it may become fresh again and still stand in the far slot
			kept = append(kept, e)
		}
	}
	w.early = kept
	return false
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
