package protocol

import (
	"errors"
	"testing"

	"github.com/situ-city/situ/pkg/sensor"
)

// What the model found, each told once more in the fewest steps.

func position5(from, to int64) Position {
	return Position{Offset: from, Meta: (&Intent{Version: 1, Log: "L", From: from, To: to, Schema: 5}).Encode()}
}

func expect(t *testing.T, p *Partition, do Do) Step {
	t.Helper()
	s := p.Next()
	if s.Do != do {
		t.Fatalf("next is %v (%v), want %v", s.Do, p.Err(), do)
	}
	return s
}

// taken is a partition that was taken over at offset 20, with nothing under way.
func taken(t *testing.T) *Partition {
	t.Helper()
	p := NewPartition(0, 5)
	p.Standing("L", 1, 50, Position{Offset: 20})
	p.Found(&StoredBlock{From: 1, To: 20}, &StoredBlock{From: 1, To: 20})
	expect(t, p, Poll)
	return p
}

// The commit came again after the next one, and the next owner knew nothing of the block.
func TestCommitWithoutAnswerIsSettledBeforeAnythingFollows(t *testing.T) {
	p := taken(t)
	p.Fetched(30, 0)
	if s := expect(t, p, Commit); s.Settle {
		t.Error("settled although nothing was sent")
	}
	p.Failed(false)
	if s := expect(t, p, Commit); s.Settle {
		t.Error("settled although the refusal was an answer")
	}
	p.Failed(true)
	if s := expect(t, p, Commit); !s.Settle || s.Position.Offset != 20 {
		t.Errorf("%+v", s)
	}
	p.Failed(false)
	if s := expect(t, p, Commit); !s.Settle {
		t.Error("what has no answer was forgotten")
	}
	p.Done()
	expect(t, p, Before)
}

// A process that had slept inserted a block that its successor had stored, with tokens that a power cut had lost.
func TestWhoeverSleptComparesBeforeItInserts(t *testing.T) {
	p := taken(t)
	p.Fetched(30, 0)
	p.Done()
	p.Done()
	if s := expect(t, p, Rows); s.Doubtful {
		t.Error("doubtful although nothing happened")
	}
	p.Late()
	if s := expect(t, p, Rows); !s.Doubtful {
		t.Error("late and not doubtful")
	}
}

// Two owners stood at different tokens of one part: the first at its second, since the store had swallowed the first.
func TestSleeperBeginsWithTheFirstTokenAgain(t *testing.T) {
	p := NewPart(true)
	p.Looked(3, 3)
	p.Inserted()
	p.Looked(3, 3)
	if s := p.Next(); s.Suffix != "/again" {
		t.Fatalf("%+v", s)
	}
	p.Late()
	if s := p.Next(); s.Do != PartLook {
		t.Fatalf("%+v", s)
	}
	p.Looked(3, 3)
	if s := p.Next(); s.Do != PartInsert || s.Suffix != "" {
		t.Errorf("%+v", s)
	}
}

// A token without rows was passed once only; a second one left the block waiting for ever.
func TestEveryTokenWithoutRowsIsPassed(t *testing.T) {
	p := NewPart(true)
	seen := map[string]bool{}
	for range partTries + 1 {
		p.Looked(2, 2)
		s := p.Next()
		if s.Do != PartInsert || seen[s.Suffix] {
			t.Fatalf("%+v after %v", s, seen)
		}
		seen[s.Suffix] = true
		p.Inserted()
	}
	p.Looked(2, 2)
	if s := p.Next(); s.Do != PartFail {
		t.Errorf("%+v", s)
	}
	p.Looked(0, 2)
	if s := p.Next(); s.Do != PartDone {
		t.Errorf("%+v", s)
	}
}

