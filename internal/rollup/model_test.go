package rollup_test

import (
	"cmp"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// cellKey is a row of cells_*; the zero cell and no property is one of datastream_1h.
type cellKey struct {
	window       int64
	cell         geo.Cell
	property     string
	class, grade string
	division     uint32
	datastream   sensor.DatastreamID
}

type cellValue struct {
	n, flagged     uint64
	sum, min, max  float64
	newest         int64
	things, owners map[string]bool
}

// stands are the rows that history shows: of an instant, the greatest resultTime, then arrival, then identity.
func (w *world) stands() map[store.Pair]row {
	out := map[store.Pair]row{}
	for _, r := range w.rows {
		pair := store.Pair{Datastream: r.Datastream, PhenomenonTime: r.PhenomenonTime}
		old, there := out[pair]
		if !there || cmp.Or(cmp.Compare(r.ResultTime, old.ResultTime), cmp.Compare(r.arrival, old.arrival), cmp.Compare(r.id.Lane, old.id.Lane),
			cmp.Compare(r.id.Seq, old.id.Seq), cmp.Compare(r.id.Idx, old.id.Idx)) > 0 {
			out[pair] = r
		}
	}
	return out
}

// expect rolls up in Go, for windows of a length; datastreams says which of the two kinds of view.
func (w *world) expect(window time.Duration, datastreams bool) map[cellKey]*cellValue {
	out := map[cellKey]*cellValue{}
	for _, r := range w.stands() {
		if r.Text != "" || math.IsInf(r.Result, 0) || math.IsNaN(r.Result) {
			continue
		}
		thing, stream := w.of(r.Datastream)
		k := cellKey{window: r.PhenomenonTime / 1000 / int64(window.Seconds()) * int64(window.Seconds()), datastream: r.Datastream}
		if !datastreams {
			if r.Lon == sensor.NoPosition || stream.Statistic > sensor.Average {
				continue
			}
			k.cell, k.datastream = cellE7(r.Lon, r.Lat).Parent(9), 0
			k.property, k.class, k.grade, k.division = string(stream.Property), thing.Class.String(), thing.Grade.String(), uint32(thing.Division)
		}
		v := out[k]
		if v == nil {
			v = &cellValue{min: math.Inf(1), max: math.Inf(-1), things: map[string]bool{}, owners: map[string]bool{}}
			out[k] = v
		}
		if r.Quality&store.Doubted != 0 {
			v.flagged++
			continue
		}
		v.n++
		v.sum += r.Result
		v.min, v.max, v.newest = min(v.min, r.Result), max(v.max, r.Result), max(v.newest, r.PhenomenonTime)
		v.things[string(thing.ID)], v.owners[thing.ID.Owner()] = true, true
	}
	return out
}

func (w *world) of(id sensor.DatastreamID) (*sensor.Thing, *sensor.Datastream) {
	for i := range w.streams {
		if w.streams[i].ID == id {
			return &w.things[i/3], &w.streams[i]
		}
	}
	panic("a Datastream that nobody declared")
}

// compareViews reads what people read.
func (w *world) compareViews(t *testing.T) {
	t.Helper()
	for view, window := range map[string]time.Duration{"cells_5m": 5 * time.Minute, "cells_1h": time.Hour, "cells_1d": 24 * time.Hour} {
		got := w.read(t, `SELECT toUnixTimestamp(window), cell, property, owner_class, grade, division, toUInt64(0), n, flagged, sum, min, max, ifNull(newest, toDateTime64(0, 3, 'UTC')), things, owners FROM `+w.db+`.`+view)
		compare(t, view, got, w.expect(window, false))
	}
	got := w.read(t, `SELECT toUnixTimestamp(window), toUInt64(0), '', '', '', toUInt32(0), datastream, n, flagged, sum, min, max, ifNull(newest, toDateTime64(0, 3, 'UTC')), toUInt64(n > 0), toUInt64(n > 0)
		FROM `+w.db+`.datastream_1h WHERE n + flagged > 0`)
	compare(t, "datastream_1h", got, w.expect(time.Hour, true))
}

type viewed struct {
	cellValue
	nThings, nOwners uint64
}

func (w *world) read(t *testing.T, query string) map[cellKey]viewed {
	t.Helper()
	rows, err := w.conn.Query(t.Context(), query)
	must(t, err)
	defer rows.Close()
	out := map[cellKey]viewed{}
	for rows.Next() {
		var k cellKey
		var v viewed
		var window uint32
		var cell, id uint64
		var newest time.Time
		must(t, rows.Scan(&window, &cell, &k.property, &k.class, &k.grade, &k.division, &id, &v.n, &v.flagged, &v.sum, &v.min, &v.max, &newest, &v.nThings, &v.nOwners))
		k.window, k.cell, k.datastream, v.newest = int64(window), geo.Cell(cell), sensor.DatastreamID(id), newest.UnixMilli()
		if _, twice := out[k]; twice {
			t.Errorf("two rows of %+v", k)
		}
		out[k] = v
	}
	must(t, rows.Err())
	return out
}

func compare(t *testing.T, view string, got map[cellKey]viewed, want map[cellKey]*cellValue) {
	t.Helper()
	wrong := 0
	tell := func(format string, args ...any) {
		if wrong++; wrong < 4 {
			t.Errorf(view+": "+format, args...)
		}
	}
	for k, g := range got {
		m := want[k]
		if m == nil {
			tell("%+v is there, and should not be", k)
			continue
		}
		alike := g.n == m.n && g.flagged == m.flagged && g.newest == m.newest && g.nThings == uint64(len(m.things)) && g.nOwners == uint64(len(m.owners))
		if m.n > 0 {
			alike = alike && g.min == m.min && g.max == m.max && math.Abs(g.sum-m.sum) <= 1e-12*float64(m.n)*max(math.Abs(m.min), math.Abs(m.max), 1)
		} else {
			alike = alike && math.IsNaN(g.min) && math.IsNaN(g.max)
		}
		if !alike {
			tell("%+v: %+v, want %+v", k, g, *m)
		}
	}
	for k := range want {
		if _, ok := got[k]; !ok {
			tell("%+v is missing", k)
		}
	}
	if wrong > 0 {
		t.Fatal(fmt.Sprintf("%s: %d of %d rows are wrong", view, wrong, len(want)))
	}
}
