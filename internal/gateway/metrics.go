package gateway

import "github.com/prometheus/client_golang/prometheus"

// metrics are what the gateway counts. Every refusal and loss has a reason.
type metrics struct {
	messages     *prometheus.CounterVec // source
	observations prometheus.Counter
	backfill     prometheus.Counter
	letters      *prometheus.CounterVec // reason
	empty        *prometheus.CounterVec // reason
	refused      *prometheus.CounterVec // reason: connections and packets refused; their senders send again
	lost         *prometheus.CounterVec // reason: QoS 0 only
	redelivered  prometheus.Counter
	kept         prometheus.Counter
	keptBytes    prometheus.Counter
	asked        *prometheus.CounterVec // source, outcome
	clocks       *prometheus.CounterVec // found
	pullUp       *prometheus.GaugeVec   // source
	pullDrops    *prometheus.CounterVec // source
	commit       prometheus.Histogram
	commitSize   prometheus.Histogram
	spoolBytes   *prometheus.GaugeVec   // lane
	held         *prometheus.GaugeVec   // lane, class
	removed      *prometheus.CounterVec // lane, class, reason
	clients      prometheus.GaugeFunc
	canaryAck    prometheus.Histogram
	canaryLost   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, clients func() float64) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "situ_gateway_" + name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	m := &metrics{
		messages:   counter("messages_total", "Messages taken, by source.", "source"),
		letters:    counter("dead_letters_total", "Messages or values that became dead letters, by reason.", "reason"),
		empty:      counter("empty_messages_total", "Messages that rightly hold nothing to store, by reason.", "reason"),
		refused:    counter("refused_total", "Connections and packets refused, by reason; full: the spool has no room; connections: as many as --max-connections; memory: no room for a large packet; unread: PUBACKs not read.", "reason"),
		lost:       counter("lost_total", "QoS 0 messages that could not be stored (QoS 1 ones are sent again).", "reason"),
		asked:      counter("rebirths_asked_total", "Births that Sparkplug nodes were asked for, by source; outcome unsubscribed: the node's connection has not subscribed to its commands; busy: too many at once, to be asked again.", "source", "outcome"),
		clocks:     counter("clocks_found_total", "Things whose clock was found wrong, or right again (the log names them).", "found"),
		pullDrops:  counter("pull_reconnects_total", "Connections to a source's broker that ended.", "source"),
		pullUp:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "situ_gateway_pull_up", Help: "1 while subscribed to the source's broker."}, []string{"source"}),
		spoolBytes: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "situ_spool_bytes", Help: "Bytes in the spool, by lane."}, []string{"lane"}),
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "situ_spool_class_bytes",
			Help: "Bytes in the spool, by lane and owner class."}, []string{"lane", "class"}),
		removed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "situ_spool_removed_messages_total",
			Help: "Messages removed by policy because the spool had no room; each has a gap record."}, []string{"lane", "class", "reason"}),
		redelivered: prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_gateway_redelivered_total", Help: "Redeliveries recognised: pulled ones while their first delivery was on its way, QoS 2 ones until they are released."}),
		kept:        prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_gateway_kept_payloads_total", Help: "Messages whose payload was kept as it came."}),
		keptBytes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_gateway_kept_payload_bytes_total", Help: "Bytes of payloads kept as they came."}),
		observations: prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_gateway_observations_total",
			Help: "Observations written to the spool."}),
		backfill: prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_gateway_backfill_observations_total",
			Help: "Observations older than two days at arrival, written to the backfill lane."}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "situ_spool_commit_seconds",
			Help: "Time of one group commit, write and sync.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 14)}),
		commitSize: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "situ_spool_commit_records",
			Help: "Records in one group commit.", Buckets: prometheus.ExponentialBuckets(1, 4, 9)}),
		clients: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "situ_gateway_clients", Help: "Open MQTT connections."}, clients),
	}
	m.canaryAck = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "situ_canary_ack_seconds",
		Help: "Time from the canary's PUBLISH to its PUBACK.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 15)})
	m.canaryLost = prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_canary_unacknowledged_total",
		Help: "Readings of the canary that were not acknowledged (nothing is promised for them)."})
	reg.MustRegister(m.canaryAck, m.canaryLost)
	reg.MustRegister(m.pullUp, m.spoolBytes, m.held, m.removed, m.redelivered, m.kept, m.keptBytes, m.observations, m.backfill, m.commit, m.commitSize, m.clients)
	return m
}

// inflight registers the gauges of the MQTT sessions.
func (m *metrics) inflight(reg prometheus.Registerer, counts func() (sessions, packets int)) {
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "situ_gateway_sessions", Help: "Persistent MQTT sessions."},
			func() float64 { n, _ := counts(); return float64(n) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "situ_gateway_unreleased_packets", Help: "QoS 2 messages without PUBREL."},
			func() float64 { _, n := counts(); return float64(n) }))
}
