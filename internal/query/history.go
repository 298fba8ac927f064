package query

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

type observationsInput struct {
	Datastream string    `query:"datastream" required:"true" doc:"16 hexadecimal digits"`
	From       time.Time `query:"from" doc:"RFC 3339; default 25 hours before to"`
	To         time.Time `query:"to" doc:"RFC 3339, not included; default in an hour"`
	Limit      int       `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
	Cursor     string    `query:"cursor"`
}

// ObservationPage is one page of history; next is empty on the last.
type ObservationPage struct {
	Datastream   sensor.DatastreamID `json:"datastream"`
	Unit         string              `json:"unit"`
	Observations []HistoryRow        `json:"observations"`
	Next         string              `json:"next,omitempty"`
}

func (s *Server) observations(ctx context.Context, in *observationsInput) (*body[ObservationPage], error) {
	id, err := sensor.ParseDatastreamID(in.Datastream)
	if err != nil {
		return nil, huma.Error400BadRequest(err.Error())
	}
	snap := s.cfg.Registry.Snapshot()
	d, ok := snap.Datastream(id)
	if !ok {
		return nil, huma.Error404NotFound("no Datastream " + id.String())
	}
	t, ok := snap.Thing(d.Thing)
	// The object decides: history of a Thing that is not open needs the key, wherever the listener stands.
	if !From(ctx).Admin && !s.cfg.Keys.Anonymous && (!ok || t.Grade != sensor.Open) {
		return nil, huma.Error404NotFound("no Datastream " + id.String())
	}
	h := s.cfg.History()
	if h == nil {
		return nil, huma.Error503ServiceUnavailable("no history now: the ClickHouse engine is not available; see /readyz")
	}
	if in.To.IsZero() {
		in.To = failpoint.Now().Add(time.Hour) // clocks that run ahead are part of the picture
	}
	if in.From.IsZero() {
		in.From = in.To.Add(-25 * time.Hour)
	}
	points, next, err := h.Observations(ctx, id, in.From.UnixMilli(), in.To.UnixMilli(), in.Limit, in.Cursor)
	if err != nil {
		return nil, s.historyFailed(err)
	}
	rows := make([]HistoryRow, len(points))
	for i, p := range points {
		rows[i] = HistoryRow{Time: time.UnixMilli(p.Time).UTC(), Text: p.Text, Quality: p.Quality.String(), Arrival: time.UnixMilli(p.Arrival).UTC()}
		if p.Text == "" {
			rows[i].Result = &points[i].Result
		}
	}
	return &body[ObservationPage]{ObservationPage{Datastream: id, Unit: s.unitOf(d), Observations: rows, Next: next}}, nil
}

// historyFailed keeps the store's words for the log: they may name tables and hosts.
func (s *Server) historyFailed(err error) error {
	if errors.Is(err, store.ErrCursor) {
		return huma.Error400BadRequest("cursor is not one that this interface gave")
	}
	s.cfg.Logger.Warn("history query", "component", "query", "err", err)
	return huma.Error503ServiceUnavailable(fmt.Sprintf("the history did not answer (%s)", time.Now().UTC().Format(time.RFC3339)))
}
