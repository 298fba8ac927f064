package spool

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/situ-city/situ/pkg/sensor"
)

// classOf gives record n a class, so that a record tells by its number what may have become of it.
func classOf(n uint64) sensor.OwnerClass {
	return [...]sensor.OwnerClass{sensor.Social, sensor.Social, sensor.Government, sensor.Social, sensor.Enterprise, sensor.ClassUnknown, sensor.Social}[n%7]
}

// putClasses appends records from..to, some at a time, so that they spread over commits and segments.
func putClasses(t testing.TB, s *Spool, from, to uint64) {
	t.Helper()
	for ; from <= to; from += 20 {
		if taken, err := putSome(s, from, min(from+19, to)); err != nil {
			t.Fatal(taken, err)
		}
	}
}

// putSome appends records from..to together and gives how many were taken, from the first on, and why no more.
func putSome(s *Spool, from, to uint64) (taken uint64, err error) {
	a := newAckLog()
	var refused error
	n := from
	for ; n <= to && refused == nil; n++ {
		refused = s.AppendAs(classOf(n), body(n), Ack{a, n})
	}
	if refused != nil {
		n--
	}
	for range n - from {
		<-a.some
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, err := range a.errs {
		if err != nil {
			return taken, err
		}
		taken++
	}
	return taken, refused
}

// owner of record n, as Describe finds it in the body.
func describe(b []byte) sensor.GapShare {
	n := binary.LittleEndian.Uint64(b)
	return sensor.GapShare{Thing: sensor.ThingKey(1 + n%5), Hour: int64(n/1000) * hourMs}
}

// census is what a reading of the whole log finds.
type census struct {
	kept, gone map[sensor.OwnerClass]uint64
	told       map[sensor.OwnerClass]uint64 // by shares
	shares     map[sensor.ThingKey]uint64
	gaps       int
}

// count reads from..to, which begins and ends where segments do, or everything.
func count(t testing.TB, s *Spool, from, to uint64) census {
	t.Helper()
	c := census{map[sensor.OwnerClass]uint64{}, map[sensor.OwnerClass]uint64{}, map[sensor.OwnerClass]uint64{}, map[sensor.ThingKey]uint64{}, 0}
	r, err := s.NewReader(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b sensor.Batch
	for n := from; n <= to; n++ {
		seq, got, err := r.Next()
		if err != nil || seq != n {
			t.Fatalf("record %d: got %d, %v", n, seq, err)
		}
		if got != nil {
			if string(got) != string(body(n)) {
				t.Fatalf("record %d differs", n)
			}
			c.kept[classOf(n)]++
			continue
		}
		c.gone[classOf(n)]++
		if g := r.Gap(); g.From != n || g.To != n || g.Class != classOf(n) || g.Reason == "" || g.At == 0 || g.Producer != s.Producer() {
			t.Fatalf("record %d: gap %+v", n, g)
		}
		Skip(r, &b)
	}
	var sum uint64
	for _, g := range b.Gaps {
		sum += g.To - g.From + 1
	}
	if sum != uint64(b.Removed) {
		t.Fatalf("gaps of %d, %d are gone", sum, b.Removed)
	}
	c.gaps = len(b.Gaps)
	for _, s := range b.GapShares {
		c.told[s.Class] += s.Messages
		c.shares[s.Thing] += s.Messages
	}
	return c
}

func TestThinRemovesOneClassAfterTheOtherAndGovernmentNever(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, SegmentBytes: 16 << 10, MaxBytes: 64 << 20}
	s := open(t, cfg)
	const all = 3000
	putClasses(t, s, 1, all)
	var removed []Removed
	p := Policy{Classes: []Horizon{{sensor.Social, 0}, {sensor.Enterprise, 0}}, Describe: describe, OnRemoved: func(r Removed) { removed = append(removed, r) }}
	before, _ := s.Used()
	half := len(segmentFiles(t, dir)) / 2
	for i := range half {
		if ok, err := s.Thin(p); !ok || err != nil {
			t.Fatal(i, ok, err)
		}
	}
	c := count(t, s, 1, all)
	if c.gone[sensor.Social] == 0 || c.gone[sensor.Enterprise] != 0 || c.kept[sensor.Social] == 0 {
		t.Fatalf("after %d segments: %+v", half, c)
	}
	for {
		ok, err := s.Thin(p)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
	}
	used, _ := s.Used()
	check := func() {
		t.Helper()
		c := count(t, s, 1, all)
		if c.gone[sensor.Government]+c.gone[sensor.ClassUnknown] != 0 {
			t.Fatalf("removed what never is: %+v", c)
		}
		last, _ := segLast(s)
		if c.kept[sensor.Social] > (all-last)*4/7+4 || c.kept[sensor.Enterprise] > (all-last)/7+1 {
			t.Fatalf("left in sealed segments: %+v, the last begins at %d", c, last)
		}
		if len(c.shares) != 5 || c.told[sensor.Social] != c.gone[sensor.Social] || c.told[sensor.Enterprise] != c.gone[sensor.Enterprise] {
			t.Fatalf("shares %v, told %v, gone %v", c.shares, c.told, c.gone)
		}
		if u, _ := s.Used(); u != used || u > before*2/5 {
			t.Fatalf("%d bytes in use, were %d, before %d", u, used, before)
		}
		expectFiles(t, dir, used)
	}
	check()
	var messages uint64
	for i, r := range removed {
		messages += r.Messages
		if r.Reason != GapHorizon || r.Bytes <= 0 || i > 0 && r.Class == sensor.Social && removed[i-1].Class == sensor.Enterprise {
			t.Fatalf("removal %d: %+v", i, r)
		}
	}
	if c := count(t, s, 1, all); messages != c.gone[sensor.Social]+c.gone[sensor.Enterprise] {
		t.Fatalf("%d were told of, %+v", messages, c)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	check()
	held := s.Held()
	if held[sensor.Government].Messages != (all+4)/7 {
		t.Fatalf("held %+v", held)
	}
	// Every position can be read from, also in the middle of what is gone.
	for from := uint64(1); from <= all; from += 97 {
		r, err := s.NewReader(from)
		if err != nil {
			t.Fatal(from, err)
		}
		if seq, b, err := r.Next(); err != nil || seq != from || b != nil && string(b) != string(body(from)) {
			t.Fatal(from, seq, err)
		}
		_ = r.Close()
	}
	putClasses(t, s, all+1, all+200) // and the log goes on
	count(t, s, 1, all+200)
}

func segLast(s *Spool) (first, next uint64) {
	s.segMu.Lock()
	defer s.segMu.Unlock()
	last := s.segments[len(s.segments)-1]
	return last.first, last.next
}

// expectFiles compares what is counted with what is on the disk.
func expectFiles(t testing.TB, dir string, used int64) {
	t.Helper()
	var sum int64
	for _, name := range segmentFiles(t, dir) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	if sum != used {
		t.Fatalf("%d bytes on disk, %d counted", sum, used)
	}
}

// Horizons: under pressure what is older than its class's goes first, whatever the class; what is younger only then.
func TestThinHonoursHorizons(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, Config{SegmentBytes: 8 << 10, MaxBytes: 64 << 20, Clock: func() time.Time { return now }})
	for day := range uint64(10) { // a day a hundred records
		putClasses(t, s, 1+day*100, 100+day*100)
		now = now.Add(24 * time.Hour)
	}
	p := Policy{Classes: []Horizon{{sensor.Social, 3 * 24 * time.Hour}, {sensor.Enterprise, 7 * 24 * time.Hour}}}
	var order []string
	p.OnRemoved = func(r Removed) {
		if what := r.Class.String() + " " + r.Reason; len(order) == 0 || order[len(order)-1] != what {
			order = append(order, what)
		}
	}
	for ok := true; ok; {
		var err error
		if ok, err = s.Thin(p); err != nil {
			t.Fatal(err)
		}
		if c := count(t, s, 1, 1000); len(order) == 1 && order[0] == "social horizon" && c.kept[sensor.Social] < 100 {
			t.Fatalf("too much went for its age: %+v", c)
		}
	}
	if got := strings.Join(order, ", "); got != "social horizon, enterprise horizon, social spool_full, enterprise spool_full" {
		t.Fatal(got)
	}
}

// What is being stored or sent must stay as it is, whoever wants room.
func TestThinLeavesAloneWhatIsBeingRead(t *testing.T) {
	s := open(t, Config{SegmentBytes: 8 << 10, MaxBytes: 64 << 20})
	putClasses(t, s, 1, 1000)
	held, released := uint64(600), 0
	p := Policy{Classes: []Horizon{{sensor.Social, 0}}, Hold: func() (uint64, func()) { return held, func() { released++ } }}
	for ok := true; ok; {
		ok, _ = s.Thin(p)
	}
	c := count(t, s, 1, 599)
	if len(c.gone) != 0 || released == 0 {
		t.Fatalf("below 600: %+v", c)
	}
	if c := count(t, s, 600, 1000); c.gone[sensor.Social] == 0 {
		t.Fatalf("above 600: %+v", c)
	}
	// It moves on between the look and the exchange: the file stays.
	held = 1
	p.Hold = func() (uint64, func()) { held += 300; return held - 300, func() {} }
	if _, err := s.Thin(p); err != nil {
		t.Fatal(err)
	}
	if c := count(t, s, 1, 300); len(c.gone) != 0 {
		t.Fatalf("exchanged under the reader's hands: %+v", c)
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir(), "*"+thinSuffix)); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

// Readers anywhere in the log, opening and seeking while segments change under them, see each number once and in order,
// and the body or none.
func TestReadersWhileThinning(t *testing.T) {
	s := open(t, Config{SegmentBytes: 8 << 10, MaxBytes: 64 << 20})
	const all = 1500
	putClasses(t, s, 1, all)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for i := range uint64(4) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(i, 1))
			r, err := s.NewReader(1)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			for !stop.Load() {
				from := 1 + rnd.Uint64N(all-200)
				if err := r.Seek(from); err != nil {
					t.Error(err)
					return
				}
				for n := from; n < from+200; n++ {
					seq, b, err := r.Next()
					if err != nil || seq != n || b != nil && string(b) != string(body(n)) {
						t.Errorf("at %d: %d, %v", n, seq, err)
						return
					}
				}
			}
		})
	}
	p := Policy{Classes: []Horizon{{sensor.Social, 0}, {sensor.Enterprise, 0}}, Describe: describe}
	for ok := true; ok; {
		var err error
		if ok, err = s.Thin(p); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	wg.Wait()
	count(t, s, 1, all)
}

