package store_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// cityBlock makes 100,000 observations as 5,000 Things of four properties send them: one round of the city after the
// other, a minute apart, clocks with jitter.
type cityBlock struct {
	b   sensor.Batch
	seq uint64
}

var cityStart = time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC).UnixMilli()

func (c *cityBlock) next(rows int) *sensor.Batch {
	const things = 5000
	c.b.Reset()
	p := c.b.ProducerIndex(sensor.Producer{Gateway: "gw1", Epoch: 1})
	for c.b.Len() < rows {
		c.seq++
		thing, round := c.seq%things, int64(c.seq/things)
		noise := int64(c.seq * 2654435761 % 1000)
		at := cityStart + round*60_000 + int64(thing)*12 + noise%400
		for i := range uint64(4) {
			level := int64(100+thing%50) + (round/7+int64(i)*3)%20
			o := sensor.Observation{Datastream: sensor.DatastreamID(thing*(0x9e3779b97f4a7c15>>4) + i), Thing: sensor.ThingKey(thing*(0x9e3779b97f4a7c15>>4) + 1),
				Property: sensor.PropertyNumber(i + 1), Registry: 1, PhenomenonTime: at, ResultTime: at, Result: float64(level*10+noise%7) / 10,
				Lon: int32(1_065_000_000 + thing*1000), Lat: int32(295_000_000 + thing*700)}
			c.b.AppendRow(p, c.seq, uint16(i), at+900+noise%140, &o)
		}
	}
	return &c.b
}

func benchStore(b *testing.B) (*store.Store, driver.Conn, string) {
	conn, _ := enginetest.Start(b)
	var name string
	if err := conn.QueryRow(b.Context(), "SELECT currentDatabase()").Scan(&name); err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(b.Context(), store.Options{Conn: conn, Database: name, Cell: benchCell})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s, conn, name
}

// cpu is the user and system time of this process and, with it, of its child, the engine.
func cpu(b *testing.B) (self, child time.Duration) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), childCPU(b)
}

// childCPU adds up utime and stime of all children (proc(5): fields 14 and 15, in ticks of 10 ms).
func childCPU(b *testing.B) (sum time.Duration) {
	self := strconv.Itoa(os.Getpid())
	all, err := os.ReadDir("/proc")
	if err != nil {
		b.Skip("no /proc to count the engine's time by")
	}
	for _, d := range all {
		stat, err := os.ReadFile("/proc/" + d.Name() + "/stat")
		if err != nil {
			continue // not a process, or gone
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		f := strings.Fields(rest)
		if len(f) < 13 || f[1] != self {
			continue
		}
		for _, ticks := range f[11:13] {
			n, err := strconv.Atoi(ticks)
			if err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum
}

// BenchmarkInsert stores blocks of 100,000 observations: CPU-seconds a million, ours and the engine's (merges included).
func BenchmarkInsert(b *testing.B) {
	for _, size := range []int{100_000, 20_000, 2_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			s, conn, name := benchStore(b)
			var city cityBlock
			var make time.Duration
			ours, theirs := cpu(b)
			n := 0
			for b.Loop() {
				began := time.Now()
				rows := city.next(size)
				make += time.Since(began)
				blk := &store.Block{Log: name, From: int64(n), To: int64(n + size), Batch: rows}
				if err := s.InsertRows(b.Context(), blk, false); err != nil {
					b.Fatal(err)
				}
				n += rows.Len()
			}
			ours2, theirs2 := cpu(b)
			m := float64(n) / 1e6
			b.ReportMetric((ours2-ours-make).Seconds()/m, "own-cpu-s/M")
			b.ReportMetric((theirs2-theirs).Seconds()/m, "engine-cpu-s/M")
			b.ReportMetric(b.Elapsed().Seconds()/m, "s/M")
			var bytes float64
			if err := conn.QueryRow(b.Context(), "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE active AND table = 'observations' AND database = '"+
				name+"'").Scan(&bytes); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(bytes, "bytes/row")
		})
	}
}

// BenchmarkHistory asks what people ask, of two million observations.
func BenchmarkHistory(b *testing.B) {
	s, conn, name := benchStore(b)
	var city cityBlock
	const rows = 2_000_000
	for n := 0; n < rows; n += 100_000 {
		if err := s.InsertRows(b.Context(), &store.Block{Log: name, From: int64(n), To: int64(n + 100_000), Batch: city.next(100_000)}, false); err != nil {
			b.Fatal(err)
		}
	}
	for _, q := range []struct{ name, query string }{
		{"count", "SELECT count() FROM %s.history"},
		{"one-datastream-a-day", fmt.Sprintf("SELECT phenomenon_time, result FROM %%s.history WHERE datastream = %d AND toDate(phenomenon_time) = '2026-11-10'",
			uint64(17*(0x9e3779b97f4a7c15>>4)))},
		{"mean-by-property-of-half-an-hour", "SELECT property, avg(result) FROM %s.history WHERE phenomenon_time >= '2026-11-10 01:00:00' AND phenomenon_time < '2026-11-10 01:30:00' GROUP BY property"},
		{"mean-by-property", "SELECT property, avg(result) FROM %s.history GROUP BY property"},
		{"first-ten", "SELECT * FROM %s.history LIMIT 10"},
		{"latest", "SELECT count() FROM %s.latest"},
	} {
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				if err := conn.Exec(b.Context(), fmt.Sprintf(q.query, name)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("livestate-rebuild", func(b *testing.B) {
		for b.Loop() {
			n := 0
			if err := s.Latest(b.Context(), 0, func(c *sensor.Batch) error { n += c.Len(); return nil }); err != nil || n != 20_000 {
				b.Fatal(n, err)
			}
		}
	})
}
