package inproc

import (
	"reflect"
	"strconv"
	"sync"
	"testing"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/bustest"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// social fills the live lane with messages of which every third is government's, in several segments.
func (w *world) social(t testing.TB, seed uint64, n int) []sensor.Message {
	t.Helper()
	msgs := bustest.Messages(seed, n)
	for len(msgs) > 0 {
		some := msgs[:min(25, len(msgs))]
		msgs = msgs[len(some):]
		var acks sync.WaitGroup
		for i := range some {
			acks.Add(1)
			class := sensor.Social
			if i%3 == 0 {
				class = sensor.Government
			}
			if err := w.spools[sensor.Live].AppendAs(class, sensor.AppendMessage(nil, &some[i]), spool.Ack{To: &waitGroup{t, &acks}}); err != nil {
				t.Fatal(err)
			}
		}
		acks.Wait()
	}
	return bustest.Messages(seed, n)
}

type waitGroup struct {
	t  testing.TB
	wg *sync.WaitGroup
}

func (w *waitGroup) Acked(_ uint64, err error) {
	if err != nil {
		w.t.Error(err)
	}
	w.wg.Done()
}

func (w *world) thin(t testing.TB) (times int) {
	t.Helper()
	p := spool.Policy{Classes: []spool.Horizon{{Class: sensor.Social}}, Hold: func() (uint64, func()) { return w.bus.HoldThin(0) },
		Describe: func(b []byte) (s sensor.GapShare) { _, s.Thing, s.Owner = sensor.PeekMessage(b); return s }}
	for {
		ok, err := w.spools[sensor.Live].Thin(p)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return times
		}
		times++
	}
}

// What a policy removed is told in its place, the same whether it is fetched at once or in pieces.
func TestRemovedFromTheMiddle(t *testing.T) {
	w := newWorld(t)
	msgs := w.social(t, 1, 600)
	if w.thin(t) == 0 {
		t.Fatal("nothing was removed")
	}
	read := func(piece int64) *sensor.Batch {
		var b sensor.Batch
		for at := int64(1); at <= 600; {
			next, err := w.bus.Fetch(t.Context(), 0, at, min(at+piece, 601), 0, &b)
			if err != nil {
				t.Fatal(err)
			}
			at = next
		}
		return &b
	}
	whole := read(1000)
	gone := map[uint64]bool{}
	for _, g := range whole.Gaps {
		if g.Class != sensor.Social || g.Reason == "" || g.At == 0 {
			t.Fatalf("gap %+v", g)
		}
		for seq := g.From; seq <= g.To; seq++ {
			gone[seq] = true
		}
	}
	var want sensor.Batch
	p := w.Producer(sensor.Live)
	for i := range msgs {
		if seq := uint64(i + 1); !gone[seq] {
			want.Add(p, seq, &msgs[i])
		} else if i%25%3 == 0 {
			t.Fatalf("message %d was government's", seq)
		}
	}
	var told uint64
	for _, s := range whole.GapShares {
		told += s.Messages
		if s.Thing == 0 && s.Owner == "" {
			continue // an empty message names nobody
		}
	}
	if len(gone) < 200 || whole.Removed != len(gone) || int(told) != len(gone) || whole.Messages != 600 || whole.Watermarks[p] != 600 {
		t.Fatalf("%d are gone, %d counted, shares of %d; %d messages up to %d", len(gone), whole.Removed, told, whole.Messages, whole.Watermarks[p])
	}
	if !reflect.DeepEqual(whole.Seq, want.Seq) || !reflect.DeepEqual(whole.Datastream, want.Datastream) ||
		len(whole.DeadLetters) != len(want.DeadLetters) || len(whole.Empties) != len(want.Empties) {
		t.Fatal("what is left differs from what was sent")
	}
	for _, piece := range []int64{1, 7, 50} {
		got := read(piece)
		if !reflect.DeepEqual(got.Gaps, whole.Gaps) || !reflect.DeepEqual(got.GapShares, whole.GapShares) || !reflect.DeepEqual(got.Seq, whole.Seq) {
			t.Fatalf("in pieces of %d it is another log", piece)
		}
	}
}

// What the group holds in its hands, or has announced before a crash, stays as it is.
func TestNothingIsRemovedUnderTheGroupsHands(t *testing.T) {
	w := newWorld(t)
	w.announced = func(meta string) int64 { n, _ := strconv.ParseInt(meta, 10, 64); return n }
	w.Restart(t)
	w.social(t, 2, 600)
	var b sensor.Batch
	next, err := w.group(t).Log().Fetch(t.Context(), 0, 1, 0, 200, &b)
	if err != nil {
		t.Fatal(err)
	}
	intact := func(before int64) {
		t.Helper()
		var b sensor.Batch
		for at := int64(1); at < before; {
			if at, err = w.bus.Fetch(t.Context(), 0, at, before, 0, &b); err != nil {
				t.Fatal(err)
			}
		}
		if b.Removed != 0 {
			t.Fatalf("%d removed before %d", b.Removed, before)
		}
	}
	if w.thin(t) == 0 {
		t.Fatal("nothing was removed")
	}
	intact(next)
	w.commit(t, 0, bus.Position{Offset: 1, Meta: "450"})
	w.Restart(t)
	w.social(t, 3, 600)
	w.thin(t)
	intact(next)
	from, release := w.bus.HoldThin(0)
	release()
	if from != 450 {
		t.Fatalf("after a restart from %d may go, 450 was announced", from)
	}
}
