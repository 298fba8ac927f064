package rollup_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
)

var schedules = flag.Int("rollup.schedules", 10_000, "random schedules of the marking protocol")

// rules of docs/formats/rollups.md, each of which can be left out.
type rules struct {
	clockAfterRows   bool // a block reads the clock after its rows are there
	versionFirst     bool // a recompute stores its version before it reads rows
	versionAbove     bool // versions rise
	doneIsTheVersion bool // what is noted as done is the version, not "all there is"
	marksAbove       bool // 5 minutes mark their hour, after their rows are there
	greatestWins     bool
}

var allRules = rules{true, true, true, true, true, true}

// The protocol at random: blocks and workers that stand still or die at any step. Without any one of the rules it fails.
func TestProtocol(t *testing.T) {
	seed := seed()
	t.Logf("seed %d", seed)
	for n := range *schedules {
		if err := play(allRules, rand.New(rand.NewPCG(seed, uint64(n)))); err != nil {
			t.Fatalf("schedule %d: %v", n, err)
		}
	}
	for name, without := range map[string]func(*rules){
		"clock after rows":    func(r *rules) { r.clockAfterRows = false },
		"version first":       func(r *rules) { r.versionFirst = false },
		"version above":       func(r *rules) { r.versionAbove = false },
		"done is the version": func(r *rules) { r.doneIsTheVersion = false },
		"marks above":         func(r *rules) { r.marksAbove = false },
		"greatest wins":       func(r *rules) { r.greatestWins = false },
	} {
		r, failed := allRules, 0
		without(&r)
		for n := range *schedules {
			if play(r, rand.New(rand.NewPCG(1, uint64(n)))) != nil {
				failed++
				break
			}
		}
		if failed == 0 {
			t.Errorf("without the rule %q nothing goes wrong: is it needed, or is the model too tame?", name)
		}
	}
}

// node is a window: 0 and 1 are 5 minutes, 2 is the hour of both. Contents are sets of rows, a bit each.
type node struct {
	rows         uint64 // of a 5-minute window
	marked, done int
	version      int
	content      uint64
}

type city struct {
	rules
	random  *rand.Rand
	nodes   [3]node
	clock   int
	pending uint64 // rows whose marks are not there yet
}

const hour = 2

// actor does one step of its work a call, and tells whether there is more.
type actor func() bool

func play(r rules, random *rand.Rand) error {
	c := &city{rules: r, random: random}
	var actors []actor
	for i := range 5 {
		actors = append(actors, c.block(random.IntN(2), 1<<i))
	}
	for range 3 {
		actors = append(actors, c.worker(random.IntN(40)))
	}
	for len(actors) > 0 {
		i := random.IntN(len(actors))
		for more := 1 + random.IntN(12); more > 0; more-- { // the others stand still meanwhile
			if !actors[i]() {
				actors[i], more = actors[len(actors)-1], 0
				actors = actors[:len(actors)-1]
			}
			if err := c.check(); err != nil {
				return err
			}
		}
	}
	for range 10 { // a last one that nobody disturbs
		for last := c.worker(1000); last(); {
		}
	}
	for i, n := range c.nodes {
		if n.marked > n.done || n.content != c.want(i) {
			return fmt.Errorf("at the end node %d holds %b, want %b: %+v", i, n.content, c.want(i), n)
		}
	}
	return c.check()
}

func (c *city) want(i int) uint64 {
	if i == hour {
		return c.nodes[0].rows | c.nodes[1].rows
	}
	return c.nodes[i].rows
}

// check: what is not marked holds all rows whose marks are written; an hour, if its 5 minutes are not marked either.
func (c *city) check() error {
	clean := func(i int) bool { return c.nodes[i].marked <= c.nodes[i].done }
	for i, n := range c.nodes {
		if missing := c.want(i) &^ n.content &^ c.pending; missing != 0 && clean(i) && (i != hour || clean(0) && clean(1)) {
			return fmt.Errorf("node %d lacks %b and is not marked: %+v, clock %d", i, missing, n, c.clock)
		}
	}
	return nil
}

// block stores a row and marks its window; now and then it dies in between and is replayed.
func (c *city) block(i int, row uint64) actor {
	step, clock := 0, 0
	insert := func() {
		if c.nodes[i].rows&row == 0 {
			c.nodes[i].rows |= row
			c.pending |= row
		}
	}
	read := func() { clock = c.clock }
	first, second := insert, read
	if !c.clockAfterRows {
		first, second = read, insert
	}
	return func() bool {
		if step > 0 && c.random.IntN(8) == 0 {
			step = 0
		}
		switch step++; step {
		case 1:
			first()
		case 2:
			second()
		case 3:
			c.nodes[i].marked = max(c.nodes[i].marked, clock+1)
			c.pending &^= row
			return false
		}
		return true
	}
}

// worker recomputes what waits, and dies after some steps.
func (c *city) worker(steps int) actor {
	var program []func()
	version, seen := 0, [3]bool{}
	readClock := func() {
		if version = c.clock + 1; !c.versionAbove {
			version = max(c.clock, 1)
		}
	}
	storeClock := func() { c.clock = max(c.clock, version) }
	readMarks := func() {
		for i, n := range c.nodes {
			seen[i] = n.marked > n.done
		}
	}
	program = []func(){readClock, storeClock, readMarks}
	for i := range c.nodes {
		content, clock := uint64(0), 0
		readRows := func() {
			if content = c.nodes[i].rows; i == hour {
				content = c.nodes[0].content | c.nodes[1].content
			}
		}
		if program = append(program, readRows); !c.versionFirst {
			program = append(program, readClock, storeClock)
		}
		program = append(program,
			func() {
				n := &c.nodes[i]
				if seen[i] && (version > n.version || version == n.version && c.random.IntN(2) == 0 || !c.greatestWins) {
					n.version, n.content = version, content
				}
			},
			func() { clock = c.clock },
			func() {
				if seen[i] && i != hour && c.marksAbove {
					c.nodes[hour].marked = max(c.nodes[hour].marked, clock+1)
				}
			},
			func() {
				switch n := &c.nodes[i]; {
				case seen[i] && c.doneIsTheVersion:
					n.done = max(n.done, version)
				case seen[i]:
					n.done = max(n.done, n.marked)
				}
			})
	}
	return func() bool {
		if len(program) == 0 || steps == 0 {
			return false
		}
		steps--
		program[0]()
		program = program[1:]
		return true
	}
}
