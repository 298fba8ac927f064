package sensor

import (
	"reflect"
	"testing"
)

var (
	liveLane     = Producer{Gateway: "gw1", Epoch: 1, Lane: Live}
	backfillLane = Producer{Gateway: "gw1", Epoch: 1, Lane: Backfill}
)

func TestBatchAdd(t *testing.T) {
	var b Batch
	m := fullMessage()
	if !b.Add(liveLane, 1, m) {
		t.Fatal("the first message was a repeat")
	}
	if b.Len() != 4 || b.Messages != 1 || b.Duplicates != 0 {
		t.Errorf("%d rows, %d messages, %d duplicates", b.Len(), b.Messages, b.Duplicates)
	}
	for i := range m.Observations {
		id, arrival, o := b.Row(i)
		if want := (Identity{liveLane, 1, uint16(i)}); id != want || arrival != m.Arrival {
			t.Errorf("row %d is %+v at %d, want %+v", i, id, arrival, want)
		}
		if o.Result == o.Result && o != m.Observations[i] { // NaN, of words, is compared by the next line
			t.Errorf("row %d: %+v, want %+v", i, o, m.Observations[i])
		}
		if o.Text != m.Observations[i].Text {
			t.Errorf("row %d: %q", i, o.Text)
		}
	}
	for i, d := range b.DeadLetters { // idx goes on behind the observations (docs/formats/identity.md)
		if want := (Identity{liveLane, 1, uint16(4 + i)}); d.Identity != want || d.Arrival != m.Arrival || !reflect.DeepEqual(d.DeadLetter, m.DeadLetters[i]) {
			t.Errorf("dead letter %d: %+v", i, d)
		}
	}
	if len(b.DeadLetters) != 2 || len(b.Declarations) != 2 || len(b.Empties) != 0 {
		t.Errorf("%d dead letters, %d declarations, %d empties", len(b.DeadLetters), len(b.Declarations), len(b.Empties))
	}
}

// A repeat is told by one integer a producer, and leaves no trace but its count.
func TestBatchRepeats(t *testing.T) {
	var b Batch
	m := twoValues()
	for _, c := range []struct {
		p    Producer
		seq  uint64
		want bool
	}{
		{liveLane, 1, true}, {liveLane, 1, false}, {liveLane, 2, true}, {liveLane, 1, false},
		{backfillLane, 1, true}, {backfillLane, 1, false}, // each lane counts alone
		{Producer{"gw2", 1, Live}, 1, true}, {Producer{"gw1", 2, Live}, 1, true}, // so do gateways and epochs
		{liveLane, 9, true}, {liveLane, 8, false}, // a hole is not filled from behind
	} {
		rows := b.Len()
		if got := b.Add(c.p, c.seq, m); got != c.want {
			t.Errorf("%+v %d: %t", c.p, c.seq, got)
		}
		if added := b.Len() - rows; c.want != (added == 2) || !c.want && added != 0 {
			t.Errorf("%+v %d added %d rows", c.p, c.seq, added)
		}
	}
	if b.Messages != 6 || b.Duplicates != 4 || len(b.Producers) != 4 {
		t.Errorf("%d messages, %d duplicates, %d producers", b.Messages, b.Duplicates, len(b.Producers))
	}
	if b.Watermarks[liveLane] != 9 || b.Watermarks[backfillLane] != 1 {
		t.Errorf("%v", b.Watermarks)
	}
}

// See is for messages that come as a range.
func TestBatchSee(t *testing.T) {
	var b Batch
	for _, c := range []struct {
		from, to            uint64
		want                bool
		messages, duplicate int
	}{
		{1, 10, true, 10, 0}, {1, 10, false, 10, 10}, {3, 7, false, 10, 15}, {11, 11, true, 11, 15},
	} {
		if got := b.See(liveLane, c.from, c.to); got != c.want || b.Messages != c.messages || b.Duplicates != c.duplicate {
			t.Errorf("%d..%d: %t, %d messages, %d duplicates", c.from, c.to, got, b.Messages, b.Duplicates)
		}
	}
}

