package geo

import "math"

// The datums of Chinese maps. GCJ-02 shifts WGS 84 by some hundred metres with a smooth function of position over
// the Krasovsky 1940 ellipsoid; BD-09 turns and shifts GCJ-02 once more. The functions are the ones in public use since
// 2013. The inverses have no closed form: they are iterated until forward(inverse(p)) is p, to about 1e-11 degrees.
//
// Outside a rectangle around China both shifts are nil. Within a kilometre of that rectangle's rim a shifted
// position may have two origins or none; the nearer reading, no shift, is taken there.

const (
	gcjAxis         = 6378245.0              // Krasovsky 1940, metres
	gcjEccentricity = 0.00669342162296594323 // squared
	bdTurn          = math.Pi * 3000 / 180
)

// shiftedWest and the others bound the rectangle in which the shifts apply.
const (
	shiftedWest, shiftedEast   = 72.004, 137.8347
	shiftedSouth, shiftedNorth = 0.8293, 55.8271
)

// ToWGS84 gives the WGS 84 position of p, whose datum is from.
func ToWGS84(p LonLat, from CRS) LonLat {
	switch from {
	case GCJ02:
		return invert(p, wgsToGCJ)
	case BD09:
		return invert(invert(p, gcjToBD), wgsToGCJ)
	}
	return p
}

// FromWGS84 gives the position in datum to of p, whose datum is WGS 84.
func FromWGS84(p LonLat, to CRS) LonLat {
	switch to {
	case GCJ02:
		return wgsToGCJ(p)
	case BD09:
		return gcjToBD(wgsToGCJ(p))
	}
	return p
}

func shifted(p LonLat) bool {
	return p.Lon >= shiftedWest && p.Lon <= shiftedEast && p.Lat >= shiftedSouth && p.Lat <= shiftedNorth
}

// invert finds q with forward(q) = p. Forward is the identity plus a shift that changes by less than one percent of
// the distance moved, so every round gains two digits.
func invert(p LonLat, forward func(LonLat) LonLat) LonLat {
	if !shifted(p) {
		return p
	}
	q := p
	for range 16 {
		f := forward(q)
		dLon, dLat := p.Lon-f.Lon, p.Lat-f.Lat
		q.Lon += dLon
		q.Lat += dLat
		if !shifted(q) {
			return p
		}
		if math.Abs(dLon) < 1e-10 && math.Abs(dLat) < 1e-10 { // the next round would gain two digits more
			break
		}
	}
	return q
}

func wgsToGCJ(p LonLat) LonLat {
	if !shifted(p) {
		return p
	}
	x, y := p.Lon-105, p.Lat-35
	east, north := gcjMetres(x, y)
	sin, cos := math.Sincos(p.Lat * math.Pi / 180)
	w2 := 1 - gcjEccentricity*sin*sin
	w := math.Sqrt(w2)
	meridian := gcjAxis * (1 - gcjEccentricity) / (w2 * w) // radius of curvature north-south
	parallel := gcjAxis / w * cos
	return LonLat{
		Lon: p.Lon + east/parallel*180/math.Pi,
		Lat: p.Lat + north/meridian*180/math.Pi,
	}
}

// gcjMetres is the shift in metres at x degrees east of 105 and y degrees north of 35.
func gcjMetres(x, y float64) (east, north float64) {
	wave := func(amplitude, at, period float64) float64 { return amplitude * 2 / 3 * math.Sin(2*math.Pi*at/period) }
	root := math.Sqrt(math.Abs(x))
	ripple := wave(20, x, 1.0/3) + wave(20, x, 1)
	east = 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*root + ripple +
		wave(20, x, 2) + wave(40, x, 6) + wave(150, x, 24) + wave(300, x, 60)
	north = -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*root + ripple +
		wave(20, y, 2) + wave(40, y, 6) + wave(160, y, 24) + wave(320, y, 60)
	return east, north
}

func gcjToBD(p LonLat) LonLat { return gcjToBDBy(p, bdTurn) }

// gcjToBDBy takes bdTurn as an argument because some libraries are known to have it wrong (see the test).
func gcjToBDBy(p LonLat, turn float64) LonLat {
	if !shifted(p) {
		return p
	}
	radius := math.Hypot(p.Lon, p.Lat) + 0.00002*math.Sin(p.Lat*turn)
	angle := math.Atan2(p.Lat, p.Lon) + 0.000003*math.Cos(p.Lon*turn)
	sin, cos := math.Sincos(angle)
	return LonLat{Lon: radius*cos + 0.0065, Lat: radius*sin + 0.006}
}

// earthRadius is the mean radius of WGS 84 in metres.
const earthRadius = 6371008.8

// Metres is the distance between two WGS 84 positions on a sphere; at most 0.5 % off the ellipsoid's.
func Metres(a, b LonLat) float64 {
	const rad = math.Pi / 180
	sinLat := math.Sin((b.Lat - a.Lat) * rad / 2)
	sinLon := math.Sin((b.Lon - a.Lon) * rad / 2)
	h := sinLat*sinLat + math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*sinLon*sinLon
	return 2 * earthRadius * math.Asin(math.Min(1, math.Sqrt(h)))
}
