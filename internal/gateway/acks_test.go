package gateway

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever the order in which records become safe or are refused, acknowledgements leave in the order of receipt, each
// once, none before all its records are safe, and none for a message that was refused.
func TestAcksLeaveInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out []int
		safe := map[int]int{} // message -> records still missing
		q := ackQueue[int]{}
		dropped := map[int]bool{}
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
			if rapid.IntRange(0, 9).Draw(t, "refuse") == 0 {
				if v, ok := q.drop(token); ok != !dropped[int(token)] || ok && v != int(token) {
					t.Fatalf("drop of %d gave %d, %v", token, v, ok)
				}
				dropped[int(token)] = true // its other record may still become safe, or be refused
				continue
			}
			safe[int(token)]--
			q.done(token)
		}
		for _, token := range open {
			safe[int(token)]--
			q.done(token)
		}
		if len(out) != n-len(dropped) || q.waiting() != 0 {
			t.Fatalf("%d of %d released, %d dropped, %d waiting", len(out), n, len(dropped), q.waiting())
		}
		for i, v := range out {
			if i > 0 && v <= out[i-1] || dropped[v] {
				t.Fatalf("released %v, dropped %v", out, dropped)
			}
		}
	})
}
