package registry

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// filled is a snapshot of n Things with two Datastreams each, without a file.
func filled(b *testing.B, n int) (*Snapshot, []sensor.ThingID) {
	b.Helper()
	d := emptySnapshot("bench").draft()
	ids := make([]sensor.ThingID, n)
	for i := range ids {
		id := sensor.ThingID(fmt.Sprintf("city/station-%07d", i))
		ids[i] = id
		t := &sensor.Thing{ID: id, Serial: fmt.Sprintf("MN%022d", i), Original: geo.LonLat{Lon: 106, Lat: 29}}
		if _, err := d.putThing(t); err != nil {
			b.Fatal(err)
		}
		for _, p := range []sensor.PropertyCode{"pm2_5", "pm10"} {
			if err := d.putDatastream(stream(id, p, string(p))); err != nil {
				b.Fatal(err)
			}
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return d.finish(uint64(3 * n)), ids
}

// cpu reports CPU time an operation as well: on a shared machine wall time measures the neighbours.
func cpu(b *testing.B, operations int, run func()) {
	used := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	run()
	b.ReportMetric(float64(used()-before)/float64(max(b.N, 1)*operations), "cpu-ns/op")
}

// Look-ups in random order: of 10,000 Things in a ledger of a million (what one gateway sees), and of all million.
func BenchmarkLookup(b *testing.B) {
	s, ids := filled(b, 1_000_000)
	plain := make(map[sensor.ThingID]*sensor.Thing) // for comparison: no versions, no concurrent writer
	byKey := make(map[sensor.ThingKey]*sensor.Thing)
	for t := range s.ThingsFrom(0) {
		plain[t.ID], byKey[t.ID.Key()] = t, t
	}
	runtime.GC() // the collector's work of the filling is not part of looking up
	for _, n := range []int{10_000, 1_000_000} {
		some := ids[:n]
		keys := make([]sensor.ThingKey, n)
		streams := make([]sensor.DatastreamID, n)
		for i, id := range some {
			keys[i], streams[i] = id.Key(), sensor.NewDatastreamID(id, "pm10", sensor.Instant, "pm10")
		}
		b.Run(fmt.Sprintf("Thing/%d", n), func(b *testing.B) {
			cpu(b, 1, func() {
				for i := 0; b.Loop(); i++ {
					if t, ok := s.Thing(some[i%n]); !ok || t.Auto {
						b.Fatal("lost")
					}
				}
			})
		})
		b.Run(fmt.Sprintf("ThingByKey/%d", n), func(b *testing.B) {
			cpu(b, 1, func() {
				for i := 0; b.Loop(); i++ {
					if t, ok := s.ThingByKey(keys[i%n]); !ok || t.Auto {
						b.Fatal("lost")
					}
				}
			})
		})
		b.Run(fmt.Sprintf("Thing-plain-map/%d", n), func(b *testing.B) {
			cpu(b, 1, func() {
				for i := 0; b.Loop(); i++ {
					if t := plain[some[i%n]]; t == nil || t.Auto {
						b.Fatal("lost")
					}
				}
			})
		})
		b.Run(fmt.Sprintf("ThingByKey-plain-map/%d", n), func(b *testing.B) {
			cpu(b, 1, func() {
				for i := 0; b.Loop(); i++ {
					if t := byKey[keys[i%n]]; t == nil || t.Auto {
						b.Fatal("lost")
					}
				}
			})
		})
		b.Run(fmt.Sprintf("Datastream/%d", n), func(b *testing.B) {
			cpu(b, 1, func() {
				for i := 0; b.Loop(); i++ {
					if d, ok := s.Datastream(streams[i%n]); !ok || d.Auto {
						b.Fatal("lost")
					}
				}
			})
		})
		b.Run(fmt.Sprintf("Serial/%d", n), func(b *testing.B) {
			serials := make([]string, n)
			for i, k := range keys {
				t, _ := s.ThingByKey(k)
				serials[i] = t.Serial
			}
			cpu(b, 1, func() {
				for i := 0; b.Loop(); i++ {
					if _, ok := s.Serial("city", serials[i%n]); !ok {
						b.Fatal("lost")
					}
				}
			})
		})
	}
}

// One change in a ledger of a million Things, and ten thousand in one draft.
func BenchmarkUpdate(b *testing.B) {
	s, ids := filled(b, 1_000_000)
	for _, batch := range []int{1, 10_000} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d := s.draft()
				for _, id := range ids[:batch] {
					if _, err := d.putThing(&sensor.Thing{ID: id}); err != nil {
						b.Fatal(err)
					}
				}
				s = d.finish(s.version + 1)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/change")
		})
	}
}

