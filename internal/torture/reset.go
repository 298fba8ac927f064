package torture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	kafkago "github.com/segmentio/kafka-go"
)

// topic of observations, as its users write it.
const topic = "situ.observations.v1"

// resetFor is how long the sensors go on while the topic is another one.
const resetFor = 3 * time.Second

// reset makes the topic anew under the feet of all, as the last thing of a run: its offsets begin at 0 again. Each
// ingester must stop and say so, and nothing of the new topic may be stored, for nobody knows what is missing.
func (t *torturer) reset(ctx context.Context, w *kafkaWorld) error {
	before, err := t.blocks(ctx)
	if err != nil {
		return err
	}
	said := map[*process]int{}
	for _, p := range w.all {
		p.mu.Lock()
		p.mayEnd = true
		p.mu.Unlock()
		b, _ := os.ReadFile(p.logPath) // there is none: all that comes is new
		said[p] = len(b)
	}
	t.log.Info("fault", "kind", "reset", "what", "the topic is made anew")
	if err := w.recreateTopic(ctx); err != nil {
		return err
	}
	for _, s := range t.senders {
		s.quiet.Store(false)
	}
	pause(ctx, resetFor)
	for _, s := range t.senders {
		s.rest()
	}
	for _, p := range w.all {
		if !strings.HasPrefix(p.name, "ingester") {
			continue
		}
		t.come(ctx, "the topic was made anew, and an ingester does not stop and say so", func(context.Context) error {
			b, err := os.ReadFile(p.logPath)
			if err == nil && !strings.Contains(string(b[said[p]:]), "--kafka-accept") {
				err = errors.New(p.name)
			}
			return err
		})
	}
	after, err := t.blocks(ctx)
	if err == nil && after != before {
		t.report.fail("the topic was made anew, and %d blocks were stored then", after-before)
	}
	t.report.Checks = append(t.report.Checks, "a topic made anew stops the ingesters, and nothing of it is stored")
	return err
}

// blocks counts what was ever stored.
func (t *torturer) blocks(ctx context.Context) (n uint64, err error) {
	err = t.judge.with(ctx, func(conn driver.Conn) error {
		return conn.QueryRow(ctx, "SELECT count() FROM situ.ingest_blocks FINAL").Scan(&n)
	})
	return n, err
}

func (w *kafkaWorld) recreateTopic(ctx context.Context) error {
	client := kafkago.Client{Addr: kafkago.TCP(w.kafka.Own(0)), Timeout: 10 * time.Second}
	gone, err := client.DeleteTopics(ctx, &kafkago.DeleteTopicsRequest{Topics: []string{topic}})
	if err == nil {
		err = gone.Errors[topic]
	}
	if err != nil {
		return fmt.Errorf("delete the topic: %w", err)
	}
	return until(ctx, patience, func(ctx context.Context) error {
		made, err := client.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{{Topic: topic, NumPartitions: 4, ReplicationFactor: 1}}})
		if err == nil && !errors.Is(made.Errors[topic], kafkago.TopicAlreadyExists) { // query may have been faster
			err = made.Errors[topic]
		}
		return err
	})
}
