package rollup

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/store"
)

type metrics struct {
	waiting, oldest  prometheus.Gauge
	judging          prometheus.Gauge
	recomputed       *prometheus.CounterVec
	seconds          *prometheus.HistogramVec
	failures, halved prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{Name: "situ_rollup_dirty_windows", Help: "Dirty spans of windows and regions that wait for a recompute, open windows included."}),
		oldest:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "situ_rollup_oldest_seconds", Help: "How long the longest waiting of them that is over has been waiting."}),
		judging: prometheus.NewGauge(prometheus.GaugeOpts{Name: "situ_rollup_unjudged_windows", Help: "Spans of hours and days that wait for their judgement, open ones included."}),
		recomputed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "situ_rollup_recomputed_total",
			Help: "Dirty spans recomputed."}, []string{"level"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "situ_rollup_seconds", Help: "Time of one recompute.",
			Buckets: prometheus.ExponentialBuckets(0.004, 4, 8)}, []string{"level"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_rollup_failures_total", Help: "Turns that had to be tried again."}),
		halved:   prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_rollup_halved_total", Help: "Recomputes that were too large for their memory and cut in two."}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.waiting, m.oldest, m.judging, m.recomputed, m.seconds, m.failures, m.halved} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

// observe tells how much waits, and for how long what could be done has been waiting.
func (m *metrics) observe(list []store.Waiting, now time.Time, grace time.Duration) {
	oldest, judging := time.Duration(0), 0
	for _, d := range list {
		if d.Level.Judges() {
			judging++
			continue
		}
		since := time.Unix(d.End(), 0).Add(grace)
		if d.At.After(since) {
			since = d.At
		}
		oldest = max(oldest, now.Sub(since))
	}
	m.waiting.Set(float64(len(list) - judging))
	m.judging.Set(float64(judging))
	m.oldest.Set(oldest.Seconds())
}
