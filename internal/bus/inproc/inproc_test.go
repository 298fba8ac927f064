package inproc

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/bustest"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is spools and a bus on them, in one directory.
type world struct {
	dir    string
	spools map[sensor.Lane]*spool.Spool
	bus    *Bus

	announced func(string) int64
}

func newWorld(t testing.TB) *world {
	w := &world{dir: t.TempDir()}
	w.open(t)
	t.Cleanup(func() { w.close(t) })
	return w
}

func (w *world) open(t testing.TB) {
	t.Helper()
	w.spools = map[sensor.Lane]*spool.Spool{}
	cfg := Config{Dir: w.dir, Groups: []string{"ingest"}, Announced: w.announced}
	known, err := LastEpochs(w.dir, cfg.Groups)
	if err != nil {
		t.Fatal(err)
	}
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		s, err := spool.Open(spool.Config{
			Dir: filepath.Join(w.dir, "spool", lane.String()), Gateway: "gw", Lane: lane,
			SegmentBytes: 16 << 10, MaxBytes: 64 << 20, CommitDelay: 100 * time.Microsecond, PreviousEpoch: known[int32(lane)],
		})
		if err != nil {
			t.Fatal(err)
		}
		w.spools[lane] = s
		cfg.Spools = append(cfg.Spools, s)
	}
	b, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.bus = b
}

