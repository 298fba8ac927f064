package spool

import (
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

type countAcks struct{ n atomic.Int64 }

func (c *countAcks) Acked(uint64, error) { c.n.Add(1) }

// BenchmarkAppend is the cost of an append with its share of group commits and acks, as fast as they go.
func BenchmarkAppend(b *testing.B) {
	s := open(b, Config{CommitDelay: DefaultCommitDelay, MaxBytes: 64 << 30})
	rec := make([]byte, 75)
	var a countAcks
	b.ReportAllocs()
	b.SetBytes(int64(len(rec)))
	for b.Loop() {
		if err := s.Append(rec, Ack{To: &a}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	if int(a.n.Load()) != b.N {
		b.Fatalf("%d of %d answered", a.n.Load(), b.N)
	}
}

func BenchmarkAppendParallel(b *testing.B) {
	s := open(b, Config{CommitDelay: DefaultCommitDelay, MaxBytes: 64 << 30})
	rec := make([]byte, 75)
	var a countAcks
	b.ReportAllocs()
	b.SetParallelism(25)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := s.Append(rec, Ack{To: &a}); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkPaced appends 50,000 records a second and reports the CPU for a million of them and the 99th percentile
// of the time to the ack: what CommitDelay is chosen by.
func BenchmarkPaced(b *testing.B) {
	for _, delay := range []time.Duration{-1, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond} {
		b.Run(max(0, delay).String(), func(b *testing.B) { paced(b, delay) })
	}
}

func paced(b *testing.B, delay time.Duration) {
	const tick, perTick = time.Millisecond, 50
	s := open(b, Config{CommitDelay: delay})
	rec := make([]byte, 75)
	l := &latencies{}
	before := cpu()
	tk := time.NewTicker(tick)
	defer tk.Stop()
	var seq uint64
	for b.Loop() {
		<-tk.C
		now := uint64(time.Now().UnixNano())
		for range perTick {
			seq++
			if err := s.Append(rec, Ack{To: l, Token: now}); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	used := cpu() - before
	b.ReportMetric(used.Seconds()/float64(seq)*1e6, "cpu-s/M")
	b.ReportMetric(float64(l.percentile(99).Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(l.percentile(50).Microseconds())/1000, "p50-ms")
}

// latencies counts by 100 microseconds; only the writer's goroutine calls Acked.
type latencies struct {
	n     [1000]int
	total int
}

func (l *latencies) Acked(sent uint64, _ error) {
	i := (uint64(time.Now().UnixNano()) - sent) / 100_000
	l.n[min(i, uint64(len(l.n)-1))]++
	l.total++
}

func (l *latencies) percentile(p int) time.Duration {
	sum := 0
	for i, n := range l.n {
		if sum += n; sum*100 >= l.total*p {
			return time.Duration(i+1) * 100 * time.Microsecond
		}
	}
	return 0
}

func cpu() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkLone is one sender that waits for each ack.
func BenchmarkLone(b *testing.B) {
	s := open(b, Config{CommitDelay: -1})
	rec := make([]byte, 75)
	a := newAckLog()
	for b.Loop() {
		if err := s.Append(rec, Ack{To: a}); err != nil {
			b.Fatal(err)
		}
		<-a.some
	}
}

func BenchmarkRead(b *testing.B) {
	s := open(b, Config{CommitDelay: -1, MaxBytes: 64 << 30})
	var a countAcks
	rec := make([]byte, 75)
	const n = 500_000
	for range n {
		if err := s.Append(rec, Ack{To: &a}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Wait(b.Context(), n); err != nil {
		b.Fatal(err)
	}
	r, err := s.NewReader(1)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.ReportAllocs()
	b.SetBytes(int64(len(rec)))
	for b.Loop() {
		if _, _, err := r.Next(); err == io.EOF {
			if err := r.Seek(1); err != nil {
				b.Fatal(err)
			}
		} else if err != nil {
			b.Fatal(err)
		}
	}
}
