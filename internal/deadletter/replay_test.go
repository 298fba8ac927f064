package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

var (
	errBroken = errors.New("the store does not answer")
	now       = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	producer  = sensor.Producer{Gateway: "gw", Epoch: 1}
)

func name(seq uint64, idx uint16) sensor.Identity {
	return sensor.Identity{Producer: producer, Seq: seq, Idx: idx}
}

// memory is a Store that keeps what a table of versions and a table of rows would, and may fail before or after each step.
type memory struct {
	mu      sync.Mutex // guards what follows
	letters map[sensor.Identity]store.StoredDeadLetter
	rows    map[sensor.Identity][]int64 // times of each row with this identity
	pairs   map[store.Pair]bool
	stale   map[sensor.Identity]bool // rows whose roll-ups were marked after they were stored
	fail    func() (before, after bool)
}

func (m *memory) step(do func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, after := false, false
	if m.fail != nil {
		before, after = m.fail()
	}
	if before {
		return errBroken
	}
	do()
	if after {
		return errBroken
	}
	return nil
}

func (m *memory) FindLetters(_ context.Context, ids []sensor.Identity) (refs []store.LetterRef, err error) {
	err = m.step(func() {
		for id, l := range m.letters {
			if slices.ContainsFunc(ids, func(o sensor.Identity) bool { return o.Producer == id.Producer && o.Seq == id.Seq }) {
				refs = append(refs, store.LetterRef{Identity: id, Arrival: l.Arrival, Size: l.Size})
			}
		}
		slices.SortFunc(refs, func(a, b store.LetterRef) int { return int(a.Seq)<<16 + int(a.Idx) - int(b.Seq)<<16 - int(b.Idx) })
	})
	return refs, err
}

func (m *memory) ReadLetters(_ context.Context, refs []store.LetterRef) (letters []store.StoredDeadLetter, err error) {
	err = m.step(func() {
		for _, r := range refs {
			letters = append(letters, m.letters[r.Identity])
		}
	})
	return letters, err
}

func (m *memory) InsertLetterVersions(_ context.Context, letters []store.StoredDeadLetter) error {
	return m.step(func() {
		for _, l := range letters {
			if l.Version > m.letters[l.Identity].Version {
				m.letters[l.Identity] = l
			}
		}
	})
}

func (m *memory) InsertRepeats(_ context.Context, b *store.Block) error {
	return m.step(func() {
		for _, p := range b.Repeats {
			m.pairs[p] = true
		}
	})
}

func (m *memory) InsertReplayed(_ context.Context, rows *sensor.Batch, from, to int64) (fresh int, err error) {
	err = m.step(func() {
		for i := range rows.Len() {
			id, _, o := rows.Row(i)
			// As the store does it: what lies outside is not looked at.
			if !slices.ContainsFunc(m.rows[id], func(t int64) bool { return from <= t && t <= to }) {
				m.rows[id] = append(m.rows[id], o.PhenomenonTime)
				fresh++
			}
		}
	})
	return fresh, err
}

func (m *memory) InsertBeside(_ context.Context, b *store.Block) error {
	return m.step(func() {
		for i := range b.Batch.Len() {
			id, _, _ := b.Batch.Row(i)
			m.stale[id] = len(m.rows[id]) > 0
		}
	})
}

func (m *memory) PendingLetters(context.Context) (list []store.PendingLetter, err error) {
	err = m.step(func() {
		for id, l := range m.letters {
			if l.Pending {
				list = append(list, store.PendingLetter{Identity: id, Detail: l.Detail})
			}
		}
	})
	return list, err
}

// scales is a Reader: each byte of a payload is a reading; '?' is refused, 'u' too until mended.
type scales struct{ mended bool }

