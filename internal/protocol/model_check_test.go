package protocol

import "errors"

// sabotage is something that no program can mend: it must be noticed before anything is inserted.
type sabotage struct {
	kind    int
	must    bool // the next owner must stop
	may     bool // it may
	frozen  bool // gateways wait until somebody has looked
	stopped bool
	inserts int // of the store until then
}

const (
	commitsLost = 1 + iota
	commitsOld
	storeEmpty
	storeOld
	logTrimmed
	logShrunk
	logReplaced
)

// breakSomething ends all ingesters, breaks one thing, and notes what must follow.
func (w *world) breakSomething() {
	if w.sabotage.kind != 0 || w.pick(2) > 0 {
		return
	}
	for len(w.owners) > 0 {
		w.owners[0].crash(w)
	}
	if !w.kafka {
		w.group.crash(w)
	}
	for len(w.limbo) > 0 {
		w.arrive()
	}
	w.sabotage.kind = 1 + w.pick(7)
	w.sabotages++
	switch w.sabotage.kind {
	case commitsLost, commitsOld:
		w.oldCommits(w.sabotage.kind == commitsLost)
	case storeEmpty:
		w.store.reset()
	case storeOld:
		w.store.from(&w.copy)
		w.excuseGone()
	case logTrimmed, logShrunk, logReplaced:
		if w.kafka {
			w.harmLog(w.sabotage.kind)
		}
	}
	w.judge()
	w.sabotage.inserts = w.store.inserts
	w.say("sabotage %d: must stop %v, may %v", w.sabotage.kind, w.sabotage.must, w.sabotage.may)
}

func (w *world) oldCommits(lost bool) {
	g := &w.group
	if !lost && w.underWay() {
		return // a copy of before would hide it from everybody; docs/guarantees.md says so
	}
	if lost {
		g.at = Position{Offset: -1}
		g.content = g.content[:0]
	} else {
		g.at = g.old
		g.content = append(g.content[:0], g.oldContent...)
	}
	if err := g.file.Load(g.content); err != nil {
		w.failf("commit file: %v", err)
	}
	g.synced = len(g.content)
}

// underWay tells whether a block is announced of which the store has no record.
func (w *world) underWay() bool {
	at, err := w.group.committed(w)
	i, _ := ParseIntent(at.Meta)
	if err != nil || i == nil {
		return err != nil
	}
	newest := w.store.newest(w.bus.id(w), ever)
	return newest == nil || newest.To < i.To
}

func (w *world) harmLog(kind int) {
	b := &w.bus
	switch kind {
	case logTrimmed:
		n := w.pick(len(b.entries) + 1)
		w.excuse(b.entries[:n])
		b.entries, b.base = append(b.entries[:0], b.entries[n:]...), b.base+int64(n)
	case logShrunk:
		n := len(b.entries) - w.pick(len(b.entries)+1)
		w.excuse(b.entries[n:])
		b.entries = b.entries[:n]
		w.sabotage.frozen = true
	case logReplaced:
		w.excuse(b.entries)
		b.entries, b.base, b.name = b.entries[:0], 0, w.newLog()
	}
}

// excuse: what is taken from the log before it was stored was promised by nobody any more.
func (w *world) excuse(lost []entry) {
	for _, e := range lost {
		for uid := range w.all {
			if m := &w.all[uid]; m.p == e.p && e.from <= uint64(m.seq) && uint64(m.seq) <= e.to {
				m.excused = true
			}
		}
	}
}

// excuseGone: what neither store nor log nor spool has any more.
func (w *world) excuseGone() {
	for uid := range w.all {
		m := &w.all[uid]
		if w.store.has(m, int16(uid)) {
			continue
		}
		gone := true
		for _, e := range w.bus.entries {
			gone = gone && (e.p != m.p || uint64(m.seq) < e.from || e.to < uint64(m.seq))
		}
		for i := range w.gateways {
			g := &w.gateways[i]
			gone = gone && (g.p() != m.p || uint64(m.seq) < g.oldest())
		}
		m.excused = m.excused || gone
	}
}

