package protocol

import "math"

// choices are the random numbers of a schedule: from a seed, or from a tape of numbers, which can be cut.
type choices struct {
	state uint64
	tape  []uint32 // played instead of the seed when not nil; zeros after its end
	at    int
	keep  bool // record what was drawn
	drawn []uint32
	trace func(string)
}

func (c *choices) reset(seed uint64) {
	c.state, c.at, c.drawn = seed*0x9E3779B97F4A7C15+1, 0, c.drawn[:0]
}

// pick gives one of 0..n-1.
func (c *choices) pick(n int) int {
	if c.tape != nil {
		v := uint32(0)
		if c.at < len(c.tape) {
			v = c.tape[c.at]
		}
		c.at++
		return int(v) % n
	}
	c.state += 0x9E3779B97F4A7C15 // splitmix64
	z := c.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	v := int((z ^ z>>31) >> 33 % uint64(n))
	if c.keep {
		c.drawn = append(c.drawn, uint32(v))
	}
	return v
}

// stats count what happened in many schedules.
type stats struct {
	schedules, turns, messages, blocks, replays          int
	crashes, zombies, sleeps, kills, powerCuts           int
	lostRequests, lostAnswers, delayed, fenced, repeated int
	spoolsLost, gaps, logsRenewed, sabotages, stops      int
	seen                                                 *sketch // states that were ever met; nil = not counted
}

func (s *stats) add(o *stats) {
	a := []*int{&s.schedules, &s.turns, &s.messages, &s.blocks, &s.replays, &s.crashes, &s.zombies, &s.sleeps, &s.kills, &s.powerCuts,
		&s.lostRequests, &s.lostAnswers, &s.delayed, &s.fenced, &s.repeated, &s.spoolsLost, &s.gaps, &s.logsRenewed, &s.sabotages, &s.stops}
	b := []int{o.schedules, o.turns, o.messages, o.blocks, o.replays, o.crashes, o.zombies, o.sleeps, o.kills, o.powerCuts,
		o.lostRequests, o.lostAnswers, o.delayed, o.fenced, o.repeated, o.spoolsLost, o.gaps, o.logsRenewed, o.sabotages, o.stops}
	for i := range a {
		*a[i] += b[i]
	}
	if s.seen != nil && o.seen != nil {
		for i := range s.seen.bits {
			s.seen.bits[i] |= o.seen.bits[i]
		}
	}
}

// sketch estimates the number of different values from how much of a bitmap they fill (linear counting).
type sketch struct{ bits []uint64 }

func newSketch() *sketch { return &sketch{make([]uint64, 1<<21)} } // 2^27 bits, 16 MiB

func (s *sketch) add(h uint64) {
	h = (h ^ h>>31) * 0x9E3779B97F4A7C15
	h ^= h >> 29
	s.bits[h>>6&uint64(len(s.bits)-1)] |= 1 << (h & 63)
}

func (s *sketch) estimate() int {
	m, set := float64(len(s.bits)*64), 0
	for _, b := range s.bits {
		for ; b != 0; b &= b - 1 {
			set++
		}
	}
	return int(-m * math.Log((m-float64(set))/m))
}

// note hashes what the world is like.
func (w *world) note() {
	if w.seen == nil {
		return
	}
	h := uint64(14695981039346656037)
	mix := func(v uint64) { h = (h ^ v) * 1099511628211; h ^= h >> 32 }
	for i := range w.gateways {
		g := &w.gateways[i]
		mix(uint64(g.epoch)<<48 | g.first<<36 | g.synced<<24 | g.next()<<12 | g.sender.Next())
		mix(g.sender.to<<8 | uint64(len(g.gaps)))
	}
	for _, o := range w.owners {
		mix(uint64(o.core.at)<<40 | uint64(o.core.pos.offset+1)<<20 | uint64(o.core.pos.underway))
		mix(uint64(o.part.tries)<<8 | uint64(o.month))
		if o.core.doubtful {
			mix(1)
		}
	}
	mix(uint64(w.store.count)<<40 | uint64(len(w.store.tokens))<<30 | uint64(len(w.store.records))<<20 | uint64(len(w.limbo))<<10 | uint64(len(w.bus.entries)))
	mix(uint64(w.bus.logs)<<32 | uint64(w.sabotage.kind))
	w.seen.add(h)
}