func (s *scales) Read(l *sensor.LoggedDeadLetter, payload []byte, want func(int, string) bool, c Clock) (out Reading) {
	if string(payload) == "broken" {
		return Reading{Refused: &sensor.DeadLetter{Reason: sensor.ReasonMalformed, Detail: "broken"}}
	}
	for i, b := range payload {
		if !want(i, string(b)) {
			continue
		}
		v := Value{Ordinal: i}
		if b == '?' || b == 'u' && !s.mended {
			v.Refused = &sensor.DeadLetter{Reason: sensor.ReasonUnit, Detail: fmt.Sprintf("reading %d is of no unit", i)}
		}
		v.Observation = sensor.Observation{Datastream: sensor.DatastreamID(b), PhenomenonTime: l.Arrival - int64(i) + c.Shift.Milliseconds()}
		out.Values = append(out.Values, v)
		out.Declarations = append(out.Declarations, sensor.Declaration{Datastream: &sensor.Datastream{ID: sensor.DatastreamID(b)}})
	}
	return out
}

func letter(seq uint64, idx uint16, payload, readings string) store.StoredDeadLetter {
	return store.StoredDeadLetter{State: store.LetterOpen, Version: 1, LoggedDeadLetter: sensor.LoggedDeadLetter{
		Identity: name(seq, idx), Arrival: now.UnixMilli(), DeadLetter: sensor.DeadLetter{Reason: sensor.ReasonThing, Detail: "what",
			Size: len(payload), Payload: []byte(payload), Readings: readings}}}
}

func newMemory(letters ...store.StoredDeadLetter) *memory {
	m := &memory{letters: map[sensor.Identity]store.StoredDeadLetter{}, rows: map[sensor.Identity][]int64{}, pairs: map[store.Pair]bool{},
		stale: map[sensor.Identity]bool{}}
	for _, l := range letters {
		m.letters[l.Identity] = l
	}
	return m
}

func (m *memory) replayer(r Reader) *Replayer {
	return New(Config{Store: func() Store { return m }, Reader: r, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
		Allowed: func(user, topic string) bool { return user == "good" }})
}

// idxs are what message seq has in the history.
func (m *memory) idxs(seq uint64) (list []int) {
	for id := range m.rows {
		if id.Seq == seq {
			list = append(list, int(id.Idx))
		}
	}
	slices.Sort(list)
	return list
}

