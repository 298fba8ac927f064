package livestate

import (
	"math"
	"slices"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// total sums the nodes of one cell over the strata of a scope.
type total struct {
	cell     geo.Cell
	n, fresh uint32
	sum      float64
	min, max float64
	newest   int64
	version  uint64
}

func newTotal(c geo.Cell) total {
	return total{cell: c, min: math.Inf(1), max: math.Inf(-1), newest: never}
}

func (t *total) add(nd *node) {
	t.n += nd.n
	t.version = max(t.version, nd.version)
	if nd.n > 0 {
		t.newest = max(t.newest, nd.newest)
	}
	if nd.fresh > 0 {
		t.fresh += nd.fresh
		t.sum += nd.sum
		t.min, t.max = min(t.min, nd.min), max(t.max, nd.max)
	}
}

func (t *total) addStream(st *stream) {
	t.n++
	t.newest = max(t.newest, st.phenomenon)
	if st.has(fresh) {
		t.fresh++
		t.sum += st.result
		t.min, t.max = min(t.min, st.result), max(t.max, st.result)
	}
}

func (t *total) summary(p *sensor.ObservedProperty) sensor.CellSummary {
	c := sensor.CellSummary{Cell: t.cell, N: t.n, Fresh: t.fresh}
	if t.n > 0 {
		c.Newest = t.newest
	}
	if t.fresh > 0 {
		c.Mean, c.Min, c.Max = t.sum/float64(t.fresh), t.min, t.max
		c.Worst = p.WorstOf(t.min, t.max)
	}
	return c
}

// Cells appends to dst the cells of resolution res (0 to Finest) that have a value of property p for the scope and
// may touch area: all that do, and a few near it. The version rises whenever any of these numbers changes.
func (s *State) Cells(dst []sensor.CellSummary, p sensor.PropertyNumber, res int, area geo.Box, scope sensor.Scope) ([]sensor.CellSummary, uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.cells(dst, p, res, area, scope, 0)
}

// Changes appends the cells that have changed since a version, those that have become empty with N = 0. It gives
// the version to ask with next time. complete is false when since is 0, of another process, or too long ago:
// then the cells are all there are.
func (s *State) Changes(dst []sensor.CellSummary, p sensor.PropertyNumber, res int, area geo.Box, scope sensor.Scope, since uint64) (cells []sensor.CellSummary, version uint64, complete bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if since < s.floor || since > s.version {
		since = 0
	}
	dst, _ = s.cells(dst, p, res, area, scope, since)
	return dst, s.version, since != 0
}

func (s *State) cells(dst []sensor.CellSummary, p sensor.PropertyNumber, res int, area geo.Box, scope sensor.Scope, since uint64) ([]sensor.CellSummary, uint64) {
	if int(p) >= len(s.layers) || s.layers[p] == nil || res < 0 {
		return dst, 0
	}
	l := s.layers[p]
	emit := func(t *total) {
		if since == 0 && t.n > 0 || since != 0 && t.version > since {
			dst = append(dst, t.summary(l.property))
		}
	}
	if res < Coarsest {
		return dst, s.fold(l, res, area, scope, emit)
	}
	level := min(res, Finest) - Coarsest
	version := s.scan(&l.grids[level], windowOf(area, radius[level+Coarsest]), scope, emit)
	return dst, version
}

// scan calls emit with every cell of a grid whose centre lies in w, and gives the greatest version in it.
func (s *State) scan(g *grid, w window, scope sensor.Scope, emit func(*total)) (version uint64) {
	g.visit(w, func(b *bucket) bool {
		version = max(version, b.floor)
		var t total
		for _, ni := range b.items {
			at := &s.spots[ni]
			if !scope.Has(at.stratum) || !w.holds(at.x, at.y) {
				continue
			}
			if at.cell != t.cell {
				if t.cell != 0 {
					version = max(version, t.version)
					emit(&t)
				}
				t = newTotal(at.cell)
			}
			t.add(&s.nodes[ni])
		}
		if t.cell != 0 {
			version = max(version, t.version)
			emit(&t)
		}
		return true
	})
	return version
}

// fold makes cells coarser than the pyramid's coarsest. To have every such cell that touches area whole, it looks
// at the children of those a cell's width around.
func (s *State) fold(l *layer, res int, area geo.Box, scope sensor.Scope, emit func(*total)) (version uint64) {
	var parents []total
	index := make(map[geo.Cell]int)
	version = s.scan(&l.grids[0], windowOf(area, 2*radius[res]+radius[Coarsest]), scope, func(t *total) {
		c := t.cell.Parent(res)
		i, ok := index[c]
		if !ok {
			i = len(parents)
			index[c], parents = i, append(parents, newTotal(c))
		}
		parents[i].merge(t)
	})
	w := windowOf(area, radius[res])
	for i := range parents {
		if w.holds(world(centre(parents[i].cell))) {
			emit(&parents[i])
		}
	}
	return version
}

func (t *total) merge(o *total) {
	t.n += o.n
	t.fresh += o.fresh
	t.sum += o.sum
	t.min, t.max = min(t.min, o.min), max(t.max, o.max)
	t.newest = max(t.newest, o.newest)
	t.version = max(t.version, o.version)
}

// Points appends to dst the Things in area that have a value of property p, at most limit of them. The version
// rises whenever any of them changes.
func (s *State) Points(dst []sensor.PointSummary, p sensor.PropertyNumber, area geo.Box, scope sensor.Scope, limit int) ([]sensor.PointSummary, uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if int(p) >= len(s.layers) || s.layers[p] == nil {
		return dst, 0
	}
	version := s.scan(&s.layers[p].grids[levels-1], windowOf(area, radius[Finest]), scope, func(*total) {})
	limit += len(dst)
	s.ground.visit(windowOf(area, 0), func(b *bucket) bool {
		for _, ti := range b.items {
			th := &s.things[ti]
			place := geo.FromE7(th.lon, th.lat)
			if !scope.Has(th.stratum) || !contains(area, place) {
				continue
			}
			st := s.member(th, p)
			if st == nil {
				continue
			}
			if len(dst) >= limit {
				return false
			}
			dst = append(dst, sensor.PointSummary{ID: s.names[ti].id, Thing: s.names[ti].key, Place: place, Class: th.class,
				Fresh: st.has(fresh), Result: st.result, Newest: st.phenomenon})
		}
		return true
	})
	return dst, version
}

// member is the stream that stands on the map for a Thing and a property, nil if none does.
func (s *State) member(th *thing, p sensor.PropertyNumber) *stream {
	for si := th.first; si != nothing; si = s.links[si].next {
		if st := &s.streams[si]; st.leaf != nothing && st.property == p {
			return st
		}
	}
	return nil
}

// PropertyCell is a cell's summary of one property.
type PropertyCell struct {
	Property sensor.PropertyNumber
	sensor.CellSummary
}

// Cell gives all properties that have a value in a cell of any resolution from 0 to 12, by property number.
func (s *State) Cell(c geo.Cell, scope sensor.Scope) []PropertyCell {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !c.Valid() {
		return nil
	}
	if c.Resolution() > Finest {
		return s.cellOfThings(c, scope)
	}
	var out []PropertyCell
	for p, l := range s.layers {
		if l == nil {
			continue
		}
		if t := s.totalOf(l, c, scope); t.n > 0 {
			out = append(out, PropertyCell{sensor.PropertyNumber(p), t.summary(l.property)})
		}
	}
	return out
}

func (s *State) totalOf(l *layer, c geo.Cell, scope sensor.Scope) total {
	t := newTotal(c)
	if res := c.Resolution(); res >= Coarsest {
		for stratum := range sensor.Stratum(sensor.Strata) {
			if ni, ok := l.nodes[res-Coarsest][nodeKey(c, stratum)]; ok && scope.Has(stratum) {
				t.add(&s.nodes[ni])
			}
		}
		return t
	}
	for _, ni := range l.nodes[0] {
		if at := &s.spots[ni]; scope.Has(at.stratum) && at.cell.Parent(c.Resolution()) == c {
			t.add(&s.nodes[ni])
		}
	}
	return t
}

// cellOfThings answers for cells finer than the pyramid's.
func (s *State) cellOfThings(c geo.Cell, scope sensor.Scope) []PropertyCell {
	totals := make(map[sensor.PropertyNumber]*total)
	s.within(c, func(ti uint32) bool {
		th := &s.things[ti]
		if !scope.Has(th.stratum) {
			return true
		}
		for si := th.first; si != nothing; si = s.links[si].next {
			st := &s.streams[si]
			if st.leaf == nothing {
				continue
			}
			if totals[st.property] == nil {
				t := newTotal(c)
				totals[st.property] = &t
			}
			totals[st.property].addStream(st)
		}
		return true
	})
	out := make([]PropertyCell, 0, len(totals))
	for p, t := range totals {
		out = append(out, PropertyCell{p, t.summary(s.layers[p].property)})
	}
	slices.SortFunc(out, func(a, b PropertyCell) int { return int(a.Property) - int(b.Property) })
	return out
}

// within calls see with every placed Thing in a cell until see returns false.
func (s *State) within(c geo.Cell, see func(ti uint32) bool) {
	p, res := centre(c), c.Resolution()
	w := windowOf(geo.Box{West: p.Lon, South: p.Lat, East: p.Lon, North: p.Lat}, radius[min(res, Finest)])
	s.ground.visit(w, func(b *bucket) bool {
		for _, ti := range b.items {
			if s.things[ti].cell.Parent(res) == c && !see(ti) {
				return false
			}
		}
		return true
	})
}
