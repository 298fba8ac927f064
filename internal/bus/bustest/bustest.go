// Package bustest is the conformance suite of internal/bus: what every implementation must do, and the ingester
// relies on for counting each reading once. Run it on each of them.
package bustest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/pkg/sensor"
)

// Harness is one bus under test, empty at first, with both lanes of one gateway.
type Harness interface {
	Log() bus.Log
	// Group gives another member of one and the same group.
	Group(t *testing.T) bus.Group
	// Partition and Producer tell where a lane's messages are and who made them.
	Partition(lane sensor.Lane) int32
	Producer(lane sensor.Lane) sensor.Producer
	// Publish appends messages with the next seqs of the lane (the first is 1), durable when it returns.
	Publish(t *testing.T, lane sensor.Lane, msgs []sensor.Message)
	// Repeat sends again what the last Publish sent. False: this bus cannot repeat.
	Repeat(t *testing.T, lane sensor.Lane) bool
	// Gap removes some of the lane's messages by policy and returns the last seq that is gone. Later messages follow.
	Gap(t *testing.T, lane sensor.Lane) (to uint64)
	// Restart closes everything and opens it again on the same data.
	Restart(t *testing.T)
}

const patience = 30 * time.Second

// Run checks all rules, each on a bus of its own.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, c := range []struct {
		rule string
		test func(*testing.T, Harness)
	}{
		{"all messages arrive, whole and in order", arriveInOrder},
		{"a range read twice is the same", rangeIsFixed},
		{"fetch stops at its bounds", fetchStops},
		{"fetch waits for the next message", fetchWaits},
		{"an offset that is not there is refused", offsetRefused},
		{"a repeat is recognised", repeatDropped},
		{"what was seen is not given again", watermarkKept},
		{"a gap is told", gapTold},
		{"a huge message passes", hugePasses},
		{"a restart keeps all", restartKeeps},
		{"a commit is read back", commitReadBack},
		{"a zombie cannot commit", zombieRefused},
		{"consume ends with its context and with a failing handle", consumeEnds},
		{"readers and a writer do not disturb each other", concurrent},
		{"the log has a name of its own", named},
	} {
		t.Run(c.rule, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// expect is the batch that messages from seq `first` on must become.
func expect(h Harness, lane sensor.Lane, first uint64, msgs []sensor.Message) *sensor.Batch {
	var b sensor.Batch
	for i := range msgs {
		b.Add(h.Producer(lane), first+uint64(i), &msgs[i])
	}
	return &b
}

// readTo fetches from `from` until n messages (repeats included) have come.
func readTo(t *testing.T, h Harness, lane sensor.Lane, from int64, n, maxRows int) (*sensor.Batch, int64) {
	t.Helper()
	var b sensor.Batch
	return &b, readInto(t, h, lane, from, n, maxRows, &b)
}

func readInto(t *testing.T, h Harness, lane sensor.Lane, from int64, n, maxRows int, b *sensor.Batch) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for b.Messages+b.Duplicates < n {
		next, err := h.Log().Fetch(ctx, h.Partition(lane), from, 0, maxRows, b)
		if err != nil {
			t.Fatalf("fetch at %d after %d of %d messages: %v", from, b.Messages, n, err)
		}
		if next <= from {
			t.Fatalf("fetch at %d gave next %d", from, next)
		}
		from = next
	}
	return from
}

func first(t *testing.T, h Harness, lane sensor.Lane) int64 {
	t.Helper()
	f, _, err := h.Log().Bounds(t.Context(), h.Partition(lane))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func arriveInOrder(t *testing.T, h Harness) {
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		msgs := Messages(1, 200)
		h.Publish(t, lane, msgs[:60])
		h.Publish(t, lane, msgs[60:61])
		h.Publish(t, lane, msgs[61:])
		got, next := readTo(t, h, lane, first(t, h, lane), len(msgs), 0)
		Same(t, got, expect(h, lane, 1, msgs))
		if got.Watermarks[h.Producer(lane)] != 200 {
			t.Fatalf("watermark %d", got.Watermarks[h.Producer(lane)])
		}
		if _, end, err := h.Log().Bounds(t.Context(), h.Partition(lane)); err != nil || end != next {
			t.Fatalf("read up to %d, bounds say %d, %v", next, end, err)
		}
	}
	parts, err := h.Log().Partitions(t.Context())
	if err != nil || !slices.Contains(parts, h.Partition(sensor.Live)) || !slices.Contains(parts, h.Partition(sensor.Backfill)) {
		t.Fatalf("partitions %v, %v", parts, err)
	}
}

func rangeIsFixed(t *testing.T, h Harness) {
	msgs := Messages(2, 150)
	for part := range slices.Chunk(msgs, 30) {
		h.Publish(t, sensor.Live, part)
	}
	h.Repeat(t, sensor.Live)
	from := first(t, h, sensor.Live)
	for maxRows := 1; maxRows < 400; maxRows = maxRows*2 + 1 {
		whole, end := readTo(t, h, sensor.Live, from, len(msgs), maxRows)
		again := &sensor.Batch{}
		for at := from; at < end; {
			next, err := h.Log().Fetch(t.Context(), h.Partition(sensor.Live), at, end, maxRows, again)
			if err != nil {
				t.Fatal(err)
			}
			at = next
		}
		Same(t, again, whole)
	}
}

func fetchStops(t *testing.T, h Harness) {
	msgs := Messages(3, 40)
	for part := range slices.Chunk(msgs, 4) {
		h.Publish(t, sensor.Live, part)
	}
	part, from := h.Partition(sensor.Live), first(t, h, sensor.Live)
	_, end := readTo(t, h, sensor.Live, from, len(msgs), 0)
	for to := from + 1; to <= end; to++ {
		var b sensor.Batch
		at := from
		for at < to {
			next, err := h.Log().Fetch(t.Context(), part, at, to, 0, &b)
			if err != nil {
				t.Fatal(err)
			}
			at = next
		}
		if at != to {
			t.Fatalf("fetch before %d went to %d", to, at)
		}
	}
	var b sensor.Batch
	next, err := h.Log().Fetch(t.Context(), part, from, 0, 1, &b)
	if err != nil || next >= end || b.Len() == 0 {
		t.Fatalf("one row asked for: next %d of %d, %d rows, %v", next, end, b.Len(), err)
	}
}

func fetchWaits(t *testing.T, h Harness) {
	part, from := h.Partition(sensor.Live), first(t, h, sensor.Live)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var b sensor.Batch
	if next, err := h.Log().Fetch(ctx, part, from, 0, 0, &b); !errors.Is(err, context.DeadlineExceeded) || next != from {
		t.Fatalf("fetch of nothing: next %d, %v", next, err)
	}
	msgs := Messages(4, 3)
	got := make(chan *sensor.Batch, 1)
	go func() {
		var b sensor.Batch
		if _, err := h.Log().Fetch(t.Context(), part, from, 0, 0, &b); err != nil {
			t.Error(err)
		}
		got <- &b
	}()
	h.Publish(t, sensor.Live, msgs[:1])
	b1 := <-got
	Same(t, b1, expect(h, sensor.Live, 1, msgs[:1]))
}

func offsetRefused(t *testing.T, h Harness) {
	h.Publish(t, sensor.Live, Messages(5, 5))
	_, end := readTo(t, h, sensor.Live, first(t, h, sensor.Live), 5, 0)
	for _, from := range []int64{-1, end + 1, end + 1000, first(t, h, sensor.Live) - 1} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		var b sensor.Batch
		_, err := h.Log().Fetch(ctx, h.Partition(sensor.Live), from, 0, 0, &b)
		cancel()
		if !errors.Is(err, bus.ErrOffset) || b.Messages != 0 {
			t.Errorf("fetch at %d of a log up to %d: %d messages, %v", from, end, b.Messages, err)
		}
	}
}

