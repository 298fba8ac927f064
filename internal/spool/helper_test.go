package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// ackLog collects what became of appends.
type ackLog struct {
	mu     sync.Mutex
	tokens []uint64
	errs   []error
	some   chan struct{} // one element for each
}

func newAckLog() *ackLog { return &ackLog{some: make(chan struct{}, 1<<20)} }

func (a *ackLog) Acked(token uint64, err error) {
	a.mu.Lock()
	a.tokens = append(a.tokens, token)
	a.errs = append(a.errs, err)
	a.mu.Unlock()
	a.some <- struct{}{}
}

// wait gives the error of the n-th answer after those already waited for.
func (a *ackLog) wait(t testing.TB, n int) {
	t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for range n {
		select {
		case <-a.some:
		case <-limit.C:
			t.Fatal("no answer to an append")
		}
	}
}

func (a *ackLog) last() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.errs[len(a.errs)-1]
}

// body number n: any length from 8 bytes on, content told by n.
func body(n uint64) []byte {
	b := make([]byte, 8+n*7919%200)
	for i := range b {
		b[i] = byte(n + uint64(i))
	}
	binary.LittleEndian.PutUint64(b, n)
	return b
}

func open(t testing.TB, cfg Config) *Spool {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.CommitDelay == 0 {
		cfg.CommitDelay = 100 * time.Microsecond
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// put appends one record and waits for its answer.
func put(t testing.TB, s *Spool, b []byte) error {
	t.Helper()
	a := newAckLog()
	if err := s.Append(b, Ack{To: a}); err != nil {
		return err
	}
	a.wait(t, 1)
	return a.last()
}

// mustPut appends bodies from..to, some at a time, so that they spread over commits and segments.
func mustPut(t testing.TB, s *Spool, from, to uint64) {
	t.Helper()
	const atOnce = 20
	a := newAckLog()
	for n := from; n <= to; n++ {
		if err := s.Append(body(n), Ack{a, n}); err != nil {
			t.Fatal(err)
		}
		if n == to || (n-from)%atOnce == atOnce-1 {
			a.wait(t, int((n-from)%atOnce)+1)
		}
	}
	for i, err := range a.errs {
		if err != nil || a.tokens[i] != from+uint64(i) {
			t.Fatalf("answer %d is for %d: %v", from+uint64(i), a.tokens[i], err)
		}
	}
}

// readAll gives the records from seq on, up to the end there is now.
func readAll(t testing.TB, s *Spool, seq uint64) (bodies [][]byte) {
	t.Helper()
	r, err := s.NewReader(seq)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		n, b, err := r.Next()
		if err == io.EOF {
			return bodies
		}
		if err != nil {
			t.Fatal(err)
		}
		if n != seq+uint64(len(bodies)) {
			t.Fatalf("record %d came after %d", n, seq+uint64(len(bodies)))
		}
		bodies = append(bodies, append([]byte(nil), b...))
	}
}

func expectBodies(t testing.TB, got [][]byte, from uint64, n int) {
	t.Helper()
	if len(got) != n {
		t.Fatalf("%d records, want %d", len(got), n)
	}
	for i, b := range got {
		if want := body(from + uint64(i)); string(b) != string(want) {
			t.Fatalf("record %d differs", from+uint64(i))
		}
	}
}

func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

func crcOf(b []byte) string {
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE(b))
}
