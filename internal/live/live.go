// Package live pushes the situation to open map pages: Server-Sent Events (WHATWG HTML, 9.2) at /live, in the form
// that docs/api.md gives.
//
// In: a viewport (set, bbox, zoom) and the live state. Out: first all cells of the viewport, then those that have
// changed, at most two events a second; from zoom 15 the points; every five seconds the state's numbers, which are
// the heartbeat. Refused, with a problem document: an unknown set, a bbox or zoom that is none, too many clients.
//
// There is no queue between the state and a client. Each client's goroutine, which is its request's, asks the state
// what has changed since the version it sent last; what changed twice meanwhile is sent once, and what a client
// has not taken yet waits in the state. So a slow client costs one event of memory, holds nobody up, and is let go
// when it takes nothing for WriteTimeout. A stream ends with its request's context; a server that shuts down must
// end those (http.Server.BaseContext), because Shutdown waits for open requests.
package live

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/situ-city/situ/internal/livestate"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// Pace of a stream.
const (
	betweenEvents = 500 * time.Millisecond // between two events of cells or points
	betweenLooks  = 100 * time.Millisecond // between two looks for changes that found none
	betweenStatus = 5 * time.Second
)

// Defaults of Config.
const (
	DefaultMaxCells     = 20_000
	DefaultMaxPoints    = 5_000
	DefaultMaxClients   = 10_000
	DefaultWriteTimeout = 10 * time.Second
)

// Source is what a stream needs of the live state.
type Source interface {
	Changes(dst []sensor.CellSummary, p sensor.PropertyNumber, res int, area geo.Box, scope sensor.Scope, since uint64) (cells []sensor.CellSummary, version uint64, complete bool)
	Points(dst []sensor.PointSummary, p sensor.PropertyNumber, area geo.Box, scope sensor.Scope, limit int) ([]sensor.PointSummary, uint64)
	Changed() <-chan struct{}
	Stats() livestate.Stats
}

// Catalogue is what a stream needs of the property catalogue.
type Catalogue interface {
	ByCode(sensor.PropertyCode) (*sensor.ObservedProperty, bool)
}

// Config of a Handler. Source, Catalogue and Scope are needed.
type Config struct {
	Source       Source
	Catalogue    Catalogue
	Scope        func(*http.Request) sensor.Scope // what this viewer may see
	Metrics      *Metrics                         // nil = none
	MaxCells     int                              // more in a viewport, and it is sent coarser; 0 = DefaultMaxCells
	MaxPoints    int                              // more in a viewport are left out; 0 = DefaultMaxPoints
	MaxClients   int                              // 0 = DefaultMaxClients
	WriteTimeout time.Duration                    // 0 = DefaultWriteTimeout
}

// Handler serves /live.
type Handler struct {
	Config
	clients atomic.Int64
}

// NewHandler makes a Handler.
func NewHandler(c Config) *Handler {
	setDefault(&c.MaxCells, DefaultMaxCells)
	setDefault(&c.MaxPoints, DefaultMaxPoints)
	setDefault(&c.MaxClients, DefaultMaxClients)
	setDefault(&c.WriteTimeout, DefaultWriteTimeout)
	return &Handler{Config: c}
}

func setDefault[T int | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

// ServeHTTP implements http.Handler. It returns when the request's context ends or the client is gone.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	view, status, why := h.viewOf(r)
	if status != 0 {
		h.refuse(w, status, why)
		return
	}
	defer h.clients.Add(-1)
	if n := h.clients.Add(1); n > int64(h.MaxClients) {
		w.Header().Set("Retry-After", "10")
		h.refuse(w, http.StatusServiceUnavailable, "as many clients as this server takes ("+strconv.Itoa(h.MaxClients)+") are connected")
		return
	}
	h.Metrics.joined(1)
	defer h.Metrics.joined(-1)
	head := w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // nginx would keep events to itself
	s := &stream{Handler: h, view: view, w: w, control: http.NewResponseController(w)}
	if err := s.run(r); err != nil { // asking the context would not do: net/http ends it when a write fails
		h.Metrics.lost()
	}
}

// view is what a client looks at.
type view struct {
	property *sensor.ObservedProperty
	area     geo.Box
	zoom     uint8
	scope    sensor.Scope
	since    uint64 // version the client has; 0 = none
}

