package gateway

import "sync"

// ackQueue releases acknowledgements in the order of receipt [MQTT-4.6.0-2], however the spools finish:
// a message may have a part in each lane, and the lanes commit apart from each other.
type ackQueue[T any] struct {
	release func(T) // called in order, under mu: must not block

	mu   sync.Mutex // guards what follows
	ring []pendingAck[T]
	head uint64 // token of the oldest entry
	next uint64 // token the next entry gets
}

type pendingAck[T any] struct {
	value   T
	parts   int // spool records this message still waits for
	dropped bool
}

// add enters a message that waits for parts spool records and returns its token.
func (q *ackQueue[T]) add(value T, parts int) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.next-q.head == uint64(len(q.ring)) {
		q.grow()
	}
	token := q.next
	q.ring[token%uint64(len(q.ring))] = pendingAck[T]{value: value, parts: parts}
	q.next++
	return token
}

func (q *ackQueue[T]) grow() {
	bigger := make([]pendingAck[T], max(64, 2*len(q.ring)))
	for t := q.head; t < q.next; t++ {
		bigger[t%uint64(len(bigger))] = q.ring[t%uint64(len(q.ring))]
	}
	q.ring = bigger
}

// done says that one record of message token is safe.
func (q *ackQueue[T]) done(token uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if token < q.head {
		return // it was dropped, and another of its records is safe now
	}
	q.ring[token%uint64(len(q.ring))].parts--
	q.advance()
}

// drop takes message token out without releasing it and gives its value: it was refused, and will come again.
func (q *ackQueue[T]) drop(token uint64) (value T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if token < q.head || q.ring[token%uint64(len(q.ring))].dropped {
		return value, false
	}
	e := &q.ring[token%uint64(len(q.ring))]
	value, *e = e.value, pendingAck[T]{dropped: true}
	q.advance()
	return value, true
}

// advance releases what waits for nothing more; q.mu is held.
func (q *ackQueue[T]) advance() {
	for q.head < q.next {
		e := &q.ring[q.head%uint64(len(q.ring))]
		if e.parts > 0 {
			return
		}
		if !e.dropped {
			q.release(e.value)
		}
		*e = pendingAck[T]{}
		q.head++
	}
}

// waiting is the number of messages not yet released.
func (q *ackQueue[T]) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int(q.next - q.head)
}
