package ingester

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	messages, observations, duplicates, gaps, declarations, repeats prometheus.Counter
	blocks, replays, zombies                                        prometheus.Counter
	deadLetters, empties, retries                                   *prometheus.CounterVec
	rows, step                                                      prometheus.ObserverVec
	offset, behind                                                  *prometheus.GaugeVec
	age                                                             prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	var all []prometheus.Collector
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_ingester_" + name, Help: help})
		all = append(all, c)
		return c
	}
	vector := func(name, help string, label ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "situ_ingester_" + name, Help: help}, label)
		all = append(all, c)
		return c
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		c := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "situ_ingester_" + name, Help: help}, []string{"partition"})
		all = append(all, c)
		return c
	}
	rows := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "situ_ingester_block_rows", Help: "Observations of a block.",
		Buckets: prometheus.ExponentialBuckets(1, 10, 7)}, []string{"partition"})
	step := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "situ_ingester_step_seconds", Help: "Time of a block's steps.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)}, []string{"step"})
	age := prometheus.NewGauge(prometheus.GaugeOpts{Name: "situ_ingester_age_seconds",
		Help: "Age of the newest stored message when its block was stored."})
	m := &metrics{
		messages:     counter("messages_total", "Messages stored."),
		observations: counter("observations_total", "Observations stored."),
		duplicates:   counter("duplicates_total", "Messages dropped because their seq had been seen."),
		gaps:         counter("gap_messages_total", "Messages that the spool had removed by policy."),
		declarations: counter("declarations_total", "Declarations handed to the registry."),
		repeats:      counter("repeats_suspected_total", "Observations of an instant that may be stored already."),
		blocks:       counter("blocks_total", "Blocks stored."),
		replays:      counter("replays_total", "Blocks replayed from a committed intent."),
		zombies:      counter("zombies_total", "Times that a partition had a newer owner."),
		deadLetters:  vector("dead_letters_total", "Dead letters stored.", "reason"),
		empties:      vector("empties_total", "Messages that rightly have no observation.", "reason"),
		retries:      vector("retries_total", "Steps that had to be tried again.", "step"),
		offset:       gauge("offset", "Everything before it is stored."),
		behind:       gauge("lag_messages", "Messages in the log that are not stored yet."),
		rows:         rows, step: step, age: age,
	}
	var errs []error
	for _, c := range append(all, rows, step, age) {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
