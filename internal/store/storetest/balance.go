package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// whole stores a block the way the ingester does.
func whole(t *testing.T, f *fixture, b *store.Block, doubtful bool) {
	t.Helper()
	insert(t, f, b, doubtful)
	if err := f.InsertBeside(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := f.InsertBlock(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// settled waits until everything written by now is old enough to be judged.
func settled(t *testing.T, f *fixture) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if f.number(t, "SELECT count() FROM "+f.db+".taken WHERE abs(dateDiff('millisecond', written_at, now64(3))) < 5000") == 0 {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
	t.Fatal("blocks do not grow old")
}

// balanceThings registers Things of three owners.
func balanceThings(t *testing.T, f *fixture, n int) (keys []sensor.ThingKey) {
	t.Helper()
	var things []sensor.Thing
	for i := range n {
		id := sensor.ThingID(fmt.Sprintf("%s/t%d", balanceOwner(i), i))
		things = append(things, sensor.Thing{ID: id, Class: sensor.Government, Version: uint64(i + 1)})
		keys = append(keys, id.Key())
	}
	if err := f.SyncRegistry(t.Context(), things, nil); err != nil {
		t.Fatal(err)
	}
	return keys
}

func balanceOwner(i int) string { return []string{"ecology", "water", "traffic"}[i%3] }

// testBalanceFinds breaks the tables on purpose, one way after the other, and asks for each.
func testBalanceFinds(t *testing.T, f *fixture) {
	t.Parallel() // they wait most of the time
	f.migrate(t)
	keys := balanceThings(t, f, 3)
	obs := func(thing int, n int) (list []sensor.Observation) {
		for i := range n {
			o := observation(sensor.DatastreamID(10*thing+i+1), noon, float64(i))
			o.Thing = keys[thing]
			list = append(list, o)
		}
		return list
	}
	var b sensor.Batch
	add := func(seq uint64, m sensor.Message) { m.Arrival = noon + int64(seq); b.Add(producer, seq, &m) }
	add(1, sensor.Message{Observations: obs(0, 2)})
	add(2, sensor.Message{Observations: obs(1, 2)})
	add(3, sensor.Message{DeadLetters: []sensor.DeadLetter{{Reason: sensor.ReasonChecksum, Owner: "water"}}})
	add(4, sensor.Message{Empty: sensor.ReasonHeartbeat, Thing: "traffic/-"})
	add(5, sensor.Message{Observations: obs(2, 1), DeadLetters: []sensor.DeadLetter{{Reason: sensor.ReasonTime, Owner: "traffic"}}})
	add(6, sensor.Message{Observations: obs(0, 1)})
	b.See(producer, 7, 9)
	b.Gaps = append(b.Gaps, sensor.Gap{Producer: producer, From: 7, To: 9, At: noon, Reason: "full"})
	add(10, sensor.Message{Observations: obs(1, 1)})
	first := block(1, &b)
	first.Before, first.To = map[sensor.Producer]uint64{}, 11
	first.Watermarks = maps.Clone(b.Watermarks)
	whole(t, f, first, false)
	whole(t, f, first, true) // a replay changes nothing
	settled(t, f)

	ask := func() *store.Balance {
		t.Helper()
		got, err := f.Balance(t.Context(), time.UnixMilli(noon), time.UnixMilli(noon+1))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	even := ask()
	want := map[string]store.Account{
		"ecology":     {Messages: 2, WithRows: 2, Observations: 3},
		"water":       {Messages: 3, WithRows: 2, DeadLetters: 1, Observations: 3},
		"traffic":     {Messages: 2, WithRows: 1, Empties: 1, Reasons: map[string]uint64{"heartbeat": 1}, Observations: 1},
		store.NoOwner: {Messages: 3, Gaps: 3},
	}
	got := map[string]store.Account{}
	for _, r := range even.Rows {
		if len(r.Reasons) == 0 {
			r.Reasons = nil
		}
		got[r.Owner] = r.Account
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("even balance:\n got %+v\nwant %+v", got, want)
	}
	total := even.Total()
	if total.Wrong() != 0 || total.Messages != 10 {
		t.Errorf("total %+v", total)
	}
	if until := even.ClosedUntil(); !until.Equal(time.UnixMilli(noon + 10)) {
		t.Errorf("closed until %v", until)
	}

	breaks := []struct {
		name, sql string
		see       func(a store.Account) bool
		what      string
	}{
		{"a row of two", "ALTER TABLE " + f.db + ".observations DELETE WHERE seq = 1 AND idx = 0 SETTINGS mutations_sync = 2",
			func(a store.Account) bool { return a.RowsMissing == 1 && a.Missing == 0 }, ""},
		{"the only row", "ALTER TABLE " + f.db + ".observations DELETE WHERE seq = 6 SETTINGS mutations_sync = 2",
			func(a store.Account) bool { return a.RowsMissing == 2 && a.Missing == 1 }, "lost 6..6"},
		{"a letter", "ALTER TABLE " + f.db + ".deadletter_versions DELETE WHERE seq = 3 SETTINGS mutations_sync = 2",
			func(a store.Account) bool { return a.LettersMissing == 1 && a.Missing == 2 }, "lost 3..3"},
		{"an empty message", "ALTER TABLE " + f.db + ".empties DELETE WHERE seq = 4 SETTINGS mutations_sync = 2",
			func(a store.Account) bool { return a.Missing == 3 }, "lost 4..4"},
		{"one row instead of another", "INSERT INTO " + f.db + ".observations SELECT * FROM " + f.db + ".observations WHERE seq = 2",
			func(a store.Account) bool { return a.RowsDoubled == 1 && a.RowsMissing == 1 }, "doubled 2..2"},
		{"more rows than taken", "INSERT INTO " + f.db + ".observations SELECT * FROM " + f.db + ".observations WHERE seq = 10",
			func(a store.Account) bool { return a.RowsDoubled == 1 && a.RowsMissing == 0 }, "doubled 10..10"},
	}
	for _, c := range breaks {
		if err := f.conn.Exec(t.Context(), c.sql); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		b := ask()
		if total := b.Total(); !c.see(total) {
			t.Errorf("%s is not seen: %+v", c.name, total)
		}
		seen := f.trouble(t, b)
		if c.what != "" && !slices.Contains(seen, c.what) {
			t.Errorf("%s: trouble says %v", c.name, seen)
		}
	}
}

func (f *fixture) trouble(t *testing.T, b *store.Balance) (words []string) {
	t.Helper()
	for i := range b.Rows {
		if b.Rows[i].Wrong() == 0 {
			continue
		}
		list, err := f.Trouble(t.Context(), &b.Rows[i], 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			words = append(words, fmt.Sprintf("%s %d..%d", x.What, x.SeqFrom, x.SeqTo))
		}
	}
	return words
}

// testBalanceSkipped: a log that goes past messages, inside a block, between two, and at a producer's beginning.
func testBalanceSkipped(t *testing.T, f *fixture) {
	t.Parallel() // they wait most of the time
	f.migrate(t)
	marks := map[sensor.Producer]uint64{}
	store1 := func(from int64, seqs ...uint64) {
		b := &sensor.Batch{Watermarks: marks}
		before := maps.Clone(marks)
		for _, s := range seqs {
			b.Add(producer, s, &sensor.Message{Arrival: noon, Observations: []sensor.Observation{observation(11, noon+int64(s), 1)}})
		}
		blk := block(from, b)
		blk.Before, blk.Watermarks = before, maps.Clone(marks)
		whole(t, f, blk, false)
	}
	store1(1, 2, 3, 4)
	store1(4, 5, 6, 9)
	store1(7, 20)
	settled(t, f)
	b, err := f.Balance(t.Context(), time.UnixMilli(noon), time.UnixMilli(noon+1))
	if err != nil {
		t.Fatal(err)
	}
	if total := b.Total(); total.Missing != 1+2+10 || total.WithRows != 7 || total.Messages != 20 {
		t.Errorf("%+v", total)
	}
	if got := f.trouble(t, b); !slices.Equal(got, []string{"skipped 1..1", "skipped 7..8", "skipped 10..19"}) {
		t.Errorf("trouble: %v", got)
	}
}

// testBalanceOnItsWay: rows whose block is not recorded yet, and blocks recorded just now, are no trouble.
func testBalanceOnItsWay(t *testing.T, f *fixture) {
	t.Parallel() // they wait most of the time
	f.migrate(t)
	b := batch(1, []sensor.Observation{observation(11, noon, 1)}, []sensor.Observation{observation(12, noon, 1)})
	insert(t, f, block(1, b), false)
	ask := func() store.Account {
		t.Helper()
		got, err := f.Balance(t.Context(), time.UnixMilli(noon), time.UnixMilli(noon+1))
		if err != nil {
			t.Fatal(err)
		}
		return got.Total()
	}
	if a := ask(); a.Messages != 2 || a.Unjudged != 2 || a.Wrong() != 0 {
		t.Errorf("rows before their block: %+v", a)
	}
	blk := block(1, b)
	blk.Before = map[sensor.Producer]uint64{}
	whole(t, f, blk, true)
	if err := f.conn.Exec(t.Context(), "ALTER TABLE "+f.db+".observations DELETE WHERE seq = 2 SETTINGS mutations_sync = 2"); err != nil {
		t.Fatal(err)
	}
	settled(t, f)
	if a := ask(); a.Messages != 2 || a.Unjudged != 0 || a.Missing != 1 || a.RowsMissing != 1 {
		t.Errorf("after it settled: %+v", a)
	}
}

// testBalanceDifferential plays a random city, breaks it at random, and counts again in Go.
func testBalanceDifferential(t *testing.T, f *fixture) {
	t.Parallel() // they wait most of the time
	f.migrate(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	m := newBalanceModel(rand.New(rand.NewPCG(seed, 1)), balanceThings(t, f, 12))
	for _, b := range m.blocks(25) {
		whole(t, f, b, false)
		if m.r.IntN(5) == 0 {
			whole(t, f, b, true)
		}
	}
	m.breakTables(t, f)
	settled(t, f)
	got, err := f.Balance(t.Context(), time.UnixMilli(noon-12*3600_000), time.UnixMilli(noon+12*3600_000))
	if err != nil {
		t.Fatal(err)
	}
	want := m.recount()
	seen := map[balanceKey]store.Account{}
	for _, r := range got.Rows {
		if len(r.Reasons) == 0 {
			r.Reasons = nil
		}
		seen[balanceKey{r.Hour.UnixMilli(), r.Producer, r.Owner}] = r.Account
	}
	for k, a := range want {
		if !reflect.DeepEqual(seen[k], a) {
			t.Errorf("%v:\n got %+v\nwant %+v", k, seen[k], a)
		}
		delete(seen, k)
	}
	for k, a := range seen {
		t.Errorf("%v: %+v, want nothing", k, a)
	}
}
