package protocol

import "fmt"

// Answer is what became of a request.
type Answer uint8

// The answers.
const (
	Unknown  Answer = iota // no answer, or one that does not say whether it was done
	OK                     // done, durably
	TooLarge               // not done, and never will be
)

// Sender hands one producer's messages to a bus: one range after the other, none skipped, each sent until it is
// resolved. Whatever a reader of the bus sees of the producer then is new or not above what it saw before.
type Sender struct {
	next  uint64 // everything before it is on the bus
	to    uint64 // end of the range under way; 0 = none
	limit int    // messages that a range may have, after one was too large; 0 = any number
	most  int    // limit beyond which there is none

	broken rule
}

// NewSender begins at next. A limit that was set because a range was too large is lifted beyond most.
func NewSender(next uint64, most int) Sender { return Sender{next: next, most: most} }

// Resume tells where to begin: at hint, the first message not known to be on the bus when it was noted, if that lies in
// what the log holds, [first, next). A hint may be old, which costs repeats; one that is lost is 0.
func Resume(hint, first, next uint64) uint64 {
	if hint > next {
		return first
	}
	return max(first, hint)
}

// Next is the first message that is not known to be on the bus: what stands before it may be freed.
func (s *Sender) Next() uint64 { return s.next }

// Limit is the number of messages that the next range may have at most; 0 = any.
func (s *Sender) Limit() int { return s.limit }

// Begin says that messages Next..to are to be sent.
func (s *Sender) Begin(to uint64) error {
	if s.to != 0 || to < s.next {
		return fmt.Errorf("begin to send %d..%d while %d..%d is unresolved", s.next, to, s.next, s.to)
	}
	s.to = to
	return nil
}

// Answered takes the answer to the range under way. again: send the same once more. Else the range is over: gather the
// next one, from Next. one says that the range is a single message, which cannot be cut: it is sent until it is taken.
func (s *Sender) Answered(a Answer, one bool) (again bool) {
	switch {
	case a == OK || a == Unknown && s.broken.has(sendsUntilTaken):
		if s.limit *= 2; s.limit > s.most { // what was too large once may be so again: grow slowly
			s.limit = 0
		}
		s.next, s.to = s.to+1, 0
	case a == TooLarge && !one:
		s.limit, s.to = int(s.to-s.next+1)/2, 0
	default:
		return true
	}
	return false
}
