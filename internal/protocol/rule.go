package protocol

import "time"

// Lease is how long a decision to write holds without looking again. Whoever was asleep for longer after it announced
// a block, or after it compared one, takes the block for doubtful: meanwhile another may have stored it, and the store
// may have forgotten its tokens. It is also how long a request whose answer was lost can still arrive.
const Lease = 10 * time.Second

// Holds is how long a decision holds for whoever is replaced after a session of silence: whoever takes over must not meet
// a request that was sent on the strength of it, and that may be on its way for a Lease. 0: nobody replaces it.
func Holds(session time.Duration) time.Duration {
	switch {
	case session == 0:
		return Lease
	case session > Lease:
		return min(Lease, session-Lease)
	}
	return session / 2 // too short for it to be kept; see ShortestSession
}

// ShortestSession is the shortest for which Holds leaves time to store a block without comparing it first.
const ShortestSession = Lease + 2*time.Second

// rule is a set of rules that are NOT kept. Only the model's tests set any, to show that each is needed.
type rule uint32

const (
	sendsUntilTaken          rule = 1 << iota // Sender
	intentBeforeInsert                        // Partition
	insertBeforeCommit                        // Partition
	recordBeforeCommit                        // Partition
	replayIsDoubtful                          // Partition
	unknownIsDoubtful                         // Partition: after an insert without an answer
	disagreementsAreReread                    // Partition
	beginningsAreDoubtful                     // Partition: a log without a position
	lateIsDoubtful                            // Partition, Part
	commitsAreSettled                         // Partition
	watermarksOutliveTheLog                   // Partition: those of other logs, when this one is new
	watermarksAreRestored                     // MakePlan
	lostBlocksAreStoredAgain                  // MakePlan: those that the store has lost since the commit
	logsNeverShrink                           // MakePlan
	storeHasTheBlocks                         // MakePlan
	commitsHaveTheBlocks                      // MakePlan
	emptyTokensArePassed                      // Part: tokens without rows
)

func (r rule) has(x rule) bool { return r&x != 0 }
