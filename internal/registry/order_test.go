package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/situ-city/situ/pkg/sensor"
)

// Whoever reads `since=` while several processes write, long transactions among short ones, meets each number once
// and in order. A number given before its turn (a sequence, an index taken before the lock) is skipped for ever here.
func testFeedIsNeverAheadOfItself(t *testing.T, db fresh) {
	address := db(t)
	const writers, rounds, many = 4, 8, 40
	const total = writers * rounds * (2 + 2*many)
	var work sync.WaitGroup
	for w := range writers {
		r := open(t, address)
		work.Go(func() {
			for n := range rounds {
				id := fmt.Sprintf("w%d/%d", w, n)
				_, err := r.PutThing(context.Background(), thing(sensor.ThingID(id)), &sensor.Datastream{Property: "pm10"})
				var long []sensor.Declaration
				for i := range many {
					long = append(long, sensor.Declaration{Datastream: stream(sensor.ThingID(fmt.Sprintf("%s-%d", id, i)), "pm10", "x")})
				}
				_, err2 := r.Declare(context.Background(), long)
				if err := errors.Join(err, err2); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() { work.Wait(); close(ended) }()
	var readers sync.WaitGroup
	for n := range 3 {
		r := open(t, address)
		readers.Go(func() { readInOrder(t, r, 5+40*n, total, ended) })
	}
	readers.Wait()
	<-ended
}

// readInOrder pages through the feed until it has read total changes.
func readInOrder(t *testing.T, r *Registry, page int, total uint64, ended <-chan struct{}) {
	since := uint64(0)
	for since < total {
		var last bool
		select {
		case <-ended:
			last = true
		default:
		}
		changes, next, err := r.Changes(context.Background(), since, page)
		if err != nil {
			t.Error(err)
			return
		}
		for _, c := range changes {
			if since++; c.Number != since {
				t.Errorf("change %d at the place of %d", c.Number, since)
				return
			}
		}
		if next != since || last && len(changes) == 0 {
			t.Errorf("at %d of %d, next is %d", since, total, next)
			return
		}
	}
}

// A write that begins while another is on its way comes after it, and sees what it did.
func testWritersTakeTurns(t *testing.T, db fresh) {
	address := db(t)
	first, second := open(t, address), open(t, address)
	done := make(chan error, 1)
	err := first.update(t.Context(), func(b *batch) error {
		begun := make(chan struct{})
		go func() {
			close(begun)
			x := thing("a/x")
			x.Name = "second"
			_, err := second.PutThing(context.Background(), x)
			done <- err
		}()
		<-begun
		for i := range 500 { // the second has time to do wrong
			if _, _, err := b.declaredThing(thing(sensor.ThingID(fmt.Sprintf("a/%d", i)))); err != nil {
				return err
			}
		}
		_, _, err := b.declaredThing(thing("a/x"))
		return err
	})
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	x, _ := second.Snapshot().Thing("a/x")
	if x == nil || x.Name != "second" || x.Version != 502 {
		t.Errorf("%+v, want the second's word as change 502", x)
	}
}

// One transaction may change a Thing and a Datastream several times, and hand a serial on. PostgreSQL refuses to touch
// a row twice in one statement.
func testChangedTwiceInOneTransaction(t *testing.T, db fresh) {
	address := db(t)
	r := open(t, address)
	old, next := thing("a/old"), thing("a/next")
	old.Serial = "MN1"
	if _, err := r.PutThing(t.Context(), old, stream("a/old", "pm10", "x")); err != nil {
		t.Fatal(err)
	}
	err := r.update(t.Context(), func(b *batch) error {
		old.Serial, next.Serial = "", "MN1"
		for _, x := range []*sensor.Thing{old, next} {
			if _, _, err := b.declaredThing(x); err != nil {
				return err
			}
		}
		for _, name := range []string{"one", "two"} {
			old.Name = name
			if _, _, err := b.declaredThing(old); err != nil {
				return err
			}
			if err := b.declaredStream("a/old", &sensor.Datastream{Property: "pm10", SourceKey: "x", Unit: map[string]string{"one": "mg/m3", "two": "ug/m3"}[name]}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	again := open(t, address)
	if err := tables(t.Context(), again.read, again.Snapshot()); err != nil {
		t.Error(err)
	}
	if id, _ := again.Snapshot().Serial("a", "MN1"); id != "a/next" {
		t.Errorf("the serial finds %q", id)
	}
	if x, _ := again.Snapshot().Thing("a/old"); x.Name != "two" || again.Snapshot().Version() != 8 {
		t.Errorf("%+v at version %d", x, again.Snapshot().Version())
	}
}

// Processes that start together on an empty database make one ledger.
func testOpenedByManyAtOnce(t *testing.T, db fresh) {
	address := db(t)
	ids := make([]string, 6)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			r, err := Open(context.Background(), address, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = r.ID()
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Errorf("ledgers %q", ids)
			break
		}
	}
}
