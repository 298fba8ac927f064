package kafka

import (
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/bustest"
	"github.com/situ-city/situ/pkg/sensor"
)

// The double's own work is in both numbers: they bound ours from above.

func benchBatch(w *world) (*sensor.Batch, uint64) {
	m := bustest.Messages(1, 1)[0]
	m.Observations = append(m.Observations[:1], m.Observations[0])
	msgs := make([]sensor.Message, 10_000)
	for i := range msgs {
		msgs[i] = m
	}
	return w.expect(1, msgs), uint64(len(msgs))
}

func BenchmarkPublish(b *testing.B) {
	w := newWorld(b)
	batch, n := benchBatch(w)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.bus.Publish(b.Context(), bus.LogID{1}, w.Producer(sensor.Live), 1, n, batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(batch.Len()), "ns/row")
}

func BenchmarkFetch(b *testing.B) {
	w := newWorld(b)
	batch, n := benchBatch(w)
	w.send(b, sensor.Live, 1, n, batch)
	var got sensor.Batch
	b.ReportAllocs()
	for b.Loop() {
		got.Reset()
		clear(got.Watermarks)
		if _, err := w.bus.Fetch(b.Context(), w.Partition(sensor.Live), 0, 1, 0, &got); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(got.Len()), "ns/row")
}

// What a position's mark costs: once a message of Kafka, however many observations it holds.
func BenchmarkMark(b *testing.B) {
	var batch sensor.Batch
	p := sensor.Producer{Gateway: "gateway-1", Epoch: 1_790_000_000}
	rec := &kafkago.Record{Offset: 7, Time: time.UnixMilli(1_790_000_000_000), Headers: headers(bus.LogID{1}, p, 1, 1000, &batch, make([]byte, 30_000))}
	b.ReportAllocs()
	for b.Loop() {
		if markOf(rec).at != 7 {
			b.Fatal("a mark of another offset")
		}
	}
}
