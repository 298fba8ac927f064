package kafka

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/bustest"
	"github.com/situ-city/situ/pkg/sensor"
)

// readAll fetches everything of the live lane's partition.
func (w *world) readAll(t *testing.T) *sensor.Batch {
	t.Helper()
	part := w.Partition(sensor.Live)
	at, end, err := w.bus.Bounds(t.Context(), part)
	if err != nil {
		t.Fatal(err)
	}
	var b sensor.Batch
	for at < end {
		if at, err = w.bus.Fetch(t.Context(), part, at, 0, 0, &b); err != nil {
			t.Fatal(err)
		}
	}
	return &b
}

func (w *world) expect(from uint64, msgs []sensor.Message) *sensor.Batch {
	var b sensor.Batch
	for i := range msgs {
		b.Add(w.Producer(sensor.Live), from+uint64(i), &msgs[i])
	}
	return &b
}

// TestStoredButAnsweredWithAnError: "not enough replicas after append" is the error that lies.
func TestStoredButAnsweredWithAnError(t *testing.T) {
	w := newWorld(t)
	msgs := bustest.Messages(1, 30)
	h := w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicasAfterAppend, Count: 3})
	w.publish(t, sensor.Live, msgs[:10]) // fails three times, each time stored
	w.publish(t, sensor.Live, msgs[10:])
	if h.Hits() != 3 {
		t.Fatalf("%d faults", h.Hits())
	}
	got := w.readAll(t)
	if got.Duplicates != 30 {
		t.Fatalf("%d duplicates of 30", got.Duplicates)
	}
	got.Duplicates = 0
	bustest.Same(t, got, w.expect(1, msgs))
}

// cutting wraps a broker's connections: while armed, the next answer is not sent and the connection is closed.
type cutting struct {
	net.Listener
	armed *atomic.Int32
}

func (l cutting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return cuttingConn{c, l.armed}, err
}

type cuttingConn struct {
	net.Conn
	armed *atomic.Int32
}

