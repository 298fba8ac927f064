package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

type changesInput struct {
	Since uint64 `query:"since" doc:"number of the last change seen; 0 = from the beginning"`
	Limit int    `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
}

func (s *Server) changes(ctx context.Context, in *changesInput) (*body[registry.Page], error) {
	page, err := s.cfg.Registry.Page(ctx, in.Since, in.Limit)
	if err != nil {
		return nil, err
	}
	return &body[registry.Page]{page}, nil
}

// NewThing is the body of POST /v1/things.
type NewThing struct {
	ID          sensor.ThingID     `json:"id" doc:"owner/name" example:"ecology/station-12"`
	Name        string             `json:"name,omitempty"`
	Class       sensor.OwnerClass  `json:"owner_class" enum:"government,social,enterprise"`
	Grade       sensor.AccessGrade `json:"grade,omitempty" enum:"open,conditional,restricted" doc:"default restricted"`
	Lon         *float64           `json:"lon,omitempty"`
	Lat         *float64           `json:"lat,omitempty"`
	CRS         geo.CRS            `json:"crs,omitempty" doc:"WGS84 (default), CGCS2000, GCJ02 or BD09"`
	Division    geo.DivisionCode   `json:"division,omitempty" doc:"town code; the district follows from the position"`
	Address     string             `json:"address,omitempty"`
	Serial      string             `json:"serial,omitempty" doc:"MN, devEUI: the Thing's name inside frames"`
	Scenes      []string           `json:"scenes,omitempty"`
	Model       string             `json:"model,omitempty" doc:"of the sensor (/v1/models); its Datastreams are taken where none are given"`
	Datastreams []NewDatastream    `json:"datastreams,omitempty"`
}

// NewDatastream declares what a Thing observes.
type NewDatastream struct {
	Property  sensor.PropertyCode `json:"property"`
	Statistic sensor.Statistic    `json:"statistic,omitempty"`
	SourceKey string              `json:"source_key,omitempty" doc:"the payload's own name; empty = any name of that property"`
	Unit      string              `json:"unit,omitempty" doc:"UCUM, as the source sends; empty = the property's"`
	IntervalS float64             `json:"interval_s,omitempty"`
	Min       *float64            `json:"min,omitempty" doc:"plausible range of this instrument, in the property's unit"`
	Max       *float64            `json:"max,omitempty"`
	Rate      *float64            `json:"rate,omitempty" doc:"plausible change a second, in the property's unit; 0 is not judged"`
	StillS    *float64            `json:"still_s,omitempty" doc:"seconds for which a result may stay the same; 0 is not judged"`
}

func (s *Server) putThing(ctx context.Context, in *struct{ Body NewThing }) (*body[ThingDoc], error) {
	n := in.Body
	t := &sensor.Thing{ID: n.ID, Name: n.Name, Class: n.Class, Grade: n.Grade, CRS: n.CRS, Division: n.Division,
		Address: n.Address, Serial: n.Serial, Scenes: n.Scenes}
	if (n.Lon == nil) != (n.Lat == nil) {
		return nil, huma.Error422UnprocessableEntity("lon and lat belong together: give both or none")
	}
	if n.Lon != nil {
		t.Placed, t.Original = true, geo.LonLat{Lon: *n.Lon, Lat: *n.Lat}
	}
	streams := make([]*sensor.Datastream, len(n.Datastreams))
	for i, d := range n.Datastreams {
		streams[i] = &sensor.Datastream{Property: d.Property, Statistic: d.Statistic, SourceKey: d.SourceKey, Unit: d.Unit,
			Interval: time.Duration(d.IntervalS * float64(time.Second)), Min: d.Min, Max: d.Max, Rate: d.Rate, StillS: d.StillS}
	}
	if n.Model != "" {
		m, ok := s.model(n.Model)
		if !ok {
			return nil, huma.Error422UnprocessableEntity(noModel(n.Model))
		}
		if len(streams) == 0 {
			for _, d := range registry.OfModel(m, n.ID) {
				streams = append(streams, &d)
			}
		}
	}
	stored, err := s.cfg.Registry.PutThing(ctx, t, streams...)
	var field *registry.FieldError
	switch {
	case errors.As(err, &field), errors.Is(err, sensor.ErrThingID), errors.Is(err, registry.ErrSerialTaken), errors.Is(err, registry.ErrBound):
		return nil, huma.Error422UnprocessableEntity(err.Error())
	case errors.Is(err, registry.ErrVersion):
		return nil, huma.Error409Conflict(err.Error())
	case err != nil:
		return nil, err
	}
	return &body[ThingDoc]{s.thingDoc(s.cfg.Registry.Snapshot(), stored)}, nil
}

// NewCredential asks for an MQTT password.
type NewCredential struct {
	User  string              `json:"user" example:"gateway-7"`
	Scope registry.TopicScope `json:"scope" doc:"owner/name, owner, or *: under whose topics it may publish" example:"ecology"`
}

// IssuedCredential is shown once.
type IssuedCredential struct {
	User     string              `json:"user"`
	Password string              `json:"password"`
	Scope    registry.TopicScope `json:"scope"`
}

func (s *Server) issueCredential(ctx context.Context, in *struct{ Body NewCredential }) (*body[IssuedCredential], error) {
	password, err := s.cfg.Registry.IssueCredential(ctx, in.Body.User, in.Body.Scope)
	if errors.Is(err, registry.ErrUser) || errors.Is(err, registry.ErrScope) {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if err != nil {
		return nil, err
	}
	return &body[IssuedCredential]{IssuedCredential{User: in.Body.User, Password: password, Scope: in.Body.Scope}}, nil
}

// register answers POST /v1/register: a CSV file, one verdict a row (207 Multi-Status).
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	rows, err := registry.ParseCSV(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		problem(w, http.StatusRequestEntityTooLarge, "too long", "a register has at most 32 MiB; split it")
		return
	case errors.Is(err, io.EOF):
		problem(w, http.StatusUnprocessableEntity, "empty", "the file has no header line")
		return
	case err != nil:
		problem(w, http.StatusUnprocessableEntity, "not a register", err.Error())
		return
	}
	if name := r.URL.Query().Get("model"); name != "" {
		if _, ok := s.model(name); !ok {
			problem(w, http.StatusUnprocessableEntity, "no such model", noModel(name))
			return
		}
		for i := range rows {
			rows[i].Default(registry.ColModel, name)
		}
	}
	verdicts, err := s.cfg.Registry.RegisterRows(r.Context(), rows)
	if err != nil {
		s.cfg.Logger.Error("register", "component", "registry", "err", err) // each row's verdict says whether it was written
	}
	writeJSON(w, http.StatusMultiStatus, map[string]any{"rows": verdicts})
}

func (s *Server) model(name string) (*sensor.Model, bool) {
	if s.cfg.Models == nil {
		return nil, false
	}
	return s.cfg.Models.Find(name)
}

func noModel(name string) string {
	return fmt.Sprintf("model: %.80q is not among those known here; GET /v1/models lists them", name)
}
