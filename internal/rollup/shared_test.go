package rollup_test

import (
	"testing"

	"github.com/situ-city/situ/internal/store"
)

// Two messages of one instant that went through two ingesters, neither of which knew of the other, end as one in history
// and in the roll-ups, wherever each of them stood.
func TestRepeatsThroughTwoProcesses(t *testing.T) {
	w := newWorld(t, seed())
	for range 4 {
		b := w.some(30)
		b.Repeats = nil // what a process knows that has seen none of it
		w.insert(t, b)
	}
	count := func() (n uint64) {
		must(t, w.conn.QueryRow(t.Context(), "SELECT count() FROM history").Scan(&n))
		return n
	}
	if n := count(); n == uint64(len(w.seen)) {
		t.Fatalf("no repeat among %d rows: the test shows nothing", n)
	}
	shared, err := store.Open(t.Context(), store.Options{Conn: w.conn, Database: w.db, Cell: cellE7, Shared: true})
	must(t, err)
	must(t, w.worker(t, shared).Settle(t.Context()))
	if n := count(); n != uint64(len(w.seen)) {
		t.Errorf("history has %d rows of %d instants", n, len(w.seen))
	}
	w.exact(t)
}
