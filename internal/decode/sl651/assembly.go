package sl651

import (
	"bytes"
	"slices"
	"time"
)

// Usual bounds of an Assembly.
const (
	usualSets  = 16
	usualBytes = 4 << 20
	usualWait  = 2 * time.Minute
)

// Assembly collects the packets of a body (SYN) until all are there. It is a pure machine: frames and the time come from
// its caller, one goroutine, and what comes in goes out again, whole or not. The zero value is ready.
type Assembly struct {
	Sets  int           // bodies waited for at once; 0 = 16
	Bytes int           // of their packets; 0 = 4 MiB
	Wait  time.Duration // after the latest packet of a body; 0 = 2 minutes

	open []*set // oldest first
	held int    // bytes
}

// Ready is what waits for nothing any more: one frame, or all packets of a body, glued in their order, as Decode takes them.
type Ready struct {
	Payload []byte
	Frames  []Frame // in their order, empty if the frame cannot be read: the first is the lead of Reply, the last the one to answer
	Missing []int   // packets that did not come in time; Decode tells a report with some missing to be truncated
}

// Lack is what has to be sent again, once the last packet has come: Refuse asks for it.
type Lack struct {
	Lead    *Frame // the first packet, nil if it is missing itself
	Numbers []int
}

// set is a body of which packets are missing.
type set struct {
	parts  [][]byte
	frames []*Frame
	count  int
	bytes  int
	until  time.Time
}

// Step takes a frame and gives what is ready: the frame itself, if it is no packet, or its checksum is wrong; the body that
// it completes; and what was waited for long enough or had to make room. lack is what the station has not sent, or not
// well, if this packet says that it was the last one.
func (a *Assembly) Step(frame []byte, now time.Time) (ready []Ready, lack Lack) {
	ready = a.Expire(now)
	f, err := Parse(frame)
	switch {
	case err != nil:
		return append(ready, Ready{Payload: frame}), lack
	case f.Total < 2 || f.Down || !f.Checksum.OK:
		return append(ready, Ready{Payload: frame, Frames: []Frame{f}}), lack
	}
	s := a.find(&f)
	a.keep(s, &f, frame, now)
	if s.count == len(s.parts) {
		return append(ready, a.release(s)), lack
	}
	if f.End == etx {
		lack = Lack{Lead: s.frames[0], Numbers: s.missing()}
	}
	for len(a.open) > usually(a.Sets, usualSets) || a.held > usually(a.Bytes, usualBytes) {
		ready = append(ready, a.release(a.open[0]))
	}
	return ready, lack
}

// Expire gives what was waited for long enough.
func (a *Assembly) Expire(now time.Time) (ready []Ready) {
	for _, s := range slices.Clone(a.open) {
		if !now.Before(s.until) {
			ready = append(ready, a.release(s))
		}
	}
	return ready
}

// Next is when Expire has something to give; ok is false if nothing waits.
func (a *Assembly) Next() (at time.Time, ok bool) {
	for _, s := range a.open {
		if !ok || s.until.Before(at) {
			at, ok = s.until, true
		}
	}
	return at, ok
}

// Flush gives everything that waits: the station has gone.
func (a *Assembly) Flush() (ready []Ready) {
	for len(a.open) > 0 {
		ready = append(ready, a.release(a.open[0]))
	}
	return ready
}

func (a *Assembly) find(f *Frame) *set {
	for _, s := range a.open {
		i := slices.IndexFunc(s.frames, func(o *Frame) bool { return o != nil })
		o := s.frames[i]
		if o.Station == f.Station && o.Function == f.Function && o.Total == f.Total && o.Text == f.Text && o.Center == f.Center {
			return s
		}
	}
	s := &set{parts: make([][]byte, f.Total), frames: make([]*Frame, f.Total)}
	s.bytes = 32 * f.Total // the two lists themselves
	a.held += s.bytes
	a.open = append(a.open, s)
	return s
}

// keep takes a packet; one sent again replaces the earlier one.
func (a *Assembly) keep(s *set, f *Frame, frame []byte, now time.Time) {
	i := f.Number - 1
	if s.parts[i] == nil {
		s.count++
	}
	grown := 2 * (len(frame) - len(s.parts[i])) // once for the body that the Frame holds
	s.bytes += grown
	a.held += grown
	s.parts[i], s.frames[i], s.until = bytes.Clone(frame), f, now.Add(usually(a.Wait, usualWait))
}

func (s *set) missing() (numbers []int) {
	for i, p := range s.parts {
		if p == nil {
			numbers = append(numbers, i+1)
		}
	}
	return numbers
}

// release gives up a set.
func (a *Assembly) release(s *set) Ready {
	a.open = slices.DeleteFunc(a.open, func(o *set) bool { return o == s })
	a.held -= s.bytes
	r := Ready{Payload: bytes.Join(s.parts, nil), Missing: s.missing()}
	for _, f := range s.frames {
		if f != nil {
			r.Frames = append(r.Frames, *f)
		}
	}
	return r
}

func usually[T int | time.Duration](v, usual T) T {
	if v == 0 {
		return usual
	}
	return v
}
