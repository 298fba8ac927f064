package normalize

import (
	"math"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

const (
	// skewSamples is how many delays a Thing's clock is judged by, skewLeast how many there must be.
	skewSamples = 9
	skewLeast   = 5
	// skewBound is from where on a clock counts as wrong, in ms; at least skewIntervals of the time between messages, so that
	// an hourly mean that is published at the next hour is none.
	skewBound     = 5 * 60_000
	skewIntervals = 2
	// skewPace is how near the device's time between two messages must be to ours, as a part of their mean.
	skewPace = 2
)

// skew estimates how far a Thing's clock is behind: the median of arrival - phenomenonTime over the newest messages that
// came as they were measured. A device that sends what it kept while it was offline sends it faster (or slower) than
// time went by; such messages say how late they are, and nothing of the clock.
type skew struct {
	arrival, phenomenon int64 // of the message before; arrival 0: none
	delay               [skewSamples]int32
	samples             uint32
	median              int32
	interval            int32 // between the newest two that counted
	message             uint32
}

// clock takes the sample of this message, if it gives one, and marks o when the clock is known to be wrong.
func (n *Normalizer) clock(t *thing, o *sensor.Observation, r *decode.Reading) {
	if r.Time == 0 || o.Quality&sensor.Late != 0 {
		return
	}
	if k := &t.skew; k.message != n.message && (r.Statistic == sensor.Instant || r.Statistic == sensor.ConvertedInstant) {
		k.message = n.message
		before := k.wrong()
		k.take(n.live.Arrival, r.Time)
		if now := k.wrong(); now != before {
			n.outcome.Clock, n.outcome.ClockBehind, n.outcome.ClockWrong = t.id, int64(k.median), now
		}
	}
	if t.skew.wrong() {
		o.Quality |= sensor.ClockSkew
	}
}

func (k *skew) take(arrival, phenomenon int64) {
	real, told := arrival-k.arrival, phenomenon-k.phenomenon
	first := k.arrival == 0
	k.arrival, k.phenomenon = arrival, phenomenon
	if drift := real - told; !first && (told <= 0 || max(drift, -drift)*skewPace > (real+told)/2) {
		return
	}
	if !first {
		k.interval = int32(min(real, math.MaxInt32))
	}
	k.delay[k.samples%skewSamples] = int32(arrival - phenomenon) // within two days by the time rule
	k.samples++
	k.middle()
}

// middle sorts a copy: nine numbers, once a message.
func (k *skew) middle() {
	n := int(min(k.samples, skewSamples))
	d := k.delay
	for i := 1; i < n; i++ {
		for j := i; j > 0 && d[j] < d[j-1]; j-- {
			d[j], d[j-1] = d[j-1], d[j]
		}
	}
	k.median = d[n/2]
}

// wrong reports that the clock is further off than its messages are apart.
func (k *skew) wrong() bool {
	if k.samples < skewLeast {
		return false
	}
	off := int64(max(k.median, -k.median))
	return off > skewBound && off > skewIntervals*int64(k.interval)
}
