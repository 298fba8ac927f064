package live

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/pkg/sensor"
)

// appendCells appends an event of cells. full says that these are all there are, and others a client may hold are
// to be forgotten.
func appendCells(b []byte, set string, res int, at int64, version uint64, full bool, cells []sensor.CellSummary) []byte {
	b = appendHead(b, "cells", version)
	b = append(b, `{"set":`...)
	b = appendText(b, set)
	b = append(b, `,"resolution":`...)
	b = strconv.AppendInt(b, int64(res), 10)
	b = append(b, `,"at":`...)
	b = strconv.AppendInt(b, at, 10)
	b = append(b, `,"version":`...)
	b = strconv.AppendUint(b, version, 10)
	if full {
		b = append(b, `,"full":true`...)
	}
	b = append(b, `,"cells":[`...)
	for i := range cells {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendCell(b, &cells[i])
	}
	return append(b, "]}\n\n"...)
}

// appendCell appends [cell, n, fresh, mean, min, max, worst, newest]; numbers that do not exist are null.
func appendCell(b []byte, c *sensor.CellSummary) []byte {
	b = append(b, '[', '"')
	b = strconv.AppendUint(b, uint64(c.Cell), 16)
	b = append(b, '"', ',')
	b = strconv.AppendUint(b, uint64(c.N), 10)
	b = append(b, ',')
	b = strconv.AppendUint(b, uint64(c.Fresh), 10)
	for _, v := range [...]float64{c.Mean, c.Min, c.Max, c.Worst} {
		b = append(b, ',')
		if c.Fresh == 0 {
			b = append(b, "null"...)
			continue
		}
		b = appendNumber(b, v)
	}
	b = append(b, ',')
	if c.N == 0 {
		return append(b, "null]"...)
	}
	return append(strconv.AppendInt(b, c.Newest/1000, 10), ']')
}

// appendPoints appends an event of all points of a view: [thing, lon, lat, result, newest, fresh].
func appendPoints(b []byte, version uint64, points []sensor.PointSummary) []byte {
	b = appendHead(b, "points", version)
	b = append(b, '[')
	for i := range points {
		p := &points[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = appendText(b, string(p.ID))
		for _, v := range [...]float64{p.Place.Lon, p.Place.Lat, p.Result} {
			b = append(b, ',')
			b = appendNumber(b, v)
		}
		b = append(b, ',')
		b = strconv.AppendInt(b, p.Newest/1000, 10)
		if p.Fresh {
			b = append(b, ",1]"...)
		} else {
			b = append(b, ",0]"...)
		}
	}
	return append(b, "]\n\n"...)
}

func appendStatus(b []byte, at int64, observations uint64, rate float64) []byte {
	b = append(b, "event: status\ndata: {\"at\":"...) // no id: it must not change where the client would resume
	b = strconv.AppendInt(b, at, 10)
	b = append(b, `,"observations":`...)
	b = strconv.AppendUint(b, observations, 10)
	b = append(b, `,"rate":`...)
	b = appendNumber(b, math.Round(rate*10)/10)
	return append(b, "}\n\n"...)
}

func appendHead(b []byte, event string, version uint64) []byte {
	b = append(b, "event: "...)
	b = append(b, event...)
	b = append(b, "\nid: "...)
	b = strconv.AppendUint(b, version, 10)
	return append(b, "\ndata: "...)
}

func appendNumber(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// appendText appends a JSON string. Names in it need no escape but for the rare ones beyond ASCII.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			q, _ := json.Marshal(s) // a string: cannot fail
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// Metrics count what streams do. A nil Metrics counts nothing.
type Metrics struct {
	clients prometheus.Gauge
	events  *prometheus.CounterVec
	bytes   prometheus.Counter
	refused *prometheus.CounterVec
	dropped prometheus.Counter
	cutOff  prometheus.Counter
}

// NewMetrics registers the streams' metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		clients: prometheus.NewGauge(prometheus.GaugeOpts{Name: "situ_live_clients", Help: "Open event streams."}),
		events:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "situ_live_events_total", Help: "Events sent."}, []string{"event"}),
		bytes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_live_bytes_total", Help: "Bytes of events sent."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "situ_live_refused_total", Help: "Streams refused by status."}, []string{"code"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_live_dropped_total", Help: "Streams ended because the client took nothing in time or was gone."}),
		cutOff:  prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_live_cut_total", Help: "Events that left points out because there were too many."}),
	}
	reg.MustRegister(m.clients, m.events, m.bytes, m.refused, m.dropped, m.cutOff)
	return m
}

func (m *Metrics) joined(n float64) {
	if m != nil {
		m.clients.Add(n)
	}
}

func (m *Metrics) sent(event string, bytes int) {
	if m != nil {
		m.events.WithLabelValues(event).Inc()
		m.bytes.Add(float64(bytes))
	}
}

func (m *Metrics) cut() {
	if m != nil {
		m.cutOff.Inc()
	}
}

func (m *Metrics) lost() {
	if m != nil {
		m.dropped.Inc()
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
	if h.Metrics != nil {
		h.Metrics.refused.WithLabelValues(strconv.Itoa(status)).Inc()
	}
}
