package livestate

import (
	"math"
	"slices"
	"time"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// model is the situation computed the slow way: it keeps every row and answers by going through all of them.
type model struct {
	meta map[sensor.DatastreamID]Info
	rows []modelRow
	now  int64
}

type modelRow struct {
	key
	ds     sensor.DatastreamID
	thing  sensor.ThingKey
	result float64
	lon    int32
	lat    int32
}

func (m *model) Meta(d sensor.DatastreamID) (Info, bool) { i, ok := m.meta[d]; return i, ok }

// latest is the last row of each Datastream and of each Thing among those with a position.
func (m *model) latest() (map[sensor.DatastreamID]modelRow, map[sensor.ThingKey]modelRow) {
	values, places := make(map[sensor.DatastreamID]modelRow), make(map[sensor.ThingKey]modelRow)
	for _, r := range m.rows {
		if old, ok := values[r.ds]; !ok || old.less(r.key) {
			values[r.ds] = r
		}
		if old, ok := places[r.thing]; r.lon != sensor.NoPosition && (!ok || old.less(r.key)) {
			places[r.thing] = r
		}
	}
	return values, places
}

func (m *model) fresh(r modelRow) bool {
	every := m.meta[r.ds].Interval
	if every == 0 {
		every = DefaultInterval
	}
	return m.now/1000 <= (r.phenomenon+2*every.Milliseconds())/1000
}

// shown is the one value of each Thing and property that is on the map.
type shown struct {
	row   modelRow
	info  Info
	place modelRow
	fresh bool
}

func (m *model) shown() []shown {
	values, places := m.latest()
	best := make(map[[2]uint64]shown)
	for ds, r := range values {
		info, ok := m.meta[ds]
		place, placed := places[r.thing]
		mapped := info.Statistic == sensor.Instant || info.Statistic == sensor.Average
		if !ok || !placed || info.Property == 0 || info.Retired || !mapped || math.IsNaN(r.result) || math.IsInf(r.result, 0) {
			continue
		}
		a := shown{r, info, place, m.fresh(r)}
		slot := [2]uint64{uint64(r.thing), uint64(info.Property)}
		if b, ok := best[slot]; !ok || better(a, b) {
			best[slot] = a
		}
	}
	var out []shown
	for _, a := range best {
		out = append(out, a)
	}
	return out
}

func better(a, b shown) bool {
	switch {
	case a.fresh != b.fresh:
		return a.fresh
	case a.info.Statistic != b.info.Statistic:
		return a.info.Statistic == sensor.Instant
	case a.row.key != b.row.key:
		return b.row.less(a.row.key)
	}
	return a.row.ds < b.row.ds
}

// cells groups what is shown of a property by cell, with the greatest absolute fresh value beside (the scale that
// rounding errors are judged by).
func (m *model) cells(p *sensor.ObservedProperty, res int, scope sensor.Scope) (map[geo.Cell]sensor.CellSummary, map[geo.Cell]float64) {
	values := make(map[geo.Cell][]float64)
	out, scale := make(map[geo.Cell]sensor.CellSummary), make(map[geo.Cell]float64)
	for _, a := range m.shown() {
		if a.info.Property != p.Number || !scope.Has(sensor.StratumOf(a.info.Class, a.info.Grade)) {
			continue
		}
		full := h3.CellAt(geo.FromE7(a.place.lon, a.place.lat), h3.StoredResolution)
		cell := full.Parent(res)
		c := out[cell]
		c.Cell, c.N = cell, c.N+1
		if c.N == 1 || a.row.phenomenon > c.Newest {
			c.Newest = a.row.phenomenon
		}
		if a.fresh {
			values[cell] = append(values[cell], a.row.result)
			scale[cell] = max(scale[cell], math.Abs(a.row.result))
		}
		out[cell] = c
	}
	for cell, v := range values {
		c := out[cell]
		c.Fresh, c.Min, c.Max = uint32(len(v)), slices.Min(v), slices.Max(v)
		slices.Sort(v)
		sum := 0.0
		for _, x := range v {
			sum += x
		}
		c.Mean, c.Worst = sum/float64(len(v)), p.WorstOf(c.Min, c.Max)
		out[cell] = c
	}
	return out, scale
}

// same compares two summaries; means may differ by rounding at the scale of the values they are of.
func same(a, b sensor.CellSummary, scale float64) bool {
	if math.Abs(a.Mean-b.Mean) > 1e-9*(1+scale) {
		return false
	}
	a.Mean, b.Mean = 0, 0
	return a == b
}

func at(ms int64) time.Time { return time.UnixMilli(ms) }
