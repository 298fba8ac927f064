package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/bustest"
	"github.com/situ-city/situ/internal/bus/kafka"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openSpool(t testing.TB, dir string) *spool.Spool {
	t.Helper()
	s, err := spool.Open(spool.Config{Dir: dir, Gateway: "gw", SegmentBytes: 8 << 10, MaxBytes: 64 << 20, CommitDelay: 200 * time.Microsecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

type acks struct {
	sync.WaitGroup
	t testing.TB
}

func (a *acks) Acked(_ uint64, err error) {
	if err != nil {
		a.t.Error(err)
	}
	a.Done()
}

func put(t testing.TB, s *spool.Spool, msgs []sensor.Message) {
	t.Helper()
	for some := range slices.Chunk(msgs, 25) { // several commits, so several segments
		a := &acks{t: t}
		for i := range some {
			a.Add(1)
			if err := s.Append(sensor.AppendMessage(nil, &some[i]), spool.Ack{To: a}); err != nil {
				t.Fatal(err)
			}
		}
		a.Wait()
	}
}

// memory is a Publisher that keeps what it was given, after answering as the test says.
type memory struct {
	mu     sync.Mutex
	answer func(from, to uint64, b *sensor.Batch) error
	ranges [][2]uint64
	all    sensor.Batch
}

func (m *memory) Publish(_ context.Context, _ bus.LogID, p sensor.Producer, from, to uint64, b *sensor.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answer != nil {
		if err := m.answer(from, to, b); err != nil {
			return err
		}
	}
	m.ranges = append(m.ranges, [2]uint64{from, to})
	if !m.all.See(p, from, to) {
		return nil
	}
	pi := m.all.ProducerIndex(p)
	for i := range b.Len() {
		id, arrival, o := b.Row(i)
		m.all.AppendRow(pi, id.Seq, id.Idx, arrival, &o)
	}
	m.all.DeadLetters = append(m.all.DeadLetters, b.DeadLetters...)
	m.all.Declarations = append(m.all.Declarations, b.Declarations...)
	m.all.Empties = append(m.all.Empties, b.Empties...)
	m.all.Gaps = append(m.all.Gaps, b.Gaps...)
	m.all.Payloads = append(m.all.Payloads, b.Payloads...)
	return nil
}

// pump runs a Pump until everything below seq is published.
func pump(t testing.TB, cfg Config, seq uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	p := New(cfg)
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	if err := p.Wait(ctx, seq); err != nil {
		t.Errorf("waiting for %d: %v", seq, err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("run ended with %v", err)
	}
}

func expect(p sensor.Producer, msgs []sensor.Message) *sensor.Batch {
	var b sensor.Batch
	for i := range msgs {
		b.Add(p, uint64(i+1), &msgs[i])
	}
	return &b
}

func TestPumpsEverythingInBoundedRanges(t *testing.T) {
	s := openSpool(t, t.TempDir())
	msgs := bustest.Messages(1, 500)
	put(t, s, msgs)
	m := &memory{answer: func(from, to uint64, b *sensor.Batch) error {
		if b.Len() > 40 || b.Len() < 37 && to != 500 {
			t.Errorf("range %d..%d has %d rows", from, to, b.Len())
		}
		return nil
	}}
	pump(t, Config{Spool: s, Bus: m, MaxRows: 40}, 501)
	bustest.Same(t, &m.all, expect(s.Producer(), msgs))
	if first, _ := s.Bounds(); first < 400 {
		t.Fatalf("the spool still begins at %d", first)
	}
}

func TestSameRangeUntilItIsTaken(t *testing.T) {
	s := openSpool(t, t.TempDir())
	msgs := bustest.Messages(2, 100)
	put(t, s, msgs)
	var tried [][2]uint64
	m := &memory{answer: func(from, to uint64, _ *sensor.Batch) error {
		tried = append(tried, [2]uint64{from, to})
		if n := len(tried); n%3 != 0 {
			return fmt.Errorf("attempt %d: nobody knows", n)
		}
		return nil
	}}
	var attempts []int
	pump(t, Config{Spool: s, Bus: m, MaxRows: 100, OnPublish: func(p Published) { attempts = append(attempts, p.Attempts) }}, 101)
	for i := 0; i < len(tried); i += 3 {
		if tried[i] != tried[i+1] || tried[i] != tried[i+2] {
			t.Fatalf("tried %v", tried)
		}
		if i > 0 && tried[i][0] != tried[i-1][1]+1 {
			t.Fatalf("after %v comes %v", tried[i-1], tried[i])
		}
	}
	if attempts[0] != 3 {
		t.Fatalf("attempts %v", attempts)
	}
	bustest.Same(t, &m.all, expect(s.Producer(), msgs))
}

// A lane that has to let another go first asks before each range, and a stop does not wait for the answer.
func TestEachRangeWaitsForItsTurn(t *testing.T) {
	s := openSpool(t, t.TempDir())
	msgs := bustest.Messages(3, 300)
	put(t, s, msgs)
	var turns atomic.Int64
	m := &memory{}
	m.answer = func(from, _ uint64, _ *sensor.Batch) error {
		if int64(len(m.ranges)) >= turns.Load() {
			t.Errorf("the range from %d was published out of turn", from)
		}
		return nil
	}
	pump(t, Config{Spool: s, Bus: m, MaxRows: 40, Wait: func(ctx context.Context) error {
		if first, next := s.Bounds(); first == next { // all is there: the turn never comes again
			<-ctx.Done()
			return ctx.Err()
		}
		turns.Add(1)
		return nil
	}}, 301)
	bustest.Same(t, &m.all, expect(s.Producer(), msgs))
}

func TestTooLargeIsHalved(t *testing.T) {
	s := openSpool(t, t.TempDir())
	msgs := bustest.Messages(3, 64)
	put(t, s, msgs)
	refusals := 0
	m := &memory{answer: func(from, to uint64, _ *sensor.Batch) error {
		if from == 20 && to == 20 && refusals < 3 { // not even alone: waits until the bus is told better
			refusals++
			return bus.ErrTooLarge
		}
		if to-from >= 10 || from <= 20 && 20 <= to && from < to {
			return fmt.Errorf("%d..%d: %w", from, to, bus.ErrTooLarge)
		}
		return nil
	}}
	pump(t, Config{Spool: s, Bus: m}, 65)
	if refusals != 3 {
		t.Fatalf("%d refusals", refusals)
	}
	bustest.Same(t, &m.all, expect(s.Producer(), msgs))
}

// A dead letter whose payload is more than the bus takes used to stop its lane for ever.
func TestPayloadOfADeadLetterIsCut(t *testing.T) {
	s := openSpool(t, t.TempDir())
	msgs := bustest.Messages(3, 8)
	letter := sensor.DeadLetter{Reason: sensor.ReasonMalformed, Size: 1 << 20, Payload: bytes.Repeat([]byte("x"), 1<<20)}
	msgs = append(msgs, sensor.Message{Arrival: 1, DeadLetters: []sensor.DeadLetter{letter}})
	put(t, s, msgs)
	m := &memory{answer: func(_, _ uint64, b *sensor.Batch) error {
		for i := range b.DeadLetters {
			if len(b.DeadLetters[i].Payload) > 300_000 {
				return bus.ErrTooLarge
			}
		}
		return nil
	}}
	pump(t, Config{Spool: s, Bus: m}, 10)
	last := m.all.DeadLetters[len(m.all.DeadLetters)-1]
	if len(last.Payload) != 1<<18 || last.Size != 1<<20 {
		t.Errorf("%d of %d bytes came", len(last.Payload), last.Size)
	}
}

func TestGapIsPublishedInItsPlace(t *testing.T) {
	s := openSpool(t, t.TempDir())
	put(t, s, bustest.Messages(4, 50))
	for range 10 {
		put(t, s, bustest.Messages(4, 50))
	}
	g, ok, err := s.DropOldestSegment()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	m := &memory{}
	pump(t, Config{Spool: s, Bus: m}, 551)
	if len(m.all.Gaps) != 1 || m.all.Gaps[0] != g || m.ranges[0] != [2]uint64{g.From, g.To} || m.all.Messages != 550 {
		t.Fatalf("gaps %+v, ranges %v, %d messages", m.all.Gaps, m.ranges, m.all.Messages)
	}
	if left := s.Gaps(); len(left) != 0 {
		t.Fatalf("told and kept: %+v", left)
	}
}

// A gateway with a configured name that lost its spool, and all that was beside it, without a link: what it takes then
// is no repeat of what it had taken.
func TestAfterALostSpoolNothingNewIsTakenForARepeat(t *testing.T) {
	dir, m, want := t.TempDir(), &memory{}, 0
	at := time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)
	for life := range 3 {
		s, err := spool.Open(spool.Config{Dir: filepath.Join(dir, fmt.Sprint(life)), Gateway: "gw", Clock: func() time.Time { return at }})
		if err != nil {
			t.Fatal(err)
		}
		msgs := bustest.Messages(uint64(life), 20+life)
		want += len(msgs)
		put(t, s, msgs)
		pump(t, Config{Spool: s, Bus: m}, uint64(len(msgs))+1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second)
	}
	if m.all.Messages != want || m.all.Duplicates != 0 {
		t.Fatalf("%d messages and %d repeats, want %d", m.all.Messages, m.all.Duplicates, want)
	}
}

func TestHint(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, dir)
	put(t, s, bustest.Messages(5, 30))
	m := &memory{}
	pump(t, Config{Spool: s, Bus: m}, 31)
	put(t, s, bustest.Messages(5, 5))
	if got := New(Config{Spool: s, Bus: m}).Next(); got != 31 {
		t.Fatalf("goes on at %d", got)
	}
	for name, content := range map[string]string{
		"empty": "", "torn": "00", "another log": "00112233445566778899aabbccddeeff 31\n", "beyond the end": fmt.Sprintf("%x 99\n", s.LogID()),
	} {
		if err := os.WriteFile(filepath.Join(dir, hintName), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		if got := New(Config{Spool: s, Bus: m}).Next(); got != 1 {
			t.Errorf("%s: goes on at %d, the spool begins at 1", name, got)
		}
	}
}

func TestEndsWithTheSpool(t *testing.T) {
	s := openSpool(t, t.TempDir())
	p := New(Config{Spool: s, Bus: &memory{}})
	done := make(chan error, 1)
	go func() { done <- p.Run(t.Context()) }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, spool.ErrClosed) {
		t.Fatal(err)
	}
}

// TestExactlyOnceThroughFaults: gateway restarts that forget where they stood, errors that lie and errors that do
// not, ranges cut differently each time. On the other side every message is there once.
func TestExactlyOnceThroughFaults(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k, err := kafka.Open(kafka.Config{Brokers: c.ListenAddrs(), Topic: "t", Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	dir := t.TempDir()
	var msgs []sensor.Message
	var producer sensor.Producer
	for range 12 {
		s := openSpool(t, dir)
		producer = s.Producer()
		more := bustest.Messages(rnd.Uint64(), 1+rnd.IntN(200))
		msgs = append(msgs, more...)
		put(t, s, more)
		for range rnd.IntN(4) {
			lie := []*kerr.Error{kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.NotLeaderForPartition}[rnd.IntN(3)]
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: lie})
		}
		cfg := Config{Spool: s, Bus: k, MaxRows: 20 + rnd.IntN(200), MaxDelay: 5 * time.Millisecond}
		if rnd.IntN(3) > 0 {
			pump(t, cfg, uint64(len(msgs))+1)
		} else { // stopped in the middle of something
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rnd.IntN(60))*time.Millisecond)
			_ = New(cfg).Run(ctx)
			cancel()
		}
		if rnd.IntN(2) == 0 {
			_ = os.Remove(filepath.Join(dir, hintName))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := openSpool(t, dir)
	pump(t, Config{Spool: s, Bus: k}, uint64(len(msgs))+1)

	part := kafka.PartitionOf(producer, 2)
	at, end, err := k.Bounds(t.Context(), part)
	if err != nil {
		t.Fatal(err)
	}
	var got sensor.Batch
	for at < end {
		if at, err = k.Fetch(t.Context(), part, at, 0, 0, &got); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d messages in %d Kafka messages, %d came again", got.Messages, end, got.Duplicates)
	want := expect(producer, msgs)
	got.Duplicates, got.Declarations, want.Declarations = 0, nil, nil // declarations may come again
	bustest.Same(t, &got, want)
}
