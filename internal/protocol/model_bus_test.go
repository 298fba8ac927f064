package protocol

import (
	"errors"
	"fmt"
)

// entry is one offset of a topic: a range of a producer's messages, or a gap.
type entry struct {
	p        uint8
	from, to uint64
	at       int32 // of the uids in the arena
	gap      bool
}

// bus is the topic; in the embedded world the spool takes its place.
type bus struct {
	logs    int // logs that were ever made, for names
	name    string
	entries []entry
	base    int64 // offset of entries[0]
	arena   []int16
	hold    int64 // a reader's position that keeps the spool
}

func (b *bus) reset() {
	b.logs, b.entries, b.base, b.arena, b.hold = 0, b.entries[:0], 0, b.arena[:0], 1<<62
}

func (b *bus) id(w *world) string {
	if !w.kafka {
		return w.gateways[0].log
	}
	return b.name
}

func (b *bus) first(w *world) int64 {
	if !w.kafka {
		return int64(w.gateways[0].oldest())
	}
	return b.base
}

func (b *bus) end(w *world) int64 {
	if !w.kafka {
		return int64(w.gateways[0].synced)
	}
	return b.base + int64(len(b.entries))
}

var errOffset = errors.New("offset is not in the log")

// read gives what stands at an offset. Where the spool has dropped records it is the gap.
func (b *bus) read(w *world, at int64) (e entry, uids []int16, err error) {
	if at < b.first(w) || at >= b.end(w) {
		return e, nil, errOffset
	}
	if w.kafka {
		e = b.entries[at-b.base]
		if !e.gap {
			uids = b.arena[e.at : e.at+int32(e.to-e.from)+1]
		}
		return e, uids, nil
	}
	g := &w.gateways[0]
	if x, ok := g.gapAt(uint64(at)); ok {
		return entry{p: g.p(), from: x.from, to: x.to, gap: true}, nil, nil
	}
	i := uint64(at) - g.first
	return entry{p: g.p(), from: uint64(at), to: uint64(at)}, g.rec[i : i+1], nil
}

// group is where the ingesters stand: a topic's group, or the commit file.
type group struct {
	at         Position // the topic's
	log        string   // the log that it is of
	generation uint64
	file       Commits
	content    []byte
	synced     int
	old        Position // an earlier commit, for whoever puts back a copy
	oldContent []byte
}

func (g *group) reset() {
	*g = group{at: Position{Offset: -1}, old: Position{Offset: -1}, content: g.content[:0], oldContent: g.oldContent[:0]}
	if err := g.file.Load(nil); err != nil {
		panic(err)
	}
}

func logID(name string) (id [16]byte) {
	copy(id[:], name)
	return id
}

// committed is the position, if it is of the log that is there.
func (g *group) committed(w *world) (Position, error) {
	if w.kafka {
		if g.at.Offset >= 0 && g.log != w.bus.name {
			return Position{}, fmt.Errorf("the group's position is of log %s: %w", g.log, errOffset)
		}
		return g.at, nil
	}
	s := &w.gateways[0]
	if _, err := g.file.Check(0, logID(s.log), uint32(s.epoch), w.bus.first(w), w.bus.end(w)); err != nil {
		return Position{}, err
	}
	r := g.file.Position(0)
	return Position{Offset: r.Offset, Meta: r.Meta}, nil
}

func (g *group) own(w *world) uint64 {
	if w.kafka {
		g.generation++
		return g.generation
	}
	return g.file.Own()
}

func (g *group) allow(w *world, generation uint64) error {
	switch {
	case !w.kafka:
		return g.file.Allow(generation)
	case generation != g.generation:
		return ErrNotOwner
	}
	return nil
}

// commit is a request of the owner of a generation.
func (g *group) commit(w *world, r *request) error {
	if err := g.allow(w, r.gen); err != nil && !w.habits.has(commitsFenced) {
		w.fenced++
		return err
	}
	if w.pick(3) == 0 {
		g.old, g.oldContent = g.at, append(g.oldContent[:0], g.content...)
	}
	if w.kafka {
		g.at, g.log = r.position, r.log
		return nil
	}
	g.content = AppendCommit(g.content, g.record(w, r))
	g.file.Remember(g.record(w, r))
	if !w.habits.has(commitsSynced) {
		g.synced = len(g.content)
	}
	g.trim(w)
	return nil
}

