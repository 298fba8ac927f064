package protocol

import "time"

// Lease is how long a decision to write holds without looking again. Whoever was asleep for longer after it announced
// a block, or after it compared one, takes the block for doubtful: meanwhile another may have stored it, and the store
// may have forgotten its tokens. It is also how long a request whose answer was lost can still arrive.
const Lease = 10 * time.Second

// rule is a set of rules that are NOT kept. Only the model's tests set any, to show that each is needed.
type rule uint32

const (
	sendsOneAfterAnother     rule = 1 << iota // Sender: an unresolved range is sent again
	sendsOneAtATime                           // Sender: nothing is sent past it
	intentBeforeInsert                        // Partition
	insertBeforeCommit                        // Partition
	recordBeforeCommit                        // Partition
	replayIsDoubtful                          // Partition
	unknownIsDoubtful                         // Partition: after an insert without an answer
	lateIsDoubtful                            // Partition, Part
	commitsAreSettled                         // Partition
	watermarksAreRestored                     // Plan
	watermarksAreOfTheOffset                  // Plan: as of the committed offset, not the newest
	watermarksOutliveTheLog                   // Partition: of other logs, when this one is new
	gapsInTheLogStop                          // Partition: an offset that is not there
	logsNeverShrink                           // Plan
	storeHasTheBlocks                         // Plan
	commitsHaveTheBlocks                      // Plan
	freedWhenStored                           // Trimmable
	epochRises                                // NextEpoch
)

func (r rule) has(x rule) bool { return r&x != 0 }