// The disk fails at every step of the rewriting, or the process ends there: what was there is there, or what was to
// come in its place.
func TestThinThroughFaults(t *testing.T) {
	p := Policy{Classes: []Horizon{{sensor.Social, 0}}, Describe: describe}
	for step := 1; ; step++ {
		dir := t.TempDir()
		cfg := Config{Dir: dir, SegmentBytes: 8 << 10, MaxBytes: 64 << 20}
		broken := &stepFS{}
		cfg.fs = broken
		s := open(t, cfg)
		putClasses(t, s, 1, 300)
		broken.failAt.Store(int64(step))
		_, err := s.Thin(p)
		hit := broken.failAt.Load() == 0
		broken.failAt.Store(-1)
		if hit && err == nil {
			t.Fatalf("step %d failed and nobody said so", step)
		}
		count(t, s, 1, 300)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		// As after a crash: a file half written in the way.
		if err := os.WriteFile(segmentFiles(t, dir)[0]+thinSuffix, []byte("half"), 0o640); err != nil {
			t.Fatal(err)
		}
		cfg.fs = nil
		s = open(t, cfg)
		count(t, s, 1, 300)
		if left, _ := filepath.Glob(filepath.Join(dir, "*"+thinSuffix)); len(left) != 0 {
			t.Fatalf("left behind: %v", left)
		}
		if ok, err := s.Thin(p); !ok || err != nil {
			t.Fatalf("step %d, again: %v %v", step, ok, err)
		}
		count(t, s, 1, 300)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if !hit {
			t.Logf("%d steps", step-1)
			return
		}
	}
}

