package edge

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/batch"
	"github.com/situ-city/situ/pkg/sensor"
)

// metrics of the hand-over to Kafka and of the follower; receiving has its own (internal/gateway).
type metrics struct {
	reg      prometheus.Registerer
	messages *prometheus.CounterVec
	rows     *prometheus.CounterVec
	again    *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

func newMetrics(p *process) *metrics {
	byLane := []string{"lane"}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, byLane)
	}
	m := &metrics{
		reg:      p.metrics,
		messages: counter("situ_batch_messages_total", "Messages that Kafka has acknowledged, by lane."),
		rows:     counter("situ_batch_observations_total", "Observations in them."),
		again:    counter("situ_batch_retries_total", "Ranges sent again because Kafka's answer was an error or did not come."),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "situ_bus_publish_seconds",
			Help: "Time until Kafka had a range, all attempts.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)}, byLane),
	}
	p.metrics.MustRegister(m.messages, m.rows, m.again, m.took,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "situ_registry_follower_version", Help: "Newest change of the registry known here."},
			func() float64 { return float64(p.follower.Snapshot().Version()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "situ_registry_follower_age_seconds",
			Help: "Time since the registry last answered; -1 = it has not since the start."}, func() float64 {
			synced := p.follower.Status().Synced
			if synced.IsZero() {
				return -1
			}
			return time.Since(synced).Seconds()
		}))
	return m
}

// lane counts what Kafka has of a lane, and shows how much it has not.
func (m *metrics) lane(lane sensor.Lane, waiting func() float64) func(batch.Published) {
	name := lane.String()
	m.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "situ_batch_waiting_messages",
		Help: "Messages in the spool that Kafka has not acknowledged.", ConstLabels: prometheus.Labels{"lane": name}}, waiting))
	messages, rows := m.messages.WithLabelValues(name), m.rows.WithLabelValues(name)
	again, took := m.again.WithLabelValues(name), m.took.WithLabelValues(name)
	return func(p batch.Published) {
		messages.Add(float64(p.To - p.From + 1))
		rows.Add(float64(p.Rows))
		again.Add(float64(p.Attempts - 1))
		took.Observe(p.Took.Seconds())
	}
}
