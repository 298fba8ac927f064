package spool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/situ-city/situ/pkg/sensor"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestAppendThenReadInOrder(t *testing.T) {
	s := open(t, Config{SegmentBytes: 4096, MaxBytes: 1 << 20})
	mustPut(t, s, 1, 500)
	expectBodies(t, readAll(t, s, 1), 1, 500)
	expectBodies(t, readAll(t, s, 321), 321, 180)
	if first, next := s.Bounds(); first != 1 || next != 501 {
		t.Fatalf("bounds %d, %d", first, next)
	}
	if n := len(segmentFiles(t, s.Dir())); n < 5 {
		t.Fatalf("%d segments of 4 KiB hold 500 records", n)
	}
}

func TestManyGoroutinesAppend(t *testing.T) {
	s := open(t, Config{CommitDelay: time.Millisecond})
	const each, goroutines = 500, 8
	var wg sync.WaitGroup
	for g := range uint64(goroutines) {
		wg.Go(func() {
			a := newAckLog()
			for i := range uint64(each) {
				if err := s.Append(body(g<<32|i), Ack{a, i}); err != nil {
					t.Error(err)
				}
			}
			a.wait(t, each)
			for i, token := range a.tokens {
				if token != uint64(i) || a.errs[i] != nil {
					t.Errorf("goroutine %d: answer %d is for %d: %v", g, i, token, a.errs[i])
				}
			}
		})
	}
	wg.Wait()
	var seen [goroutines]uint64
	for _, b := range readAll(t, s, 1) {
		g := b[4] // each goroutine's own records keep their order
		if want := body(uint64(g)<<32 | seen[g]); !bytes.Equal(b, want) {
			t.Fatalf("goroutine %d, its record %d differs", g, seen[g])
		}
		seen[g]++
	}
	for g, n := range seen {
		if n != each {
			t.Errorf("goroutine %d: %d records", g, n)
		}
	}
}

func TestReopenGoesOn(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Gateway: "edge-7", Lane: sensor.Backfill, SegmentBytes: 4096})
	mustPut(t, s, 1, 100)
	id, p := s.LogID(), s.Producer()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Dir: dir, Lane: sensor.Backfill, SegmentBytes: 4096})
	if s.LogID() != id || s.Producer() != p || p.Gateway != "edge-7" || p.Lane != sensor.Backfill {
		t.Fatalf("identity became %x %v", s.LogID(), s.Producer())
	}
	mustPut(t, s, 101, 200)
	expectBodies(t, readAll(t, s, 1), 1, 200)
}

func TestNameIsMadeUpOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	name := s.Producer().Gateway
	if !validGateway(name) {
		t.Fatalf("name %q", name)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if again := open(t, Config{Dir: dir}).Producer().Gateway; again != name {
		t.Fatalf("%q became %q", name, again)
	}
}

func TestSecondOpenerIsRefused(t *testing.T) {
	s := open(t, Config{})
	_, err := Open(Config{Dir: s.Dir()})
	wantErr(t, err, ErrLocked)
	if !strings.Contains(err.Error(), s.Dir()) || !strings.Contains(err.Error(), "pid") {
		t.Fatalf("message does not help: %v", err)
	}
}

func TestIdentityIsChecked(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Gateway: "a"})
	old := s.Producer().Epoch
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]Config{
		"another gateway":      {Dir: dir, Gateway: "b"},
		"another lane":         {Dir: dir, Gateway: "a", Lane: sensor.Backfill},
		"an old copy put back": {Dir: dir, Gateway: "a", PreviousEpoch: old + 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(cfg)
			wantErr(t, err, ErrIdentity)
		})
	}
}

func TestLostSegmentsRaiseTheEpoch(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	mustPut(t, s, 1, 3)
	id, before := s.LogID(), s.Producer().Epoch
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, f := range segmentFiles(t, dir) {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, Config{Dir: dir})
	if s.Producer().Epoch <= before || s.LogID() == id {
		t.Fatalf("epoch %d after %d, log %x (was %x)", s.Producer().Epoch, before, s.LogID(), id)
	}
}

