package protocol

import (
	"errors"
	"fmt"

	"github.com/situ-city/situ/pkg/sensor"
)

// Why a partition stops instead of guessing. The texts that wrap them say what to do.
var (
	// ErrIntent: the committed metadata is not an intent of this program.
	ErrIntent = errors.New("not an intent that this situ understands")
	// ErrLogReplaced: the committed intent is of another incarnation of the log.
	ErrLogReplaced = errors.New("the log was made anew")
	// ErrLogShrank: the log ends before what was committed.
	ErrLogShrank = errors.New("the log went backwards")
	// ErrCommitsBehind: the store has blocks that the committed position knows nothing of.
	ErrCommitsBehind = errors.New("the commits are behind the store")
	// ErrStoreBehind: the position was committed over blocks that this store does not have.
	ErrStoreBehind = errors.New("the store is behind the commits")
)

// Position is where a group stands in a partition: everything before Offset is done.
type Position struct {
	Offset int64  // -1: nothing was ever committed
	Meta   string // the ingester's Intent, or "" when nothing is under way
}

// StoredBlock is what a store knows of a block that is in it.
type StoredBlock struct {
	From, To   int64
	Watermarks map[sensor.Producer]uint64
}

// Known is what is found when a partition is taken over.
type Known struct {
	Partition   int32
	Log         string // id of the log as it is now
	First, Next int64  // its bounds
	Committed   Position
	Schema      uint32 // newest migration this program knows

	Newest      StoredBlock // last block of this log in the store, if any
	NewestFound bool
	Before      StoredBlock // last one that ends at or before the committed offset, if any
	BeforeFound bool

	broken rule
}

// Plan is how to go on from there.
type Plan struct {
	First      bool // nothing of this log was ever stored
	Watermarks map[sensor.Producer]uint64
	Offset     int64   // everything before is stored
	Replay     *Intent // block to store again, from Offset
	Strange    int64   // blocks that begin before it may be stored in part, and nothing says how: they are compared
	Stored     bool    // the replayed block is known to be stored: only its commit is missing
}

// MakePlan decides. It is a pure function: same findings, same plan.
func MakePlan(k Known) (Plan, error) {
	i, err := ParseIntent(k.Committed.Meta)
	if err != nil {
		return Plan{}, fmt.Errorf("partition %d: %w; it was written by another program or a newer situ: use that one", k.Partition, err)
	}
	s := k.Committed.Offset
	if s < 0 {
		if k.NewestFound && !k.broken.has(commitsHaveTheBlocks) {
			return Plan{}, fmt.Errorf("partition %d: nothing is committed, but the store has log %s up to offset %d: %w; "+
				"bring the commit file back, or give the spool a new name and epoch by moving it away", k.Partition, k.Log, k.Newest.To, ErrCommitsBehind)
		}
		return Plan{First: true, Offset: k.First, Strange: k.Next}, nil
	}
	p := Plan{Offset: s, Replay: i}
	end := s
	if i != nil {
		if err := checkIntent(k, i); err != nil {
			return Plan{}, err
		}
		end, p.First, p.Strange = i.To, i.First, min(i.Strange, k.Next)
	}
	if end > k.Next && !k.broken.has(logsNeverShrink) {
		return Plan{}, fmt.Errorf("partition %d: offset %d was committed with a block up to %d, and the log ends at %d: %w; messages "+
			"that were stored are gone from it and others may take their numbers: bring the log back, or begin a new one",
			k.Partition, s, end, k.Next, ErrLogShrank)
	}
	if k.NewestFound && k.Newest.To > end && !k.broken.has(commitsHaveTheBlocks) {
		return Plan{}, fmt.Errorf("partition %d: the commits end at offset %d, but the store has log %s up to %d: %w; "+
			"the commit file is an old copy: bring the newest back", k.Partition, end, k.Log, k.Newest.To, ErrCommitsBehind)
	}
	p.Stored = i != nil && k.NewestFound && k.Newest.To == i.To && k.Newest.From == i.From
	return p, p.restore(k, end)
}

// restore finds the watermarks as of the committed offset. If the store has lost blocks since (an old copy of it was put
// back), those are stored again, as long as the log has them: blocks up to end may be there in part.
func (p *Plan) restore(k Known, end int64) error {
	s := k.Committed.Offset
	if k.broken.has(watermarksAreRestored) || !k.BeforeFound && p.First {
		return nil
	}
	if !k.BeforeFound && !k.broken.has(storeHasTheBlocks) {
		*p = Plan{}
		return fmt.Errorf("partition %d: offset %d is committed, but the store has no block of log %s: %w; "+
			"it is another store, or was emptied: connect the one that has them, or, to begin the history anew with what "+
			"the log still holds (from %d), remove the group's commits", k.Partition, s, k.Log, ErrStoreBehind, k.First)
	}
	p.Watermarks = k.Before.Watermarks
	if k.Before.To == s || k.broken.has(lostBlocksAreStoredAgain) || !k.BeforeFound {
		return nil
	}
	if k.Before.To < k.First {
		*p = Plan{}
		return fmt.Errorf("partition %d: the store's last block before offset %d ends at %d, and the log begins at %d: %w; "+
			"the store is an old copy: bring the newest back", k.Partition, s, k.Before.To, k.First, ErrStoreBehind)
	}
	p.Offset, p.Strange, p.Replay, p.Stored = k.Before.To, max(p.Strange, end), nil, false
	return nil
}

func checkIntent(k Known, i *Intent) error {
	switch {
	case i.Log != k.Log:
		return fmt.Errorf("partition %d: the intent is of log %s, the log is %s: %w; bring the old log back, or remove the "+
			"group's commits to begin with the new one", k.Partition, i.Log, k.Log, ErrLogReplaced)
	case i.From != k.Committed.Offset:
		return fmt.Errorf("partition %d: offset %d is committed with an intent from %d: %w", k.Partition, k.Committed.Offset, i.From, ErrIntent)
	case i.Schema > k.Schema:
		return fmt.Errorf("partition %d: the intent was written by a situ that knows tables up to %d, this one up to %d: %w; use the newer one",
			k.Partition, i.Schema, k.Schema, ErrIntent)
	}
	return nil
}
