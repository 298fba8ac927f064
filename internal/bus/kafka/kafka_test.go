package kafka

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/bustest"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestMain(m *testing.M) {
	if args := os.Getenv(memberEnv); args != "" {
		os.Exit(member(args))
	}
	goleak.VerifyTestMain(enginetest.Wrap(m))
}

const testTopic = "situ.test"

// cluster starts Kafka's double in process.
func cluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	opts = append([]kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(4, testTopic), kfake.GroupMinSessionTimeout(time.Second)}, opts...)
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func connect(t testing.TB, brokers []string, topic string) *Bus {
	t.Helper()
	b, err := Open(Config{
		Brokers: brokers, Topic: topic, Timeout: 5 * time.Second,
		SessionTimeout: 2 * time.Second, RebalanceTimeout: 2 * time.Second,
		Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.transport.MetadataTTL = 300 * time.Millisecond // leaders move more often here than in life
	return b
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Helper()
	if w.t.Context().Err() == nil { // a connection may still speak when the test is over
		w.t.Logf("%s", p)
	}
	return len(p), nil
}

// world implements bustest.Harness on one topic of a cluster.
type world struct {
	cluster *kfake.Cluster // nil: it is Apache Kafka
	brokers []string
	topic   string
	bus     *Bus
	next    map[sensor.Lane]uint64
	last    map[sensor.Lane]func(testing.TB)
	members []*Bus
}

func newWorld(t testing.TB) *world {
	c := cluster(t)
	w := worldOn(t, c.ListenAddrs(), testTopic)
	w.cluster = c
	return w
}

func worldOn(t testing.TB, brokers []string, topic string) *world {
	w := &world{brokers: brokers, topic: topic, next: map[sensor.Lane]uint64{}, last: map[sensor.Lane]func(testing.TB){}}
	w.bus = connect(t, brokers, topic)
	t.Cleanup(func() { w.close(t) })
	return w
}

func (w *world) close(t testing.TB) {
	for _, b := range append(w.members, w.bus) {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	w.members = nil
}

func (w *world) Log() bus.Log { return w.bus }

func (w *world) Restart(t *testing.T) {
	w.close(t)
	w.bus = connect(t, w.brokers, w.topic)
}

// Group gives a member with connections of its own, as another process has.
func (w *world) Group(t *testing.T) bus.Group {
	return w.member(t)
}

func (w *world) member(t *testing.T) *Group {
	b := connect(t, w.brokers, w.topic)
	w.members = append(w.members, b)
	return b.Group("ingest-" + w.topic)
}

func (w *world) Producer(lane sensor.Lane) sensor.Producer {
	return sensor.Producer{Gateway: "gw-1", Epoch: 2, Lane: lane}
}

func (w *world) Partition(lane sensor.Lane) int32 { return PartitionOf(w.Producer(lane), 4) }

func (w *world) Publish(t *testing.T, lane sensor.Lane, msgs []sensor.Message) {
	w.publish(t, lane, msgs)
}

func (w *world) publish(t testing.TB, lane sensor.Lane, msgs []sensor.Message) {
	t.Helper()
	from := w.next[lane] + 1
	w.next[lane] += uint64(len(msgs))
	var b sensor.Batch
	for i := range msgs {
		b.Add(w.Producer(lane), from+uint64(i), &msgs[i])
	}
	w.send(t, lane, from, w.next[lane], &b)
}

func (w *world) send(t testing.TB, lane sensor.Lane, from, to uint64, b *sensor.Batch) {
	t.Helper()
	w.last[lane] = func(t testing.TB) {
		for {
			err := w.bus.Publish(t.Context(), bus.LogID{1}, w.Producer(lane), from, to, b)
			if err == nil {
				return
			}
			if errors.Is(err, bus.ErrTooLarge) || t.Context().Err() != nil {
				t.Fatal(err)
			}
			t.Log(err)
			if err := sleep(t.Context(), 20*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.last[lane](t)
}

func (w *world) Repeat(t *testing.T, lane sensor.Lane) bool {
	w.last[lane](t)
	return true
}

func (w *world) Gap(t *testing.T, lane sensor.Lane) uint64 {
	from := w.next[lane] + 1
	w.next[lane] += 7
	var b sensor.Batch
	b.Gaps = []sensor.Gap{{Producer: w.Producer(lane), From: from, To: w.next[lane], At: 1, Reason: "spool_full"}}
	w.send(t, lane, from, w.next[lane], &b)
	return w.next[lane]
}

func TestConformance(t *testing.T) {
	bustest.Run(t, func(t *testing.T) bustest.Harness { return newWorld(t) })
}

func TestPartitionOf(t *testing.T) {
	seen := map[int32]map[sensor.Lane]bool{}
	for _, gw := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"} {
		for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
			part := PartitionOf(sensor.Producer{Gateway: gw, Lane: lane}, 8)
			if part < 0 || part >= 8 || (part >= 6) != (lane == sensor.Backfill) {
				t.Fatalf("%s %v goes to %d", gw, lane, part)
			}
			if seen[part] == nil {
				seen[part] = map[sensor.Lane]bool{}
			}
			seen[part][lane] = true
		}
	}
	if len(seen) < 6 {
		t.Fatalf("13 gateways use %d of 8 partitions", len(seen))
	}
	// Fixed for ever: messages of a producer must not change partition with a new build.
	for _, c := range []struct {
		gw   string
		lane sensor.Lane
		n    int
		want int32
	}{{"gw-1", sensor.Live, 4, 2}, {"gw-1", sensor.Backfill, 4, 3}, {"gw-1", sensor.Backfill, 1, 0}, {"gw-1", sensor.Live, 2, 0}, {"cq-jiangbei", sensor.Live, 24, 3}} {
		if got := PartitionOf(sensor.Producer{Gateway: c.gw, Lane: c.lane}, c.n); got != c.want {
			t.Errorf("%s %v of %d is %d, was %d", c.gw, c.lane, c.n, got, c.want)
		}
	}
}

func TestEnsureTopic(t *testing.T) {
	c := cluster(t)
	b, err := Open(Config{Brokers: c.ListenAddrs(), Topic: "made.here"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for range 2 {
		if err := b.EnsureTopic(t.Context(), 6, 1); err != nil {
			t.Fatal(err)
		}
	}
	if parts, err := b.Partitions(t.Context()); err != nil || len(parts) != 6 {
		t.Fatalf("partitions %v, %v", parts, err)
	}
	if info := c.TopicInfo("made.here"); info == nil || *info.Configs["max.message.bytes"] != "33554432" {
		t.Fatalf("topic %+v", info)
	}
}

// TestTopicMadeAnew: the same name, another log. Reading on would read other messages under known offsets.
func TestTopicMadeAnew(t *testing.T) {
	w := newWorld(t)
	w.publish(t, sensor.Live, bustest.Messages(1, 5))
	part := w.Partition(sensor.Live)
	id, err := w.bus.ID(t.Context(), part)
	if err != nil {
		t.Fatal(err)
	}
	var b sensor.Batch
	if _, err := w.bus.Fetch(t.Context(), part, 0, 0, 0, &b); err != nil {
		t.Fatal(err)
	}
	if err := w.cluster.DeleteTopic(testTopic); err != nil {
		t.Fatal(err)
	}
	if err := w.cluster.CreateTopic(testTopic, 4, nil); err != nil {
		t.Fatal(err)
	}
	if now, err := w.bus.ID(t.Context(), part); !errors.Is(err, protocol.ErrLogReplaced) {
		t.Fatalf("id %v is now %v, %v", id, now, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	w.bus.idAt = time.Time{} // as if idFor had passed
	for range 2 {
		if _, err := w.bus.Fetch(ctx, part, 0, 0, 0, &b); !errors.Is(err, bus.ErrOffset) || !strings.Contains(err.Error(), "--kafka-accept") {
			t.Fatalf("fetch gives %v", err)
		}
	}
}

// TestStartsBeforeKafka: no broker can be reached yet; what is asked is answered when one can.
func TestStartsBeforeKafka(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	said := make(waited, 1)
	b, err := Open(Config{Brokers: []string{addr}, Topic: "late", Logger: slog.New(slog.NewTextHandler(said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	made := make(chan error, 1)
	go func() { made <- b.EnsureTopic(t.Context(), 3, 1) }()
	select {
	case <-said: // it has been refused once
	case err := <-made:
		t.Fatalf("made without Kafka: %v", err)
	}
	cluster(t, kfake.NumBrokers(1), kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, addr) }))
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	if parts, err := b.Partitions(t.Context()); err != nil || len(parts) != 3 {
		t.Fatalf("partitions %v, %v", parts, err)
	}
}

// waited holds a token when something was logged.
type waited chan struct{}

func (w waited) Write(p []byte) (int, error) {
	select {
	case w <- struct{}{}:
	default:
	}
	return len(p), nil
}

// TestGroupThatNeverWas: a live reader may ask where the ingesters stand before there ever was one.
func TestGroupThatNeverWas(t *testing.T) {
	w := newWorld(t)
	if p, err := w.bus.Group("nobody").Committed(t.Context(), 0); err != nil || p.Offset != -1 || p.Meta != "" {
		t.Fatalf("stands at %+v, %v", p, err)
	}
}
