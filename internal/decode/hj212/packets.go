package hj212

import (
	"bytes"
	"slices"
	"strconv"
	"time"
)

// Usual bounds of an Assembly.
const (
	usualSets  = 64
	usualBytes = 1 << 20
	usualWait  = 30 * time.Second
	maxPackets = 1000
)

// Assembly puts the packets of one report together (PNUM, PNO: 6.3.3). It is a pure machine: frames and the time come
// from its caller, one goroutine, and what comes in goes out again, once, whole or not. The zero value is ready.
type Assembly struct {
	Sets  int           // reports waited for at once; 0 = 64
	Bytes int           // of their frames; 0 = 1 MiB
	Wait  time.Duration // after the first packet of a report; 0 = 30 s

	open []*set // oldest first
	held int    // bytes
}

// Ready is a report that waits for nothing any more.
type Ready struct {
	Payload []byte  // what to decode: one frame, or several glued. It may alias the frame given
	Frames  []Frame // what it is made of, sent again or not, in the order they came: what to answer
	Missing int     // packets that did not come in time; the Payload holds the others as they are
}

// set is a report of which packets are missing.
type set struct {
	mn, st, cn, qn string
	parts          [][]byte // frames by number
	frames         []Frame
	count, bytes   int
	until          time.Time
}

// Step takes a frame and gives what is ready: the frame itself, if it is no packet or cannot be read; the report that it
// completes; and reports that were waited for long enough or had to make room. A report of a device that sends each
// packet only after the answer to the one before comes with Missing, after Wait.
func (a *Assembly) Step(frame []byte, now time.Time) []Ready {
	ready := a.Expire(now)
	f, err := Parse(frame)
	if err != nil {
		return append(ready, Ready{Payload: frame})
	}
	pnum, pno := packet(f.PNUM), packet(f.PNO)
	broken := !f.Checksum.OK && f.Checksum.Variant == ""
	if broken || pnum < 2 || pnum > maxPackets || pno < 1 || pno > pnum {
		return append(ready, Ready{Payload: frame, Frames: []Frame{f}})
	}
	s := a.find(&f, pnum, now)
	a.keep(s, &f, pno, frame)
	if s.count == len(s.parts) {
		return append(ready, a.release(s))
	}
	for len(a.open) > or(a.Sets, usualSets) || a.held > or(a.Bytes, usualBytes) {
		ready = append(ready, a.release(a.open[0]))
	}
	return ready
}

// Expire gives the reports that were waited for long enough.
func (a *Assembly) Expire(now time.Time) (ready []Ready) {
	for len(a.open) > 0 && !now.Before(a.open[0].until) {
		ready = append(ready, a.release(a.open[0]))
	}
	return ready
}

// Next is when Expire has something to give; ok is false if nothing waits.
func (a *Assembly) Next() (at time.Time, ok bool) {
	if len(a.open) == 0 {
		return at, false
	}
	return a.open[0].until, true
}

// Flush gives everything that waits: the device has gone.
func (a *Assembly) Flush() (ready []Ready) {
	for len(a.open) > 0 {
		ready = append(ready, a.release(a.open[0]))
	}
	return ready
}

func (a *Assembly) find(f *Frame, pnum int, now time.Time) *set {
	for _, s := range a.open {
		if s.mn == f.MN && s.st == f.ST && s.cn == f.CN && s.qn == f.QN && len(s.parts) == pnum {
			return s
		}
	}
	s := &set{mn: f.MN, st: f.ST, cn: f.CN, qn: f.QN, parts: make([][]byte, pnum), until: now.Add(or(a.Wait, usualWait))}
	if n := len(a.open); n > 0 && s.until.Before(a.open[n-1].until) { // a clock that was set back must not shuffle them
		s.until = a.open[n-1].until
	}
	a.open = append(a.open, s)
	return s
}

// keep takes a packet; one sent again replaces the earlier one.
func (a *Assembly) keep(s *set, f *Frame, pno int, frame []byte) {
	old := &s.parts[pno-1]
	if *old == nil {
		s.count++
	}
	grown := len(frame) - len(*old)
	if len(s.frames) < 4*len(s.parts) { // beyond that somebody plays
		s.frames = append(s.frames, *f)
		grown += len(frame) // the copy for the answer
	}
	s.bytes += grown
	a.held += grown
	*old = bytes.Clone(frame)
}

// release gives up a set.
func (a *Assembly) release(s *set) Ready {
	a.open = slices.DeleteFunc(a.open, func(o *set) bool { return o == s })
	a.held -= s.bytes
	r := Ready{Frames: s.frames, Missing: len(s.parts) - s.count}
	if r.Missing == 0 {
		if whole, ok := join(s.parts); ok {
			r.Payload = whole
			return r
		}
	}
	for _, p := range s.parts {
		r.Payload = append(r.Payload, p...)
		if len(p) > 0 && p[len(p)-1] != '\n' {
			r.Payload = append(r.Payload, '\r', '\n')
		}
	}
	return r
}

func packet(s string) int {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

func or[T int | time.Duration](v, usual T) T {
	if v == 0 {
		return usual
	}
	return v
}
