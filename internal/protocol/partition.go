package protocol

import (
	"fmt"

	"github.com/situ-city/situ/pkg/sensor"
)

// Do is what comes next for a Partition.
type Do uint8

// What a Partition asks for, and the methods that answer. Any step may also be answered by Failed, which asks for it
// again, and by Refused, which ends it.
const (
	AskLog   Do = iota // id and bounds of the log, committed position: Standing
	AskStore           // newest blocks of Log: Found; AskLog may follow once more
	AskSeen            // highest seqs that the store has by way of other logs: Seen
	Refetch            // read the block [From, To) again: Done
	Poll               // take the next block, from From on, if there is one now: Fetched, or Nothing
	Fetch              // wait for it: Fetched
	Commit             // Position: Done. Settle: wait for a Lease before
	Before             // write what has to be there before the rows: Done
	Rows               // write the rows; Doubtful: compare them first: Done
	Beside             // write what may be repeated: dead letters, gaps, declarations: Done
	Record             // write that the block is stored: Done
	Stop               // no more: Err tells why
)

var doNames = [...]string{"position", "recover", "seen", "refetch", "poll", "fetch", "commit", "repeats", "rows", "beside", "record", "stop"}

func (d Do) String() string { return doNames[d] }

// Step is one of them.
type Step struct {
	Do       Do
	Log      string // AskStore, AskSeen
	From, To int64
	Position Position
	Settle   bool
	Doubtful bool
}

// Partition takes one partition of a log into the store, block after block:
//
//	AskLog -> AskStore [-> AskSeen] [-> Refetch -> the block's writes] -> Poll -> ...
//	Poll [-> Commit, the offset alone -> Fetch] -> Commit, offset and intent -> Before -> Rows -> Beside -> Record -> Poll
//
// It holds for one ownership of the partition: whoever takes it over begins with a new one.
type Partition struct {
	part   int32
	schema uint32
	known  Known
	plan   Plan
	pos    position

	at       Do
	commit   Position
	announce bool // the commit is an intent; else the offset alone
	settle   bool
	replay   bool
	doubtful bool
	odd      *disagreement // what was found last and did not fit
	err      error

	broken rule
}

// NewPartition begins. schema is the newest migration this program knows.
func NewPartition(part int32, schema uint32) *Partition {
	return &Partition{part: part, schema: schema}
}

// Plan is how it went on from what it found; valid after Found.
func (p *Partition) Plan() *Plan { return &p.plan }

// Log is the id of the log; valid after Standing.
func (p *Partition) Log() string { return p.known.Log }

// Offset is what everything before is stored.
func (p *Partition) Offset() int64 { return p.pos.offset }

// Replaying tells whether the block under way is one that somebody else announced.
func (p *Partition) Replaying() bool { return p.replay }

// Err is why it stopped.
func (p *Partition) Err() error { return p.err }

// Next says what to do. It may be asked again.
func (p *Partition) Next() Step {
	s := Step{Do: p.at, Log: p.known.Log}
	switch p.at {
	case Commit:
		s.Position, s.Settle = p.commit, p.settle
		fallthrough
	case Refetch, Before, Rows, Beside, Record:
		s.From, s.To, s.Doubtful = p.pos.offset, p.pos.underway, p.doubtful
	case Poll, Fetch:
		s.From = p.pos.offset
	}
	return s
}

// Standing answers AskLog.
func (p *Partition) Standing(log string, first, next int64, committed Position) {
	p.known = Known{Partition: p.part, Schema: p.schema, Log: log, First: first, Next: next, Committed: committed, broken: p.broken}
	p.pos = position{log: log, schema: p.schema, offset: committed.Offset}
	p.at = AskStore
}

// Found answers AskStore: the last block of this log in the store, and the last that ends at or before the committed
// offset; nil when there is none.
func (p *Partition) Found(newest, before *StoredBlock) {
	if newest != nil {
		p.known.Newest, p.known.NewestFound = *newest, true
	}
	if before != nil {
		p.known.Before, p.known.BeforeFound = *before, true
	}
	plan, err := MakePlan(p.known)
	if err != nil {
		p.disagree(err)
		return
	}
	p.plan = plan
	p.pos.first, p.pos.offset, p.pos.strange = plan.First, plan.Offset, plan.Strange
	if p.broken.has(beginningsAreDoubtful) {
		p.pos.strange = 0
	}
	if plan.First && !p.broken.has(watermarksOutliveTheLog) {
		p.at = AskSeen
		return
	}
	p.begin()
}

