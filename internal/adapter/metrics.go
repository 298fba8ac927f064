package adapter

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	connections            prometheus.Gauge
	bytes, frames, answers prometheus.Counter
	refused                *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, protocol string) (*metrics, error) {
	is := prometheus.Labels{"protocol": protocol}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_adapter_" + name, Help: help, ConstLabels: is})
	}
	m := &metrics{
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Name: "situ_adapter_connections", Help: "Devices connected.", ConstLabels: is}),
		bytes:       counter("bytes_total", "Bytes received."),
		frames:      counter("frames_total", "Frames published."),
		answers:     counter("answers_total", "Answers sent to devices."),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "situ_adapter_refused_total", ConstLabels: is,
			Help: "Connections not taken (peer, connections) or closed (idle, unacknowledged, unread: answers; memory: too much of all devices waits to become frames), and bytes dropped (size, truncated)."}, []string{"reason"}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.connections, m.bytes, m.frames, m.answers, m.refused} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