func repeatDropped(t *testing.T, h Harness) {
	msgs := Messages(6, 30)
	h.Publish(t, sensor.Live, msgs[:10])
	h.Publish(t, sensor.Live, msgs[10:20])
	if !h.Repeat(t, sensor.Live) {
		t.Skip("this bus cannot hold a message twice")
	}
	h.Repeat(t, sensor.Live)
	h.Publish(t, sensor.Live, msgs[20:])
	got, _ := readTo(t, h, sensor.Live, first(t, h, sensor.Live), 50, 0)
	if got.Duplicates != 20 {
		t.Fatalf("%d duplicates counted, 20 sent", got.Duplicates)
	}
	got.Duplicates = 0
	Same(t, got, expect(h, sensor.Live, 1, msgs))
}

// watermarkKept: a reader that has seen a part, even half of what was sent together, gets only the rest.
func watermarkKept(t *testing.T, h Harness) {
	msgs := Messages(7, 20)
	h.Publish(t, sensor.Live, msgs[:10])
	h.Publish(t, sensor.Live, msgs[10:])
	for seen := range 21 {
		b := &sensor.Batch{Watermarks: map[sensor.Producer]uint64{h.Producer(sensor.Live): uint64(seen)}}
		readInto(t, h, sensor.Live, first(t, h, sensor.Live), 20, 0, b)
		if b.Duplicates != seen {
			t.Fatalf("%d had been seen, %d duplicates counted", seen, b.Duplicates)
		}
		want := expect(h, sensor.Live, uint64(seen)+1, msgs[seen:])
		want.Duplicates = seen
		if seen < 20 {
			// Declarations have no seq; one that was seen may come again with the rest of its range.
			b.Declarations, want.Declarations = nil, nil
		}
		Same(t, b, want)
	}
}

