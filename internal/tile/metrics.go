package tile

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count what the handler does. A nil Metrics counts nothing.
type Metrics struct {
	requests *prometheus.CounterVec
	seconds  prometheus.Histogram
	coarse   prometheus.Counter
	cutOff   prometheus.Counter
}

// NewMetrics registers the handler's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "situ_tile_requests_total", Help: "Tile and TileJSON requests by status."}, []string{"code"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "situ_tile_seconds", Help: "Time to answer a tile request.",
			Buckets: []float64{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, 1}}),
		coarse: prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_tile_coarsened_total", Help: "Tiles drawn of coarser cells because there were too many."}),
		cutOff: prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_tile_cut_total", Help: "Tiles that left points out because there were too many."}),
	}
	reg.MustRegister(m.requests, m.seconds, m.coarse, m.cutOff)
	return m
}

func (m *Metrics) start() time.Time {
	if m == nil {
		return time.Time{}
	}
	return time.Now()
}

func (m *Metrics) answered(code int, since time.Time) {
	if m == nil {
		return
	}
	m.requests.WithLabelValues(strconv.Itoa(code)).Inc()
	if !since.IsZero() {
		m.seconds.Observe(time.Since(since).Seconds())
	}
}

func (m *Metrics) coarsened() {
	if m != nil {
		m.coarse.Inc()
	}
}

func (m *Metrics) cut() {
	if m != nil {
		m.cutOff.Inc()
	}
}

// refuse answers with a problem document [RFC 9457].
func (h *Handler) refuse(w http.ResponseWriter, status int, detail string) {
	body, _ := json.Marshal(struct { // texts and a number: cannot fail
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{http.StatusText(status), status, detail})
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
	h.Metrics.answered(status, time.Time{})
}
