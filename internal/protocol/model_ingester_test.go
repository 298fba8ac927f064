package protocol

import (
	"errors"
	"fmt"

	"github.com/situ-city/situ/pkg/sensor"
)

// ingester is one owner of the partition, the newest or a zombie.
type ingester struct {
	core Partition
	gen  uint64
	late bool

	watermarks sensor.Watermarks
	rows       [2][]row // of the block, by table partition
	letters    []row
	gaps       []entry
	marks      [producers]uint64 // watermarks at the block's end

	part    Part
	inRows  bool
	month   uint8
	lacking []row
}

func (o *ingester) String() string { return fmt.Sprintf("ingester %d", o.gen) }

func (o *ingester) begin(w *world) {
	gen := w.group.own(w)
	clear(o.watermarks)
	*o = ingester{core: *NewPartition(0, 1), gen: gen, watermarks: o.watermarks, rows: o.rows, letters: o.letters, gaps: o.gaps, lacking: o.lacking}
	o.core.broken = w.broken
	w.say("%v takes the partition", o)
}

// crash ends it, with its request done, not done, or on its way.
func (o *ingester) crash(w *world) {
	if r, ok := o.request(w); ok {
		fate := w.pick(3)
		if fate == 1 && r.kind == commitPosition && !w.kafka {
			fate = 2 // a file is written by who has it, or not
		}
		switch fate {
		case 0:
			w.say("%v dies after: %v", o, &r)
			_ = r.do(w)
		case 1:
			w.say("%v dies, on its way: %v", o, &r)
			w.limbo = append(w.limbo, r.own())
		default:
			w.say("%v dies before: %v", o, &r)
		}
	} else {
		w.say("%v dies, about to %v", o, o.core.Next().Do)
	}
	w.bury(o)
}

// step does one step.
func (o *ingester) step(w *world) {
	s := o.core.Next()
	switch s.Do {
	case AskLog:
		o.ask(w)
	case AskStore:
		if o.core.Found(w.store.newest(s.Log, ever), w.store.newest(s.Log, o.core.Offset())); o.core.at != Stop && o.core.at != AskLog {
			o.load(o.core.plan.Watermarks)
			w.sabotage.frozen = false
			if o.core.replay || o.core.plan.Replay != nil {
				w.replays++
			}
			w.say("%v: plan: %+v", o, o.core.plan)
		}
	case AskSeen:
		o.core.Seen(w.store.elsewhere(s.Log))
		o.load(o.core.plan.Watermarks)
	case Refetch:
		if s.To <= w.bus.end(w) && o.fetch(w, s.From, s.To) { // else it waits for what is not there yet
			w.say("%v: replays %d..%d, stored %v", o, s.From, s.To, o.core.plan.Stored)
			o.core.Done()
		}
	case Poll, Fetch:
		o.take(w, s)
	case Before:
		o.core.Done()
	case Rows:
		o.write(w)
	case Commit:
		o.commit(w, s)
	case Beside, Record:
		o.write(w)
	}
	if o.core.at == Stop {
		w.stopped(o)
	}
}

func (o *ingester) load(from sensor.Watermarks) {
	clear(o.watermarks)
	for p, seq := range from {
		o.watermarks[p] = seq
	}
}

func (o *ingester) ask(w *world) {
	at, err := w.group.committed(w)
	if err != nil {
		o.core.Refused(err)
		return
	}
	o.core.Standing(w.bus.id(w), w.bus.first(w), w.bus.end(w), at)
	w.say("%v: log %s %d..%d, committed %+v", o, w.bus.id(w), w.bus.first(w), w.bus.end(w), at)
}

// take reads the next block.
func (o *ingester) take(w *world, s Step) {
	if o.core.Log() != w.bus.id(w) {
		o.core.Refused(errOffset)
		return
	}
	n := w.bus.end(w) - s.From
	if n < 0 || s.From < w.bus.first(w) {
		if !w.habits.has(noSilentReset) {
			o.core.Refused(errOffset)
			return
		}
		n = max(1, n)
	}
	if s.Do == Poll && (n == 0 || w.pick(3) == 0) {
		o.core.Nothing()
		return
	}
	if n == 0 {
		return
	}
	to := s.From + 1 + int64(w.pick(int(min(n, 5))))
	if next, ok := o.read(w, s.From, to); ok {
		w.blocks++
		o.core.Fetched(next, 0)
		w.say("%v: block %d..%d", o, s.From, next)
	}
}

// fetch reads exactly [from, to).
func (o *ingester) fetch(w *world, from, to int64) bool {
	_, ok := o.read(w, from, to)
	return ok
}