// viewOf reads the request; a status other than 0 refuses it.
func (h *Handler) viewOf(r *http.Request) (v view, status int, why string) {
	q := r.URL.Query()
	if r.Method != http.MethodGet {
		return v, http.StatusMethodNotAllowed, "events are read with GET"
	}
	var known bool
	if v.property, known = h.Catalogue.ByCode(sensor.PropertyCode(q.Get("set"))); !known {
		return v, http.StatusNotFound, "no set " + strconv.Quote(q.Get("set")) + "; sets are the property codes that /v1/properties lists"
	}
	area, err := geo.ParseBox(q.Get("bbox"))
	if err != nil {
		return v, http.StatusBadRequest, "bbox: " + err.Error()
	}
	zoom, err := strconv.ParseFloat(q.Get("z"), 64) // maps have zooms between the whole ones
	if err != nil || !(zoom >= 0 && zoom < geo.MaxZoom+1) {
		return v, http.StatusBadRequest, "z: want a zoom of 0 to " + strconv.Itoa(geo.MaxZoom)
	}
	v.area, v.zoom, v.scope = area, uint8(math.Floor(zoom)), h.Scope(r)
	v.since, _ = strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64) // what is no version is none of ours
	return v, 0, ""
}

// stream is one client.
type stream struct {
	*Handler
	view
	w       http.ResponseWriter
	control *http.ResponseController
	res     int // of the cells it is sent
	begun   bool
	cells   []sensor.CellSummary
	points  []sensor.PointSummary
	buf     []byte
}

func (s *stream) run(r *http.Request) error {
	if err := s.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err // a server's ReadTimeout would end the stream
	}
	s.buf = append(s.buf[:0], "retry: 2000\n\n"...)
	s.res = geo.ResolutionForZoom(s.zoom)
	changed := s.Source.Changed() // before looking: what changes after the look closes it
	if _, err := s.look(); err != nil {
		return err
	}
	pause, status := time.NewTimer(betweenEvents), time.NewTicker(betweenStatus)
	defer pause.Stop()
	defer status.Stop()
	var ready <-chan struct{} // changed, once the pause is over
	for {
		select {
		case <-r.Context().Done():
			return nil
		case <-status.C:
			if err := s.sendStatus(); err != nil {
				return err
			}
		case <-pause.C:
			ready = changed
		case <-ready:
			changed, ready = s.Source.Changed(), nil
			sent, err := s.look()
			if err != nil {
				return err
			}
			if sent {
				pause.Reset(betweenEvents)
			} else {
				pause.Reset(betweenLooks)
			}
		}
	}
}

// look sends what has changed since the last look, and says whether that was anything. The first look always sends.
func (s *stream) look() (sent bool, err error) {
	if s.zoom >= geo.PointsZoom {
		return s.lookAtPoints()
	}
	full := false
	if !s.begun {
		full = s.begin()
	}
	if !full {
		var version uint64
		var complete bool
		s.cells, version, complete = s.Source.Changes(s.cells[:0], s.property.Number, s.res, s.area, s.scope, s.since)
		s.since, full = version, !complete
	}
	if len(s.cells) == 0 && !full && s.begun {
		return false, nil
	}
	s.begun = true
	s.buf = appendCells(s.buf, string(s.property.Code), s.res, time.Now().UnixMilli(), s.since, full, s.cells)
	return true, s.flush("cells")
}

// begin finds the resolution at which the viewport is little enough, and reads it all. It reports false when the
// client has an earlier version that the changes can be counted from.
func (s *stream) begin() (full bool) {
	for {
		var version uint64
		s.cells, version, _ = s.Source.Changes(s.cells[:0], s.property.Number, s.res, s.area, s.scope, 0)
		if len(s.cells) > s.MaxCells && s.res > 0 {
			s.res--
			continue
		}
		if s.since != 0 {
			return false
		}
		s.since = version
		return true
	}
}

// lookAtPoints sends all points of the viewport when any of them has changed: so near there are few.
func (s *stream) lookAtPoints() (bool, error) {
	points, version := s.Source.Points(s.points[:0], s.property.Number, s.area, s.scope, s.MaxPoints)
	if s.points = points; len(points) >= s.MaxPoints {
		s.Metrics.cut()
	}
	if s.begun && version == s.since {
		return false, nil
	}
	s.begun, s.since = true, version
	s.buf = appendPoints(s.buf, version, points)
	return true, s.flush("points")
}

func (s *stream) sendStatus() error {
	st := s.Source.Stats()
	s.buf = appendStatus(s.buf, time.Now().UnixMilli(), st.Observations, st.Rate)
	return s.flush("status")
}

// flush hands the event to the network, which must take it within WriteTimeout.
func (s *stream) flush(event string) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.WriteTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	n, err := s.w.Write(s.buf)
	s.Metrics.sent(event, n)
	s.buf = s.buf[:0]
	if cap(s.buf) > 1<<20 || cap(s.cells) > 1<<15 { // the first event of a large view; the others are small
		s.buf, s.cells = nil, nil
	}
	if err != nil {
		return err
	}
	if err := s.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
