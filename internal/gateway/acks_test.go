package gateway

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever the order in which records become safe, acknowledgements leave in the order of receipt, each once,
// and none before all its records are safe.
func TestAcksLeaveInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out []int
		safe := map[int]int{} // message -> records still missing
		q := ackQueue[int]{}
		q.release = func(v int) {
			if safe[v] > 0 {
				t.Fatalf("message %d released with %d records missing", v, safe[v])
			}
			out = append(out, v)
		}
		var open []uint64 // one entry a missing record
		n := 0
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			if len(open) == 0 || rapid.Bool().Draw(t, "add") {
				parts := rapid.IntRange(1, 2).Draw(t, "parts")
				token := q.add(n, parts)
				safe[n] = parts
				for range parts {
					open = append(open, token)
				}
				n++
				continue
			}
			i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
			token := open[i]
			open = append(open[:i], open[i+1:]...)
			safe[int(token)]--
			q.done(token)
		}
		for _, token := range open {
			safe[int(token)]--
			q.done(token)
		}
		if len(out) != n || q.waiting() != 0 {
			t.Fatalf("%d of %d released, %d waiting", len(out), n, q.waiting())
		}
		for i, v := range out {
			if v != i {
				t.Fatalf("released %v", out)
			}
		}
	})
}
