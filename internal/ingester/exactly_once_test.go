package ingester

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/situ-city/situ/pkg/sensor"
)

// world is one schedule: a log that grows, a process that dies at any of its calls and comes back, a store that may
// lose what it does not sync.
type world struct {
	log   *memLog
	group *memGroup
	store *memStore
	opt   Options

	want    map[sensor.Identity]float64
	letters int
	repeats bool // the log carries messages twice
	power   bool // the store's tokens are lost at crashes
}

func newWorld() *world {
	l := newLog(1)
	return &world{log: l, group: newGroup(l), store: newStore(), want: map[sensor.Identity]float64{}}
}

// publish appends n messages of two producers, with readings in rising order and now and then an old instant again.
func (w *world) publish(r *rand.Rand, n int) {
	seqs := map[sensor.Producer]uint64{}
	for _, m := range w.log.parts[0] {
		seqs[m.p] = max(seqs[m.p], m.seq)
	}
	for range n {
		p := sensor.Producer{Gateway: "gw", Epoch: 1, Lane: sensor.Lane(r.IntN(2))}
		seqs[p]++
		m := logged{p: p, seq: seqs[p], m: sensor.Message{Arrival: int64(len(w.want))}}
		for idx := range r.IntN(4) {
			at := int64(1000*len(w.log.parts[0]) + idx)
			if r.IntN(5) == 0 {
				at = int64(r.IntN(10) * 1000)
			}
			o := sensor.Observation{Datastream: sensor.DatastreamID(1 + r.IntN(3)), PhenomenonTime: at, ResultTime: at, Result: r.Float64()}
			w.want[sensor.Identity{Producer: p, Seq: m.seq, Idx: uint16(idx)}] = o.Result
			m.m.Observations = append(m.m.Observations, o)
		}
		if r.IntN(10) == 0 {
			m.m.DeadLetters = []sensor.DeadLetter{{Reason: sensor.ReasonMalformed}}
			w.letters++
		}
		w.log.append(0, m)
		if old := w.log.parts[0]; w.repeats && r.IntN(4) == 0 {
			w.log.append(0, old[max(0, len(old)-1-r.IntN(6))])
		}
	}
}

// run lives and dies with one schedule. The error is what a person would see.
func (w *world) run(seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 1))
	w.publish(r, 1) // the begin of a log is compared by identity, which would hide what is looked for
	if _, err := life(w.log, w.group, w.store, w.opt, &bomb{at: -1}, w.done); err != nil {
		return err
	}
	w.publish(r, 10+r.IntN(20))
	w.opt.MaxRows = 1 + r.IntN(12)
	for deaths := 0; ; deaths++ {
		b := &bomb{at: r.IntN(25), after: r.IntN(2) == 0}
		if deaths > 12 {
			b.at = -1
		}
		crashed, err := life(w.log, w.group, w.store, w.opt, b, w.done)
		if err != nil {
			return err
		}
		if !crashed {
			return w.check()
		}
		if w.power {
			w.store.loseTokens()
		}
		if r.IntN(3) == 0 {
			w.publish(r, r.IntN(5))
		}
		w.opt.MaxRows = 1 + r.IntN(12) // another process chooses other blocks
	}
}

func (w *world) done() bool {
	at, _ := (&memAssignment{g: w.group}).Committed(nil)
	_, next, _ := w.log.Bounds(nil, 0)
	return at.Offset == next && at.Meta == ""
}

func (w *world) check() error {
	n := w.store.count()
	for id, result := range w.want {
		if n[id] != 1 || w.store.result[id] != result {
			return fmt.Errorf("%+v is stored %d times", id, n[id])
		}
	}
	if len(n) != len(w.want) {
		return fmt.Errorf("%d identities are stored, %d were published", len(n), len(w.want))
	}
	if len(w.store.letters) != w.letters {
		return fmt.Errorf("%d dead letters, want %d", len(w.store.letters), w.letters)
	}
	for pair, rows := range w.store.stored {
		if rows > 1 && !w.store.repeats[pair] {
			return fmt.Errorf("%+v has %d rows and history is not told", pair, rows)
		}
	}
	return nil
}

