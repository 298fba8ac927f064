package geo

import (
	"encoding/json"
	"fmt"
	"math"
)

// shape is the outline of one district: the edges of all its rings, in bands of latitude. A point is inside when a
// line from it to the east crosses the edges an odd number of times (islands and holes come out right by themselves).
type shape struct {
	code  DivisionCode
	box   Box
	rings [][]LonLat
	bands [][]edge // bands[i] has the edges that touch row i of the index's grid
}

type edge struct{ a, b LonLat }

func newShape(code DivisionCode, kind string, coordinates json.RawMessage) (shape, error) {
	var polygons [][][][2]float64
	var err error
	switch kind {
	case "Polygon":
		polygons = make([][][][2]float64, 1)
		err = json.Unmarshal(coordinates, &polygons[0])
	case "MultiPolygon":
		err = json.Unmarshal(coordinates, &polygons)
	default:
		err = fmt.Errorf("geometry %q", kind)
	}
	if err != nil {
		return shape{}, err
	}
	s := shape{code: code, box: noBox()}
	for _, polygon := range polygons {
		for _, ring := range polygon {
			r := make([]LonLat, len(ring))
			for i, v := range ring {
				r[i] = LonLat{Lon: v[0], Lat: v[1]}
				s.box = s.box.extend(r[i])
			}
			s.rings = append(s.rings, r)
		}
	}
	return s, nil
}

// edges calls f for every edge; the last vertex is joined with the first.
func (s *shape) edges(f func(edge)) {
	for _, r := range s.rings {
		for i, a := range r {
			if b := r[(i+1)%len(r)]; a != b {
				f(edge{a, b})
			}
		}
	}
}

// contains tells whether p, whose band is given, is inside. Of two shapes that share an edge, one owns its points.
func (s *shape) contains(p LonLat, band int) bool {
	inside := false
	for _, e := range s.bands[band] {
		if (e.a.Lat > p.Lat) != (e.b.Lat > p.Lat) &&
			p.Lon < e.a.Lon+(p.Lat-e.a.Lat)/(e.b.Lat-e.a.Lat)*(e.b.Lon-e.a.Lon) {
			inside = !inside
		}
	}
	return inside
}

// gridStep is the side of the index's squares in degrees, about 4 km.
const gridStep = 0.04

// outlineIndex answers most points by one look at a grid: squares that no edge touches belong to one district
// whole. The others name the districts whose edges touch them.
type outlineIndex struct {
	bounds     Box
	cols, rows int
	shapes     []shape
	whole      []DivisionCode // per square; 0 = none, or look at candidates
	candidates [][]uint8      // per square; indexes of shapes
}

func newOutlineIndex(shapes []shape) outlineIndex {
	x := outlineIndex{bounds: noBox(), shapes: shapes}
	for i := range shapes {
		x.bounds = x.bounds.union(shapes[i].box)
	}
	x.cols = int(math.Ceil((x.bounds.East-x.bounds.West)/gridStep)) + 1
	x.rows = int(math.Ceil((x.bounds.North-x.bounds.South)/gridStep)) + 1
	x.whole = make([]DivisionCode, x.cols*x.rows)
	x.candidates = make([][]uint8, x.cols*x.rows)
	for i := range shapes {
		x.addEdges(uint8(i))
	}
	for square := range x.whole {
		if x.candidates[square] != nil {
			continue
		}
		middle := LonLat{
			Lon: x.bounds.West + (float64(square%x.cols)+0.5)*gridStep,
			Lat: x.bounds.South + (float64(square/x.cols)+0.5)*gridStep,
		}
		for i := range shapes {
			if s := &shapes[i]; s.box.Contains(middle) && s.contains(middle, square/x.cols) {
				x.whole[square] = s.code
				break
			}
		}
	}
	return x
}

// addEdges puts the edges of a shape into its bands and marks the squares they may touch.
func (x *outlineIndex) addEdges(i uint8) {
	s := &x.shapes[i]
	s.bands = make([][]edge, x.rows)
	s.edges(func(e edge) {
		box := noBox().extend(e.a).extend(e.b)
		c0, r0 := x.square(LonLat{Lon: box.West, Lat: box.South})
		c1, r1 := x.square(LonLat{Lon: box.East, Lat: box.North})
		for r := r0; r <= r1; r++ {
			s.bands[r] = append(s.bands[r], e)
			for c := c0; c <= c1; c++ {
				list := &x.candidates[r*x.cols+c]
				if n := len(*list); n == 0 || (*list)[n-1] != i {
					*list = append(*list, i)
				}
			}
		}
	})
}

func (x *outlineIndex) square(p LonLat) (col, row int) {
	return int((p.Lon - x.bounds.West) / gridStep), int((p.Lat - x.bounds.South) / gridStep)
}

func (x *outlineIndex) at(p LonLat) DivisionCode {
	if !x.bounds.Contains(p) {
		return 0
	}
	col, row := x.square(p)
	square := row*x.cols + col
	for _, i := range x.candidates[square] {
		if s := &x.shapes[i]; s.contains(p, row) {
			return s.code
		}
	}
	return x.whole[square]
}

// noBox holds nothing; extend and union make boxes of it that do not cross the 180th meridian.
func noBox() Box { return Box{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)} }

func (b Box) extend(p LonLat) Box { return b.union(Box{p.Lon, p.Lat, p.Lon, p.Lat}) }

func (b Box) union(c Box) Box {
	return Box{min(b.West, c.West), min(b.South, c.South), max(b.East, c.East), max(b.North, c.North)}
}