func TestIdentitiesOfWhatIsReplayed(t *testing.T) {
	sibling := func(seq uint64, idx uint16, readings string) store.StoredDeadLetter {
		l := letter(seq, idx, "", readings)
		l.Size = 5
		return l
	}
	old := letter(6, 0, "abab", "")
	old.Field = "a"
	oldUnique := letter(7, 3, "abc", "")
	oldUnique.Field = "b"
	cut := letter(8, 0, "abc", "")
	cut.Size = 10
	acl, good := letter(9, 0, "ab", ""), letter(10, 0, "ab", "")
	acl.Reason, good.Reason, good.User = sensor.ReasonACL, sensor.ReasonACL, "good"
	done := letter(11, 0, "ab", "")
	done.State = store.LetterResolved
	m := newMemory(letter(1, 0, "abc", ""), letter(2, 0, "broken", ""),
		letter(3, 2, "abcde", "1"), sibling(3, 3, "2-3"), sibling(3, 4, "4"),
		letter(4, 0, "ab?d", ""), letter(5, 0, "", ""), old, oldUnique, cut, acl, good, done)
	var ids []sensor.Identity
	for seq := range uint64(12) {
		ids = append(ids, name(seq+1, 0))
	}
	ids[2], ids[6] = name(3, 2), name(7, 3)
	ids = append(ids, name(3, 3))
	verdicts, err := m.replayer(&scales{}).Replay(t.Context(), ids, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		status Status
		idxs   string
	}{
		{Resolved, "[0 1 2]"}, {StillOpen, "[]"}, {Resolved, "[2 32770 32771]"}, {StillOpen, "[0 1 3]"}, {Resolved, "[]"},
		{Unfit, "[]"}, {Resolved, "[3]"}, {Unfit, "[]"}, {StillOpen, "[]"}, {Resolved, "[0 1]"}, {Already, "[]"}, {NotFound, "[]"},
	} {
		if got := fmt.Sprint(m.idxs(ids[i].Seq)); verdicts[i].Status != want.status || got != want.idxs || verdicts[i].ID != ids[i] {
			t.Errorf("message %d: %+v, rows %s; want %s, %s", i+1, verdicts[i], got, want.status, want.idxs)
		}
	}
	if l := m.letters[name(3, 4)]; l.State != store.LetterOpen || l.Tries != 0 {
		t.Errorf("a sibling nobody named: %+v", l)
	}
	if l := m.letters[name(4, 0)]; l.State != store.LetterOpen || l.Tries != 1 || l.Reason != sensor.ReasonUnit || l.Pending ||
		l.Detail != "3 of 4 values are stored; of the others the first: reading 2 is of no unit" || !slices.Equal(l.RowIdxs, []uint16{0, 1, 3}) {
		t.Errorf("a part was refused again: %+v", l)
	}
	if l := m.letters[name(1, 0)]; l.Detail != "what; replayed at 2026-11-23T12:00:00Z: 3 values" || l.Reason != sensor.ReasonThing {
		t.Errorf("resolved: %+v", l)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	m := newMemory(letter(1, 0, "ab?", ""))
	r := m.replayer(&scales{})
	verdicts, err := r.Replay(t.Context(), []sensor.Identity{name(1, 0)}, Options{DryRun: true, Clock: Clock{Shift: -time.Hour}})
	if err != nil || len(verdicts) != 1 || verdicts[0].Values != 2 || verdicts[0].Status != StillOpen {
		t.Errorf("%+v, %v", verdicts, err)
	}
	if len(m.rows) != 0 || m.letters[name(1, 0)].Version != 1 || len(m.pairs) != 0 {
		t.Errorf("%+v", m)
	}
	r = New(Config{Store: func() Store { return nil }})
	if _, err := r.Replay(t.Context(), nil, Options{}); !errors.Is(err, ErrNoHistory) {
		t.Error(err)
	}
}

// Whatever step fails, before or after it was done, and with whatever correction of the clock it is tried again, by two at
// a time: in the end each identity is there once, marked and listed, and every letter is resolved.
func TestReplayThroughFaults(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	for round := range 300 {
		r := rand.New(rand.NewPCG(seed, uint64(round)))
		m, want := newMemory(), map[sensor.Identity]bool{}
		var ids []sensor.Identity
		for seq := range uint64(1 + r.IntN(40)) {
			payload := []string{"a", "abc", "au", "uuab"}[r.IntN(4)]
			l := letter(seq, 0, payload, "")
			m.letters[l.Identity] = l
			ids = append(ids, l.Identity)
			for i := range payload {
				want[name(seq, uint16(i))] = true
			}
		}
		m.fail = func() (bool, bool) { return r.IntN(12) == 0, r.IntN(12) == 0 }
		scale := &scales{}
		for try := 0; ; try++ {
			o := Options{Clock: Clock{Shift: time.Duration(r.IntN(5)-2) * time.Hour}}
			scale.mended = try > 3
			if try > 200 {
				m.fail = nil
			}
			var both sync.WaitGroup
			results := make([][]Verdict, 2)
			errs := make([]error, 2)
			rep := m.replayer(scale)
			for i := range 2 {
				both.Go(func() { results[i], errs[i] = rep.Replay(context.Background(), ids, o) })
			}
			both.Wait()
			if errors.Join(errs...) == nil && scale.mended && !slices.ContainsFunc(results[0], func(v Verdict) bool {
				return v.Status != Resolved && v.Status != Already
			}) {
				break
			}
		}
		for id := range want {
			if len(m.rows[id]) != 1 || !m.stale[id] || !m.pairs[store.Pair{Datastream: sensor.DatastreamID(m.letters[name(id.Seq, 0)].Payload[id.Idx]), PhenomenonTime: m.rows[id][0]}] {
				t.Fatalf("seed %d, round %d: %s is there %d times, its roll-ups marked: %v", seed, round, id.Name(), len(m.rows[id]), m.stale[id])
			}
		}
		if len(m.rows) != len(want) {
			t.Fatalf("seed %d, round %d: %d identities, want %d", seed, round, len(m.rows), len(want))
		}
		for id, l := range m.letters {
			if l.State != store.LetterResolved || l.Pending || len(l.RowIdxs) != len(l.Payload) {
				t.Fatalf("seed %d, round %d: %s is %+v", seed, round, id.Name(), l)
			}
		}
	}
}
