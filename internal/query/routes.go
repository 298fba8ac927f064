package query

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/livestate"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// Bounds on what one answer holds.
const (
	maxCellThings = 500
	maxPage       = 1000
	maxHistory    = 10_000
	defaultPage   = 100
)

type body[T any] struct{ Body T }

func (s *Server) routes(api huma.API) {
	get := func(path, id, summary string) huma.Operation {
		return huma.Operation{Method: http.MethodGet, Path: path, OperationID: id, Summary: summary}
	}
	huma.Register(api, get("/v1/status", "status", "What the situation is, in one line"), s.status)
	huma.Register(api, get("/v1/properties", "properties", "The observed-property catalogue"), s.properties)
	huma.Register(api, get("/v1/models", "models", "Sensor models: what each observes, by its maker's data sheet"), s.models)
	huma.Register(api, get("/v1/divisions", "divisions", "Administrative divisions"), s.divisions)
	huma.Register(api, get("/v1/cells/{cell}", "cell", "One H3 cell: its numbers by property, and its Things"), s.cell)
	huma.Register(api, get("/v1/things", "things", "Things, by id"), s.things)
	huma.Register(api, get("/v1/things/{owner}/{name}", "thing", "One Thing with its Datastreams and their newest values"), s.thing)
	huma.Register(api, get("/v1/observations", "observations", "The history of one Datastream, ascending"), s.observations)
	huma.Register(api, get("/v1/deadletters", "deadletters", "What could not become an observation, newest first"), s.deadLetters)
	huma.Register(api, get("/v1/deadletters/{id}", "deadletter", "One dead letter, with its whole payload"), s.deadLetter)
	huma.Register(api, huma.Operation{Method: http.MethodPost, Path: "/v1/deadletters/replay", OperationID: "replay-deadletters",
		Summary: "Read dead letters again, with the registry and the configuration of today; one verdict each", DefaultStatus: http.StatusMultiStatus}, s.replayLetters)
	huma.Register(api, get("/v1/balance", "balance", "What became of every acknowledged message, by owner and hour"), s.balance)
	huma.Register(api, get("/v1/registry/changes", "changes", "The registry's numbered change feed"), s.changes)
	huma.Register(api, huma.Operation{Method: http.MethodPost, Path: "/v1/things", OperationID: "register-thing",
		Summary: "Register one Thing with its Datastreams", DefaultStatus: http.StatusCreated}, s.putThing)
	huma.Register(api, huma.Operation{Method: http.MethodPost, Path: "/v1/credentials", OperationID: "issue-credential",
		Summary: "Issue (or rotate) an MQTT password; it is shown once", DefaultStatus: http.StatusCreated}, s.issueCredential)
}

func (s *Server) status(context.Context, *struct{}) (*body[Status], error) {
	return &body[Status]{s.cfg.Status()}, nil
}

func (s *Server) properties(context.Context, *struct{}) (*body[[]sensor.ObservedProperty], error) {
	return &body[[]sensor.ObservedProperty]{s.cfg.Catalogue.All()}, nil
}

type modelsInput struct {
	Query string `query:"q" doc:"only models whose id or name holds this" example:"lht65"`
}

func (s *Server) models(_ context.Context, in *modelsInput) (*body[[]sensor.Model], error) {
	found := []sensor.Model{}
	if s.cfg.Models == nil {
		return &body[[]sensor.Model]{found}, nil
	}
	for _, m := range s.cfg.Models.All() {
		if q := strings.ToLower(in.Query); strings.Contains(m.ID, q) || strings.Contains(strings.ToLower(m.Name), q) {
			found = append(found, m)
		}
	}
	return &body[[]sensor.Model]{found}, nil
}

// DivisionDoc is one line of /v1/divisions.
type DivisionDoc struct {
	Code   geo.DivisionCode `json:"code"`
	Name   string           `json:"name"`
	Tier   string           `json:"tier" enum:"province,city,district,town"`
	Parent geo.DivisionCode `json:"parent,omitempty"`
	Center *[2]float64      `json:"center,omitempty" doc:"longitude, latitude; districts only"`
}

func (s *Server) divisions(context.Context, *struct{}) (*body[[]DivisionDoc], error) {
	tiers := map[geo.Tier]string{geo.TierProvince: "province", geo.TierCity: "city", geo.TierDistrict: "district", geo.TierTown: "town"}
	var out []DivisionDoc
	for _, d := range s.cfg.Divisions.All() {
		doc := DivisionDoc{Code: d.Code, Name: d.Name, Tier: tiers[d.Tier], Parent: d.Parent}
		if d.Center != nil {
			doc.Center = &[2]float64{d.Center.Lon, d.Center.Lat}
		}
		out = append(out, doc)
	}
	return &body[[]DivisionDoc]{out}, nil
}

// CellDoc is /v1/cells/{cell}.
type CellDoc struct {
	Cell       geo.Cell       `json:"cell"`
	Resolution int            `json:"resolution"`
	Center     [2]float64     `json:"center"`
	Boundary   [][2]float64   `json:"boundary" doc:"longitude, latitude of the corners, not closed"`
	At         time.Time      `json:"at"`
	Properties []CellProperty `json:"properties"`
	Things     []ThingSummary `json:"things"`
	More       bool           `json:"more" doc:"there are more Things than listed"`
}