func (c cuttingConn) Write(b []byte) (int, error) {
	if n := c.armed.Load(); n > 0 && c.armed.CompareAndSwap(n, n-1) {
		_ = c.Conn.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

// TestLostAnswers: the broker did what it was asked and nobody heard of it.
func TestLostAnswers(t *testing.T) {
	var armed atomic.Int32
	c := cluster(t, kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		return cutting{l, &armed}, err
	}))
	w := worldOn(t, c.ListenAddrs(), testTopic)
	w.cluster = c

	arm := func(key kmsg.Key) *kfake.FaultHandle { // the answer to the next request of this kind is lost
		return w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Observe: true, When: func(kmsg.Request) bool {
			armed.Store(1)
			return true
		}})
	}
	msgs := bustest.Messages(2, 40)
	w.publish(t, sensor.Live, msgs[:10])
	lost := arm(kmsg.Produce)
	w.publish(t, sensor.Live, msgs[10:20])
	if lost.Hits() != 1 {
		t.Fatalf("%d answers lost", lost.Hits())
	}
	w.publish(t, sensor.Live, msgs[20:])

	lost = arm(kmsg.Fetch)
	got := w.readAll(t)
	if lost.Hits() != 1 || got.Duplicates != 10 {
		t.Fatalf("%d answers lost, %d duplicates of 10", lost.Hits(), got.Duplicates)
	}
	got.Duplicates = 0
	bustest.Same(t, got, w.expect(1, msgs))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop := errors.New("enough")
	err := w.bus.Group("g").Consume(ctx, func(ctx context.Context, a bus.Assignment) error {
		if a.Partition() != w.Partition(sensor.Live) {
			return nil
		}
		lost := arm(kmsg.OffsetCommit)
		want := bus.Position{Offset: 3, Meta: "intent"}
		if err := a.Commit(ctx, want); !errors.Is(err, bus.ErrUnanswered) { // the caller has to know: it may come again
			t.Errorf("a commit whose answer is lost: %v", err)
		}
		if p, err := a.Committed(ctx); err != nil || p != want || lost.Hits() != 1 {
			t.Errorf("committed %+v, %v, %d answers lost", p, err, lost.Hits())
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
}

// TestBrokersSayNo: what passes is waited out, here; what says that the partition is another's is passed on.
func TestBrokersSayNo(t *testing.T) {
	w := newWorld(t)
	part := w.Partition(sensor.Live)
	w.publish(t, sensor.Live, bustest.Messages(1, 10))
	w.publish(t, sensor.Live, bustest.Messages(2, 10))
	say := func(key kmsg.Key, e *kerr.Error) *kfake.FaultHandle {
		return w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: e, Count: 2})
	}
	for _, e := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.KafkaStorageError, kerr.UnknownTopicOrPartition, kerr.FencedLeaderEpoch, kerr.ReplicaNotAvailable} {
		h := say(kmsg.Fetch, e)
		var b sensor.Batch
		if next, err := w.bus.Fetch(t.Context(), part, 0, 1, 0, &b); err != nil || next != 1 || b.Messages != 10 || h.Hits() != 2 {
			t.Errorf("fetch after %s: next %d, %d messages, %d faults, %v", e.Message, next, b.Messages, h.Hits(), err)
		}
	}
	h := say(kmsg.Fetch, kerr.OffsetOutOfRange)
	var b sensor.Batch
	if _, err := w.bus.Fetch(t.Context(), part, 0, 1, 0, &b); !errors.Is(err, bus.ErrOffset) {
		t.Errorf("fetch of an offset that the broker does not have: %v", err)
	}
	h.Remove()
	enough := errors.New("enough")
	err := w.member(t).Consume(t.Context(), func(ctx context.Context, a bus.Assignment) error {
		if a.Partition() != part {
			<-ctx.Done()
			return nil
		}
		at := bus.Position{Offset: 1, Meta: "kept"}
		for _, e := range []*kerr.Error{kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.NotCoordinator} {
			h := say(kmsg.OffsetCommit, e)
			if err := a.Commit(ctx, at); err != nil || h.Hits() != 2 {
				t.Errorf("commit after %s: %d faults, %v", e.Message, h.Hits(), err)
			}
			h = say(kmsg.OffsetFetch, e)
			if p, err := a.Committed(ctx); err != nil || p != at || h.Hits() != 2 {
				t.Errorf("committed after %s: %+v, %d faults, %v", e.Message, p, h.Hits(), err)
			}
		}
		for _, e := range []*kerr.Error{kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.RebalanceInProgress, kerr.FencedInstanceID} {
			h := say(kmsg.OffsetCommit, e)
			if err := a.Commit(ctx, bus.Position{Offset: 2, Meta: "zombie"}); !errors.Is(err, bus.ErrGeneration) || h.Hits() != 1 {
				t.Errorf("commit after %s: %d faults, %v", e.Message, h.Hits(), err)
			}
			h.Remove()
		}
		if p, err := a.Committed(ctx); err != nil || p != at {
			t.Errorf("in the end the group stands at %+v, %v", p, err)
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
}

// TestHeartbeatRefused: a member that is told it is none lets go of its partitions, joins again and gets them again.
func TestHeartbeatRefused(t *testing.T) {
	w := newWorld(t)
	part := w.Partition(sensor.Live)
	taken, let := make(chan bus.Assignment, 10), make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	g := w.member(t)
	go func() {
		done <- g.Consume(ctx, func(ctx context.Context, a bus.Assignment) error {
			if a.Partition() == part {
				taken <- a
			}
			<-ctx.Done()
			if a.Partition() == part {
				let <- struct{}{}
			}
			return nil
		})
	}()
	first := <-taken
	for _, e := range []*kerr.Error{kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.RebalanceInProgress, kerr.NotCoordinator} {
		w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: e})
		<-let
		a := <-taken
		if err := a.Commit(t.Context(), bus.Position{Offset: 0, Meta: e.Message}); err != nil {
			t.Errorf("after %s: %v", e.Message, err)
		}
	}
	if err := first.Commit(t.Context(), bus.Position{Offset: 0, Meta: "zombie"}); !errors.Is(err, bus.ErrGeneration) {
		t.Errorf("the first generation's commit: %v", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestLeaderMoves(t *testing.T) {
	w := newWorld(t)
	msgs := bustest.Messages(3, 60)
	part := w.Partition(sensor.Live)
	for i := range 6 {
		w.publish(t, sensor.Live, msgs[i*10:i*10+10])
		if err := w.cluster.MoveTopicPartition(testTopic, part, int32(i%3)); err != nil {
			t.Fatal(err)
		}
	}
	got := w.readAll(t)
	got.Duplicates = 0
	bustest.Same(t, got, w.expect(1, msgs))
}

// TestRetentionPassed: what Kafka has removed is not skipped silently.
func TestRetentionPassed(t *testing.T) {
	w := newWorld(t)
	part := w.Partition(sensor.Live)
	for i := range 5 {
		w.publish(t, sensor.Live, bustest.Messages(uint64(i), 4))
	}
	if err := w.cluster.DeleteRecords(testTopic, part, 3); err != nil {
		t.Fatal(err)
	}
	if first, next, err := w.bus.Bounds(t.Context(), part); err != nil || first != 3 || next != 5 {
		t.Fatalf("bounds %d, %d, %v", first, next, err)
	}
	var b sensor.Batch
	if _, err := w.bus.Fetch(t.Context(), part, 0, 0, 0, &b); !errors.Is(err, bus.ErrOffset) {
		t.Fatalf("fetch of what is gone: %v", err)
	}
	if next, err := w.bus.Fetch(t.Context(), part, 3, 0, 0, &b); err != nil || next != 5 || b.Messages != 8 {
		t.Fatalf("next %d, %d messages, %v", next, b.Messages, err)
	}
}

func TestTooLarge(t *testing.T) {
	c := cluster(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "20000"}))
	b, err := Open(Config{Brokers: c.ListenAddrs(), Topic: testTopic, MaxMessageBytes: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p := sensor.Producer{Gateway: "g", Epoch: 1}
	for _, size := range []struct{ rows, messages int }{{1500, 1}, {1500, 2}, {5000, 2}, {70_000, 1}} {
		var batch sensor.Batch
		m := bustest.Huge(size.rows / size.messages)
		for i := range size.messages {
			batch.Add(p, uint64(i+1), &m)
		}
		err := b.Publish(t.Context(), bus.LogID{1}, p, 1, uint64(size.messages), &batch)
		if !errors.Is(err, bus.ErrTooLarge) {
			t.Errorf("%d rows in %d messages: %v", size.rows, size.messages, err)
		}
	}
}

func TestForeignMessageStops(t *testing.T) { foreignMessages(t, newWorld(t)) }

func foreignMessages(t *testing.T, w *world) {
	var err error
	w.publish(t, sensor.Live, bustest.Messages(1, 4))
	part := w.Partition(sensor.Live)
	skip := map[Place]bool{}
	for name, headers := range map[string][]kafkago.Header{
		"no headers":  nil,
		"new schema":  {{Key: "schema", Value: []byte("2")}},
		"wrong crc":   headersOf("00000000"),
		"no stream":   headersOf(fmt.Sprintf("%08x", crc32.Checksum([]byte("hello!"), castagnoli))),
		"broken seqs": {{Key: "schema", Value: []byte("1")}, {Key: "seqFrom", Value: []byte("x")}},
	} {
		_, at, err := w.bus.Bounds(t.Context(), part)
		if err != nil {
			t.Fatal(err)
		}
		r, err := w.bus.client.Produce(t.Context(), &kafkago.ProduceRequest{
			Topic: w.topic, Partition: int(part), RequiredAcks: kafkago.RequireAll,
			Records: kafkago.NewRecordReader(kafkago.Record{Value: kafkago.NewBytes([]byte("hello!")), Headers: headers}),
		})
		if err != nil || r.Error != nil {
			t.Fatal(err, r)
		}
		var b sensor.Batch
		next, err := w.bus.Fetch(t.Context(), part, at, 0, 0, &b)
		if !errors.Is(err, bus.ErrMessage) || next != at || !strings.Contains(err.Error(), fmt.Sprintf("--kafka-skip %d:%d", part, at)) {
			t.Errorf("%s: next %d of %d, %v", name, next, at, err)
		}
		skip[Place{part, at}] = true
	}
	// What stands before it is still given.
	var b sensor.Batch
	if next, err := w.bus.Fetch(t.Context(), part, 0, 0, 0, &b); err != nil || next != 1 || b.Messages != 4 {
		t.Fatalf("next %d, %d messages, %v", next, b.Messages, err)
	}
	// Told to, it passes over them, and over nothing else.
	last := bustest.Messages(2, 3)
	w.publish(t, sensor.Live, last)
	w.bus.cfg.Skip = skip
	for to := int64(2); to <= 7; to++ {
		var b sensor.Batch
		at := int64(1)
		for at < to {
			if at, err = w.bus.Fetch(t.Context(), part, at, to, 0, &b); err != nil {
				t.Fatal(err)
			}
		}
		if want := max(0, to-6) * 3; at != to || int64(b.Messages) != want {
			t.Fatalf("up to %d: at %d with %d messages, want %d", to, at, b.Messages, want)
		}
	}
}

func headersOf(crc string) []kafkago.Header {
	var out []kafkago.Header
	for _, kv := range [][2]string{{"gw", "g"}, {"epoch", "1"}, {"lane", "0"}, {"seqFrom", "1"}, {"seqTo", "2"}, {"schema", "1"}, {"crc", crc}} {
		out = append(out, kafkago.Header{Key: kv[0], Value: []byte(kv[1])})
	}
	return out
}

func TestMetadataTooLongIsRefused(t *testing.T) {
	w := newWorld(t)
	a := &assignment{g: w.bus.Group("g"), part: 0}
	if err := a.Commit(t.Context(), bus.Position{Meta: strings.Repeat("x", MaxMeta+1)}); err == nil {
		t.Fatal("taken")
	}
}

// TestBrokerAway: a fetch waits for a cluster that is not there and still obeys its context.
func TestBrokerAway(t *testing.T) {
	c := cluster(t)
	addrs := c.ListenAddrs()
	c.Close()
	b, err := Open(Config{Brokers: addrs, Topic: testTopic, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var batch sensor.Batch
	if _, err := b.Fetch(ctx, 0, 0, 0, 0, &batch); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := b.Publish(ctx, bus.LogID{1}, sensor.Producer{Gateway: "g", Epoch: 1}, 1, 1, &batch); err == nil {
		t.Fatal("published to nobody")
	}
}

func FuzzParseMetadata(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 2, 'h', 0, 0, 0x23, 0x84, 0, 0, 1, 0, 0, 0, 1, 2, 0, 0, 2, 't',
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseMetadata(b); (r == nil) == (err == nil) {
			t.Fatal(r, err)
		}
	})
}
