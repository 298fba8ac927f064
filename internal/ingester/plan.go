package ingester

import (
	"errors"
	"fmt"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// Why an ingester stops instead of guessing. The texts that wrap them say what to do.
var (
	// ErrIntent: the committed metadata is not an intent of this program.
	ErrIntent = errors.New("not an intent that this situ understands")
	// ErrLogReplaced: the committed intent is of another incarnation of the log.
	ErrLogReplaced = errors.New("the log was made anew")
	// ErrCommitsBehind: the store has blocks that the committed position knows nothing of.
	ErrCommitsBehind = errors.New("the commits are behind the store")
	// ErrStoreBehind: the position was committed over blocks that this store does not have.
	ErrStoreBehind = errors.New("the store is behind the commits")
)

// known is what is found when a partition is taken over.
type known struct {
	partition   int32
	log         string       // id of the log as it is now
	first, next int64        // its bounds
	committed   bus.Position // the group's
	schema      uint32       // newest migration this program knows

	newest      store.StoredBlock // last block of this log in the store, if any
	newestFound bool
	before      store.StoredBlock // last one that ends at or before the committed offset, if any
	beforeFound bool
}

// plan is how to go on from there.
type plan struct {
	first      bool // nothing of this log was ever stored
	watermarks map[sensor.Producer]uint64
	readFrom   int64   // [readFrom, offset) only raises the watermarks
	offset     int64   // everything before is stored
	replay     *intent // block to store again, from offset
	stored     bool    // the replayed block is known to be stored: only its commit is missing
}

// makePlan decides. It is a pure function: same findings, same plan.
func makePlan(k known) (plan, error) {
	i, err := parseIntent(k.committed.Meta)
	if err != nil {
		return plan{}, fmt.Errorf("partition %d: %w; it was written by another program or a newer situ: use that one", k.partition, err)
	}
	s := k.committed.Offset
	if s < 0 {
		if k.newestFound {
			return plan{}, fmt.Errorf("partition %d: nothing is committed, but the store has log %s up to offset %d: %w; "+
				"bring the commit file back, or give the spool a new name and epoch by moving it away", k.partition, k.log, k.newest.To, ErrCommitsBehind)
		}
		return plan{first: true, readFrom: k.first, offset: k.first}, nil
	}
	p := plan{offset: s, replay: i}
	end := s
	if i != nil {
		if err := checkIntent(k, i); err != nil {
			return plan{}, err
		}
		end, p.first = i.To, i.First
	}
	if k.newestFound && k.newest.To > end {
		return plan{}, fmt.Errorf("partition %d: the commits end at offset %d, but the store has log %s up to %d: %w; "+
			"the commit file is an old copy: bring the newest back", k.partition, end, k.log, k.newest.To, ErrCommitsBehind)
	}
	p.stored = i != nil && k.newestFound && k.newest.To == i.To && k.newest.From == i.From
	if !k.beforeFound {
		if !p.first {
			return plan{}, fmt.Errorf("partition %d: offset %d is committed, but the store has no block of log %s: %w; "+
				"it is another store, or was emptied: connect the one that has them, or, to begin the history anew with what "+
				"the log still holds (from %d), remove the group's commits", k.partition, s, k.log, ErrStoreBehind, k.first)
		}
		p.readFrom = s
		return p, nil
	}
	p.watermarks, p.readFrom = k.before.Watermarks, k.before.To
	if p.readFrom < s && p.readFrom < k.first {
		return plan{}, fmt.Errorf("partition %d: the store's last block before offset %d ends at %d, and the log begins at %d: %w; "+
			"the store is an old copy: bring the newest back", k.partition, s, p.readFrom, k.first, ErrStoreBehind)
	}
	return p, nil
}

func checkIntent(k known, i *intent) error {
	switch {
	case i.Log != k.log:
		return fmt.Errorf("partition %d: the intent is of log %s, the log is %s: %w; bring the old log back, or remove the "+
			"group's commits to begin with the new one", k.partition, i.Log, k.log, ErrLogReplaced)
	case i.From != k.committed.Offset:
		return fmt.Errorf("partition %d: offset %d is committed with an intent from %d: %w", k.partition, k.committed.Offset, i.From, ErrIntent)
	case i.Schema > k.schema:
		return fmt.Errorf("partition %d: the intent was written by a situ that knows tables up to %d, this one up to %d: %w; use the newer one",
			k.partition, i.Schema, k.schema, ErrIntent)
	}
	return nil
}

// position is what is committed: offsets and intents in their one allowed order. It is the other pure half of a
// partition's work.
type position struct {
	log      string
	schema   uint32
	first    bool
	offset   int64 // everything before is stored
	underway int64 // end of the block whose intent is committed; 0 = none
	open     bool  // offset has moved since it was last committed
}

// begin gives the commit that announces a block from the present offset to `to`.
func (p *position) begin(to int64, registry uint64) (bus.Position, error) {
	if p.underway != 0 || to <= p.offset {
		return bus.Position{}, fmt.Errorf("begin block %d..%d while %d..%d is under way", p.offset, to, p.offset, p.underway)
	}
	i := intent{Version: intentVersion, Log: p.log, From: p.offset, To: to, First: p.first, Schema: p.schema, Registry: registry}
	p.underway, p.open = to, false
	return bus.Position{Offset: p.offset, Meta: i.encode()}, nil
}

// resume takes up a block whose intent is committed already.
func (p *position) resume(to int64) { p.underway, p.open = to, false }

// stored says that the block under way is in the store, with its record.
func (p *position) stored() {
	p.offset, p.underway, p.first, p.open = p.underway, 0, false, true
}

// rest gives the commit that only moves the offset; false if it is where it was.
func (p *position) rest() (bus.Position, bool) {
	if !p.open || p.underway != 0 {
		return bus.Position{}, false
	}
	p.open = false
	return bus.Position{Offset: p.offset}, true
}