// CellProperty is a cell's numbers for one property; mean, min, max and worst are absent when nothing is fresh.
type CellProperty struct {
	Property sensor.PropertyCode `json:"property"`
	Unit     string              `json:"unit"`
	N        uint32              `json:"n"`
	Fresh    uint32              `json:"fresh"`
	Mean     *float64            `json:"mean"`
	Min      *float64            `json:"min"`
	Max      *float64            `json:"max"`
	Worst    *float64            `json:"worst"`
	Newest   time.Time           `json:"newest"`
	AgeS     float64             `json:"age_s"`
}

type cellInput struct {
	Cell string `path:"cell" doc:"H3 index, 15 hexadecimal digits, resolution 0 to 12" example:"8740e9a1bffffff"`
	Set  string `query:"set" doc:"property code; only its numbers and Things"`
}

func (s *Server) cell(ctx context.Context, in *cellInput) (*body[CellDoc], error) {
	c, err := geo.ParseCell(in.Cell)
	if err != nil || c.Resolution() > 12 || !h3.Valid(c) {
		return nil, huma.Error400BadRequest(fmt.Sprintf("%q is not an H3 cell of resolution 0 to 12 (want 15 hexadecimal digits)", in.Cell))
	}
	only := sensor.PropertyNumber(0)
	if in.Set != "" {
		p, ok := s.cfg.Catalogue.ByCode(sensor.PropertyCode(in.Set))
		if !ok {
			return nil, huma.Error404NotFound(fmt.Sprintf("no property %q; /v1/properties lists them", in.Set))
		}
		only = p.Number
	}
	now := failpoint.Now()
	doc := CellDoc{Cell: c, Resolution: c.Resolution(), At: now.UTC().Truncate(time.Millisecond), Properties: []CellProperty{}, Things: []ThingSummary{}}
	center, err := h3.Center(c)
	corners, err2 := h3.AppendBoundary(nil, c)
	if err := errors.Join(err, err2); err != nil {
		return nil, huma.Error400BadRequest(err.Error())
	}
	doc.Center = [2]float64{center.Lon, center.Lat}
	for _, p := range corners {
		doc.Boundary = append(doc.Boundary, [2]float64{p.Lon, p.Lat})
	}
	scope := scopeOf(ctx)
	for _, pc := range s.cfg.Live.Cell(c, scope) {
		if only == 0 || pc.Property == only {
			doc.Properties = append(doc.Properties, s.cellProperty(pc, now))
		}
	}
	things, more := s.cfg.Live.Things(nil, c, scope, only, maxCellThings)
	doc.More = more
	snap := s.cfg.Registry.Snapshot()
	for i := range things {
		if t, ok := snap.ThingByKey(things[i].Key); ok {
			doc.Things = append(doc.Things, s.summary(t, &things[i], now))
		}
	}
	return &body[CellDoc]{doc}, nil
}

func (s *Server) cellProperty(pc livestate.PropertyCell, now time.Time) CellProperty {
	out := CellProperty{N: pc.N, Fresh: pc.Fresh, Newest: time.UnixMilli(pc.Newest).UTC(), AgeS: age(pc.Newest, now)}
	if p, ok := s.cfg.Catalogue.ByNumber(pc.Property); ok {
		out.Property, out.Unit = p.Code, p.Unit
	}
	if pc.Fresh > 0 {
		out.Mean, out.Min, out.Max, out.Worst = &pc.Mean, &pc.Min, &pc.Max, &pc.Worst
	}
	return out
}