// judge says what must follow, by other words than MakePlan's.
func (w *world) judge() {
	s := &w.sabotage
	at, err := w.group.committed(w)
	if err != nil {
		s.must, s.may = true, true
		return
	}
	i, _ := ParseIntent(at.Meta)
	end, first := at.Offset, at.Offset < 0
	if i != nil {
		end, first = i.To, i.First
	}
	stored := int64(-1) // the greatest offset up to which the store says it has this log
	for _, r := range w.store.records {
		if r.log == w.bus.id(w) {
			stored = max(stored, r.to)
		}
	}
	lo, hi := w.bus.first(w), w.bus.end(w)
	s.must = stored > end || // the store is ahead
		!first && stored < 0 || // it has nothing
		w.lostBlocks(at.Offset, lo) ||
		at.Offset >= 0 && (at.Offset < lo && end > at.Offset || end < lo || end > hi) // the log is not there
	s.may = s.must || at.Offset >= 0 && at.Offset < lo
}

// lostBlocks tells whether the store lacks blocks before a committed offset that the log does not have either.
func (w *world) lostBlocks(committed, first int64) bool {
	b := w.store.newest(w.bus.id(w), committed)
	return b != nil && b.To < committed && b.To < first
}

// renewLog makes the topic anew, as somebody does who deletes it: the group's position goes with it. Not while a block is
// half stored: its rows would be of a log of which nobody knows anything any more.
func (w *world) renewLog() {
	if !w.kafka || w.sabotage.kind != 0 || w.bus.logs > 20 || w.underWay() {
		return
	}
	w.excuse(w.bus.entries)
	w.bus.entries, w.bus.base, w.bus.name = w.bus.entries[:0], 0, w.newLog()
	for len(w.owners) > 0 { // they see that it is another
		w.owners[0].crash(w)
	}
	w.expire(func(r *request) bool { return r.kind == commitPosition || r.kind >= insertRows })
	w.group.at = Position{Offset: -1}
	w.logsRenewed++
	w.say("the topic is deleted and made anew as log %s", w.bus.name)
}

// stopped judges why an ingester has ended by itself.
func (w *world) stopped(o *ingester) {
	err := o.core.Err()
	w.say("%v stops: %v", o, err)
	w.bury(o)
	if errors.Is(err, ErrNotOwner) || errors.Is(err, errOffset) && w.group.allow(w, o.gen) != nil {
		return // a zombie; what it was about to read may be freed
	}
	w.stops++
	s := &w.sabotage
	switch {
	case s.must && w.store.inserts != s.inserts:
		w.failf("it inserted before it stopped: %v", err)
	case !s.may:
		w.failf("it stopped without reason: %v", err)
	default:
		// A log that shrank stays as it is: once it has grown past the position again nobody can know (docs/guarantees.md).
		s.stopped, s.frozen, s.must = true, s.kind == logShrunk, true
		s.inserts = w.store.inserts
	}
}

// check is what must hold when all is quiet.
func (w *world) check() {
	if w.sabotage.must {
		if !w.sabotage.stopped {
			w.failf("it did not stop")
		}
		w.noStrangers()
		return
	}
	for uid := range w.all {
		m := &w.all[uid]
		if m.acked && !m.excused && !w.store.has(m, int16(uid)) && w.sabotage.kind != storeEmpty {
			w.failf("message %d of %c, epoch %d, was acknowledged and is not stored", m.seq, 'a'+m.p/4, m.p%4+1)
		}
	}
	w.noStrangers()
	w.watermarksHold()
}

// noStrangers: each row is what its identity was given to.
func (w *world) noStrangers() {
	for p := range w.store.rows {
		for seq := range w.store.rows[p] {
			for part, c := range w.store.rows[p][seq] {
				if c.n == 0 {
					continue
				}
				m := &w.all[c.uid]
				if c.n != 1 || int(m.p) != p || int(m.seq) != seq || m.parts>>part&1 == 0 {
					w.failf("message %d of producer %d in partition %d: %+v of %+v", seq, p, part, c, *m)
				}
			}
		}
	}
}

// watermarksHold: the newest record knows the highest seq of each producer in the log.
func (w *world) watermarksHold() {
	newest := w.store.newest(w.bus.id(w), ever)
	if newest == nil || !w.kafka || w.sabotage.kind != 0 {
		return
	}
	var want [producers]uint64
	for _, e := range w.bus.entries {
		want[e.p] = max(want[e.p], e.to)
	}
	for p, seq := range want {
		if got := newest.Watermarks[names[p]]; got < seq || got >= maxSeq {
			w.failf("watermark of producer %d is %d, the log has %d", p, got, seq)
		}
	}
}
