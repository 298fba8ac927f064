package registry

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/situ-city/situ/pkg/sensor"
)

// Two processes' worth of registries on one database: every write lands, numbers never repeat, each sees the other.
func testTwoOpensOfOne(t *testing.T, db fresh) {
	path := db(t)
	both := []*Registry{open(t, path), open(t, path)}
	if both[0].ID() != both[1].ID() {
		t.Fatal("two ids")
	}
	const each = 30
	var wg sync.WaitGroup
	for i, r := range both {
		for w := range 2 {
			wg.Go(func() {
				for n := range each {
					x := thing(sensor.ThingID(fmt.Sprintf("owner%d-%d/%d", i, w, n)))
					if _, err := r.PutThing(context.Background(), x, &sensor.Datastream{Property: "pm10"}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for _, r := range both {
		if _, err := r.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := r.Snapshot(); s.Things() != 4*each || s.Version() != 8*each {
			t.Errorf("%d Things at version %d", s.Things(), s.Version())
		}
		if err := tables(t.Context(), r.read, r.Snapshot()); err != nil {
			t.Error(err)
		}
	}
	if n, err := both[0].Refresh(t.Context()); n != 0 || err != nil {
		t.Errorf("refreshed %d, %v", n, err)
	}
	// What the other wrote counts at once, without a Refresh: the serial is taken, the version is gone.
	mine := thing("a/mine")
	mine.Serial = "MN1"
	if _, err := both[0].PutThing(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	theirs := thing("a/theirs")
	theirs.Serial = "MN1"
	if _, err := both[1].PutThing(t.Context(), theirs); !errors.Is(err, ErrSerialTaken) {
		t.Errorf("serial of the other: %v", err)
	}
	if _, ok := both[1].Snapshot().Thing("a/mine"); !ok {
		t.Error("the refused write did not take in what the other wrote")
	}
}

func testReplacedUnderneath(t *testing.T, db fresh) {
	path := db(t)
	r := open(t, path)
	if _, err := r.PutThing(t.Context(), thing("a/1")); err != nil {
		t.Fatal(err)
	}
	forget := "DELETE FROM sqlite_sequence"
	if IsPostgres(path) {
		forget = "UPDATE situ_registry SET head = 0"
	}
	for _, s := range []string{"DELETE FROM things", "DELETE FROM changes", forget} {
		if _, err := r.write.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.PutThing(t.Context(), thing("a/2")); !errors.Is(err, ErrBackwards) {
		t.Errorf("write: %v", err)
	}
	if _, err := r.Refresh(t.Context()); !errors.Is(err, ErrBackwards) {
		t.Errorf("refresh: %v", err)
	}
}

// Readers run beside writers and only ever see whole versions: a Thing and its Datastream, or neither.
func testReadersBesideWriters(t *testing.T, db fresh) {
	r := db.openNew(t)
	ctx, stop := context.WithCancel(t.Context())
	var readers, writers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			last := uint64(0)
			for ctx.Err() == nil {
				s := r.Snapshot()
				if s.Version() < last {
					t.Errorf("version %d after %d", s.Version(), last)
				}
				last = s.Version()
				n := 0
				for x := range s.ThingsFrom(sensor.ThingKey(rand.Uint64())) {
					if len(s.DatastreamsOf(x.ID)) != 1 || x.Version > last {
						t.Errorf("%s of version %d in %d with %d Datastreams", x.ID, x.Version, last, len(s.DatastreamsOf(x.ID)))
					}
					if n++; n == 100 {
						break
					}
				}
				if s.Things() != s.Datastreams() {
					t.Errorf("%d Things, %d Datastreams", s.Things(), s.Datastreams())
				}
				r.CheckCredential("city", nil)
			}
		})
	}
	for w := range 3 {
		writers.Go(func() {
			for n := range 10 {
				id := sensor.ThingID(fmt.Sprintf("w%d/%d", w, n))
				_, err := r.PutThing(ctx, thing(id), &sensor.Datastream{Property: "pm10"})
				var batch []sensor.Declaration
				for i := range 10 {
					batch = append(batch, sensor.Declaration{Datastream: stream(sensor.ThingID(fmt.Sprintf("%s-%d", id, i)), "pm10", "x")})
				}
				_, err2 := r.Declare(ctx, batch)
				_, _, err3 := r.Changes(ctx, r.Snapshot().Version()/2, 50)
				if err := errors.Join(err, err2, err3); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	if s := r.Snapshot(); s.Things() != 3*10*11 {
		t.Errorf("%d Things", s.Things())
	}
}

// A write whose caller gave up is either there or not, and the ledger goes on.
func testCancelledWrites(t *testing.T, db fresh) {
	r := db.openNew(t)
	for i := range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i*50)*time.Microsecond)
		id := sensor.ThingID(fmt.Sprintf("a/%d", i))
		_, err := r.PutThing(ctx, thing(id))
		cancel()
		if _, there := r.Snapshot().Thing(id); err == nil && !there {
			t.Errorf("%s was stored, and is not there", id)
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a write whose time ran out: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	tx, err := r.begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for err == nil { // until database/sql has noticed
		_, err = tx.Exec("SELECT 1")
	}
	if err := commit(ctx, tx); !errors.Is(err, context.Canceled) || !errors.Is(tx.Rollback(), sql.ErrTxDone) {
		t.Errorf("a commit that came too late: %v", err)
	}
	if _, err := r.PutThing(t.Context(), thing("a/last")); err != nil {
		t.Fatal(err)
	}
	if err := tables(t.Context(), r.read, r.Snapshot()); err != nil {
		t.Error(err)
	}
}

// The child of testKill9 opens crashEnv and keeps its snapshot file at crashFileEnv.
const (
	crashEnv     = "SITU_REGISTRY_CRASH"
	crashFileEnv = "SITU_REGISTRY_CRASH_FILE"
)

// TestCrashChild is no test by itself: testKill9 runs it as a process of its own and kills it.
func TestCrashChild(t *testing.T) {
	path := os.Getenv(crashEnv)
	if path == "" {
		t.Skip("only runs as a child of testKill9")
	}
	r, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out sync.Mutex
	round := r.Snapshot().Version()
	say := func(id sensor.ThingID) { out.Lock(); fmt.Printf("acked %s\n", id); out.Unlock() }
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			id := sensor.ThingID(fmt.Sprintf("put/%d-%d", round, n))
			if _, err := r.PutThing(context.Background(), thing(id), &sensor.Datastream{Property: "pm10"}); err != nil {
				panic(err)
			}
			say(id)
		}
	})
	wg.Go(func() {
		for n := 0; ; n++ {
			var batch []sensor.Declaration
			for i := range 200 {
				batch = append(batch, sensor.Declaration{Datastream: stream(sensor.ThingID(fmt.Sprintf("auto/%d-%d-%d", round, n, i)), "pm10", "x")})
			}
			if _, err := r.Declare(context.Background(), batch); err != nil {
				panic(err)
			}
			say(batch[0].Datastream.Thing)
			say(batch[199].Datastream.Thing)
		}
	})
	wg.Go(func() {
		for {
			if err := WriteSnapshot(os.Getenv(crashFileEnv), r.Snapshot()); err != nil {
				panic(err)
			}
		}
	})
	wg.Wait()
}

// kill -9 at any instant: what was acknowledged is there, the feed has every number once and no hole, the tables agree
// with it, and the snapshot file is a whole one.
func testKill9(t *testing.T, db fresh) {
	path, file := db(t), filepath.Join(t.TempDir(), "snapshot")
	rounds := 5
	if testing.Short() || IsPostgres(path) { // a server does not die with its client
		rounds = 2
	}
	acked := map[sensor.ThingID]bool{}
	for round := range rounds {
		child := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
		child.Env = append(os.Environ(), crashEnv+"="+path, crashFileEnv+"="+file)
		child.Stderr = os.Stderr
		pipe, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(pipe)
		kill := func() {
			if err := child.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
		after := 1 + rand.IntN(40)
		n := 0
		for lines.Scan() { // also what was said between the order to kill and the death
			if id, ok := strings.CutPrefix(lines.Text(), "acked "); ok {
				acked[sensor.ThingID(id)] = true
				if n++; n == after {
					time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, kill)
				}
			}
		}
		io.Copy(io.Discard, pipe)
		if err := child.Wait(); err == nil || n < after {
			t.Fatalf("round %d: the child ended by itself after %d: %v", round, n, err)
		}
		checkAfterCrash(t, path, file, acked)
	}
	t.Logf("%d acknowledged", len(acked))
}

func checkAfterCrash(t *testing.T, path, snapshot string, acked map[sensor.ThingID]bool) {
	t.Helper()
	r, err := Open(t.Context(), path, testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !IsPostgres(path) {
		var integrity string
		if err := r.read.QueryRow("PRAGMA integrity_check").Scan(&integrity); err != nil || integrity != "ok" {
			t.Errorf("integrity %q, %v", integrity, err)
		}
	}
	s := r.Snapshot()
	for id := range acked {
		if _, ok := s.Thing(id); !ok {
			t.Errorf("%s was acknowledged, and is lost", id)
		}
	}
	last := uint64(0)
	err = readChanges(t.Context(), r.read, 0, -1, func(c Change) error {
		if c.Number != last+1 {
			t.Errorf("change %d after %d", c.Number, last)
		}
		last = c.Number
		return nil
	})
	if err := errors.Join(err, tables(t.Context(), r.read, s)); err != nil {
		t.Error(err)
	}
	if file, err := LoadSnapshot(snapshot); err == nil && (file.Version() > s.Version() || file.id != s.id) || err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("snapshot file: %v", err)
	}
	next, err := r.PutThing(t.Context(), thing(sensor.ThingID(fmt.Sprintf("after/%d", last))))
	if err != nil || next.Version != last+1 {
		t.Errorf("first write after the crash: %+v, %v; want version %d", next, err, last+1)
	}
}