// stepFS fails the n-th operation from when it was told.
type stepFS struct {
	disk
	failAt atomic.Int64 // 1 = the next
}

var errStep = errors.New("this step fails")

func (f *stepFS) step() error {
	if f.failAt.Load() > 0 && f.failAt.Add(-1) == 0 {
		return errStep
	}
	return nil
}

type stepFile struct {
	file
	fs *stepFS
}

func (f *stepFS) create(path string) (file, error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	inner, err := f.disk.create(path)
	return stepFile{inner, f}, err
}

func (f *stepFS) rename(from, to string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.disk.rename(from, to)
}

func (f *stepFS) syncDir(dir string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.disk.syncDir(dir)
}

func (f stepFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.fs.step(); err != nil {
		n, _ := f.file.WriteAt(b[:len(b)/2], off)
		return n, err
	}
	return f.file.WriteAt(b, off)
}

func (f stepFile) Sync() error {
	if err := f.fs.step(); err != nil {
		return err
	}
	return f.file.Sync()
}

// Days offline, in small: three times what fits arrives. All of government is there at the end, told is what is not.
func TestPolicyKeepsGovernmentThroughDaysOffline(t *testing.T) {
	s := open(t, Config{SegmentBytes: 32 << 10, MaxBytes: 512 << 10})
	p := Policy{Classes: []Horizon{{sensor.Social, 0}, {sensor.Enterprise, 0}}, Describe: describe}
	done := make(chan error, 1)
	go func() { done <- s.RunPolicy(t.Context(), p) }()
	var n, government uint64
	var full error
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); {
		var taken uint64
		taken, full = putSome(s, n+1, n+20)
		for range taken {
			if n++; classOf(n) == sensor.Government {
				government++
			}
		}
		if full == nil {
			continue
		}
		// No room: either the policy has not got round to it, or there is nothing it may remove.
		if ok, err := s.Thin(p); err != nil {
			t.Fatal(err)
		} else if !ok && taken == 0 {
			break
		}
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(time.Minute); !errors.Is(s.NoRoom(), ErrFull) && time.Now().Before(limit); {
		<-tick.C // the policy says so when it has looked at it itself
	}
	if !errors.Is(full, ErrFull) || !errors.Is(s.NoRoom(), ErrFull) {
		t.Fatalf("ended with %v, %v", full, s.NoRoom())
	}
	c := count(t, s, 1, n)
	t.Logf("of %d offered (%d KiB fit) stayed: government %d of %d, enterprise %d, social %d; %d gap records",
		n, 512, c.kept[sensor.Government], government, c.kept[sensor.Enterprise], c.kept[sensor.Social], c.gaps)
	if c.kept[sensor.Government] != government || c.gone[sensor.ClassUnknown] != 0 {
		t.Fatalf("government had %d: %+v", government, c)
	}
	if used, max := s.Used(); used > max {
		t.Fatalf("%d bytes in use of %d", used, max)
	}
	if err := s.Trim(n); err != nil { // the link is back
		t.Fatal(err)
	}
	if taken, err := putSome(s, n+1, n+1); taken != 1 {
		t.Fatal(err)
	}
	for limit := time.Now().Add(time.Minute); s.NoRoom() != nil; <-tick.C {
		if time.Now().After(limit) {
			t.Fatal(s.NoRoom())
		}
	}
	_ = s.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestGoneRoundTrip(t *testing.T) {
	shares := []sensor.GapShare{{Thing: 1, Hour: 5 * hourMs, Messages: 3999}, {Owner: "who", Hour: -hourMs, Messages: 1}}
	g := gone{n: 4000, class: sensor.Social, reason: 1, at: 1795456800123}
	for i := range shares {
		g.shares = appendShare(g.shares, &shares[i])
	}
	b := g.append(nil)
	got, ok := parseGone(b)
	if !ok || !reflect.DeepEqual(got, g) || !reflect.DeepEqual(parseShares(got.shares), shares) {
		t.Fatalf("%+v, %v, %v", got, ok, parseShares(got.shares))
	}
	for cut := range b {
		if got, ok := parseGone(b[:cut]); ok {
			if some := parseShares(got.shares); !slices.Equal(some, shares[:len(some)]) {
				t.Fatalf("cut at %d gives %v", cut, some)
			}
		}
	}
}

func FuzzGone(f *testing.F) {
	g := gone{n: 3, class: sensor.Social, at: 5}
	f.Add(g.append(nil))
	g.shares = appendShare(nil, &sensor.GapShare{Thing: 1, Messages: 3})
	f.Add(g.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, ok := parseGone(b)
		if !ok {
			return
		}
		again, ok := parseGone(g.append(nil))
		if !ok || !reflect.DeepEqual(again, g) {
			t.Fatalf("%+v became %+v", g, again)
		}
		parseShares(g.shares)
	})
}