func BenchmarkDeclare10k(b *testing.B) {
	all := declarations(5_000) // 5,000 Things and 10,000 Datastreams
	for b.Loop() {
		b.StopTimer()
		r := openNew(b)
		b.StartTimer()
		if n, err := r.Declare(b.Context(), all); err != nil || n != 15_000 {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(15_000*b.N)/b.Elapsed().Seconds(), "changes/s")
}

func BenchmarkPutThing(b *testing.B) {
	r := openNew(b)
	for i := 0; b.Loop(); i++ {
		if _, err := r.PutThing(b.Context(), thing(sensor.ThingID(fmt.Sprintf("city/%d", i)))); err != nil {
			b.Fatal(err)
		}
	}
}

// A register of 100,000 Things with two Datastreams each, from text to disk.
func BenchmarkRegister100k(b *testing.B) {
	var text strings.Builder
	text.WriteString("id,title,class,grade,lon,lat,crs,serial,properties,interval\n")
	for i := range 100_000 {
		fmt.Fprintf(&text, "city/station-%06d,站点 %d,government,open,%.5f,%.5f,GCJ02,MN%010d,pm2_5;pm10=mg/m3,60\n",
			i, i, 105.5+float64(i%1000)/250, 28.5+float64(i/1000)/40, i)
	}
	for b.Loop() {
		r := openFull(b)
		var rows []Row
		cpu(b, 1, func() {
			var err error
			if rows, err = ParseCSV(strings.NewReader(text.String())); err != nil {
				b.Fatal(err)
			}
			verdicts, err := r.RegisterRows(b.Context(), rows)
			if err != nil || len(verdicts) != 100_000 || verdicts[99_999].Status != Created {
				b.Fatal(err, verdicts[len(verdicts)-1])
			}
		})
		b.StopTimer()
		measureLedger(b, r, rows)
		b.StartTimer()
	}
}

// measureLedger reports what a ledger of that size costs elsewhere.
func measureLedger(b *testing.B, r *Registry, rows []Row) {
	timed := func(name string, fn func() error) {
		start := time.Now()
		if err := fn(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(start).Seconds(), name)
	}
	path := filepath.Join(b.TempDir(), "s")
	timed("again-s", func() error { _, err := r.RegisterRows(b.Context(), rows); return err })
	timed("reopen-s", func() error {
		again, err := Open(b.Context(), r.name, Options{})
		if err == nil {
			err = again.Close()
		}
		return err
	})
	timed("snapshot-write-s", func() error { return WriteSnapshot(path, r.Snapshot()) })
	timed("snapshot-load-s", func() error { _, err := LoadSnapshot(path); return err })
	for name, p := range map[string]string{"db-MB": r.name, "snapshot-MB": path} {
		info, err := os.Stat(p)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/1e6, name)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/1e6, "heap-MB")
}

// The repeat that every gateway sends after a restart.
func BenchmarkDeclareKnown10k(b *testing.B) {
	all := declarations(5_000)
	r := openNew(b)
	if _, err := r.Declare(b.Context(), all); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if n, err := r.Declare(b.Context(), all); err != nil || n != 0 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkCheckCredential(b *testing.B) {
	r := openNew(b)
	password, err := r.IssueCredential(b.Context(), "city", "city")
	if err != nil {
		b.Fatal(err)
	}
	given := []byte(password)
	for b.Loop() {
		if _, ok := r.CheckCredential("city", given); !ok {
			b.Fatal("refused")
		}
	}
}