// A spool lost with all there was beside it used to begin at epoch 1 again under its configured name: what it took then
// had the identities of what was stored, and was dropped as repeats.
func TestEpochOfASpoolMadeAnew(t *testing.T) {
	at := func(text string) func() time.Time {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return func() time.Time { return when }
	}
	epoch := func(cfg Config) uint32 { cfg.Gateway = "g"; return open(t, cfg).Producer().Epoch }
	if e := epoch(Config{Clock: at("2026-11-23T18:00:00Z")}); e != 1795456800 {
		t.Errorf("epoch %d is not the second it was made in", e)
	}
	if e := epoch(Config{Clock: at("2026-11-23T18:00:00Z"), PreviousEpoch: 1795456800}); e != 1795456801 {
		t.Errorf("epoch %d where one from the same second is known", e)
	}
	if e := epoch(Config{Clock: at("2026-11-23T18:00:00Z"), PreviousEpoch: 3_000_000_000}); e != 3_000_000_001 {
		t.Errorf("epoch %d where a clock was ahead once", e)
	}
	seen := map[uint32]bool{}
	for range 50 {
		e := epoch(Config{Clock: at("1970-01-01T00:01:00Z")})
		if e == 0 || e >= sane || seen[e] {
			t.Fatalf("without a clock: epoch %d, seen before: %v", e, seen[e])
		}
		seen[e] = true
	}
	if e := epoch(Config{Clock: at("1970-01-01T00:01:00Z"), PreviousEpoch: 1795456800}); e != 1795456801 {
		t.Errorf("epoch %d without a clock, where one is known", e)
	}
	if e := epoch(Config{Clock: at("2200-01-01T00:00:00Z")}); e >= sane {
		t.Errorf("epoch %d by a clock that no uint32 can hold", e)
	}
}

func TestMetaFileLostIsRestoredFromSegments(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Gateway: "g"})
	mustPut(t, s, 1, 3)
	id, epoch := s.LogID(), s.Producer().Epoch
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, metaName)); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Dir: dir, Gateway: "g"})
	if s.LogID() != id || s.Producer().Epoch != epoch {
		t.Fatalf("log %x epoch %d", s.LogID(), s.Producer().Epoch)
	}
	expectBodies(t, readAll(t, s, 1), 1, 3)
}

func TestNewestSegmentMissingStops(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, SegmentBytes: 4096})
	mustPut(t, s, 1, 200)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files := segmentFiles(t, dir)
	if err := os.Remove(files[len(files)-1]); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Config{Dir: dir, SegmentBytes: 4096})
	wantErr(t, err, ErrCorrupt)
}

func TestFullRefusesUntilTrimmed(t *testing.T) {
	s := open(t, Config{MaxBytes: 32 << 10, SegmentBytes: 8 << 10})
	var stored uint64
	for {
		err := put(t, s, body(stored+1))
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		stored++
	}
	if used, limit := s.Used(); used > limit+1024 {
		t.Fatalf("%d bytes used of %d", used, limit)
	}
	expectBodies(t, readAll(t, s, 1), 1, int(stored))
	if err := s.Trim(stored + 1); err != nil {
		t.Fatal(err)
	}
	first, _ := s.Bounds()
	if first == 1 {
		t.Fatal("nothing was trimmed")
	}
	mustPut(t, s, stored+1, stored+20)
	_, err := s.NewReader(first - 1)
	wantErr(t, err, ErrTrimmed)
	expectBodies(t, readAll(t, s, first), first, int(stored+20-first+1))
}

func TestTrimKeepsWhatIsNotDone(t *testing.T) {
	s := open(t, Config{SegmentBytes: 4096})
	mustPut(t, s, 1, 300)
	for before := uint64(0); before < 320; before += 17 {
		if err := s.Trim(before); err != nil {
			t.Fatal(err)
		}
		first, next := s.Bounds()
		if first > max(before, 1) || next != 301 {
			t.Fatalf("trim(%d) left %d..%d", before, first, next)
		}
		expectBodies(t, readAll(t, s, first), first, int(next-first))
	}
}

func TestSizesAtTheBounds(t *testing.T) {
	s := open(t, Config{})
	wantErr(t, s.Append(nil, Ack{}), ErrTooLarge)
	wantErr(t, s.Append(make([]byte, MaxBody+1), Ack{}), ErrTooLarge)
	big := bytes.Repeat([]byte{0xa5}, MaxBody)
	for _, b := range [][]byte{{1}, big, {2}, big} {
		if err := put(t, s, b); err != nil {
			t.Fatal(err)
		}
	}
	got := readAll(t, s, 1)
	if len(got) != 4 || !bytes.Equal(got[1], big) || !bytes.Equal(got[3], big) || got[2][0] != 2 {
		t.Fatal("records differ")
	}
}

