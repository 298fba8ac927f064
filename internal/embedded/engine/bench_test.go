package engine_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/situ-city/situ/internal/embedded/engine"
)

// narrow and wide are about what a raw table's block looks like, with and without identity.
var benchTables = map[string]struct {
	ddl  string
	cols int
}{
	"7 columns": {`CREATE TABLE raw (cell UInt64, thing UInt64, property LowCardinality(String), t DateTime64(3, 'UTC'),
		result Float64, quality UInt32, seq UInt64)`, 7},
	"18 columns": {`CREATE TABLE raw (cell UInt64, thing UInt64, property LowCardinality(String), t DateTime64(3, 'UTC'),
		result Float64, quality UInt32, seq UInt64, arrival DateTime64(3, 'UTC'), epoch UInt32, lane UInt16, idx UInt16,
		lon Float64, lat Float64, gateway LowCardinality(String), version UInt32, datastream UInt64, source UInt8, text String)`, 18},
}

// BenchmarkInsert sends blocks of 100,000 rows through clickhouse-go, column by column;
// cpu-s/M is of both processes.
func BenchmarkInsert(b *testing.B) {
	for name, table := range benchTables {
		b.Run(name, func(b *testing.B) {
			s, socket := own(b)
			conn, err := engine.Open(socket, "")
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			do(b, conn, table.ddl+` ENGINE = MergeTree ORDER BY (cell, thing, property, t)
				SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1`)
			const rows = 100_000
			cols := benchColumns(rows)[:table.cols]
			used := cpu(b, s.Pid())
			began := time.Now()
			for i := 0; b.Loop(); i++ {
				ctx := clickhouse.Context(b.Context(), clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": fmt.Sprint(i)}))
				batch, err := conn.PrepareBatch(ctx, "INSERT INTO raw")
				if err != nil {
					b.Fatal(err)
				}
				for c, values := range cols {
					if err := batch.Column(c).Append(values); err != nil {
						b.Fatal(err)
					}
				}
				if err := batch.Send(); err != nil {
					b.Fatal(err)
				}
			}
			m := float64(b.N) * rows / 1e6
			b.ReportMetric(m*1e6/time.Since(began).Seconds(), "rows/s")
			b.ReportMetric((cpu(b, s.Pid())-used).Seconds()/m, "cpu-s/M")
			b.ReportMetric(float64(resident(b, s.Pid())>>20), "MB-resident")
		})
	}
}

func benchColumns(rows int) []any {
	u64 := func(f func(i int) uint64) []uint64 {
		v := make([]uint64, rows)
		for i := range v {
			v[i] = f(i)
		}
		return v
	}
	times, floats, words := make([]time.Time, rows), make([]float64, rows), make([]string, rows)
	u32, u16, u8, empty := make([]uint32, rows), make([]uint16, rows), make([]uint8, rows), make([]string, rows)
	for i := range rows {
		times[i] = time.UnixMilli(1_777_000_000_000 + int64(i%977)*1000).UTC()
		floats[i] = float64(i%1000) / 10
		words[i] = [...]string{"water_level", "pm25", "air_temperature", "humidity"}[i%4]
	}
	cell := u64(func(i int) uint64 { return 0x8c0000000000000 | uint64(i*2654435761)%800_000 })
	thing := u64(func(i int) uint64 { return uint64(i*40503) % 100_000 })
	seq := u64(func(i int) uint64 { return uint64(i) })
	return []any{cell, thing, words, times, floats, u32, seq, times, u32, u16, u16, floats, floats, words, u32, thing, u8, empty}
}

// cpu is what this process and the store have used so far.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		b.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))
	var user, system int64
	if _, err := fmt.Sscan(fields[12]+" "+fields[13], &user, &system); err != nil {
		b.Fatal(err)
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux Go runs on
	return time.Duration(self.Utime.Nano()+self.Stime.Nano()) + time.Duration(user+system)*tick
}

func BenchmarkSelectOne(b *testing.B) {
	_, socket := own(b)
	conn, err := engine.Open(socket, "")
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	for b.Loop() {
		one[uint8](b, conn, "SELECT 1")
	}
}

func BenchmarkSelectRows(b *testing.B) {
	s, socket := own(b)
	conn, err := engine.Open(socket, "")
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	used, n := cpu(b, s.Pid()), 0
	for b.Loop() {
		rows, err := conn.Query(b.Context(), "SELECT number, number / 2, number + 1 FROM numbers(1000000)")
		if err != nil {
			b.Fatal(err)
		}
		for rows.Next() {
			var x, z uint64
			var y float64
			if err := rows.Scan(&x, &y, &z); err != nil {
				b.Fatal(err)
			}
			n++
		}
		if err := rows.Err(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu(b, s.Pid())-used).Seconds()/float64(n)*1e6, "cpu-s/M")
}

// BenchmarkStart is from fork to the first answer, the library's check remembered.
func BenchmarkStart(b *testing.B) {
	rss := int64(0)
	for b.Loop() {
		s, _ := own(b)
		rss = resident(b, s.Pid())
	}
	b.ReportMetric(float64(rss>>20), "MB-resident")
}
