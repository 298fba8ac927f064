package kafka

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	wire "github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/bustest"
	"github.com/situ-city/situ/internal/peers"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/pkg/sensor"
)

// apache is three real brokers, each behind a place where answers get lost.
type apache struct {
	*peers.KafkaCluster
	answers []*answers
}

func startApache(t *testing.T) *apache {
	t.Helper()
	k := &apache{}
	o := peers.KafkaOptions{Brokers: 3}
	for range o.Brokers {
		a := newAnswers(t)
		k.answers = append(k.answers, a)
		o.Advertised = append(o.Advertised, a.ln.Addr().String())
	}
	k.KafkaCluster = peers.KafkaWith(t, o)
	for i, a := range k.answers {
		a.serve(k.Own(i))
	}
	return k
}

// world makes a topic of four partitions, three copies each, two of which must have a message.
func (k *apache) world(t *testing.T) *world {
	t.Helper()
	topic := "situ." + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '.'
	}, t.Name())
	w := worldOn(t, k.Addrs(), topic)
	if err := w.bus.EnsureTopic(t.Context(), 4, 3); err != nil {
		t.Fatal(err)
	}
	return w
}

// leader is the broker that leads a partition.
func (k *apache) leader(t *testing.T, w *world, part int32) int {
	t.Helper()
	m, err := w.bus.client.Metadata(t.Context(), &kafkago.MetadataRequest{Topics: []string{w.topic}})
	if err != nil || m.Topics[0].Error != nil {
		t.Fatal(err, m)
	}
	for _, p := range m.Topics[0].Partitions {
		for i := range k.answers {
			if p.ID == int(part) && p.Leader.ID == k.ID(i) {
				return i
			}
		}
	}
	t.Fatalf("nobody leads partition %d: %+v", part, m.Topics[0])
	return 0
}

// TestApacheKafka runs the whole suite, and what only real brokers can do, on three of them.
func TestApacheKafka(t *testing.T) {
	k := startApache(t)
	t.Run("conformance", func(t *testing.T) {
		bustest.Run(t, func(t *testing.T) bustest.Harness { return k.world(t) })
	})
	t.Run("paused member", func(t *testing.T) { pausedMember(t, k.world(t)) })
	t.Run("lost answers", k.lostAnswers)
	t.Run("topic made anew", k.topicMadeAnew)
	t.Run("more partitions", k.morePartitions)
	t.Run("retention", k.retention)
	t.Run("foreign messages", func(t *testing.T) { foreignMessages(t, k.world(t)) })
	t.Run("somebody's transaction", k.transaction)
	t.Run("failover", k.failover)
}

