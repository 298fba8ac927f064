package tile

import "github.com/situ-city/situ/pkg/geo"

// frame is a tile's place on the square of Web Mercator.
type frame struct {
	x, y  int64 // of its north-west corner
	side  int64 // how wide it is
	edge  int64 // how far the buffer reaches beyond
	shift int   // world units to tile units: divide by 2^shift (negative: multiply)
}

func frameOf(t geo.Tile) frame {
	side := int64(1) << (32 - t.Z)
	return frame{x: int64(t.X) * side, y: int64(t.Y) * side, side: side, edge: side * buffer / extent,
		shift: 32 - int(t.Z) - extentBits}
}

// units turns a distance from the corner into units of the tile, to the nearest.
func (f frame) units(d int64) int32 {
	if f.shift <= 0 {
		return int32(d << -f.shift)
	}
	return int32((d + 1<<(f.shift-1)) >> f.shift)
}

// near gives the distance from the tile's west edge to world column x, the short way round the world.
func (f frame) near(x uint32) int64 {
	return int64(int32(x-uint32(f.x+f.side/2))) + f.side/2
}

// point gives the unit of the tile that p lies in, and whether that is inside the tile or its buffer.
func (f frame) point(p geo.LonLat) (xy, bool) {
	x, y := world(p)
	dx, dy := f.near(x), int64(y)-f.y
	if f.outside(dx, dx, dy, dy) {
		return xy{}, false
	}
	return xy{f.units(dx), f.units(dy)}, true
}

// outside tells whether a box, given by its distances from the tile's corner, lies wholly beyond the buffer.
func (f frame) outside(west, east, north, south int64) bool {
	return east < -f.edge || west > f.side+f.edge || south < -f.edge || north > f.side+f.edge
}

func inside(p xy) bool {
	return p.x >= -buffer && p.x <= extent+buffer && p.y >= -buffer && p.y <= extent+buffer
}

// polygon draws an outline, moved by so many world units in x, into ring: clipped to the tile with its buffer, wound
// clockwise on the screen [MVT 2.1 4.3.3.3], without repeated points, not closed. It is empty when nothing of the
// cell lies there. spare is room to work in.
func (f frame) polygon(ring []xy, spare *[]xy, o *outline, move int64) []xy {
	ring = ring[:0]
	first := f.near(o.x[0]) + move
	if f.outside(first+o.west, first+o.east, o.north-f.y, o.south-f.y) {
		return ring
	}
	outside := false
	for i := range o.n {
		dx := first + int64(int32(o.x[i]-o.x[0]))
		p := xy{f.units(dx), f.units(int64(o.y[i]) - f.y)}
		outside = outside || !inside(p)
		ring = append(ring, p)
	}
	tiny := ring[0]
	if outside {
		ring = clip(ring, spare)
	}
	ring = distinct(ring)
	switch a := area(ring); {
	case a > 0:
		return ring
	case a < 0:
		for i, j := 0, len(ring)-1; i < j; i, j = i+1, j-1 {
			ring[i], ring[j] = ring[j], ring[i]
		}
		return ring
	case !outside: // seen from so far away that rounding left nothing: the least there can be
		return append(ring[:0], tiny, xy{tiny.x + 1, tiny.y}, xy{tiny.x + 1, tiny.y + 1}, xy{tiny.x, tiny.y + 1})
	}
	return ring[:0]
}

// clip cuts a convex ring along the four edges of the buffer, one after the other (Sutherland and Hodgman 1974).
func clip(ring []xy, spare *[]xy) []xy {
	const low, high = -buffer, extent + buffer
	from, to := ring, (*spare)[:0]
	for edge := range 4 {
		to = to[:0]
		for i, p := range from {
			q := from[(i+1)%len(from)]
			pIn, qIn := keeps(edge, p), keeps(edge, q)
			if pIn {
				to = append(to, p)
			}
			if pIn != qIn {
				switch edge {
				case 0:
					to = append(to, xy{low, cross(p.x, p.y, q.x, q.y, low)})
				case 1:
					to = append(to, xy{high, cross(p.x, p.y, q.x, q.y, high)})
				case 2:
					to = append(to, xy{cross(p.y, p.x, q.y, q.x, low), low})
				case 3:
					to = append(to, xy{cross(p.y, p.x, q.y, q.x, high), high})
				}
			}
		}
		from, to = to, from
	}
	*spare = to[:0] // four edges are an even number of swaps: from is the room of ring again
	return from
}

func keeps(edge int, p xy) bool {
	switch edge {
	case 0:
		return p.x >= -buffer
	case 1:
		return p.x <= extent+buffer
	case 2:
		return p.y >= -buffer
	}
	return p.y <= extent+buffer
}

// cross is where the line from (a, b) to (c, d) has its first coordinate at: the second one there, rounded.
func cross(a, b, c, d, at int32) int32 {
	n, m := int64(at-a)*int64(d-b), int64(c-a)
	if m < 0 {
		n, m = -n, -m
	}
	if n >= 0 {
		return b + int32((n+m/2)/m)
	}
	return b - int32((-n+m/2)/m)
}

// distinct drops points equal to their neighbour.
func distinct(ring []xy) []xy {
	out := ring[:0]
	for i, p := range ring {
		if i == 0 || p != out[len(out)-1] {
			out = append(out, p)
		}
	}
	for len(out) > 1 && out[0] == out[len(out)-1] {
		out = out[:len(out)-1]
	}
	return out
}

// area is twice the ring's area by the surveyor's formula, positive when clockwise on the screen (y downwards).
func area(ring []xy) int64 {
	var sum int64
	for i, p := range ring {
		q := ring[(i+1)%len(ring)]
		sum += int64(p.x)*int64(q.y) - int64(q.x)*int64(p.y)
	}
	return sum
}
