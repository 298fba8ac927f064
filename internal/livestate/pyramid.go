package livestate

import (
	"math"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// node is one cell of one property and stratum. A leaf (resolution Finest) sums its members, a node above it its
// children. An observation changes the node and its ancestors by the difference alone; only when an extreme
// leaves, or rounding may have added up, is a node computed anew from what is below it.
type node struct {
	sum      float64 // over fresh members; so are min and max, infinite when there are none
	min, max float64
	newest   int64 // over all members
	version  uint64
	drift    float32 // bound of sum's rounding error, in units of its last place
	n, fresh uint32
	parent   uint32
	after    uint32 // next child of the same parent
	level    int8   // resolution - Coarsest
	dirty    bool
}

// spot is the rest of a node: what it is of, where, and beside which.
type spot struct {
	cell     geo.Cell
	x, y     uint32 // centre on the world's square
	below    uint32 // first child, or first member of a leaf
	prev     uint32 // child of the same parent
	property sensor.PropertyNumber
	stratum  sensor.Stratum
}

// layer is the pyramid of one property.
type layer struct {
	property *sensor.ObservedProperty
	nodes    [levels]map[uint64]uint32 // by cell and stratum
	grids    [levels]grid
}

// emptied is a node that had lost its last member at a version.
type emptied struct {
	node    uint32
	version uint64
	at      int64
}

// bucketZoom gives for each level the slippy zoom whose tiles are the buckets of its grid: about a tile as it is
// asked for at that resolution.
var bucketZoom = [levels]uint8{6, 8, 10, 12, 14}

const groundZoom = 14

func nodeKey(c geo.Cell, t sensor.Stratum) uint64 { return uint64(c) | uint64(t)<<56 } // bits H3 keeps zero

// layer finds or makes the pyramid of a property.
func (s *State) layer(p sensor.PropertyNumber) *layer {
	for len(s.layers) <= int(p) {
		s.layers = append(s.layers, nil)
	}
	if s.layers[p] == nil {
		l := &layer{}
		for i := range levels {
			l.nodes[i], l.grids[i] = make(map[uint64]uint32), newGrid(bucketZoom[i])
		}
		if l.property, _ = s.catalogue.ByNumber(p); l.property == nil {
			l.property = &sensor.ObservedProperty{Number: p}
		}
		s.layers[p] = l
	}
	return s.layers[p]
}

// node finds or makes the node of a cell, and with it its ancestors.
func (s *State) node(p sensor.PropertyNumber, t sensor.Stratum, c geo.Cell) uint32 {
	level := c.Resolution() - Coarsest
	l := s.layer(p)
	if ni, ok := l.nodes[level][nodeKey(c, t)]; ok {
		return ni
	}
	parent := nothing
	if level > 0 {
		parent = s.node(p, t, c.Parent(c.Resolution()-1))
	}
	ni := uint32(len(s.nodes))
	if n := len(s.freed); n > 0 {
		ni, s.freed = s.freed[n-1], s.freed[:n-1]
	} else {
		s.nodes, s.spots = append(s.nodes, node{}), append(s.spots, spot{})
	}
	x, y := world(centre(c))
	s.nodes[ni] = node{level: int8(level), parent: parent, after: nothing, min: math.Inf(1), max: math.Inf(-1), newest: never}
	s.spots[ni] = spot{cell: c, property: p, stratum: t, x: x, y: y, below: nothing, prev: nothing}
	if parent != nothing {
		up := &s.spots[parent]
		s.nodes[ni].after = up.below
		if up.below != nothing {
			s.spots[up.below].prev = ni
		}
		up.below = ni
	}
	l.nodes[level][nodeKey(c, t)] = ni
	l.grids[level].insert(s.spots, ni)
	return ni
}

// centre is the middle of a cell. H3 knows it of every cell it made itself, and the pyramid holds no others.
func centre(c geo.Cell) geo.LonLat {
	p, err := h3.Center(c)
	if err != nil {
		return geo.LonLat{} // Cell and Things may be asked for an index that does not exist: nothing is there
	}
	return p
}

// enter makes a stream a member of the leaf its Thing stands in.
func (s *State) enter(si uint32) {
	st := &s.streams[si]
	th := &s.things[st.thing]
	leaf := s.node(st.property, th.stratum, th.cell.Parent(Finest))
	st.leaf, st.after, s.links[si].prev = leaf, s.spots[leaf].below, nothing
	if st.after != nothing {
		s.links[st.after].prev = si
	}
	s.spots[leaf].below = si
	c := st.contribution()
	for ni := leaf; ni != nothing; ni = s.nodes[ni].parent {
		nd := s.touch(ni)
		nd.n++
		nd.newest = max(nd.newest, c.newest)
		if c.fresh {
			nd.add(c.result)
		}
	}
}

// leave takes a stream, whose contribution was c, off the map.
func (s *State) leave(si uint32, c contribution) {
	st := &s.streams[si]
	leaf := st.leaf
	prev := s.links[si].prev
	if prev != nothing {
		s.streams[prev].after = st.after
	} else {
		s.spots[leaf].below = st.after
	}
	if st.after != nothing {
		s.links[st.after].prev = prev
	}
	st.leaf = nothing
	for ni := leaf; ni != nothing; ni = s.nodes[ni].parent {
		nd := s.touch(ni)
		nd.n--
		stale := nd.newest == c.newest
		if c.fresh && nd.remove(c.result) || stale {
			s.mark(ni)
		}
		if nd.n == 0 {
			s.empties = append(s.empties, emptied{ni, nd.version, s.now})
		}
	}
}

// replace changes a member's contribution.
func (s *State) replace(leaf uint32, old, c contribution) {
	for ni := leaf; ni != nothing; {
		nd := s.touch(ni)
		redo := false
		switch {
		case old.fresh && c.fresh:
			redo = nd.change(old.result, c.result)
		case old.fresh:
			redo = nd.remove(old.result)
		case c.fresh:
			nd.add(c.result)
		}
		if c.newest >= nd.newest {
			nd.newest = c.newest
		} else if old.newest == nd.newest {
			redo = true
		}
		if redo {
			s.mark(ni)
		}
		ni = nd.parent
	}
}

func (s *State) touch(ni uint32) *node {
	s.touched = true
	nd := &s.nodes[ni]
	nd.version = s.version + 1
	return nd
}

// mark has a node computed anew at the end of this change.
func (s *State) mark(ni uint32) {
	if nd := &s.nodes[ni]; !nd.dirty {
		nd.dirty = true
		s.dirty[nd.level] = append(s.dirty[nd.level], ni)
	}
}

// add, remove and change adjust fresh, sum, min and max; the latter two report whether the node must be computed anew.

func (nd *node) add(v float64) {
	nd.fresh++
	nd.min, nd.max = min(nd.min, v), max(nd.max, v)
	nd.sum += v
	nd.drifted(v)
}

func (nd *node) remove(v float64) bool {
	nd.fresh--
	if nd.fresh == 0 {
		nd.sum, nd.drift, nd.min, nd.max = 0, 0, math.Inf(1), math.Inf(-1)
		return false
	}
	nd.sum -= v
	return nd.drifted(v) || v <= nd.min || v >= nd.max
}

func (nd *node) change(old, v float64) bool {
	if nd.fresh == 1 { // the usual leaf
		nd.sum, nd.min, nd.max, nd.drift = v, v, v, 0
		return false
	}
	nd.sum += v - old
	redo := nd.drifted(math.Abs(old) + math.Abs(v))
	if v >= nd.max {
		nd.max = v
	} else if old >= nd.max {
		redo = true
	}
	if v <= nd.min {
		nd.min = v
	} else if old <= nd.min {
		redo = true
	}
	return redo
}

// drifted adds to the bound of the rounding error, and reports whether it has become visible: a value of 1e18 that
// comes and goes must not leave its rounding behind in a sum of temperatures.
func (nd *node) drifted(v float64) bool {
	const place, relative, absolute = 0x1p-52, 1e-10, 1e-12
	nd.drift += float32(math.Abs(nd.sum) + math.Abs(v))
	return !(float64(nd.drift)*place <= relative*math.Abs(nd.sum)+absolute) // NaN and overflow are visible, too
}

// recompute makes the marked nodes anew, leaves first.
func (s *State) recompute() {
	for level := levels - 1; level >= 0; level-- {
		for _, ni := range s.dirty[level] {
			nd := &s.nodes[ni]
			nd.dirty = false
			nd.sum, nd.drift, nd.min, nd.max, nd.newest = 0, 0, math.Inf(1), math.Inf(-1), never
			if level == levels-1 {
				for si := s.spots[ni].below; si != nothing; si = s.streams[si].after {
					nd.gather(&s.streams[si])
				}
				continue
			}
			for ci := s.spots[ni].below; ci != nothing; ci = s.nodes[ci].after {
				nd.gatherNode(&s.nodes[ci])
			}
		}
		s.dirty[level] = s.dirty[level][:0]
	}
}

func (nd *node) gather(st *stream) {
	nd.newest = max(nd.newest, st.phenomenon)
	if st.has(fresh) {
		nd.sum += st.result
		nd.min, nd.max = min(nd.min, st.result), max(nd.max, st.result)
	}
}

func (nd *node) gatherNode(c *node) {
	nd.newest = max(nd.newest, c.newest)
	if c.fresh > 0 {
		nd.sum += c.sum
		nd.min, nd.max = min(nd.min, c.min), max(nd.max, c.max)
	}
}

// forget frees nodes that have been empty for a while, at most n of them, and reports whether there are more. Their
// last version goes into the floors, so that nobody is told of changes since before it as if that were everything.
func (s *State) forget(n int) (more bool) {
	for ; n > 0; n-- {
		if len(s.empties) == 0 {
			s.empties = nil
			return false
		}
		e := s.empties[0]
		if e.at > s.now-keepEmpty {
			return false
		}
		s.empties = s.empties[1:]
		if nd := &s.nodes[e.node]; nd.n == 0 && nd.version == e.version {
			s.free(e.node)
		}
	}
	return true
}

func (s *State) free(ni uint32) {
	nd, at := &s.nodes[ni], &s.spots[ni]
	s.floor = max(s.floor, nd.version)
	l := s.layers[at.property]
	delete(l.nodes[nd.level], nodeKey(at.cell, at.stratum))
	l.grids[nd.level].remove(s.spots, ni, nd.version)
	if at.prev != nothing {
		s.nodes[at.prev].after = nd.after
	} else if nd.parent != nothing {
		s.spots[nd.parent].below = nd.after
	}
	if nd.after != nothing {
		s.spots[nd.after].prev = at.prev
	}
	*nd = node{} // version 0: whatever else is known of it in empties is void
	s.freed = append(s.freed, ni)
}