// schedules runs many worlds and gives the first failure.
func schedules(t *testing.T, n int, set func(*world)) (err error) {
	for seed := range uint64(n) {
		synctest.Test(t, func(*testing.T) {
			w := newWorld()
			set(w)
			if e := w.run(seed); e != nil && err == nil {
				err = fmt.Errorf("seed %d: %w", seed, e)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const manySchedules = 150

func TestExactlyOnceThroughCrashes(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*world)
	}{
		{"a log without repeats", func(*world) {}},
		{"a log with repeats", func(w *world) { w.repeats = true }},
		{"power cuts", func(w *world) { w.repeats, w.power = true, true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := schedules(t, manySchedules, c.set); err != nil {
				t.Error(err)
			}
		})
	}
}

// Each rule is there because without it readings are lost or counted twice. If one of these stops failing, the rule is
// not needed, or the test above no longer looks.
func TestEveryRuleIsNeeded(t *testing.T) {
	for _, c := range []struct {
		rule string
		set  func(*world)
	}{
		{"the intent is kept with the offset", func(w *world) { w.group.forgetful = true }},
		{"tokens are remembered, or rows compared", func(w *world) { w.store.noTokens, w.store.noIdentity = true, true }},
		{"doubtful blocks are compared by identity", func(w *world) { w.power, w.store.noIdentity = true, true }},
		{"watermarks are restored", func(w *world) { w.repeats, w.store.noWatermarks = true, true }},
		{"a block leaves a record", func(w *world) { w.repeats, w.store.noRecord = true, true }},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if err := schedules(t, manySchedules, c.set); err == nil {
				t.Error("nothing went wrong without it")
			} else {
				t.Log(err)
			}
		})
	}
}

// Every call of a block's way is one at which the process may die. All of them, before and after, not at random.
func TestCrashAtEveryCall(t *testing.T) {
	for at := 0; ; at++ {
		over := false
		for _, after := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.publish(rand.New(rand.NewPCG(7, 7)), 12)
				w.opt.MaxRows = 8
				b := &bomb{at: at, after: after}
				crashed, err := life(w.log, w.group, w.store, w.opt, b, w.done)
				if err != nil {
					t.Fatal(err)
				}
				over = !crashed
				if crashed {
					if _, err := life(w.log, w.group, w.store, w.opt, &bomb{at: -1}, w.done); err != nil {
						t.Fatalf("after %v: %v", b.names, err)
					}
				}
				if err := w.check(); err != nil {
					t.Errorf("crash at call %d (after it: %v) %s: %v", at, after, strings.Join(b.names, " "), err)
				}
			})
		}
		if over {
			if at < 10 {
				t.Errorf("only %d calls: the schedule is too short to show anything", at)
			}
			return
		}
	}
}

// A process that was stopped in the middle of an insert wakes up when another one owns the partition.
func TestZombieChangesNothing(t *testing.T) {
	for _, anyOwner := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.group.anyOwner = anyOwner
			w.publish(rand.New(rand.NewPCG(3, 3)), 40)
			w.opt.MaxRows = 10
			sleeper := &sleepyStore{Store: w.store, asleep: make(chan struct{}), wake: make(chan struct{})}
			ended := make(chan error, 1)
			var stop atomic.Bool
			go func() {
				_, err := life(w.log, w.group, sleeper, w.opt, &bomb{at: -1}, stop.Load)
				ended <- err
			}()
			<-sleeper.asleep
			w.opt.MaxRows = 3
			if _, err := life(w.log, w.group, w.store, w.opt, &bomb{at: -1}, w.done); err != nil {
				t.Fatal(err)
			}
			before := w.group.at[0]
			close(sleeper.wake)
			if !anyOwner {
				if err := <-ended; err != nil {
					t.Errorf("the zombie: %v", err)
				}
				if w.group.at[0] != before {
					t.Errorf("the zombie moved the position from %+v to %+v", before, w.group.at[0])
				}
				if err := w.check(); err != nil {
					t.Error(err)
				}
				return
			}
			synctest.Wait()
			if w.group.at[0] == before {
				t.Error("without generations the zombie changed nothing: this test does not look")
			}
			stop.Store(true)
			<-ended
		})
	}
}
