package normalize

import (
	"flag"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/situ-city/situ/pkg/sensor"
)

// BenchmarkJudge is the tests alone, of Datastreams in random order: what a value costs that nobody has looked at for long.
// -streams says of how many.
func BenchmarkJudge(b *testing.B) {
	n, err := strconv.Atoi(flag.Lookup("streams").Value.String())
	if err != nil {
		b.Fatal(err)
	}
	streams := make([]stream, n)
	l := &limits{rate: 0.00005, slack: 0.3, still: 12 * 3600_000, hint: 1}
	for i := range streams {
		s := &streams[i]
		s.limits = l
		s.min, s.max = -40, 60
	}
	r := rand.New(rand.NewPCG(1, 2))
	order := make([]int32, 1<<20)
	for i := range order {
		order[i] = int32(r.IntN(n))
	}
	var o sensor.Observation
	marked := 0
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		o.Quality, o.Result, o.PhenomenonTime = 0, 20+float64(i%7), int64(i)
		streams[order[i&(1<<20-1)]].judge(&o)
		if o.Quality != 0 {
			marked++
		}
	}
	b.ReportMetric(float64(marked)/float64(b.N), "marked/value")
}
