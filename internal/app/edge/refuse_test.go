package edge_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/bus/kafka"
	"github.com/situ-city/situ/internal/ingester"
	"github.com/situ-city/situ/pkg/sensor"
)

// TestTopicMadeAnew: the topic was deleted and made again, and the group's commits went with it, as Apache Kafka does it.
// An ingester does not begin by itself; told to, it stores nothing twice.
func TestTopicMadeAnew(t *testing.T) {
	w := newWorld(t)
	query := w.startQuery(t)
	first, gateway := w.startIngester(t), w.startGateway(t)
	w.publish(t, "first", 0, 100)
	w.stored(t, 100)
	knows := apptest.Server{URL: strings.TrimSuffix(gateway.said(t, "state  "), "/readyz")}
	apptest.Until(t, time.Minute, func() string { // so that it starts again without the registry
		if knows.Metric(t, "situ_registry_follower_version") == 0 {
			return "the gateway has not heard of any Thing"
		}
		return ""
	})
	first.stop()
	query.stop()
	gateway.stop()
	old, err := w.log(t)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cluster.DeleteTopic(w.ingester.Topic); err != nil {
		t.Fatal(err)
	}
	if err := w.cluster.CreateTopic(w.ingester.Topic, 4, nil); err != nil {
		t.Fatal(err)
	}
	// The gateway has forgotten what Kafka has, and sends everything again.
	if err := os.Remove(filepath.Join(w.gateway.Data, "spool", "live", "published")); err != nil {
		t.Fatal(err)
	}
	w.startGateway(t)
	w.publish(t, "first", 100, 50)

	now, err := w.log(t)
	if err != nil || now == old {
		t.Fatalf("the topic's id is %s, was %s, %v", now, old, err)
	}
	err = app.RunIngester(t.Context(), w.ingester, slog.New(slog.DiscardHandler), io.Discard)
	if !errors.Is(err, ingester.ErrLogReplaced) || !strings.Contains(err.Error(), "--kafka-accept "+now) {
		t.Errorf("the ingester ends with %v", err)
	}
	w.stored(t, 100)
	w.ingester.Accept = now
	w.startIngester(t)
	w.stored(t, 150)
}

// log asks Kafka for the topic's id.
func (w *world) log(t *testing.T) (string, error) {
	b, err := w.ingester.Kafka.Open("test", slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	defer b.Close()
	id, err := b.ID(t.Context(), 0)
	return id.String(), err
}

// TestForeignMessage: somebody writes to the topic. Nothing behind it is lost and nothing of it stored; the ingester says
// what to do, and the registry goes on being served. Told to pass it over, everything comes.
func TestForeignMessage(t *testing.T) {
	w := newWorld(t)
	query := w.startQuery(t)
	first := w.startIngester(t)
	w.startGateway(t)
	w.publish(t, "first", 0, 20)
	w.stored(t, 20)

	somebody, err := kgo.NewClient(kgo.SeedBrokers(w.ingester.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer somebody.Close()
	part := kafka.PartitionOf(sensor.Producer{Gateway: w.gateway.Gateway, Lane: sensor.Live}, w.ingester.Partitions)
	made, err := somebody.ProduceSync(t.Context(), &kgo.Record{Topic: w.ingester.Topic, Partition: part, Value: []byte("hello")}).First()
	if err != nil {
		t.Fatal(err)
	}
	w.publish(t, "first", 20, 20)
	skip := fmt.Sprintf("%d:%d", part, made.Offset)
	state := apptest.Server{URL: strings.TrimSuffix(first.said(t, "state  "), "/readyz")}
	apptest.Until(t, time.Minute, func() string {
		if why := fmt.Sprint(state.NotReady(t)); !strings.Contains(why, "--kafka-skip "+skip) {
			return "readyz says " + why
		}
		return ""
	})
	w.server().Get(t, "/v1/registry/changes?since=0", nil) // cmd/query lives
	w.stored(t, 20)

	first.stop()
	query.stop()
	for _, k := range []*host.Kafka{&w.ingester.Kafka, &w.query.Kafka} {
		k.Skip = []string{skip}
	}
	w.startQuery(t)
	w.startIngester(t)
	w.stored(t, 40)
}
