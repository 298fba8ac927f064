package protocol

import (
	"math"
	"slices"

	"github.com/situ-city/situ/pkg/sensor"
)

// token names an INSERT.
type token struct {
	block  Block
	part   uint8
	suffix string
}

// record is a row of ingest_blocks.
type record struct {
	log        string
	from, to   int64
	watermarks [producers]uint64
}

// cell is what stands at an identity.
type cell struct {
	n   uint8
	uid int16
}

type store struct {
	rows    [producers][maxSeq][2]cell
	letters [producers][maxSeq]cell
	gaps    [producers][maxSeq]bool
	count   int // rows
	inserts int // requests that brought some
	tokens  []token
	records []record
}

func (s *store) reset() { *s = store{tokens: s.tokens[:0], records: s.records[:0]} }

// from makes it what it was when c was copied.
func (s *store) from(c *store) {
	tokens, records := append(s.tokens[:0], c.tokens...), append(s.records[:0], c.records...)
	*s = *c
	s.tokens, s.records = tokens, records
}

// copyStore keeps a copy that somebody may put back; one of a moment when no block is half stored.
func (w *world) copyStore() {
	if !w.underWay() {
		w.copy.from(&w.store)
	}
}

// insert is one INSERT into one table partition.
func (s *store) insert(w *world, r *request) {
	if s.known(w, r.token) {
		return
	}
	s.tokens = append(s.tokens, r.token)
	s.put(w, r.rows)
}

func (s *store) put(w *world, rows []row) {
	for _, x := range rows {
		c := &s.rows[x.p][x.seq][x.part]
		if c.n++; c.n > 1 {
			w.failf("message %d of %c, epoch %d, is stored twice in partition %d", x.seq, 'a'+x.p/4, x.p%4+1, x.part)
		}
		c.uid = x.uid
		s.count++
	}
	if len(rows) > 0 {
		s.inserts++
	}
}

func (s *store) known(w *world, t token) bool {
	if w.habits.has(rowsHaveToken) {
		return false
	}
	for i := range s.tokens {
		x := &s.tokens[i]
		if x.part == t.part && x.suffix == t.suffix && x.block.From == t.block.From && x.block.To == t.block.To &&
			(x.block.Log == t.block.Log || w.habits.has(tokenHasLog)) {
			return true
		}
	}
	return false
}

// missing counts the rows that are not there, by identity alone, and keeps them.
func (s *store) missing(dst, rows []row) []row {
	for _, x := range rows {
		if s.rows[x.p][x.seq][x.part].n == 0 {
			dst = append(dst, x)
		}
	}
	return dst
}

// beside keeps one of each identity.
func (s *store) beside(r *request) {
	for _, x := range r.rows {
		s.letters[x.p][x.seq] = cell{1, x.uid}
	}
	for _, g := range r.gaps {
		for seq := g.from; seq <= g.to; seq++ {
			s.gaps[g.p][seq] = true
		}
	}
	if len(r.rows)+len(r.gaps) > 0 {
		s.inserts++
	}
}

func (s *store) remember(r record) {
	if !slices.Contains(s.records, r) {
		s.records = append(s.records, r)
	}
}

// has tells whether all of a message is stored, or a gap says that it is not.
func (s *store) has(m *message, uid int16) bool {
	if s.gaps[m.p][m.seq] {
		return true
	}
	if m.parts == 0 {
		return s.letters[m.p][m.seq] == cell{1, uid}
	}
	for part := range 2 {
		if m.parts>>part&1 == 1 && s.rows[m.p][m.seq][part] != (cell{1, uid}) {
			return false
		}
	}
	return true
}

// newest gives the record of a log that ends last, at or before `to`.
func (s *store) newest(log string, to int64) *StoredBlock {
	var best *record
	for i := range s.records {
		if r := &s.records[i]; r.log == log && r.to <= to && (best == nil || r.to > best.to) {
			best = r
		}
	}
	if best == nil {
		return nil
	}
	return &StoredBlock{From: best.from, To: best.to, Watermarks: asMap(best.watermarks)}
}

func asMap(w [producers]uint64) sensor.Watermarks {
	m := make(sensor.Watermarks, 2)
	for p, seq := range w {
		if seq > 0 {
			m[names[p]] = seq
		}
	}
	return m
}

// elsewhere gives the watermarks of all logs but one.
func (s *store) elsewhere(log string) sensor.Watermarks {
	var all [producers]uint64
	for i := range s.records {
		if r := &s.records[i]; r.log != log {
			for p, seq := range r.watermarks {
				all[p] = max(all[p], seq)
			}
		}
	}
	return asMap(all)
}

// killStore ends the store at a moment when it may have done one of the two steps of an insert. Power may be gone too;
// it then comes back after more than a Lease, without some of the tokens.
func (w *world) killStore() {
	w.kills++
	halved := false // its memory of tokens has a lock: one insert can be between the two steps
	for _, o := range w.owners {
		if r, ok := o.request(w); ok && r.kind == insertRows && w.pick(2) == 0 {
			halved = true
			w.half(&r)
			o.failed(true)
			break
		}
	}
	for i := len(w.limbo) - 1; i >= 0; i-- { // the connections are gone
		if r := w.limbo[i]; r.kind >= insertRows {
			w.limbo = slices.Delete(w.limbo, i, i+1)
			if r.kind == insertRows && !halved && w.pick(3) == 0 {
				halved = true
				w.half(&r)
			}
		}
	}
	if w.pick(2) == 0 {
		w.say("the store is killed")
		return
	}
	w.powerCuts++
	lost := w.pick(3)
	w.store.tokens = slices.DeleteFunc(w.store.tokens, func(token) bool { return lost == 0 || w.pick(3) < lost })
	for _, o := range w.owners {
		o.late = true
	}
	w.expire(func(*request) bool { return true })
	w.say("the store loses power, %d tokens stay", len(w.store.tokens))
}

// half does one of the two steps of an insert.
func (w *world) half(r *request) {
	if w.store.known(w, r.token) {
		return
	}
	for _, o := range w.owners {
		// Who was replaced had been silent for a session's timeout, longer than a Lease. And a store does not start in the
		// moment between a look and its insert.
		o.late = o.late || w.group.allow(w, o.gen) != nil || o.inRows && o.part.looked
	}
	if w.pick(2) == 0 {
		w.say("token without rows: %v", r)
		w.store.tokens = append(w.store.tokens, r.token)
		return
	}
	w.say("rows without token: %v", r)
	w.store.put(w, r.rows)
}

const ever = math.MaxInt64
