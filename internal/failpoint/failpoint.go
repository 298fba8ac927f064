// Package failpoint holds named points at which a test may let a process die, stand still, or be told of an error, and
// the wall clock as a test may move it. It is the tool of `situ torture` and of people who look for a bug; nobody else
// has a reason to arm it.
//
// Off, which is always but then, a point costs one atomic load; points stand at a group commit, a block, a commit of
// the bus, never at a reading. The package decides nothing of its callers: an error given back is handled as if the
// disk, Kafka or the store had said it.
//
//	SITU_FAILPOINTS="spool/sync=kill@3; ingester/rows=error:EIO@2+; clock=+3m@2s,-1h@5s"
//	SITU_FAILPOINTS_BY=4711
//
// The second variable names the process that wants it, and must be the parent of the process that reads it. So a
// variable that was copied into a service's environment arms nothing: it is refused, with a warning.
package failpoint

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Variables of the environment.
const (
	Env   = "SITU_FAILPOINTS"
	EnvBy = "SITU_FAILPOINTS_BY"
)

// Points. The name says what comes next; a point named in the past tense says what has just been done.
const (
	SpoolRecover = "spool/recover" // a spool is opened and reads what is there
	SpoolSegment = "spool/segment" // a segment's file is made
	SpoolMeta    = "spool/meta"    // spool.json is written beside the old one, and not renamed yet
	SpoolWrite   = "spool/write"   // a group of records, or a segment's header, is written
	SpoolSync    = "spool/sync"    // and synced
	SpoolSynced  = "spool/synced"  // it is on the disk, and nobody has been told
	SpoolAcked   = "spool/acked"   // those who wait for the group have been told
	SpoolFree    = "spool/free"    // a segment's file is removed

	BatchProduce  = "batch/produce"  // a range goes to Kafka
	BatchProduced = "batch/produced" // Kafka has it; an error here is an answer that got lost
	BatchTrim     = "batch/trim"     // it is noted as published, and freed

	BusCommit    = "bus/commit"    // the in-process bus writes a position
	BusCommitted = "bus/committed" // and it is on the disk

	IngesterRecover  = "ingester/recover"  // a partition is taken over
	IngesterReplay   = "ingester/replay"   // a recorded intent is about to be stored again
	IngesterIntent   = "ingester/intent"   // an intent is committed
	IngesterIntended = "ingester/intended" // it is committed, and nothing of it is stored
	IngesterRepeats  = "ingester/repeats"  // steps of a block, in their order
	IngesterRows     = "ingester/rows"
	IngesterBeside   = "ingester/beside"
	IngesterDeclare  = "ingester/declare"
	IngesterRecord   = "ingester/record"
	IngesterStored   = "ingester/stored" // the block's record is there, and the position has not moved
	IngesterCommit   = "ingester/commit" // it moves without a next intent

	StorePart   = "store/part"   // one month's rows of a block are inserted
	StoreParted = "store/parted" // and are there
)

// Points lists them by the process that passes them, in the order of a reading's journey.
func Points() (gateway, kafka, ingester []string) {
	return []string{SpoolRecover, SpoolSegment, SpoolMeta, SpoolWrite, SpoolSync, SpoolSynced, SpoolAcked, SpoolFree},
		[]string{BatchProduce, BatchProduced, BatchTrim},
		[]string{IngesterRecover, IngesterReplay, IngesterIntent, IngesterIntended, IngesterRepeats, IngesterRows, StorePart,
			StoreParted, IngesterBeside, IngesterDeclare, IngesterRecord, IngesterStored, IngesterCommit}
}

// ErrTorn is what a write is told to do by the action `torn`: write half, then call Die.
var ErrTorn = errors.New("write in part and die")

// armed is nil unless a test armed something. It is the one state of the whole program, because a point must cost
// nothing when there is none; Arm is called once, before anything runs.
var armed atomic.Pointer[table]

type table struct {
	log     *slog.Logger
	began   time.Time
	clock   []jump
	clockAt atomic.Int64 // shift in ns as last told to the log

	mu     sync.Mutex // guards the counts in points
	points map[string]*point
}

type point struct {
	do          action
	first, last int // hits on which it acts, counted from 1
	hits        int
}

// Arm reads the environment. It arms nothing, and says so, unless the parent process asked for it; a text that it
// does not understand is an error, because a test that tests nothing is worse than none.
func Arm(getenv func(string) string, parent int, log *slog.Logger) error {
	text := getenv(Env)
	if text == "" {
		return nil
	}
	if by := getenv(EnvBy); by != fmt.Sprint(parent) {
		log.Warn("failpoints are refused: they are for tests, and only a parent process may ask for them", "component", "failpoint",
			EnvBy, by, "parent", parent)
		return nil
	}
	t, err := parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", Env, err)
	}
	t.log, t.began = log.With("component", "failpoint"), time.Now()
	log.Warn("failpoints are armed: this process is made to fail", "component", "failpoint", "points", text)
	armed.Store(t)
	return nil
}

// Disarm undoes Arm; tests call it.
func Disarm() { armed.Store(nil) }

// Hit passes a point. Off, it gives nil at once.
func Hit(name string) error {
	if t := armed.Load(); t != nil {
		return t.hit(name)
	}
	return nil
}

// HitIn is Hit of the point group + "/" + name.
func HitIn(group, name string) error {
	if t := armed.Load(); t != nil {
		return t.hit(group + "/" + name)
	}
	return nil
}

func (t *table) hit(name string) error {
	t.mu.Lock()
	p := t.points[name]
	if p == nil {
		t.mu.Unlock()
		return nil
	}
	p.hits++
	acts := p.hits >= p.first && p.hits <= p.last
	n := p.hits
	t.mu.Unlock()
	if !acts {
		return nil
	}
	t.log.Warn("failpoint", "point", name, "hit", n, "action", p.do.word)
	return p.do.run()
}

// Now is the wall clock, moved if a test moved it.
func Now() time.Time {
	if t := armed.Load(); t != nil {
		return t.now(time.Now())
	}
	return time.Now()
}

// now adds the last jump that is due. A moved time has no monotonic reading, as after a real jump of the wall clock.
func (t *table) now(real time.Time) time.Time {
	var shift time.Duration
	for _, j := range t.clock {
		if real.Sub(t.began) >= j.after {
			shift = j.shift
		}
	}
	if t.clockAt.Swap(int64(shift)) != int64(shift) {
		t.log.Warn("failpoint", "point", "clock", "shift", shift.String())
	}
	if shift == 0 {
		return real
	}
	return real.Round(0).Add(shift)
}