func gapTold(t *testing.T, h Harness) {
	h.Publish(t, sensor.Live, Messages(8, 5))
	to := h.Gap(t, sensor.Live)
	last := Messages(9, 3)
	h.Publish(t, sensor.Live, last)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var b sensor.Batch
	p := h.Producer(sensor.Live)
	at := first(t, h, sensor.Live)
	for len(b.Gaps) == 0 || b.Watermarks[p] <= to+2 {
		next, err := h.Log().Fetch(ctx, h.Partition(sensor.Live), at, 0, 0, &b)
		if err != nil {
			t.Fatal(err)
		}
		at = next
	}
	g := b.Gaps[len(b.Gaps)-1]
	if g.Producer != p || g.To != to || g.From > g.To || g.Reason == "" || g.At == 0 {
		t.Fatalf("gap %+v, want one up to %d", g, to)
	}
	for _, seq := range b.Seq {
		if g.From <= seq && seq <= g.To {
			t.Fatalf("row of message %d, which is in the gap", seq)
		}
	}
}

func hugePasses(t *testing.T, h Harness) {
	m := Huge(20_000)
	msgs := []sensor.Message{Messages(10, 1)[0], m, Messages(11, 1)[0]}
	for i := range msgs {
		h.Publish(t, sensor.Live, msgs[i:i+1])
	}
	got, _ := readTo(t, h, sensor.Live, first(t, h, sensor.Live), 3, 0)
	Same(t, got, expect(h, sensor.Live, 1, msgs))
}

func restartKeeps(t *testing.T, h Harness) {
	msgs := Messages(12, 60)
	h.Publish(t, sensor.Live, msgs[:30])
	from := first(t, h, sensor.Live)
	id, err := h.Log().ID(t.Context(), h.Partition(sensor.Live))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := readTo(t, h, sensor.Live, from, 30, 0)
	h.Restart(t)
	h.Publish(t, sensor.Live, msgs[30:])
	after, _ := readTo(t, h, sensor.Live, from, 60, 0)
	Same(t, before, expect(h, sensor.Live, 1, msgs[:30]))
	Same(t, after, expect(h, sensor.Live, 1, msgs))
	if now, err := h.Log().ID(t.Context(), h.Partition(sensor.Live)); err != nil || now != id {
		t.Fatalf("log %v became %v, %v", id, now, err)
	}
}

func named(t *testing.T, h Harness) {
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		id, err := h.Log().ID(t.Context(), h.Partition(lane))
		if err != nil || id == (bus.LogID{}) {
			t.Fatalf("id %v, %v", id, err)
		}
	}
	if _, err := h.Log().ID(t.Context(), 999); err == nil {
		t.Fatal("a partition that is not there has an id")
	}
}

func concurrent(t *testing.T, h Harness) {
	msgs := Messages(13, 300)
	from := first(t, h, sensor.Live)
	want := expect(h, sensor.Live, 1, msgs)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			var b sensor.Batch
			for at := from; b.Messages < len(msgs); {
				next, err := h.Log().Fetch(t.Context(), h.Partition(sensor.Live), at, 0, 50, &b)
				if err != nil {
					t.Error(err)
					return
				}
				at = next
			}
			Same(t, &b, want)
		})
	}
	for part := range slices.Chunk(msgs, 20) {
		h.Publish(t, sensor.Live, part)
	}
	wg.Wait()
}
