package normalize_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// Everything a Normalizer remembers: 262,144 Things of four values. `-streams 1000000`; the default is smaller because
// preparing them takes seconds.
var streams = flag.Int("streams", 100_000, "Datastreams of BenchmarkSeries")

// BenchmarkSeries is what a value costs among so many Datastreams, Things in random order, with and without what is
// remembered of them; the difference is the tests'.
func BenchmarkSeries(b *testing.B) {
	names := [...]string{"pm2_5", "temperature", "humidity", "noise"}
	things := *streams / len(names)
	for _, alone := range []bool{true, false} {
		b.Run(map[bool]string{true: "each-alone", false: "judged"}[alone], func(b *testing.B) {
			c, err := sensor.LoadCatalogue()
			if err != nil {
				b.Fatal(err)
			}
			ledger := &book{}
			sources := make([]normalize.Source, things)
			for i := range sources {
				sources[i] = on(sensor.ThingID(fmt.Sprintf("me/t%d", i)), "json")
				ledger.put(&sensor.Thing{ID: sources[i].Thing}, &sensor.Datastream{Property: "pm2_5"}, &sensor.Datastream{Property: "temperature"},
					&sensor.Datastream{Property: "humidity"}, &sensor.Datastream{Property: "noise"})
			}
			n := normalize.New(normalize.Options{Catalogue: c, Ledger: func() normalize.Ledger { return ledger }, Alone: alone})
			var live, back sensor.Message
			now := arrival
			readings := make([]decode.Reading, len(names))
			send := func(i int) {
				live.Reset()
				live.Arrival = now
				for j, name := range names {
					readings[j] = decode.Reading{Key: name, Property: name, Number: 20 + float64((now+int64(j))%7), Time: now}
				}
				n.Normalize(&sources[i], readings, nil, &live, &back)
			}
			for i := range sources {
				send(i)
			}
			r := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				now++
				if send(r.IntN(things)); len(live.Observations) != len(names) {
					b.Fatal("values are missing")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(names)), "ns/value")
		})
	}
}
