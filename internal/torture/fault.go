package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/failpoint"
)

// step is one fault of a round.
type step struct {
	at   time.Duration // from the round's begin
	kind string
	say  string
	do   func(ctx context.Context)
}

// plan is what a round will do. It is a function of seed, round and world.
type plan struct {
	steps   []step
	clock   bool     // arrival times are not to be trusted
	rupture *rupture // what happens when all of it is judged; nil = nothing
	flood   *flood   // what happens before that
}

func (p *plan) String() string {
	var b strings.Builder
	for _, s := range p.steps {
		fmt.Fprintf(&b, "%s %s; ", s.at, s.say)
	}
	if p.flood != nil {
		fmt.Fprintf(&b, "then %s; ", p.flood)
	}
	if p.rupture != nil {
		fmt.Fprintf(&b, "at last %s; ", p.rupture)
	}
	return b.String()
}

// plan draws the faults of round k.
func (t *torturer) plan(k int) *plan {
	d := &drawer{t: t, Rand: rand.New(rand.NewPCG(t.cfg.Seed, uint64(k)))}
	kinds := t.cfg.Faults
	n := 1 + d.IntN(3)
	if slices.Contains(kinds, "kill") { // each round kills; the other faults come between
		for range max(t.cfg.Kills, 1+min(1, d.IntN(3))) {
			d.kill()
		}
		n = d.IntN(3)
	}
	for range n {
		switch kinds[d.IntN(len(kinds))] {
		case "kill":
			d.kill()
		case "stop":
			d.stop()
		case "net":
			d.net()
		case "disk":
			d.disk()
		case "clock":
			d.clock()
		case "dup":
			d.dup()
		case "qos2":
			d.qos2()
		case flooding:
			d.flood()
		case reset:
			d.rupture(reset)
		case rewind:
			d.rupture(rewind)
		}
	}
	if r := d.plan.rupture; r != nil && r.kind == rewind {
		r.outgrown = rand.New(rand.NewPCG(t.cfg.Seed, 1<<42|uint64(k))).IntN(2) == 0
	}
	slices.SortFunc(d.steps, func(a, b step) int { return int(a.at - b.at) })
	return &d.plan
}

// inflict does what is planned while the senders send, and then lets every life that was to end early end.
func (t *torturer) inflict(ctx context.Context, p *plan) {
	began := time.Now()
	for _, s := range p.steps {
		pause(ctx, time.Until(began.Add(s.at)))
		if ctx.Err() != nil {
			return
		}
		t.log.Info("fault", "kind", s.kind, "what", s.say)
		t.report.fault(s.kind)
		t.suffer(ctx, s)
	}
	pause(ctx, time.Until(began.Add(t.cfg.Sending)))
	calm := func(context.Context) error {
		for _, p := range t.world.processes() {
			if p.disturbed() {
				return fmt.Errorf("%s still has a fault before it", p.name)
			}
		}
		return nil
	}
	if until(ctx, calmAfter, calm) == nil {
		return
	}
	for _, p := range t.world.processes() {
		p.mu.Lock()
		p.next = nil
		pending := p.now.points != "" || p.now.dies > 0
		p.mu.Unlock()
		if pending {
			p.kill() // its failpoint was never reached
		}
	}
}

// suffer does a step, and lets the meter know of what makes more than a kill's time pass.
func (t *torturer) suffer(ctx context.Context, s step) {
	if s.kind != "kill" {
		defer t.meter.besets()()
	}
	s.do(ctx)
}

// calmAfter is how long lives that end early get to do so once the round's sending is over.
const calmAfter = 2 * time.Second

// drawer draws steps. Every number is drawn while planning, so that a plan can be drawn again.
type drawer struct {
	*rand.Rand
	t *torturer
	plan
}

func (d *drawer) add(kind, say string, do func(context.Context)) {
	d.steps = append(d.steps, step{d.ms(int(d.t.cfg.Sending / time.Millisecond)), kind, say, do})
}

func (d *drawer) ms(most int) time.Duration { return time.Duration(d.IntN(most)) * time.Millisecond }

func pick[T any](d *drawer, list []T) T { return list[d.IntN(len(list))] }

