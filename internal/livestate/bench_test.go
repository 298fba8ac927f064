package livestate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// fleet is a registry and a stream of rows: Things over Chongqing's centre (half of them) and its districts, two
// Datastreams each.
type fleet struct {
	meta   map[sensor.DatastreamID]Info
	ids    []sensor.DatastreamID
	things []sensor.ThingKey
	lon    []int32
	lat    []int32
	cells  []geo.Cell
	rng    *rand.Rand
	seq    uint64
}

func (f *fleet) Meta(d sensor.DatastreamID) (Info, bool) { i, ok := f.meta[d]; return i, ok }

func newFleet(things int) *fleet {
	f := &fleet{meta: make(map[sensor.DatastreamID]Info, 2*things), rng: rand.New(rand.NewPCG(1, 2))}
	for i := range things {
		id := sensor.ThingID(fmt.Sprintf("owner%d/%d", i%50, i))
		p := geo.LonLat{Lon: 106.55 + f.rng.NormFloat64()*0.1, Lat: 29.56 + f.rng.NormFloat64()*0.08}
		if i%2 == 1 {
			p = geo.LonLat{Lon: 105.3 + f.rng.Float64()*4.9, Lat: 28.2 + f.rng.Float64()*4}
		}
		f.put(id, p)
	}
	return f
}

func (f *fleet) put(id sensor.ThingID, p geo.LonLat) {
	lon, lat := p.E7()
	f.lon, f.lat, f.cells = append(f.lon, lon), append(f.lat, lat), append(f.cells, h3.CellAt(p, h3.StoredResolution))
	f.things = append(f.things, id.Key())
	for property := range sensor.PropertyNumber(2) {
		ds := sensor.NewDatastreamID(id, sensor.PropertyCode(fmt.Sprint(property)), sensor.Instant, "k")
		f.meta[ds] = Info{Thing: id, Property: property + 1, Class: sensor.Government, Grade: sensor.Open, Interval: time.Minute}
		f.ids = append(f.ids, ds)
	}
}

// fill puts n messages of random Things into b.
func (f *fleet) fill(b *sensor.Batch, n int, now int64, withCell bool) {
	b.Reset()
	for range n {
		f.add(b, f.rng.IntN(len(f.things)), now, withCell)
	}
}

func (f *fleet) add(b *sensor.Batch, thing int, now int64, withCell bool) {
	p := b.ProducerIndex(sensor.Producer{Gateway: "g", Epoch: 1})
	f.seq++
	for k := range 2 {
		level := float64(uint64(f.things[thing])>>(8*k)%1000) / 10 // a Thing's values wander about a level of its own
		o := sensor.Observation{Datastream: f.ids[2*thing+k], Thing: f.things[thing], PhenomenonTime: now, ResultTime: now,
			Result: math.Round((level+f.rng.NormFloat64())*10) / 10, Lon: f.lon[thing], Lat: f.lat[thing]}
		if withCell {
			o.Cell = f.cells[thing]
		}
		b.AppendRow(p, f.seq, uint16(k), now, &o)
	}
}

// loaded is a State into which every Thing has reported once.
func (f *fleet) loaded(tb testing.TB) *State {
	s := New(f, testCatalogue(tb), at(start))
	var b sensor.Batch
	for from := 0; from < len(f.things); from += 4096 {
		b.Reset()
		for i := from; i < min(from+4096, len(f.things)); i++ {
			f.add(&b, i, start, false)
		}
		s.Apply(&b, at(start))
	}
	return s
}

func BenchmarkApply(b *testing.B) {
	for _, things := range []int{2_000, 50_000, 500_000} {
		f := newFleet(things)
		s := f.loaded(b)
		batches := make([]sensor.Batch, 16)
		const rows = 8192
		now := start
		b.Run(fmt.Sprintf("datastreams=%d", 2*things), func(b *testing.B) {
			b.ReportAllocs()
			b.ResetTimer()
			var used time.Duration
			done := 0
			for ; done < b.N; done += len(batches) * rows {
				b.StopTimer()
				for k := range batches {
					now += 100
					f.fill(&batches[k], rows/2, now, true)
				}
				b.StartTimer()
				used -= cpu()
				for k := range batches {
					s.Apply(&batches[k], at(now))
				}
				used += cpu()
			}
			b.ReportMetric(float64(used.Nanoseconds())/float64(done), "cpu-ns/obs")
		})
	}
}

// cpu is the processor time this process has used: on a machine that others use too, the only honest clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkApplyMoving has every Thing at a new place in every message.
func BenchmarkApplyMoving(b *testing.B) {
	f := newFleet(10_000)
	s := f.loaded(b)
	var batch sensor.Batch
	const rows = 8192
	now, done := start, 0
	var used time.Duration
	b.ResetTimer()
	for ; done < b.N; done += rows {
		b.StopTimer()
		now += 1000
		for k := range f.lon {
			f.lon[k] += int32(f.rng.IntN(4000) - 2000) // up to 20 m
		}
		f.fill(&batch, rows/2, now, false)
		b.StartTimer()
		used -= cpu()
		s.Apply(&batch, at(now))
		s.Tick(at(now))
		used += cpu()
	}
	b.ReportMetric(float64(used.Nanoseconds())/float64(done), "cpu-ns/obs")
}

// BenchmarkMemory reports the bytes one Datastream takes, everything counted.
func BenchmarkMemory(b *testing.B) {
	for range b.N {
		f := newFleet(250_000)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := f.loaded(b)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(f.ids)), "bytes/datastream")
		b.ReportMetric(float64(s.Stats().Nodes)/float64(len(f.ids)), "cells/datastream")
		runtime.KeepAlive(f)
	}
}

func BenchmarkCells(b *testing.B) {
	f := newFleet(50_000)
	s := f.loaded(b)
	for _, z := range []uint8{6, 8, 10, 12, 14} {
		t := geo.TileAt(geo.LonLat{Lon: 106.55, Lat: 29.56}, z)
		res := geo.ResolutionForZoom(z)
		b.Run(fmt.Sprintf("z=%d", z), func(b *testing.B) {
			var dst []sensor.CellSummary
			b.ReportAllocs()
			for range b.N {
				dst, _ = s.Cells(dst[:0], 1, res, t.Bounds(), sensor.ScopeOpen)
			}
			b.ReportMetric(float64(len(dst)), "cells")
		})
	}
}

func BenchmarkPoints(b *testing.B) {
	f := newFleet(50_000)
	s := f.loaded(b)
	t := geo.TileAt(geo.LonLat{Lon: 106.55, Lat: 29.56}, 15)
	var dst []sensor.PointSummary
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		dst, _ = s.Points(dst[:0], 1, t.Bounds(), sensor.ScopeOpen, 10_000)
	}
	b.ReportMetric(float64(len(dst)), "points")
}
