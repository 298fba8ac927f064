package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// replayed are rows that letters of messages 1 and 3 became, an hour apart.
func replayed(shift int64) *sensor.Batch {
	b := new(sensor.Batch)
	p := b.ProducerIndex(producer)
	for _, r := range []struct {
		seq uint64
		idx uint16
		at  int64
	}{{1, 0, noon}, {1, 1, noon}, {3, 7, noon - 3600_000}, {3, 8, noon - 40*86400_000}} {
		o := observation(sensor.DatastreamID(10*r.seq), r.at+shift, float64(r.idx))
		b.AppendRow(p, r.seq, r.idx, noon, &o)
	}
	return b
}

func testReplayedRows(t *testing.T, f *fixture) {
	f.migrate(t)
	// Message 2 came the usual way; its neighbours' rows are nothing to it.
	insert(t, f, block(0, batch(2, []sensor.Observation{observation(20, noon, 5)})), false)
	from, to := noon-41*86400_000, noon+7200_000
	put := func(shift int64, want int) {
		t.Helper()
		if fresh, err := f.InsertReplayed(t.Context(), replayed(shift), from, to); err != nil || fresh != want {
			t.Errorf("%d fresh rows, %v; want %d", fresh, err, want)
		}
		if n := f.count(t, "observations"); n != 5 {
			t.Errorf("%d rows", n)
		}
	}
	put(0, 4)
	put(0, 0)
	put(3600_000, 0) // another correction of the clock: the same identities
	// One month's rows are lost behind their token.
	f.exec(t, "ALTER TABLE "+f.db+".observations DELETE WHERE seq = 3 AND idx = 7 SETTINGS mutations_sync = 1")
	put(0, 1)
	f.exec(t, "TRUNCATE TABLE "+f.db+".observations")
	insert(t, f, block(9, batch(2, []sensor.Observation{observation(20, noon, 5)})), true)
	put(0, 4) // the engine knows the token of all four, and would drop them
	put(0, 0)
}

func testLetterVersions(t *testing.T, f *fixture) {
	f.migrate(t)
	large := bytes.Repeat([]byte("\x00\xff binary "), sensor.MaxDeadLetterPayload/9)[:sensor.MaxDeadLetterPayload]
	b := new(sensor.Batch)
	b.Add(producer, 1, &sensor.Message{Arrival: noon, DeadLetters: []sensor.DeadLetter{
		{Reason: sensor.ReasonThing, Owner: "o", Thing: "o/t", Readings: "0-3", Size: len(large), Payload: large,
			Origin: sensor.Origin{Client: "c", User: "u", Broker: "tcp://b", Packet: 65535, QoS: 2}},
		{Reason: sensor.ReasonUnit, Owner: "o", Thing: "o/t", Readings: "4", Size: len(large)},
	}})
	b.Add(producer, 2, &sensor.Message{Arrival: noon + 5, DeadLetters: []sensor.DeadLetter{{Reason: sensor.ReasonTime, Owner: "p", Size: 1, Payload: []byte("x")}}})
	blk := block(3, b)
	must(t, f.InsertBeside(t.Context(), blk))
	id := sensor.Identity{Producer: producer, Seq: 1, Idx: 1}
	l, err := f.DeadLetter(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(l.Payload, large) || l.Reason != sensor.ReasonUnit || l.Read != (store.LogRange{Log: blk.Log, From: 3, To: 5}) || l.Version != 1 {
		t.Errorf("%d bytes of payload, reason %s, %+v, version %d", len(l.Payload), l.Reason, l.Read, l.Version)
	}
	refs, err := f.FindLetters(t.Context(), []sensor.Identity{id, {Producer: producer, Seq: 9}})
	if err != nil || len(refs) != 2 || refs[0].Idx != 0 || refs[1].Idx != 1 {
		t.Fatalf("%+v, %v", refs, err)
	}
	all, err := f.ReadLetters(t.Context(), refs)
	if err != nil || len(all) != 2 || all[0].Origin != b.DeadLetters[0].Origin || all[0].Kept != len(large) || all[1].Kept != 0 {
		t.Fatalf("%v", err)
	}
	done := all[0]
	done.State, done.Version, done.Tries, done.RowIdxs, done.RowsFrom, done.RowsTo = store.LetterResolved, 3, 1, []uint16{0, 7}, noon, noon+1
	pending := all[1]
	pending.Version, pending.Pending = 2, true
	must(t, f.InsertLetterVersions(t.Context(), []store.StoredDeadLetter{done, pending}))
	must(t, f.InsertBeside(t.Context(), blk)) // the block is stored again after a crash: nothing is taken back
	if all, err = f.ReadLetters(t.Context(), refs); err != nil || all[0].State != store.LetterResolved || len(all[0].RowIdxs) != 2 ||
		all[0].RowsTo != noon+1 || all[0].Tries != 1 || !all[1].Pending || all[1].State != store.LetterOpen {
		t.Fatalf("%v", err)
	}
	if left, err := f.PendingLetters(t.Context()); err != nil || len(left) != 1 || left[0].Identity != pending.Identity || left[0].Detail != pending.Detail {
		t.Errorf("under way are %+v, %v", left, err)
	}
	for _, c := range []struct {
		filter store.DeadLetterFilter
		want   string
	}{
		{store.DeadLetterFilter{}, "2/0 1/1 1/0"}, {store.DeadLetterFilter{Oldest: true}, "1/0 1/1 2/0"},
		{store.DeadLetterFilter{State: store.LetterOpen}, "2/0 1/1"}, {store.DeadLetterFilter{Thing: "o/t", Oldest: true}, "1/0 1/1"},
		{store.DeadLetterFilter{Since: noon + 1}, "2/0"}, {store.DeadLetterFilter{Until: noon + 1}, "1/1 1/0"},
	} {
		var names []string
		for c.filter.Limit = 1; ; {
			ids, next, err := f.LetterNames(t.Context(), c.filter)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				names = append(names, fmt.Sprintf("%d/%d", id.Seq, id.Idx))
			}
			if c.filter.Cursor = next; next == "" {
				break
			}
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%+v: %s, want %s", c.filter, got, c.want)
		}
	}
	page, _, err := f.DeadLetters(t.Context(), store.DeadLetterFilter{Limit: 10})
	if err != nil || len(page) != 3 || len(page[2].Payload) != 4096 || page[2].Kept != len(large) {
		t.Errorf("%d letters, %v: a list shows the begin of a payload", len(page), err)
	}
	if n := f.number(t, "SELECT count() FROM "+f.db+".deadletters WHERE id = 'gw1:1:live:1:1' AND block_to = 5"); n != 1 {
		t.Error("the view does not name letters")
	}
	if _, err := f.DeadLetter(t.Context(), sensor.Identity{Producer: producer, Seq: 1, Idx: 9}); !errors.Is(err, store.ErrNoLetter) {
		t.Error(err)
	}
}
