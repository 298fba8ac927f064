package rollup_test

import (
	"testing"
)

// Whatever comes, in whatever order, the roll-ups end equal to a recompute from the rows.
func TestExactAfterEverything(t *testing.T) {
	w := newWorld(t, 1)
	for range 4 {
		for range 3 {
			w.insert(t, w.some(40))
		}
		w.exact(t)
	}
}