// Reset empties the batch, keeps its memory, and above all keeps the watermarks: they belong to the log's position.
func TestBatchReset(t *testing.T) {
	var b Batch
	b.Add(liveLane, 7, fullMessage())
	b.Gaps = append(b.Gaps, Gap{Producer: liveLane, From: 1, To: 6})
	b.GapShares = append(b.GapShares, LoggedGapShare{Producer: liveLane, Seq: 6})
	b.Payloads = append(b.Payloads, LoggedPayload{Producer: liveLane, Seq: 7, KeptPayload: KeptPayload{Payload: []byte("x")}})
	room := cap(b.Seq)
	b.Reset()
	if b.Len() != 0 || b.Messages != 0 || b.Duplicates != 0 || len(b.Producers) != 0 ||
		len(b.DeadLetters) != 0 || len(b.Declarations) != 0 || len(b.Empties) != 0 || len(b.Gaps) != 0 || len(b.GapShares) != 0 || len(b.Payloads) != 0 {
		t.Errorf("not empty: %+v", b)
	}
	if cap(b.Seq) != room {
		t.Error("memory thrown away")
	}
	if text := b.Text[:cap(b.Text)]; text[1] != "" {
		t.Errorf("still holds %q", text[1])
	}
	if b.Payloads[:1][0].Payload != nil {
		t.Error("still holds a payload")
	}
	if b.Add(liveLane, 7, twoValues()) {
		t.Error("forgot what it had seen")
	}
	if !b.Add(liveLane, 8, twoValues()) || b.Len() != 2 {
		t.Error("the next message is a repeat")
	}
	columns := reflect.ValueOf(b)
	for i := range columns.NumField() { // every column was appended to and reset alike
		f := columns.Field(i)
		name := columns.Type().Field(i).Name
		switch name {
		case "Producers", "DeadLetters", "Declarations", "Empties", "Gaps", "GapShares", "Payloads":
			continue
		}
		if f.Kind() == reflect.Slice && f.Len() != 2 {
			t.Errorf("column %s has %d rows", name, f.Len())
		}
	}
}

// Messages removed together and one after the other are one gap, however they come; anything else begins another.
func TestBatchSkip(t *testing.T) {
	var b Batch
	gap := func(seq uint64, at int64, c OwnerClass) Gap { return Gap{liveLane, seq, seq, at, "full", c} }
	b.Skip(gap(3, 1, Social))
	b.Skip(gap(4, 1, Social))
	b.Skip(gap(4, 1, Social)) // a repeat
	b.Skip(gap(5, 1, Enterprise))
	b.Skip(gap(6, 2, Enterprise))
	b.Skip(gap(8, 2, Enterprise))
	want := []Gap{{liveLane, 3, 4, 1, "full", Social}, {liveLane, 5, 5, 1, "full", Enterprise}, {liveLane, 6, 6, 2, "full", Enterprise}, {liveLane, 8, 8, 2, "full", Enterprise}}
	if !reflect.DeepEqual(b.Gaps, want) || b.Removed != 5 || b.Messages != 5 || b.Duplicates != 1 || b.Watermarks[liveLane] != 8 {
		t.Errorf("%+v, %d removed of %d, %d repeats", b.Gaps, b.Removed, b.Messages, b.Duplicates)
	}
}

// A message without rows is still counted, with its reason.
func TestBatchEmpties(t *testing.T) {
	var b Batch
	b.Add(liveLane, 1, &Message{Arrival: 5, Empty: ReasonHeartbeat, Thing: "a/-"})
	b.Add(liveLane, 2, &Message{Arrival: 6, Declarations: []Declaration{{Thing: &Thing{ID: "a/b"}}}})
	b.Add(liveLane, 3, &Message{Arrival: 7, DeadLetters: []DeadLetter{{Reason: ReasonEmpty}}})
	want := []LoggedEmpty{
		{Identity{liveLane, 1, 0}, 5, ReasonHeartbeat, "a/-"},
		{Identity{liveLane, 2, 0}, 6, ReasonDeclaration, "a/b"},
	}
	if !reflect.DeepEqual(b.Empties, want) {
		t.Errorf("%+v, want %+v", b.Empties, want)
	}
	if b.Len() != 0 || len(b.DeadLetters) != 1 || b.DeadLetters[0].Idx != 0 || len(b.Declarations) != 1 || b.Messages != 3 {
		t.Errorf("%+v", b)
	}
}

func TestBatchAddDoesNotAllocate(t *testing.T) {
	var b Batch
	m := twoValues()
	seq := uint64(0)
	fill := func() {
		b.Reset()
		for range 100 {
			seq++
			b.Add(liveLane, seq, m)
		}
	}
	fill()
	if n := testing.AllocsPerRun(50, fill); n != 0 {
		t.Errorf("%v allocations a hundred messages", n)
	}
}

func BenchmarkBatchAdd(b *testing.B) {
	var batch Batch
	m := twoValues()
	seq := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		if seq++; seq%4096 == 0 {
			batch.Reset()
		}
		batch.Add(liveLane, seq, m)
	}
}
