package tile_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/tile"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// BenchmarkWhileIngesting answers tiles, one after the other, while 25,000 observations a second are applied in
// batches of a tenth of a second. It reports the time of the tile that 99 of 100 stay below.
func BenchmarkWhileIngesting(b *testing.B) {
	tn := newTown(b, tile.Config{})
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 40_000 {
		tn.add(fmt.Sprint(i), sensor.Open, geo.LonLat{Lon: 106 + rng.Float64(), Lat: 29 + rng.Float64()}, float64(i))
	}
	tn.Apply(&tn.batch, tn.now)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ingest(tn, stop)
	}()
	var requests []*http.Request
	for i := range 100 {
		p := geo.LonLat{Lon: 106 + rng.Float64(), Lat: 29 + rng.Float64()}
		r := httptest.NewRequest(http.MethodGet, urlAt(p, uint8(8+i%7)), nil)
		r.Header.Set("Accept-Encoding", "gzip")
		requests = append(requests, r)
	}
	w := &discard{http.Header{}}
	times := make([]time.Duration, 0, b.N)
	for i := range b.N {
		began := time.Now()
		tn.Handler.ServeHTTP(w, requests[i%len(requests)])
		times = append(times, time.Since(began))
	}
	b.StopTimer()
	close(stop)
	<-done
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-us")
}

func ingest(tn *town, stop <-chan struct{}) {
	const tenth = 2500
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	whole := tn.batch
	for from := 0; ; from = (from + tenth) % whole.Len() {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		tn.now = tn.now.Add(100 * time.Millisecond)
		var b sensor.Batch
		for i := from; i < from+tenth; i++ {
			id, _, o := whole.Row(i)
			o.PhenomenonTime, o.ResultTime = tn.now.UnixMilli(), tn.now.UnixMilli()
			b.AppendRow(b.ProducerIndex(id.Producer), id.Seq+1, 0, o.PhenomenonTime, &o)
		}
		tn.Apply(&b, tn.now)
	}
}
