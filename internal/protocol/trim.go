package protocol

// Trimmable gives the offset below which a log may be freed: every group has committed it, and every reader that holds
// the log has passed it. False: nothing may be freed, for a group has not committed yet.
func Trimmable(committed, held []int64) (before int64, ok bool) {
	before = 1<<63 - 1
	for _, c := range committed {
		before = min(before, c)
	}
	for _, h := range held {
		before = min(before, h)
	}
	return before, before >= 0 && len(committed) > 0
}

// NextEpoch is the epoch of a log that is made anew: above every one that the producer is known to have used, and at
// least made, a number that hardly returns, for often nothing is known. Its messages begin with seq 1 again, and must
// not be taken for the old ones.
func NextEpoch(known, made uint32) uint32 { return max(known+1, made) }