func (g *group) record(w *world, r *request) CommitRecord {
	return CommitRecord{Generation: r.gen, Log: logID(r.log), Epoch: uint32(w.gateways[0].epoch), Offset: r.position.Offset, Meta: r.position.Meta}
}

// trim frees what the group has committed and nobody holds.
func (g *group) trim(w *world) {
	at := g.file.Position(0)
	if w.habits.has(freedWhenStored) { // when its intent is there
		if i, err := ParseIntent(at.Meta); err == nil && i != nil {
			at.Offset = i.To
		}
	}
	if before, ok := Trimmable([]int64{at.Offset}, []int64{w.bus.hold}); ok {
		w.gateways[0].trim(w, uint64(before))
	}
}

// crash loses what was not synced, may tear a record, and reads the file again.
func (g *group) crash(w *world) {
	if w.kafka {
		return
	}
	if w.habits.has(commitsSynced) && g.synced < len(g.content) {
		g.content = g.content[:g.synced+w.pick(len(g.content)-g.synced)]
	}
	if w.pick(3) == 0 { // one that was being written
		r := AppendCommit(nil, CommitRecord{Generation: g.file.Generation(), Offset: 1, Meta: "never answered"})
		g.content = append(g.content, r[:w.pick(len(r))]...)
	}
	if err := g.file.Load(g.content); err != nil {
		w.failf("commit file: %v", err)
	}
	g.content = append(g.content[:0], g.file.Content()...)
	g.synced = len(g.content)
}

// kind of a request.
type kind uint8

const (
	produce kind = iota
	commitPosition
	insertRows
	insertBeside
	insertRecord
)

// request is something that may be done, or not, or later.
type request struct {
	kind     kind
	gen      uint64 // of the ingester; 0 = a gateway
	entry    entry
	position Position
	log      string
	token    token
	rows     []row // insertRows: rows; insertBeside: dead letters
	gaps     []entry
	record   record
}

func (r *request) String() string {
	switch r.kind {
	case produce:
		return fmt.Sprintf("%c epoch %d messages %d..%d, gap %v", 'a'+r.entry.p/4, r.entry.p%4+1, r.entry.from, r.entry.to, r.entry.gap)
	case commitPosition:
		return fmt.Sprintf("commit of generation %d: %d %s", r.gen, r.position.Offset, r.position.Meta)
	case insertRows:
		return fmt.Sprintf("insert of generation %d: %d rows, token %v", r.gen, len(r.rows), r.token)
	case insertBeside:
		return fmt.Sprintf("%d dead letters and %d gaps of generation %d", len(r.rows), len(r.gaps), r.gen)
	}
	return fmt.Sprintf("record of generation %d: %+v", r.gen, r.record)
}

// do does it.
func (r *request) do(w *world) error {
	switch r.kind {
	case produce:
		if !w.sabotage.frozen { // else nobody reaches the topic before somebody has looked at it
			w.bus.entries = append(w.bus.entries, r.entry)
		}
	case commitPosition:
		return w.group.commit(w, r)
	case insertRows:
		w.store.insert(w, r)
	case insertBeside:
		w.store.beside(r)
	case insertRecord:
		w.store.remember(r.record)
	}
	return nil
}

// own makes the request last: its slices are somebody's memory.
func (r request) own() request {
	r.rows = append([]row(nil), r.rows...)
	r.gaps = append([]entry(nil), r.gaps...)
	return r
}

// fate of a request: whether it is done now, and whether, if so, its answer is lost, or else it stays on its way.
func (w *world) fate() (done, later bool) {
	if w.calm || w.pick(100) >= w.faults {
		return true, false
	}
	switch w.pick(3) {
	case 0:
		w.lostRequests++
		return false, false
	case 1:
		w.lostAnswers++
		return true, true
	}
	return false, true
}
