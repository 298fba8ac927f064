package spool

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/situ-city/situ/pkg/sensor"
)

var (
	clones    = flag.Int("clones", defaultClones, "crash clones of TestCrashClones")
	cloneSeed = flag.Uint64("clone-seed", 0, "seed of one of its schedules to run again; 0 = new ones")
)

const clonesEach = 100 // of one schedule

// memoryDir is a directory in memory where there is one: a clone needs no disk, what it finds is what it is given.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "situ-clones-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestCrashClones runs spools by random schedules of appends, trims and policy on a file system that knows what was
// synced, and looks again and again at what a disk would hold if power failed now. All that was acknowledged is there,
// or was freed or removed by policy, and told.
func TestCrashClones(t *testing.T) {
	var looked, records atomic.Int64
	schedules := make(chan uint64, *clones/clonesEach+1)
	if *cloneSeed != 0 {
		schedules <- *cloneSeed
	} else {
		for range (*clones + clonesEach - 1) / clonesEach {
			schedules <- rand.Uint64()
		}
	}
	close(schedules)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := range schedules {
				n, r := cloneSchedule(t, seed)
				looked.Add(int64(n))
				records.Add(int64(r))
				if t.Failed() {
					return
				}
			}
		})
	}
	wg.Wait()
	if !t.Failed() {
		t.Logf("%d crash clones, %d acknowledged records looked for, 0 lost", looked.Load(), records.Load())
	}
}

// ackedTo is the highest record that is acknowledged; they are in order.
type ackedTo struct {
	mu sync.Mutex
	to uint64
}

func (a *ackedTo) Acked(token uint64, err error) {
	if err != nil {
		return
	}
	a.mu.Lock()
	a.to = token
	a.mu.Unlock()
}

func (a *ackedTo) now() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.to
}

func cloneSchedule(t *testing.T, seed uint64) (looked int, records uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	fail := func(what string, args ...any) {
		t.Errorf("-clone-seed %d: "+what, append([]any{seed}, args...)...)
	}
	dir, p := memoryDir(t), newPowerFS()
	s, err := Open(Config{Dir: dir, Gateway: "g", fs: p, SegmentBytes: int64(4096 + rnd.IntN(8192)), MaxBytes: 64 << 20,
		CommitDelay: time.Duration(rnd.IntN(200)) * time.Microsecond, CommitBytes: 1 + rnd.IntN(4096)})
	if err != nil {
		fail("%v", err)
		return 0, 0
	}
	defer s.Close()
	var a ackedTo
	var freed uint64 = 1 // Trim was asked for below this, so nothing below is looked for
	policy := Policy{Classes: []Horizon{{sensor.Social, 0}, {sensor.Enterprise, 0}}, Describe: describe}
	to := memoryDir(t)
	for n := uint64(1); looked < clonesEach; n++ {
		if err := s.AppendAs(classOf(n), body(n), Ack{&a, n}); err != nil {
			fail("append %d: %v", n, err)
			return looked, records
		}
		switch k := rnd.IntN(200); {
		case k == 0:
			if next := a.now(); next > freed {
				freed += rnd.Uint64N(next - freed)
				if err := s.Trim(freed); err != nil {
					fail("trim: %v", err)
				}
			}
		case k < 3:
			if _, err := s.Thin(policy); err != nil {
				fail("thin: %v", err)
			}
		case k < 40:
			runtime.Gosched() // let the writer get somewhere
		case k < 60:
			acked := a.now() // before the image is taken
			p.image(t, dir, to, rnd)
			looked++
			records += acked + 1 - min(freed, acked+1)
			if err := checkClone(to, acked, freed); err != nil {
				fail("clone %d: %d acknowledged, freed below %d: %v", looked, acked, freed, err)
				return looked, records
			}
		}
	}
	return looked, records
}

// checkClone opens what was found, reads it, goes on, and empties the directory.
func checkClone(dir string, acked, freed uint64) (err error) {
	s, err := Open(Config{Dir: dir, Gateway: "g"})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, s.Close())
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			err = errors.Join(err, os.Remove(s.path(e.Name())))
		}
	}()
	first, next := s.Bounds()
	if first > freed || next <= acked {
		return errors.New("acknowledged records are lost at an end")
	}
	r, err := s.NewReader(first)
	if err != nil {
		return err
	}
	defer r.Close()
	for n := first; n < next; n++ {
		seq, b, err := r.Next()
		switch {
		case err != nil:
			return err
		case seq != n:
			return errors.New("a number is missing")
		case b != nil && string(b) != string(body(n)):
			return errors.New("a record differs")
		case b == nil && (r.Gap().Class != classOf(n) || classOf(n) != sensor.Social && classOf(n) != sensor.Enterprise):
			return errors.New("a record is gone that policy did not remove")
		}
	}
	done := make(chan error, 1)
	if err := s.Append([]byte("after"), Ack{To: ackFunc(func(err error) { done <- err })}); err != nil {
		return err
	}
	return <-done
}

type ackFunc func(error)

func (f ackFunc) Acked(_ uint64, err error) { f(err) }
