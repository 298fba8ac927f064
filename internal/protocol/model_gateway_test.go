package protocol

import "slices"

// gateway holds one lane: its spool, and its hand to a topic.
type gateway struct {
	number uint8
	epoch  uint8
	log    string
	up     bool

	first  uint64  // seq of records[0]
	rec    []int16 // uid of each record
	synced uint64  // everything before is durable
	gaps   []gap   // dropped by policy and not passed yet
	hint   uint64  // the file beside the spool
	hints  [2]uint64

	sender     Sender
	from, to   uint64 // the range under way, gathered
	gap        bool
	unresolved uint64 // habit oneUnresolved not kept: a range that was left behind
}

type gap struct{ from, to uint64 }

func (g *gateway) p() uint8 { return g.number*4 + g.epoch - 1 }

func (g *gateway) next() uint64 { return g.first + uint64(len(g.rec)) }

// oldest is where the log begins, with the gaps that are still to be told.
func (g *gateway) oldest() uint64 {
	if len(g.gaps) > 0 {
		return min(g.first, g.gaps[0].from)
	}
	return g.first
}

func (g *gateway) uid(seq uint64) int16 { return g.rec[seq-g.first] }

func (g *gateway) gapAt(seq uint64) (gap, bool) {
	for _, x := range g.gaps {
		if x.from <= seq && seq <= x.to {
			return gap{seq, x.to}, true
		}
	}
	return gap{}, false
}

// publish takes a message; it is not durable yet.
func (g *gateway) publish(w *world) {
	if !g.up || g.next() >= maxSeq {
		return
	}
	uid := int16(len(w.all))
	m := message{p: g.p(), seq: uint8(g.next()), parts: uint8(w.pick(4)), acked: w.habits.has(ackAfterSync)}
	w.all = append(w.all, m)
	g.rec = append(g.rec, uid)
	w.messages++
	w.say("gateway %c: message %d, rows in partitions %02b", 'a'+g.number, m.seq, m.parts)
}

// sync makes everything durable, and acknowledges it.
func (g *gateway) sync(w *world) {
	if !g.up || g.synced == g.next() {
		return
	}
	for seq := g.synced; seq < g.next(); seq++ {
		w.all[g.uid(seq)].acked = true
	}
	g.synced = g.next()
	w.say("gateway %c: synced and acknowledged before %d", 'a'+g.number, g.synced)
}

// crash: of what was not synced, some beginning is on the disk.
func (g *gateway) crash(w *world) {
	if !g.up {
		return
	}
	keep := int(g.synced-g.first) + w.pick(int(g.next()-g.synced)+1)
	g.rec = g.rec[:keep]
	g.up = false
	if g.hint = 0; w.pick(3) > 0 { // the hint is never synced
		g.hint = g.hints[w.pick(2)]
	}
	w.say("gateway %c: dies, its spool ends before %d", 'a'+g.number, g.next())
	if g.to != 0 && w.pick(2) == 0 {
		w.limbo = append(w.limbo, g.request(w))
	}
	g.from, g.to = 0, 0
}

// start syncs what it found and goes on.
func (g *gateway) start(w *world) {
	if !g.up {
		g.synced, g.up = g.next(), true
		g.restart(w)
		w.say("gateway %c: starts, goes on at %d", 'a'+g.number, g.sender.Next())
	}
}

func (g *gateway) restart(w *world) {
	g.sender = NewSender(Resume(g.hint, g.oldest(), g.synced), 3)
	g.sender.broken = w.broken
	g.from, g.to, g.unresolved = 0, 0, 0
}

// lose: the spool's directory is gone, with what was not handed on.
func (g *gateway) lose(w *world) {
	if g.epoch == 4 || w.sabotage.kind != 0 || w.pick(3) > 0 || g.synced == 1 {
		return
	}
	for uid := range w.all { // also gaps that nobody was told of yet
		if m := &w.all[uid]; m.p == g.p() && uint64(m.seq) >= g.oldest() {
			m.excused = true
		}
	}
	if !w.kafka { // the process holds both
		for _, o := range slices.Clone(w.owners) {
			o.crash(w)
		}
		w.group.crash(w)
	}
	known := uint32(g.epoch)
	if w.pick(2) == 0 {
		known = 0 // nobody knows of it: but the clock has gone on
	}
	if !w.habits.has(epochRises) {
		g.epoch = uint8(NextEpoch(known, uint32(g.epoch)+1))
	}
	*g = gateway{number: g.number, epoch: g.epoch, log: w.newLog(), first: 1, synced: 1, up: true, rec: g.rec[:0], gaps: g.gaps[:0]}
	g.restart(w)
	w.spoolsLost++
	w.say("gateway %c: its spool is lost; epoch %d, log %s", 'a'+g.number, g.epoch, g.log)
}