func TestReaderFollowsAcrossSegmentsAndTrim(t *testing.T) {
	s := open(t, Config{SegmentBytes: 4096, CommitDelay: -1})
	const n = 2000
	got := make(chan error, 1)
	go func() {
		got <- follow(s, n)
	}()
	mustPut(t, s, 1, n)
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

// follow reads n records as they come, freeing what it has read.
func follow(s *Spool, n uint64) error {
	r, err := s.NewReader(1)
	if err != nil {
		return err
	}
	defer r.Close()
	for want := uint64(1); want <= n; {
		seq, b, err := r.Next()
		if err == io.EOF {
			if err := s.Wait(context.Background(), r.Position()); err != nil {
				return err
			}
			if err := s.Trim(r.Position()); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if seq != want || !bytes.Equal(b, body(want)) {
			return errors.New("record differs")
		}
		want++
	}
	return nil
}

func TestWaitEnds(t *testing.T) {
	s := open(t, Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wantErr(t, s.Wait(ctx, 1), context.Canceled)
	if _, err := s.NewReader(2); !errors.Is(err, ErrBeyond) {
		t.Fatalf("reader beyond the end: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Wait(context.Background(), 1) }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, <-done, ErrClosed)
	wantErr(t, s.Append([]byte{1}, Ack{}), ErrClosed)
}

func TestCloseWritesWhatWaits(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, CommitDelay: time.Hour})
	mustPut(t, s, 1, 1) // from here on the next commit is due in an hour
	a := newAckLog()
	for n := uint64(2); n <= 50; n++ {
		if err := s.Append(body(n), Ack{a, n}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(a.tokens) != 49 || a.last() != nil {
		t.Fatalf("%d answers, the last %v", len(a.tokens), a.last())
	}
	expectBodies(t, readAll(t, open(t, Config{Dir: dir}), 1), 1, 50)
}

func TestCommitBytesDoNotWaitForTheDelay(t *testing.T) {
	s := open(t, Config{CommitDelay: time.Hour, CommitBytes: 10_000})
	mustPut(t, s, 1, 1)
	a := newAckLog()
	for n := uint64(2); n <= 200; n++ { // about 20 kB: the first half must be answered without the hour
		if err := s.Append(body(n), Ack{a, n}); err != nil {
			t.Fatal(err)
		}
	}
	a.wait(t, 60)
}

func TestPendingBoundBlocksAndGoesOn(t *testing.T) {
	s := open(t, Config{PendingBytes: 1000, CommitDelay: -1})
	mustPut(t, s, 1, 300)
	expectBodies(t, readAll(t, s, 1), 1, 300)
}

func TestDropOldestLeavesGap(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, MaxBytes: 32 << 10, SegmentBytes: 8 << 10, DropOldest: true}
	s := open(t, cfg)
	for n := uint64(1); n <= 1000; n++ {
		mustPut(t, s, n, n)
	}
	first, next := s.Bounds()
	gaps := s.Gaps()
	if first == 1 || next != 1001 || len(gaps) != 1 || gaps[0].From != 1 || gaps[0].To != first-1 || gaps[0].Reason != GapSpoolFull {
		t.Fatalf("bounds %d..%d, gaps %+v", first, next, gaps)
	}
	if used, limit := s.Used(); used > limit+1024 {
		t.Fatalf("%d bytes of %d", used, limit)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	if got := s.Gaps(); len(got) != 1 || got[0] != gaps[0] {
		t.Fatalf("after reopening: %+v", got)
	}
	expectBodies(t, readAll(t, s, first), first, int(next-first))
	if err := s.Trim(next); err != nil {
		t.Fatal(err)
	}
	if got := s.Gaps(); len(got) != 0 {
		t.Fatalf("a gap below the trim stays: %+v", got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no dir":          {},
		"segment too big": {Dir: t.TempDir(), MaxBytes: 100_000, SegmentBytes: 60_000},
		"gateway":         {Dir: t.TempDir(), Gateway: "a/b"},
	} {
		if _, err := Open(cfg); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestSyncModeText(t *testing.T) {
	for _, want := range []SyncMode{SyncAlways, SyncNever} {
		b, err := want.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		got := SyncMode(9)
		if err := got.UnmarshalText(b); err != nil || got != want {
			t.Fatalf("%s: %v %v", b, got, err)
		}
	}
	if new(SyncMode).UnmarshalText([]byte("sometimes")) == nil {
		t.Fatal("took a word that is none")
	}
}

// The mark that a commit begins with and the header of a new segment used to come on top of the bound.
func TestBoundHoldsToTheByte(t *testing.T) {
	s := open(t, Config{SegmentBytes: 4096, MaxBytes: 16 << 10})
	var err error
	for err == nil {
		err = put(t, s, []byte{1}) // a commit each
	}
	wantErr(t, err, ErrFull)
	if used, limit := s.Used(); used > limit {
		t.Fatalf("%d bytes in use of %d", used, limit)
	}
}