func (w *world) close(t testing.TB) {
	t.Helper()
	if err := w.bus.Close(); err != nil {
		t.Error(err)
	}
	for _, s := range w.spools {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func (w *world) Log() bus.Log                                            { return w.bus }
func (w *world) Partition(lane sensor.Lane) int32                        { return int32(lane) }
func (w *world) Producer(lane sensor.Lane) sensor.Producer               { return w.spools[lane].Producer() }
func (w *world) Repeat(*testing.T, sensor.Lane) bool                     { return false }
func (w *world) Restart(t *testing.T)                                    { w.close(t); w.open(t) }
func (w *world) Group(t *testing.T) bus.Group                            { return w.group(t) }
func (w *world) Publish(t *testing.T, l sensor.Lane, m []sensor.Message) { w.publish(t, l, m) }

func (w *world) group(t testing.TB) *Group {
	g, err := w.bus.Group("ingest")
	if err != nil {
		t.Fatal(err)
	}
	return g
}

type waitAcks struct {
	sync.WaitGroup
	t testing.TB
}

func (w *waitAcks) Acked(_ uint64, err error) {
	if err != nil {
		w.t.Error(err)
	}
	w.Done()
}

func (w *world) publish(t testing.TB, lane sensor.Lane, msgs []sensor.Message) {
	t.Helper()
	acks := &waitAcks{t: t}
	for i := range msgs {
		acks.Add(1)
		if err := w.spools[lane].Append(sensor.AppendMessage(nil, &msgs[i]), spool.Ack{To: acks}); err != nil {
			t.Fatal(err)
		}
	}
	acks.Wait()
}

// Gap fills a second segment and drops the first.
func (w *world) Gap(t *testing.T, lane sensor.Lane) uint64 {
	t.Helper()
	for {
		g, ok, err := w.spools[lane].DropOldestSegment()
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return g.To
		}
		w.publish(t, lane, bustest.Messages(77, 20))
	}
}

func TestConformance(t *testing.T) {
	bustest.Run(t, func(t *testing.T) bustest.Harness { return newWorld(t) })
}

// consume runs one commit on the partition and returns.
func (w *world) commit(t *testing.T, part int32, p bus.Position) {
	t.Helper()
	g := w.group(t)
	a := &assignment{g, part, g.commits.own()}
	if err := a.Commit(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

func TestTrimBelowCommitsAndHolds(t *testing.T) {
	w := newWorld(t)
	w.publish(t, sensor.Live, bustest.Messages(1, 1000))
	for range 10 { // more segments
		w.publish(t, sensor.Live, bustest.Messages(2, 100))
	}
	first := func() int64 {
		f, _, err := w.bus.Bounds(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	h, err := w.bus.Hold(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.commit(t, 0, bus.Position{Offset: 1900})
	if first() != 1 {
		t.Fatalf("trimmed to %d although a reader stands at 1", first())
	}
	h.Advance(1500)
	w.commit(t, 0, bus.Position{Offset: 1901})
	held := first()
	if held == 1 || held > 1500 {
		t.Fatalf("oldest is %d, a reader stands at 1500", held)
	}
	h.Release()
	w.commit(t, 0, bus.Position{Offset: 1902})
	if f := first(); f <= held || f > 1902 {
		t.Fatalf("oldest is %d after commit 1902", f)
	}
	if _, err := w.bus.Hold(0, 1); !errors.Is(err, bus.ErrOffset) {
		t.Fatalf("hold of what is trimmed: %v", err)
	}
	var b sensor.Batch
	if _, err := w.bus.Fetch(t.Context(), 0, 1, 0, 0, &b); !errors.Is(err, bus.ErrOffset) {
		t.Fatalf("fetch of what is trimmed: %v", err)
	}
}

// TestIdleReadersDoNotPinTrimmedFiles: a place that nobody goes on from must not keep the disk full.
func TestIdleReadersDoNotPinTrimmedFiles(t *testing.T) {
	w := newWorld(t)
	for range 10 {
		w.publish(t, sensor.Live, bustest.Messages(2, 100))
	}
	var b sensor.Batch
	if _, err := w.bus.Fetch(t.Context(), 0, 1, 5, 0, &b); err != nil {
		t.Fatal(err)
	}
	if n := len(w.bus.readers); n != 1 {
		t.Fatalf("%d idle readers", n)
	}
	w.commit(t, 0, bus.Position{Offset: 900})
	if n := len(w.bus.readers); n != 0 {
		t.Fatalf("%d readers still hold what was trimmed", n)
	}
}

func TestCommitBeyondTheLogIsRefused(t *testing.T) {
	w := newWorld(t)
	w.publish(t, sensor.Live, bustest.Messages(1, 3))
	a := &assignment{w.group(t), 0, w.group(t).commits.core.Generation()}
	for _, offset := range []int64{-1, 5, 1 << 40} {
		if err := a.Commit(t.Context(), bus.Position{Offset: offset}); !errors.Is(err, bus.ErrOffset) {
			t.Errorf("commit %d: %v", offset, err)
		}
	}
}

// wipe removes the live spool's segments; the meta file decides whether the loss can be known.
func (w *world) wipe(t *testing.T, pattern string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(w.dir, "spool", "live", pattern))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, n := range names {
		if err := os.Remove(n); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWipedSpoolBeginsAnew(t *testing.T) {
	for _, what := range []string{"*.seg", "*"} { // with and without the file that tells of the old one
		w := newWorld(t)
		w.publish(t, sensor.Live, bustest.Messages(1, 5))
		w.commit(t, 0, bus.Position{Offset: 4, Meta: "intent"})
		before := w.spools[sensor.Live].Producer().Epoch
		w.close(t)
		w.wipe(t, what)
		w.open(t) // within the same second
		p, err := w.group(t).Committed(t.Context(), 0)
		if err != nil || p.Offset != -1 {
			t.Fatalf("position %+v, %v", p, err)
		}
		if e := w.spools[sensor.Live].Producer().Epoch; e <= before {
			t.Fatalf("epoch %d after %d", e, before)
		}
	}
}

// The clock was ahead when the spool was made, and it is lost with all that told of it: the commits know better.
func TestSpoolOfALowerEpochIsRefused(t *testing.T) {
	w := newWorld(t)
	w.publish(t, sensor.Live, bustest.Messages(1, 5))
	w.commit(t, 0, bus.Position{Offset: 4, Meta: "intent"})
	before := w.spools[sensor.Live].Producer().Epoch
	w.close(t)
	w.wipe(t, "*")
	early := func() time.Time { return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) }
	s, err := spool.Open(spool.Config{Dir: filepath.Join(w.dir, "spool", "live"), Gateway: "gw", Clock: early})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(Config{Dir: w.dir, Groups: []string{"ingest"}, Spools: []*spool.Spool{s}})
	if !errors.Is(err, bus.ErrOffset) {
		t.Fatalf("opened a bus whose log is another: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.wipe(t, "*") // with what the commits know the epoch rises, and all is clear
	known, err := LastEpochs(w.dir, []string{"ingest"})
	if err != nil || known[0] != before {
		t.Fatalf("epochs %v, want %d; %v", known, before, err)
	}
	s, err = spool.Open(spool.Config{Dir: filepath.Join(w.dir, "spool", "live"), Gateway: "gw", Clock: early, PreviousEpoch: known[0]})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(t)
}

// A commit that is written and not synced outlives kill -9, and no other test would notice. Linux takes what is written to
// the null device and refuses to sync it.
func TestCommitIsSynced(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("not run: what the null device says to a sync is known of Linux; run it there")
	}
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := &commitFile{path: os.DevNull, f: f, rewriteAt: rewriteAt}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	if err := c.append(commit{Part: 1, Offset: 5}); err == nil || c.failed == nil {
		t.Errorf("a commit that cannot be synced is done: %v, %v", err, c.failed)
	}
}

func TestCommitFile(t *testing.T) {
	dir := t.TempDir()
	open := func() *commitFile {
		c, err := openCommits(dir, "g")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := open()
	meta := string(make([]byte, 3000))
	for i := range 1000 { // several times over the bound at which it is written anew
		if err := c.append(commit{Part: int32(i % 2), Generation: 7, Offset: int64(i), Meta: meta + strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if c.size > rewriteAt+8000 {
		t.Fatalf("%d bytes", c.size)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	c = open()
	for part, want := range map[int32]int64{0: 998, 1: 999} {
		if p := c.position(part); p.Offset != want || p.Meta != meta+strconv.FormatInt(want, 10) {
			t.Fatalf("partition %d stands at %d", part, p.Offset)
		}
	}
	if c.core.Generation() != 7 || len(c.core.Newest(0)) != 2 {
		t.Fatalf("generation %d, %d kept", c.core.Generation(), len(c.core.Newest(0)))
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
}

// TestCommitFileTornAndDamaged cuts and flips the file at every byte.
func TestCommitFileTornAndDamaged(t *testing.T) {
	dir := t.TempDir()
	var image []byte
	for i := range int64(3) {
		image = protocol.AppendCommit(image, commit{Generation: uint64(i), Offset: i, Meta: "m"})
	}
	one := len(image) / 3
	try := func(b []byte) (int64, error) {
		if err := os.WriteFile(filepath.Join(dir, "g.commits"), b, 0o640); err != nil {
			t.Fatal(err)
		}
		c, err := openCommits(dir, "g")
		if err != nil {
			return 0, err
		}
		defer c.close()
		return c.position(0).Offset, nil
	}
	for cut := range len(image) + 1 {
		if got, err := try(image[:cut]); err != nil || got != int64(cut/one)-1 {
			t.Fatalf("cut at %d: offset %d, %v", cut, got, err)
		}
	}
	for at := range image {
		bad := append([]byte(nil), image...)
		bad[at] ^= 0x10
		got, err := try(bad)
		if at < 2*one && !errors.Is(err, errCommits) || at >= 2*one && (err != nil || got != 1) {
			t.Fatalf("flip at %d: offset %d, %v", at, got, err)
		}
	}
}

func BenchmarkFetch(b *testing.B) {
	w := newWorld(b)
	const n = 20_000
	m := bustest.Messages(1, 1)[0]
	m.Observations = append(m.Observations[:1], m.Observations[0])
	msgs := make([]sensor.Message, n)
	for i := range msgs {
		msgs[i] = m
	}
	w.publish(b, sensor.Live, msgs)
	var batch sensor.Batch
	from, rows := int64(1), 0
	b.ReportAllocs()
	for b.Loop() {
		batch.Watermarks = nil
		batch.Reset()
		from = 1
		for from <= n {
			next, err := w.bus.Fetch(b.Context(), 0, from, 0, 0, &batch)
			if err != nil {
				b.Fatal(err)
			}
			from = next
		}
		rows += batch.Messages
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/message")
}

func BenchmarkCommit(b *testing.B) {
	w := newWorld(b)
	w.publish(b, sensor.Live, bustest.Messages(1, 3))
	a := &assignment{w.group(b), 0, w.group(b).commits.core.Generation()}
	for b.Loop() {
		if err := a.Commit(b.Context(), bus.Position{Offset: 1, Meta: "intent 1..100000, schema 1, registry 17"}); err != nil {
			b.Fatal(err)
		}
	}
}

// A disk that was full when the commit file was to be shortened used to stop all commits for good, with the error of a
// full disk, which the ingester waits out for ever.
func TestCommitFileThatCannotBeShortenedGoesOn(t *testing.T) {
	dir := t.TempDir()
	c, err := openCommits(dir, "g")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.close() }()
	c.rewriteAt = 1000
	if err := os.Mkdir(c.path+".tmp", 0o750); err != nil { // nothing new can be written
		t.Fatal(err)
	}
	for i := range int64(100) {
		if err := c.append(commit{Generation: 1, Offset: i}); err != nil {
			t.Fatalf("commit %d: %v", i, err)
		}
	}
	if err := os.Remove(c.path + ".tmp"); err != nil {
		t.Fatal(err)
	}
	c.rewriteAt = 1000 // for a commit later
	if err := c.append(commit{Generation: 1, Offset: 100}); err != nil {
		t.Fatal(err)
	}
	if c.size > 500 {
		t.Errorf("the file has %d bytes", c.size)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if c, err = openCommits(dir, "g"); err != nil || c.position(0).Offset != 100 {
		t.Fatalf("found offset %d, %v", c.position(0).Offset, err)
	}
}