// kill is one of: kill -9 at any time; kill -9, and the next life dies at a failpoint; kill -9 and three lives that die
// while they take up what was left; SIGTERM; all processes at once.
func (d *drawer) kill() {
	v := pick(d, d.t.world.victims())
	form := d.IntN(10)
	switch {
	case v.p == nil || len(v.p.points) == 0 || form < 3:
		d.add("kill", "kill "+v.name, func(ctx context.Context) { d.t.die(ctx, v) })
	case form < 7:
		l := life{points: d.deadly(v.p.points)}
		d.add("kill", fmt.Sprintf("kill %s, then at %s", v.name, l.points), func(ctx context.Context) { d.t.die(ctx, v, l) })
	case form < 9:
		var lives []life
		say := "kill " + v.name + " and while it recovers"
		for range 3 {
			l := life{points: pick(d, v.p.recover) + "=kill", dies: 2 * time.Second} // the latter if it never comes there
			if d.IntN(3) == 0 {
				l = life{dies: 20*time.Millisecond + d.ms(600)}
			}
			lives = append(lives, l)
			say += fmt.Sprintf(" [%s %s]", l.points, l.dies)
		}
		d.add("kill", say, func(ctx context.Context) { d.t.die(ctx, v, lives...) })
	case d.IntN(2) == 0:
		d.add("kill", "ask "+v.name+" to stop", func(context.Context) { v.p.end() })
	default:
		all := d.t.world.victims()
		d.add("kill", "kill all", func(ctx context.Context) {
			for _, v := range all {
				if v.kill == nil {
					d.t.die(ctx, v)
				}
			}
		})
	}
}

// deadly makes a failpoint that kills. The spool passes its points some hundred times a second, a block's steps come
// about five times a second.
func (d *drawer) deadly(points []string) string {
	name := pick(d, points)
	if strings.HasPrefix(name, "spool/") {
		action := "kill"
		if name == failpoint.SpoolWrite && d.IntN(2) == 0 {
			action = "torn"
		}
		return fmt.Sprintf("%s=%s@%d", name, action, 1+d.IntN(60))
	}
	return fmt.Sprintf("%s=kill@%d", name, 1+d.IntN(4))
}

// stop lets a process stand still, and its peers wait or give it up.
func (d *drawer) stop() {
	v := pick(d, d.t.world.victims())
	long := 200*time.Millisecond + d.ms(2000)
	if d.t.cfg.World == Kafka && d.IntN(2) == 0 {
		long = session + 500*time.Millisecond + d.ms(1500) // its group gives it up
	}
	d.add("stop", fmt.Sprintf("stop %s for %s", v.name, long), func(ctx context.Context) { d.t.standStill(ctx, v, long) })
}

// net makes the network bad for a while.
func (d *drawer) net() {
	p, name := pick(d, d.t.world.proxies()), ""
	long := 200*time.Millisecond + d.ms(1200)
	var begin func()
	switch d.IntN(6) {
	case 0:
		name, begin = "cut", p.cut
	case 1:
		n := int64(1 + d.IntN(20_000))
		name, begin = fmt.Sprintf("cut after %d bytes", n), func() { p.cutAfter.Store(n) }
	case 2:
		delay := int64(d.ms(60))
		name, begin = fmt.Sprintf("delay %s", time.Duration(delay)), func() { p.delay.Store(delay) }
	case 3:
		name, begin = "stall", func() { p.stall.Store(true) }
	case 4:
		name, begin = "swallow answers", func() { p.swallow.Store(true) }
	case 5:
		name, begin = "refuse connections", func() { p.refuse.Store(true); p.cut() }
	}
	d.add("net", fmt.Sprintf("%s %s for %s", p.name, name, long), func(ctx context.Context) {
		begin()
		pause(ctx, long)
		stalled := p.stall.Load() || p.swallow.Load()
		p.heal()
		if stalled {
			p.cut() // what was thrown away never comes; both ends find out
		}
	})
}