// disagreement is what MakePlan refused.
type disagreement struct {
	committed Position
	newest    int64
}

// disagree looks again before it stops: the position and the blocks are not read at one moment, and whoever has lost the
// partition without knowing it may see the steps of its successor in between.
func (p *Partition) disagree(err error) {
	odd := disagreement{p.known.Committed, p.known.Newest.To}
	if p.odd != nil && *p.odd == odd || p.broken.has(disagreementsAreReread) {
		p.Refused(err)
		return
	}
	p.odd, p.at = &odd, AskLog
}

// Seen answers AskSeen. A gateway whose range was stored by way of a log that is gone may send it again to this one.
func (p *Partition) Seen(w sensor.Watermarks) {
	p.plan.Watermarks = w
	p.begin()
}

func (p *Partition) begin() {
	p.at = Poll
	if p.plan.Replay != nil {
		p.replay, p.at = true, Refetch
		p.doubtful = !p.broken.has(replayIsDoubtful)
		p.pos.resume(p.plan.Replay.To)
	}
}

// Fetched answers Poll and Fetch: the next block ends before `to`. registry is the registry's version.
func (p *Partition) Fetched(to int64, registry uint64) {
	c, err := p.pos.begin(to, registry)
	if err != nil {
		p.Refused(err)
		return
	}
	p.commit, p.announce, p.doubtful = c, true, p.pos.offset < p.pos.strange
	switch {
	case p.broken.has(intentBeforeInsert):
		p.at = Before
	case p.broken.has(insertBeforeCommit):
		p.commit, p.at = Position{Offset: to}, Commit
	default:
		p.at = Commit
	}
}

// Nothing answers Poll: there is no block yet, so what is stored is committed by itself.
func (p *Partition) Nothing() {
	p.at = Fetch
	if c, ok := p.pos.rest(); ok {
		p.commit, p.announce, p.at = c, false, Commit
	}
}

// Done answers the steps that only succeed.
func (p *Partition) Done() {
	switch p.at {
	case Refetch:
		if p.at = Before; p.plan.Stored {
			p.stored()
		}
	case Commit:
		if p.settle, p.at = false, Fetch; p.announce {
			p.at = Before
		}
		if p.broken.has(recordBeforeCommit) && p.pos.underway != 0 && p.commit.Offset == p.pos.underway {
			p.at = Record
		}
	case Before:
		p.at = Rows
	case Rows:
		p.at = Beside
	case Beside:
		if p.at = Record; p.broken.has(recordBeforeCommit) {
			p.commit, p.at = Position{Offset: p.pos.underway}, Commit
		}
	case Record:
		p.stored()
	default:
		p.Refused(fmt.Errorf("step %v is not done by itself", p.at))
	}
}

func (p *Partition) stored() {
	p.pos.stored()
	p.plan.Replay, p.replay, p.doubtful, p.at = nil, false, false, Poll
}

// Failed says that the step has to be done again. lost: it may have been done, or may be done yet by a request that is on
// its way. Rows are compared from then on. A commit that may still arrive is settled: nothing that follows it may be
// overtaken by it.
func (p *Partition) Failed(lost bool) {
	switch p.at {
	case Rows:
		p.doubtful = !p.broken.has(unknownIsDoubtful)
	case Commit:
		p.settle = p.settle || lost && !p.broken.has(commitsAreSettled)
	}
}

// Late says that more than a Lease has gone by since the intent was sent to be committed.
func (p *Partition) Late() {
	if (p.at == Before || p.at == Rows) && !p.broken.has(lateIsDoubtful) {
		p.doubtful = true
	}
}

// Refused ends it: the partition has a newer owner, an offset is not in the log, or it cannot go on by itself.
func (p *Partition) Refused(err error) { p.err, p.at = err, Stop }
