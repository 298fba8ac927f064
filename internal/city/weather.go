package city

import (
	"math"
	"time"

	"github.com/situ-city/situ/pkg/geo"
)

// climate is what the air over the city does: a daily rhythm, and fronts that travel from the north-west.
// It is a pure function of place, time and seed, so a city can be asked about any instant, in any order.
type climate struct {
	seed   uint64
	center geo.LonLat
}

const (
	frontEvery = 14 * time.Hour // between two fronts
	frontSpeed = 32.0           // km/h
	frontWidth = 45.0           // km from the front line to where it is half as strong
	kmPerDeg   = 111.2
	chinaHour  = 8 * time.Hour // Beijing time: rhythm follows the clock on the wall
)

// state of the air at one place and instant.
type state struct {
	sun   float64 // 0 at night to 1 at noon
	rush  float64 // traffic, 0 to 1: two peaks
	ahead float64 // 0 to 1: stagnant air before a front
	rain  float64 // 0 to 1: under the front
	clean float64 // 0 to 1: washed air behind it
	drift float64 // -1 to 1: slow wander of the whole city
}

func (c climate) at(p geo.LonLat, t time.Time) state {
	local := t.Add(chinaHour).UTC()
	hour := float64(local.Hour()) + float64(local.Minute())/60 + float64(local.Second())/3600
	s := state{
		sun:   math.Max(0, math.Sin((hour-6)/12*math.Pi)),
		rush:  bump(hour, 8.2, 1.3) + bump(hour, 18.3, 1.8) + 0.35*bump(hour, 13, 4),
		drift: smooth(c.seed, 1, float64(t.Unix())/10800),
	}
	// Distance along the front's way, km: fronts come from 315 degrees and leave to 135.
	dx := (p.Lon - c.center.Lon) * kmPerDeg * math.Cos(c.center.Lat*math.Pi/180)
	dy := (p.Lat - c.center.Lat) * kmPerDeg
	along := (dx - dy) / math.Sqrt2
	since := float64(t.UnixMilli()) / 3.6e6 // hours
	period := frontEvery.Hours()
	n := math.Floor(since / period)
	for k := n - 1; k <= n+1; k++ {
		start := k*period + 2*smooth(c.seed, 2, k)
		strength := 0.45 + 0.5*unit(c.seed, 3, uint64(int64(k)))
		line := (since-start)*frontSpeed - 0.25*period*frontSpeed
		d := along - line // > 0: the front has not come yet
		s.ahead += strength * bump(d, 1.6*frontWidth, frontWidth)
		s.rain += strength * bump(d, 0, 0.45*frontWidth)
		s.clean += strength * bump(d, -1.5*frontWidth, 1.3*frontWidth)
	}
	s.ahead, s.rain, s.clean = math.Min(1, s.ahead), math.Min(1, s.rain), math.Min(1, s.clean)
	return s
}

// bump is a bell of height 1 at mid, half as high `half` away.
func bump(x, mid, half float64) float64 {
	d := (x - mid) / half
	return math.Exp(-0.693 * d * d)
}

// smooth is a wandering line in -1..1 that is about itself one step later: value noise with a cosine between steps.
func smooth(seed, stream uint64, x float64) float64 {
	i := math.Floor(x)
	a, b := unit(seed, stream, uint64(int64(i))), unit(seed, stream, uint64(int64(i)+1))
	f := (1 - math.Cos((x-i)*math.Pi)) / 2
	return 2*(a+(b-a)*f) - 1
}

// unit is a number in 0..1 that belongs to (seed, stream, i).
func unit(seed, stream, i uint64) float64 {
	return float64(mix(seed^mix(stream^mix(i)))>>11) / (1 << 53)
}

// bell is about normal, mean 0, standard deviation 1.
func bell(seed, stream, i uint64) float64 {
	return (unit(seed, stream, 3*i) + unit(seed, stream, 3*i+1) + unit(seed, stream, 3*i+2) - 1.5) * 2
}

// mix is the finaliser of MurmurHash3: every input bit turns half of the output bits.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