// read makes the block of what stands there; a gap may carry it beyond `to` only if it is the last and nobody said how
// far: the spool cuts it at `to`.
func (o *ingester) read(w *world, from, to int64) (next int64, ok bool) {
	o.rows[0], o.rows[1], o.letters, o.gaps = o.rows[0][:0], o.rows[1][:0], o.letters[:0], o.gaps[:0]
	o.inRows, o.month = false, 0
	if o.core.Log() != w.bus.id(w) {
		o.core.Refused(errOffset)
		return from, false
	}
	for at := from; at < to; {
		if w.habits.has(noSilentReset) {
			at = max(at, w.bus.first(w))
			if at >= to {
				break
			}
		}
		e, uids, err := w.bus.read(w, at)
		if err != nil {
			o.core.Refused(err)
			return from, false
		}
		at++
		if !w.kafka && e.gap {
			e.to = min(e.to, uint64(to)-1)
			at = int64(e.to) + 1
		}
		o.see(w, e, uids)
	}
	for p := range o.marks {
		o.marks[p] = o.watermarks[names[p]]
	}
	if w.habits.has(marksOfTheBlock) && to < w.bus.end(w) { // the reader is ahead of what is stored
		if e, _, err := w.bus.read(w, to); err == nil {
			o.marks[e.p] = max(o.marks[e.p], e.to)
		}
	}
	return to, true
}

// see is the filter, and what a message becomes.
func (o *ingester) see(w *world, e entry, uids []int16) {
	seen := o.watermarks.Raise(names[e.p], e.to)
	if w.habits.has(repeatsDropped) {
		seen = 0
	}
	if e.gap {
		if seen < e.to {
			o.gaps = append(o.gaps, e)
		}
		return
	}
	for i, uid := range uids {
		seq := e.from + uint64(i)
		if seq <= seen || uid < 0 {
			continue
		}
		x := row{uid: uid, p: e.p, seq: uint8(seq)}
		parts := w.all[uid].parts
		if parts == 0 {
			o.letters = append(o.letters, x)
		}
		for part := range uint8(2) {
			if x.part = part; parts>>part&1 == 1 {
				o.rows[part] = append(o.rows[part], x)
			}
		}
	}
}

// request is what the present step sends.
func (o *ingester) request(w *world) (r request, ok bool) {
	s := o.core.Next()
	r = request{gen: o.gen, log: s.Log}
	switch s.Do {
	case Commit:
		r.kind, r.position = commitPosition, s.Position
	case Rows:
		if !o.inRows || o.late || o.part.Next().Do != PartInsert {
			return r, false
		}
		p := o.part.Next()
		r.kind, r.rows = insertRows, o.rows[o.month]
		if o.part.looked {
			r.rows = o.lacking
		}
		r.token = token{Block{Log: s.Log, From: s.From, To: s.To}, o.month, p.Suffix}
	case Beside:
		r.kind, r.rows, r.gaps = insertBeside, o.letters, o.gaps
	case Record:
		r.kind, r.record = insertRecord, record{s.Log, s.From, s.To, o.marks}
	default:
		return r, false
	}
	return r, true
}

func (o *ingester) failed(lost bool) {
	o.core.Failed(lost)
	o.inRows, o.month = false, 0
}

// write does one request of a step that writes to the store.
func (o *ingester) write(w *world) {
	if o.core.at == Rows && !o.rowsDue(w) {
		return
	}
	r, _ := o.request(w)
	done, later := w.fate()
	if done {
		_ = r.do(w)
	}
	switch {
	case done && !later:
		w.say("%v: %v", o, &r)
		if o.core.at == Rows {
			o.part.Inserted()
			return
		}
		o.core.Done()
		return
	case !done && later:
		w.limbo = append(w.limbo, r.own())
	}
	w.say("%v: no answer (done %v, on its way %v) to %v", o, done, later && !done, &r)
	o.failed(true)
}

// rowsDue brings the parts to where an insert is due. False: something else was done.
func (o *ingester) rowsDue(w *world) bool {
	if o.late {
		o.core.Late()
	}
	if !o.inRows {
		o.part, o.inRows = NewPart(o.core.Next().Doubtful), true
		o.part.broken = w.broken
	}
	if o.late {
		o.part.Late()
		o.late = false
	}
	switch o.part.Next().Do {
	case PartInsert:
		return true
	case PartLook:
		o.lacking = w.store.missing(o.lacking[:0], o.rows[o.month])
		o.part.Looked(len(o.lacking), len(o.rows[o.month]))
		w.say("%v: %d of %d rows are missing in partition %d", o, len(o.lacking), len(o.rows[o.month]), o.month)
		if w.habits.has(allPartsReplayed) && len(o.lacking) == 0 && len(o.rows[o.month]) > 0 {
			o.month = 1
		}
	case PartFail:
		w.say("%v: rows stay away", o)
		o.failed(true)
	case PartDone:
		if o.inRows = false; o.month == 0 {
			o.month = 1
			return false
		}
		o.core.Done()
	}
	return false
}

// commit sends the position.
func (o *ingester) commit(w *world, s Step) {
	if s.Settle {
		w.expire(func(r *request) bool { return r.kind == commitPosition && r.gen == o.gen })
	}
	r, _ := o.request(w)
	done, later := w.fate()
	if !w.kafka { // a file answers
		done, later = true, false
	}
	var err error
	if done {
		err = r.do(w)
	}
	switch {
	case errors.Is(err, ErrNotOwner) && !later:
		o.core.Refused(err)
		return
	case done && !later:
		w.say("%v: %v", o, &r)
		o.core.Done()
		o.late = false
		return
	case !done && later:
		w.limbo = append(w.limbo, r.own())
	}
	w.say("%v: no answer (done %v, on its way %v) to %v", o, done, later && !done, &r)
	o.core.Failed(true)
}