// disk fills the small disk, or makes a life whose disk gives an error.
func (d *drawer) disk() {
	small, long := d.t.world.disk(), 200*time.Millisecond+d.ms(1200)
	if small != nil && d.IntN(2) == 0 {
		d.add("disk", fmt.Sprintf("full for %s", long), func(ctx context.Context) {
			small.full(ctx, long, d.t.log)
			d.t.meter.killed("full disk") // the store has ended itself; the time counts from when there is room again
		})
		return
	}
	var with []*process
	for _, p := range d.t.world.processes() {
		if slices.Contains(p.points, failpoint.SpoolSync) {
			with = append(with, p)
		}
	}
	p := pick(d, with)
	n := 1 + d.IntN(60)
	points := []string{
		fmt.Sprintf("%s=error:EIO@%d", failpoint.SpoolSync, n),
		fmt.Sprintf("%s=error:EIO@%d", failpoint.SpoolSynced, n),
		fmt.Sprintf("%s=error:EIO@%d", failpoint.SpoolWrite, n),
		fmt.Sprintf("%s=error:ENOSPC@%d", failpoint.SpoolWrite, n),
		fmt.Sprintf("%s=error:ENOSPC@%d; %s=error:EIO@%d", failpoint.SpoolWrite, n, failpoint.SpoolSync, n+20),
	}
	if slices.Contains(p.points, failpoint.BusCommit) {
		points = append(points, fmt.Sprintf("%s=error:ENOSPC@%d", failpoint.BusCommit, 1+d.IntN(4)))
	}
	l := life{points: pick(d, points), allowed: true, dies: 1500 * time.Millisecond} // the latter if the error only passes
	d.add("disk", fmt.Sprintf("kill %s, then %s", p.name, l.points), func(context.Context) { p.kill(l) })
}

// clock lets the wall clock of a process jump, forwards and backwards, once or more often.
func (d *drawer) clock() {
	var with []*process
	for _, p := range d.t.world.processes() {
		if p.clocked {
			with = append(with, p)
		}
	}
	p := pick(d, with)
	var jumps []string
	for range 1 + d.IntN(3) {
		shift := pick(d, []string{"+2m", "-2m", "+30m", "-30m", "+75h", "-75h", "+9000h", "0s"})
		jumps = append(jumps, fmt.Sprintf("%s@%s", shift, 100*time.Millisecond+d.ms(1500)))
	}
	l := life{points: "clock=" + strings.Join(jumps, ","), dies: time.Second + d.ms(1000)}
	if slices.Contains(p.points, failpoint.SpoolSync) {
		d.plan.clock = true // it stamps arrivals
	} else {
		l.dies += 2 * time.Second // its group gives it partitions first
	}
	d.add("clock", fmt.Sprintf("kill %s, then %s", p.name, l.points), func(context.Context) { p.kill(l) })
}

// dup makes clients send again what has been received already.
func (d *drawer) dup() {
	var who []*sender
	for _, s := range d.t.senders {
		if d.IntN(2) == 0 {
			who = append(who, s)
		}
	}
	twice, times := d.IntN(2) == 0, 1+d.IntN(4)
	gap := d.ms(300)
	d.add("dup", fmt.Sprintf("%d clients send again %d times, on the same connection: %v", len(who), times, twice), func(ctx context.Context) {
		for range times {
			for _, s := range who {
				if twice {
					s.twice.Store(true)
				} else {
					s.dup.Store(true)
				}
			}
			pause(ctx, gap)
		}
	})
}

// qos2 lets clients publish everything with QoS 2 for a while, and breaks their connections somewhere between PUBREC, PUBREL
// and PUBCOMP.
func (d *drawer) qos2() {
	var who []*sender
	for _, s := range d.t.senders {
		if d.IntN(2) == 0 && s.broker.qos2 {
			who = append(who, s)
		}
	}
	long, times, after := 200*time.Millisecond+d.ms(1000), 1+d.IntN(4), int64(1+d.IntN(40))
	d.add("qos2", fmt.Sprintf("%d clients publish all with QoS 2 for %s, and break off after %d answers, %d times", len(who), long, after, times), func(ctx context.Context) {
		for _, s := range who {
			s.once.Store(true)
		}
		for range times {
			for _, s := range who {
				s.breakAfter.Store(after)
			}
			pause(ctx, long/time.Duration(times))
		}
		for _, s := range who {
			s.once.Store(false)
			s.breakAfter.Store(0)
		}
	})
}

// rupture is drawn whole also where the round has one already, so that what is drawn behind it stays what it was.
func (d *drawer) rupture(kind string) {
	r := &rupture{kind: kind, busy: d.IntN(2) == 0, positions: d.IntN(2) == 0}
	if d.plan.rupture == nil {
		d.plan.rupture = r
	}
}

// flood takes some seconds, so that a part of those drawn is enough.
func (d *drawer) flood() {
	f := &flood{kill: d.IntN(2) == 0, full: d.IntN(3) == 0}
	if d.IntN(3) == 0 {
		d.plan.flood = f
	}
}