// The store was put back from an old copy: what it had lost was never stored again.
func TestBlocksThatTheStoreLostAreStoredAgain(t *testing.T) {
	p := NewPartition(0, 5)
	p.Standing("L", 1, 50, position5(20, 30))
	old := &StoredBlock{From: 1, To: 10, Watermarks: map[sensor.Producer]uint64{{Gateway: "g"}: 9}}
	p.Found(old, old)
	if s := expect(t, p, Poll); s.From != 10 {
		t.Fatalf("goes on at %d", s.From)
	}
	for _, to := range []int64{22, 31, 40} {
		p.Fetched(to, 0)
		p.Done()
		p.Done()
		if s := expect(t, p, Rows); s.Doubtful != (s.From < 30) {
			t.Errorf("%d..%d doubtful %v", s.From, s.To, s.Doubtful)
		}
		for range 3 {
			p.Done()
		}
	}
}

// The commits were lost while the first block was half stored: the next one counted its rows again.
func TestLogWithoutPositionIsComparedUpToItsEnd(t *testing.T) {
	p := NewPartition(0, 5)
	p.Standing("L", 1, 8, Position{Offset: -1})
	p.Found(nil, nil)
	expect(t, p, AskSeen)
	p.Seen(sensor.Watermarks{})
	p.Fetched(4, 0)
	intent := expect(t, p, Commit).Position
	p.Done()
	p.Done()
	if !expect(t, p, Rows).Doubtful {
		t.Error("first block")
	}
	for range 3 {
		p.Done()
	}
	p.Nothing()
	expect(t, p, Fetch) // no position without the mark

	q := NewPartition(0, 5) // whoever comes after a crash knows it too
	q.Standing("L", 1, 20, intent)
	q.Found(&StoredBlock{From: 1, To: 4}, nil)
	q.Seen(sensor.Watermarks{})
	expect(t, q, Refetch)
	q.Done()
	for _, c := range []struct {
		to       int64
		doubtful bool
	}{{9, true}, {12, false}} {
		expect(t, q, Poll)
		q.Fetched(c.to, 0)
		q.Done()
		q.Done()
		if s := expect(t, q, Rows); s.Doubtful != c.doubtful {
			t.Errorf("%+v", s)
		}
		for range 3 {
			q.Done()
		}
	}
}

// A process that had been replaced read the position, slept, and read its successor's blocks: it took the commits for
// an old copy.
func TestWhatDoesNotFitIsReadTwice(t *testing.T) {
	p := NewPartition(0, 5)
	p.Standing("L", 1, 50, Position{Offset: 20})
	p.Found(&StoredBlock{From: 20, To: 30}, &StoredBlock{From: 1, To: 20})
	expect(t, p, AskLog)
	p.Standing("L", 1, 50, Position{Offset: 30})
	p.Found(&StoredBlock{From: 20, To: 30}, &StoredBlock{From: 20, To: 30})
	expect(t, p, Poll)

	p = NewPartition(0, 5)
	for range 2 {
		expect(t, p, AskLog)
		p.Standing("L", 1, 50, Position{Offset: 20})
		p.Found(&StoredBlock{From: 20, To: 30}, &StoredBlock{From: 1, To: 20})
	}
	expect(t, p, Stop)
	if !errors.Is(p.Err(), ErrCommitsBehind) {
		t.Error(p.Err())
	}
}

// The log ended inside the committed block: it was filled with other messages, and they were stored as that block.
func TestLogThatEndsInsideABlockStops(t *testing.T) {
	p := NewPartition(0, 5)
	for range 2 {
		p.Standing("L", 1, 25, position5(20, 30))
		p.Found(&StoredBlock{From: 1, To: 20}, &StoredBlock{From: 1, To: 20})
	}
	expect(t, p, Stop)
	if !errors.Is(p.Err(), ErrLogShrank) {
		t.Error(p.Err())
	}
}

// A topic made anew: what a gateway had sent to the old one without an answer came again, and was stored again.
func TestNewLogTakesTheWatermarksOfTheOthers(t *testing.T) {
	p := NewPartition(0, 5)
	p.Standing("M", 0, 0, Position{Offset: -1})
	p.Found(nil, nil)
	if s := expect(t, p, AskSeen); s.Log != "M" {
		t.Errorf("%+v", s)
	}
	g := sensor.Producer{Gateway: "g"}
	p.Seen(sensor.Watermarks{g: 7})
	if p.Plan().Watermarks[g] != 7 {
		t.Errorf("%+v", p.Plan())
	}
	expect(t, p, Poll)
}