type thingsInput struct {
	Place  string `query:"place" enum:"none,any" default:"any" doc:"none: only Things without a position"`
	Q      string `query:"q" doc:"part of the id or name"`
	Cursor string `query:"cursor"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// ThingPage is one page of Things; next is empty on the last.
type ThingPage struct {
	Things []ThingSummary `json:"things"`
	Next   string         `json:"next,omitempty"`
}

func (s *Server) things(ctx context.Context, in *thingsInput) (*body[ThingPage], error) {
	var from sensor.ThingKey
	if in.Cursor != "" {
		if _, err := fmt.Sscanf(in.Cursor, "%x", (*uint64)(&from)); err != nil {
			return nil, huma.Error400BadRequest("cursor is not one that this interface gave")
		}
	}
	page := ThingPage{Things: []ThingSummary{}}
	q, now, scope := strings.ToLower(in.Q), failpoint.Now(), scopeOf(ctx)
	for t := range s.cfg.Registry.Snapshot().ThingsFrom(from) {
		if in.Place == "none" && (t.Placed || t.ID.IsCanary()) || !scope.Has(sensor.StratumOf(t.Class, t.Grade)) || t.Retired ||
			q != "" && !strings.Contains(strings.ToLower(string(t.ID)+" "+t.Name), q) {
			continue
		}
		if len(page.Things) == in.Limit {
			page.Next = fmt.Sprintf("%x", uint64(t.ID.Key()))
			break
		}
		live, _ := s.cfg.Live.Thing(t.ID.Key(), 0)
		page.Things = append(page.Things, s.summary(t, &live, now))
	}
	return &body[ThingPage]{page}, nil
}

type thingInput struct {
	Owner string `path:"owner"`
	Name  string `path:"name"`
}

func (s *Server) thing(ctx context.Context, in *thingInput) (*body[ThingDoc], error) {
	id := sensor.ThingID(in.Owner + "/" + in.Name)
	snap := s.cfg.Registry.Snapshot()
	t, ok := snap.Thing(id)
	if !ok || !scopeOf(ctx).Has(sensor.StratumOf(t.Class, t.Grade)) {
		return nil, huma.Error404NotFound(fmt.Sprintf("no Thing %q", id))
	}
	return &body[ThingDoc]{s.thingDoc(snap, t)}, nil
}

func (s *Server) thingDoc(snap *registry.Snapshot, t *sensor.Thing) ThingDoc {
	now := failpoint.Now()
	live, _ := s.cfg.Live.Thing(t.ID.Key(), 0)
	doc := ThingDoc{ThingSummary: s.summary(t, &live, now), CRS: t.CRS, Address: t.Address, Serial: t.Serial,
		Scenes: t.Scenes, Auto: t.Auto, Retired: t.Retired, Version: t.Version, Datastreams: []DatastreamDoc{}}
	if t.Placed {
		doc.Original = &[2]float64{t.Original.Lon, t.Original.Lat}
	}
	for _, d := range snap.DatastreamsOf(t.ID) {
		dd := DatastreamDoc{ID: d.ID, Property: d.Property, Statistic: d.Statistic, SourceKey: d.SourceKey,
			Unit: s.unitOf(d), IntervalS: d.Interval.Seconds(), Min: d.Min, Max: d.Max, Rate: d.Rate, StillS: d.StillS, Auto: d.Auto}
		if l, ok := s.cfg.Live.Latest(d.ID); ok {
			dd.Latest = s.latest(snap, l, now)
		}
		if dd.Latest == nil && registry.IsTemplate(d) && len(snap.DatastreamsOf(t.ID)) > 1 && s.hasExact(snap, t.ID, d.Property) {
			continue // the readings' own Datastream of the same property tells more
		}
		doc.Datastreams = append(doc.Datastreams, dd)
	}
	sort.Slice(doc.Datastreams, func(i, j int) bool {
		a, b := doc.Datastreams[i], doc.Datastreams[j]
		return a.Property < b.Property || a.Property == b.Property && a.SourceKey < b.SourceKey
	})
	return doc
}

func (s *Server) hasExact(snap *registry.Snapshot, thing sensor.ThingID, p sensor.PropertyCode) bool {
	for _, d := range snap.DatastreamsOf(thing) {
		if d.Property == p && !registry.IsTemplate(d) {
			return true
		}
	}
	return false
}

// unitOf is the unit that results are stored in.
func (s *Server) unitOf(d *sensor.Datastream) string {
	if p, ok := s.cfg.Catalogue.ByCode(d.Property); ok {
		return p.Unit
	}
	return d.Unit
}

func (s *Server) summary(t *sensor.Thing, live *livestate.ThingSummary, now time.Time) ThingSummary {
	out := ThingSummary{ID: t.ID, Name: t.Name, Class: t.Class, Grade: t.Grade, Division: t.Division, Placed: t.Placed, Cell: t.Cell}
	place := t.Location
	if live != nil && live.Placed {
		out.Placed, place, out.Cell = true, live.Place, live.Cell
	}
	if out.Placed {
		out.Lon, out.Lat = &place.Lon, &place.Lat
	}
	if live != nil && live.Latest.Datastream != 0 {
		out.Latest = s.latest(s.cfg.Registry.Snapshot(), live.Latest, now)
	}
	return out
}

func (s *Server) latest(snap *registry.Snapshot, l livestate.Latest, now time.Time) *LatestValue {
	v := &LatestValue{Datastream: l.Datastream, Text: l.Text, Time: time.UnixMilli(l.PhenomenonTime).UTC(),
		AgeS: age(l.PhenomenonTime, now), DelayS: float64(l.ArrivalTime-l.PhenomenonTime) / 1000, Fresh: l.Fresh, Quality: l.Quality.String()}
	if l.Text == "" {
		v.Result = &l.Result
	}
	if d, ok := snap.Datastream(l.Datastream); ok {
		v.Property, v.SourceKey, v.Unit = d.Property, d.SourceKey, s.unitOf(d)
	} else if p, ok := s.cfg.Catalogue.ByNumber(l.Property); ok {
		v.Property, v.Unit = p.Code, p.Unit
	}
	return v
}

func age(ms int64, now time.Time) float64 {
	return float64(now.UnixMilli()-ms) / 1000
}

// scopeOf is what a principal may see on the map. Whoever is let in without a key sits at this machine.
func scopeOf(context.Context) sensor.Scope { return sensor.ScopeAll }

// Scope gives the request's scope to the tile and live handlers.
func Scope(r *http.Request) sensor.Scope { return scopeOf(r.Context()) }