// dropOldest frees records by policy, whatever they hold, and notes a gap.
func (g *gateway) dropOldest(w *world) {
	n := min(uint64(1+w.pick(3)), g.synced-g.first)
	if n == 0 || w.pick(3) > 0 {
		return
	}
	if !w.kafka && (len(w.owners) > 1 || len(w.limbo) > 0) {
		return // the process that drops is the one that consumes, and it has no zombies: they would see other blocks
	}
	x := gap{g.first, g.first + n - 1}
	if k := len(g.gaps); k > 0 && g.gaps[k-1].to+1 == x.from {
		g.gaps[k-1].to = x.to
	} else {
		g.gaps = append(g.gaps, x)
	}
	g.rec = append(g.rec[:0], g.rec[n:]...)
	g.first += n
	w.gaps++
	w.say("gateway %c: drops %d..%d by policy", 'a'+g.number, x.from, x.to)
}

// trim frees records before a seq: never all of it at once, since whole segments go.
func (g *gateway) trim(w *world, before uint64) {
	g.gaps = slices.DeleteFunc(g.gaps, func(x gap) bool { return x.to < before })
	if before <= g.first || w.pick(2) == 0 {
		return
	}
	n := min(before, g.synced) - g.first
	for _, uid := range g.rec[:n] {
		if m := &w.all[uid]; !w.kafka && !m.excused && !w.store.has(m, uid) {
			w.failf("message %d of epoch %d is freed and not stored", m.seq, m.p%4+1)
		}
	}
	g.rec = append(g.rec[:0], g.rec[n:]...)
	g.first += n
}

// send gathers a range, or sends the one that is unresolved once more.
func (g *gateway) send(w *world) {
	if !w.kafka || !g.up || w.sabotage.frozen {
		if !g.up {
			g.start(w)
		}
		return
	}
	if g.to == 0 && !g.gather(w) {
		return
	}
	r := g.request(w)
	answer := Unknown
	one := g.from == g.to || g.gap
	if !w.calm && !one && w.pick(100) < w.faults/4 {
		answer = TooLarge
	} else if done, later := w.fate(); done {
		r.do(w)
		if !later {
			answer = OK
		}
	} else if later {
		w.limbo = append(w.limbo, r)
	}
	w.say("gateway %c: sends %d..%d: %v", 'a'+g.number, g.from, g.to, [...]string{"no answer", "taken", "too large"}[answer])
	if answer == Unknown {
		w.repeated++
	}
	g.answered(w, answer, one)
}

func (g *gateway) answered(w *world, answer Answer, one bool) {
	if answer == Unknown && w.habits.has(oneUnresolved) && g.unresolved == 0 { // leave it behind, come back later
		g.unresolved = g.from
		g.sender, g.to = NewSender(g.to+1, 3), 0
		return
	}
	if g.sender.Answered(answer, one) {
		return
	}
	g.to = 0
	if g.unresolved != 0 && answer == OK {
		g.sender, g.unresolved = NewSender(g.unresolved, 3), 0
		return
	}
	if answer != TooLarge && g.unresolved == 0 {
		g.hints[0], g.hints[1] = g.hints[1], g.sender.Next()
		g.trim(w, g.sender.Next())
	}
}

func (g *gateway) gather(w *world) bool {
	from := g.sender.Next()
	if x, ok := g.gapAt(from); ok {
		g.from, g.to, g.gap = x.from, x.to, true
	} else if from < g.synced {
		n := 1 + w.pick(4)
		if l := g.sender.Limit(); l > 0 {
			n = min(n, l)
		}
		g.from, g.to, g.gap = from, min(from+uint64(n)-1, g.synced-1), false
	} else if g.unresolved != 0 {
		g.sender, g.unresolved = NewSender(g.unresolved, 3), 0
		return g.gather(w)
	} else {
		return false
	}
	if err := g.sender.Begin(g.to); err != nil {
		w.failf("gateway: %v", err)
	}
	return true
}

// request is the range under way. What was dropped since it was gathered was gathered all the same.
func (g *gateway) request(w *world) request {
	r := request{kind: produce, entry: entry{p: g.p(), from: g.from, to: g.to, gap: g.gap}}
	if !g.gap {
		r.entry.at = int32(len(w.bus.arena))
		for seq := g.from; seq <= g.to; seq++ {
			w.bus.arena = append(w.bus.arena, w.find(g, seq))
		}
	}
	return r
}

// find gives the uid of a message of the gateway's present log.
func (w *world) find(g *gateway, seq uint64) int16 {
	if seq >= g.first {
		return g.uid(seq)
	}
	for uid := len(w.all) - 1; uid >= 0; uid-- { // dropped meanwhile, but still in the sender's memory
		if m := &w.all[uid]; m.p == g.p() && uint64(m.seq) == seq {
			return int16(uid)
		}
	}
	return -1
}