// lostAnswers: the brokers did what they were asked and nobody heard of it. The message is there twice; readers see it once.
func (k *apache) lostAnswers(t *testing.T) {
	w := k.world(t)
	part := w.Partition(sensor.Live)
	msgs := bustest.Messages(2, 40)
	w.publish(t, sensor.Live, msgs[:10])
	a := k.answers[k.leader(t, w, part)]
	before := a.count()
	a.loseNext(wire.Produce)
	w.publish(t, sensor.Live, msgs[10:20])
	w.publish(t, sensor.Live, msgs[20:])
	if _, end, err := w.bus.Bounds(t.Context(), part); err != nil || end != 4 || a.count() != before+1 {
		t.Fatalf("%d messages for 3 ranges, %d answers lost, %v", end, a.count()-before, err)
	}
	a.loseNext(wire.Fetch)
	got := w.readAll(t)
	if got.Duplicates != 10 || a.count() != before+2 {
		t.Fatalf("%d duplicates of 10, %d answers lost", got.Duplicates, a.count()-before)
	}
	got.Duplicates = 0
	bustest.Same(t, got, w.expect(1, msgs))

	enough := errors.New("enough")
	err := w.member(t).Consume(t.Context(), func(ctx context.Context, as bus.Assignment) error {
		if as.Partition() != part {
			<-ctx.Done()
			return nil
		}
		lost := 0
		for _, a := range k.answers { // whichever is the group's coordinator
			lost -= a.count()
			a.loseNext(wire.OffsetCommit)
		}
		want := bus.Position{Offset: 3, Meta: "intent"}
		if err := as.Commit(ctx, want); !errors.Is(err, bus.ErrUnanswered) { // the caller has to know: it may come again
			t.Errorf("a commit whose answer is lost: %v", err)
		}
		for _, a := range k.answers {
			lost += a.count()
		}
		if p, err := as.Committed(ctx); err != nil || p != want || lost != 1 {
			t.Errorf("committed %+v, %v, %d answers lost", p, err, lost)
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
}

// topicMadeAnew: the same name, another log. Kafka forgets the group's commits with the topic.
func (k *apache) topicMadeAnew(t *testing.T) {
	w := k.world(t)
	part := w.Partition(sensor.Live)
	w.publish(t, sensor.Live, bustest.Messages(1, 5))
	if w.readAll(t).Messages != 5 {
		t.Fatal("not read")
	}
	old, err := w.bus.ID(t.Context(), part)
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	if err := w.member(t).Consume(t.Context(), func(ctx context.Context, a bus.Assignment) error {
		if a.Partition() != part {
			<-ctx.Done()
			return nil
		}
		return errors.Join(a.Commit(ctx, bus.Position{Offset: 1}), enough)
	}); !errors.Is(err, enough) {
		t.Fatal(err)
	}
	gone, err := w.bus.client.DeleteTopics(t.Context(), &kafkago.DeleteTopicsRequest{Topics: []string{w.topic}})
	if err != nil || gone.Errors[w.topic] != nil {
		t.Fatal(err, gone)
	}
	other := connect(t, w.brokers, w.topic)
	w.members = append(w.members, other)
	if err := other.EnsureTopic(t.Context(), 4, 3); err != nil {
		t.Fatal(err)
	}
	id, err := other.ID(t.Context(), part)
	if err != nil || id == old {
		t.Fatalf("the new topic has id %v, the old had %v; %v", id, old, err)
	}
	group := other.Group("ingest-" + w.topic)
	if p, err := group.Committed(t.Context(), part); err == nil && p.Offset >= 0 ||
		err != nil && (!errors.Is(err, protocol.ErrLogReplaced) || !strings.Contains(err.Error(), "--kafka-accept "+id.String())) {
		t.Fatalf("the old topic's commits stand: %+v, %v", p, err) // Kafka is about to forget them
	}
	other.cfg.Accept = id
	if p, err := group.Committed(t.Context(), part); err != nil || p.Offset != -1 {
		t.Fatalf("the new topic, accepted, is begun at %+v, %v", p, err)
	}
	w.bus.idAt = time.Time{} // as if idFor had passed
	var b sensor.Batch
	if _, err := w.bus.Fetch(t.Context(), part, 0, 0, 0, &b); !errors.Is(err, bus.ErrOffset) || !errors.Is(err, protocol.ErrLogReplaced) {
		t.Fatalf("fetch gives %v", err)
	}
}

// morePartitions: what a gateway publishes goes where it went before, after its restart as well, and a group takes the
// new partitions up, because gateways that begin now use them.
func (k *apache) morePartitions(t *testing.T) {
	w := k.world(t)
	msgs := bustest.Messages(1, 20)
	part := w.Partition(sensor.Live)
	w.publish(t, sensor.Live, msgs[:5])
	taken := make(chan int32, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	group := w.member(t)
	go func() {
		done <- group.Consume(ctx, func(ctx context.Context, a bus.Assignment) error {
			taken <- a.Partition()
			<-ctx.Done()
			return nil
		})
	}()
	defer func() { cancel(); <-done }()
	for range 4 {
		<-taken
	}
	r, err := w.bus.client.CreatePartitions(t.Context(), &kafkago.CreatePartitionsRequest{Topics: []kafkago.TopicPartitionsConfig{{Name: w.topic, Count: 6}}})
	if err != nil || r.Errors[w.topic] != nil {
		t.Fatal(err, r)
	}
	for part := range taken {
		if part == 5 {
			break
		}
	}
	w.publish(t, sensor.Live, msgs[5:10])
	w.Restart(t)
	w.bus.parts = 4 // as cmd/gateway has kept it: Config.Partitions
	w.publish(t, sensor.Live, msgs[10:])
	if parts, err := w.bus.Partitions(t.Context()); err != nil || len(parts) != 6 {
		t.Fatalf("partitions %v, %v", parts, err)
	}
	if w.Partition(sensor.Live) != part || PartitionOf(w.Producer(sensor.Live), 6) == part {
		t.Fatal("this gateway's partition would be the same anyway")
	}
	bustest.Same(t, w.readAll(t), w.expect(1, msgs))
}

// retention: what Kafka has removed is not skipped silently.
func (k *apache) retention(t *testing.T) {
	w := k.world(t)
	part := w.Partition(sensor.Live)
	for i := range 3 {
		w.publish(t, sensor.Live, bustest.Messages(uint64(i), 4))
	}
	keep := func(ms string) {
		t.Helper()
		r, err := w.bus.client.IncrementalAlterConfigs(t.Context(), &kafkago.IncrementalAlterConfigsRequest{
			Resources: []kafkago.IncrementalAlterConfigsRequestResource{{ResourceType: kafkago.ResourceTypeTopic, ResourceName: w.topic,
				Configs: []kafkago.IncrementalAlterConfigsRequestConfig{{Name: "retention.ms", Value: ms, ConfigOperation: kafkago.ConfigOperationSet}}}}})
		if err != nil || r.Resources[0].Error != nil {
			t.Fatal(err, r)
		}
	}
	keep("1")
	until(t, "retention removes", func() bool {
		first, next, err := w.bus.Bounds(t.Context(), part)
		return err == nil && first == 3 && next == 3
	})
	keep("-1")
	w.publish(t, sensor.Live, bustest.Messages(9, 4))
	var b sensor.Batch
	if _, err := w.bus.Fetch(t.Context(), part, 0, 0, 0, &b); !errors.Is(err, bus.ErrOffset) {
		t.Fatalf("fetch of what is gone: %v", err)
	}
	if next, err := w.bus.Fetch(t.Context(), part, 3, 0, 0, &b); err != nil || next != 4 || b.Messages != 4 {
		t.Fatalf("next %d, %d messages, %v", next, b.Messages, err)
	}
}

// transaction: somebody writes to the topic with transactions. What they wrote is refused, committed or not; the marks
// that Kafka leaves behind them, which have offsets of their own, hold nobody up.
func (k *apache) transaction(t *testing.T) {
	w := k.world(t)
	part := w.Partition(sensor.Live)
	msgs := bustest.Messages(1, 10)
	w.publish(t, sensor.Live, msgs[:5])
	somebody, err := kgo.NewClient(kgo.SeedBrokers(k.Addrs()...), kgo.TransactionalID("somebody"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer somebody.Close()
	for _, how := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := somebody.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := somebody.ProduceSync(t.Context(), &kgo.Record{Topic: w.topic, Partition: part, Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := somebody.EndTransaction(t.Context(), how); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the last mark is there", func() bool { // the broker writes it after it has answered
		_, end, err := w.bus.Bounds(t.Context(), part)
		return err == nil && end == 5
	})
	var b sensor.Batch
	if next, err := w.bus.Fetch(t.Context(), part, 1, 0, 0, &b); !errors.Is(err, bus.ErrMessage) {
		t.Fatalf("next %d, %v", next, err)
	}
	for _, c := range []struct{ from, to, next int64 }{{2, 3, 3}, {4, 0, 5}, {4, 5, 5}} { // only a mark is there
		if next, err := w.bus.Fetch(t.Context(), part, c.from, c.to, 0, &b); next != c.next || err != nil {
			t.Errorf("fetch from %d before %d: next %d, %v", c.from, c.to, next, err)
		}
	}
	w.bus.cfg.Skip = map[Place]bool{{part, 1}: true, {part, 3}: true}
	bustest.Same(t, w.readAll(t), w.expect(1, msgs[:5])) // up to the mark at the end
	w.publish(t, sensor.Live, msgs[5:])
	bustest.Same(t, w.readAll(t), w.expect(1, msgs))
}

// failover: brokers die while a gateway publishes and an ingester consumes. Nothing that was acknowledged is lost, and
// what is there twice is recognised.
func (k *apache) failover(t *testing.T) {
	w := k.world(t)
	part := w.Partition(sensor.Live)
	msgs := bustest.Messages(3, 400)
	var all sensor.Batch // of the reader
	var read atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	reader := w.member(t)
	go func() {
		done <- reader.Consume(ctx, func(ctx context.Context, a bus.Assignment) error {
			if a.Partition() != part {
				<-ctx.Done()
				return nil
			}
			p, err := a.Committed(ctx)
			for err == nil {
				if p.Offset, err = reader.b.Fetch(ctx, part, max(p.Offset, 0), 0, 50, &all); err == nil {
					read.Store(int64(all.Messages))
					err = a.Commit(ctx, p)
				}
				if errors.Is(err, bus.ErrUnanswered) {
					p, err = a.Committed(ctx)
				}
			}
			if ctx.Err() != nil {
				return nil
			}
			return err
		})
	}()
	dead := -1
	for i := range 40 {
		switch i {
		case 10, 25:
			dead = k.leader(t, w, part)
			if err := k.Kill(dead); err != nil {
				t.Fatal(err)
			}
		case 20, 35:
			if err := k.Start(dead); err != nil {
				t.Fatal(err)
			}
		}
		w.publish(t, sensor.Live, msgs[i*10:i*10+10])
	}
	until(t, "all is read", func() bool { return read.Load() == int64(len(msgs)) || len(done) > 0 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	t.Logf("%d messages of 400 repeated", all.Duplicates)
	all.Duplicates = 0
	bustest.Same(t, &all, w.expect(1, msgs))
	got := w.readAll(t)
	got.Duplicates = 0
	bustest.Same(t, got, w.expect(1, msgs))
}

// until waits for a condition that the brokers bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	over := time.After(2 * time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("not so after two minutes: %s", what)
		}
	}
}
