package protocol

import (
	"fmt"
	"slices"

	"github.com/situ-city/situ/pkg/sensor"
)

// The model: one schedule is one life of a small world, driven by random choices of one seed. Two gateways or one, a bus
// (the spool itself, or a topic), ingesters of which only the newest owns the partition, a store of two table
// partitions. The decisions are this package's; everything that they rest on here is a few integers with the promises,
// and no more than the promises, of the real thing:
//
//	spool     what was synced stays; of what was not, some beginning
//	topic     keeps what it has; a request is done, or not, or done later, and the answer may be lost whichever it was
//	commits   as the topic for Kafka; for the spool a file of which a crash tears the end
//	store     an INSERT is whole or not at all; a token seen before swallows it; a kill may leave a token without its
//	          rows or rows without their token; a power cut loses tokens
//	time      a request does not arrive more than a Lease after it was sent; a power cycle takes longer than a Lease
//
// What may go wrong: any process ends at any step, goes on when another has taken its place, waits for longer than a
// Lease; any request meets the fates above; a spool is lost; records are dropped by policy; the log is made anew; and
// somebody breaks what no program can mend (sabotage), which must be met by stopping.
const (
	maxSeq    = 40
	maxOwners = 3 // ingesters alive at once
	producers = 8 // two gateways, four epochs
)

// habit is a set of rules of the surroundings that are NOT kept.
type habit uint32

const (
	ackAfterSync habit = 1 << iota
	oneUnresolved
	epochRises
	repeatsDropped
	marksOfTheBlock
	commitsFenced
	commitsSynced
	rowsHaveToken
	tokenHasLog
	allPartsReplayed
	freedWhenStored
	noSilentReset
)

func (h habit) has(x habit) bool { return h&x != 0 }

// message is what one PUBLISH became.
type message struct {
	p       uint8
	seq     uint8
	parts   uint8 // bit for each table partition that it has a row in; 0 = a dead letter
	acked   bool
	excused bool // by a lost spool or log: nobody promised
}

// row is one observation: message uid's value in table partition part.
type row struct {
	uid  int16
	p    uint8
	seq  uint8
	part uint8
}

type world struct {
	choices
	stats
	kafka  bool
	broken rule
	habits habit

	gateways []gateway
	all      []message

	bus   bus
	store store
	copy  store
	group group

	owners []*ingester // alive, oldest first
	idle   []*ingester // memory
	limbo  []request   // on their way, sender not waiting any more

	faults    int  // percent of requests that meet one
	calm      bool // no faults any more
	calmSince int
	sabotage  sabotage
	turn      int
	err       error
}

var names = func() (all [producers]sensor.Producer) {
	for i := range all {
		all[i] = sensor.Producer{Gateway: string(rune('a' + i/4)), Epoch: uint32(i%4 + 1)}
	}
	return all
}()

func newWorld(broken rule, habits habit) *world {
	return &world{broken: broken, habits: habits}
}

// reset begins another life in the same memory.
func (w *world) reset(seed uint64) {
	w.choices.reset(seed)
	w.stats.schedules++
	w.all, w.limbo, w.gateways = w.all[:0], w.limbo[:0], w.gateways[:0]
	w.idle = append(w.idle, w.owners...)
	w.owners = w.owners[:0]
	w.calm, w.sabotage, w.turn, w.err = false, sabotage{}, 0, nil
	w.kafka = w.pick(2) == 1
	w.faults = []int{0, 8, 20, 40}[w.pick(4)]
	w.bus.reset()
	w.store.reset()
	w.copy.reset()
	w.group.reset()
	n := 1
	if w.kafka {
		n += w.pick(2)
	}
	for g := range n {
		w.gateways = append(w.gateways, gateway{number: uint8(g), epoch: 1, log: w.newLog(), first: 1, synced: 1, up: true})
		w.gateways[g].restart(w)
	}
	w.bus.name = w.newLog()
	w.say("world: kafka %v, %d gateways, %d%% of requests meet a fault", w.kafka, n, w.faults)
}

func (w *world) newLog() string {
	w.bus.logs++
	return string(rune('A' + w.bus.logs - 1))
}

func (w *world) say(format string, args ...any) {
	if w.trace != nil {
		w.trace(fmt.Sprintf("%4d  ", w.turn) + fmt.Sprintf(format, args...))
	}
}

func (w *world) failf(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
		w.say("FAILS: %v", w.err)
	}
}

// life runs one schedule and gives what went wrong.
func (w *world) life(seed uint64) error {
	w.reset(seed)
	for turns := 30 + w.pick(90); w.turn < turns && w.err == nil; w.turn++ {
		w.act()
	}
	w.calmDown()
	for ; w.err == nil && !w.over(); w.turn++ {
		if w.turn > 3000 {
			w.failf("it does not come to an end: %s", w.standing())
			break
		}
		w.goOn()
	}
	if w.err == nil {
		w.check()
	}
	w.stats.turns += w.turn
	return w.err
}

// act is one random thing that happens.
func (w *world) act() {
	switch c := w.pick(100); {
	case c == 0: // nothing, so that a schedule can be cut
	case c < 14:
		w.someGateway().publish(w)
	case c < 22:
		w.someGateway().sync(w)
	case c < 38:
		w.someGateway().send(w)
	case c < 76:
		w.someOwner().step(w)
	case c < 80:
		w.arrive()
	case c < 82:
		w.crash()
	case c < 86:
		w.takeOver()
	case c < 88:
		w.killStore()
	case c < 90:
		w.sleep()
	case c < 92:
		w.someGateway().lose(w)
	case c < 94:
		w.someGateway().dropOldest(w)
	case c < 95:
		w.renewLog()
	case c < 96:
		w.breakSomething()
	case c < 97:
		w.copyStore()
	default:
		w.someOwner().step(w)
	}
	w.note()
}

// calmDown ends the faults; what is on its way arrives, or never does.
func (w *world) calmDown() {
	w.calm, w.calmSince = true, w.turn
	w.say("calm from here on")
	for len(w.limbo) > 0 {
		w.arrive()
	}
	for i := range w.gateways {
		w.gateways[i].start(w)
	}
}

// goOn lets everybody work, nobody in a fixed order.
func (w *world) goOn() {
	switch c := (w.turn + w.pick(2)) % 3; {
	case c == 0 && w.kafka:
		w.someGateway().sync(w)
		w.someGateway().send(w)
	case c == 0:
		w.someGateway().sync(w)
	default:
		w.someOwner().step(w)
	}
}

// over: all that is acknowledged is where it belongs, or the newest owner has stopped for good.
func (w *world) over() bool {
	if w.sabotage.must {
		return w.sabotage.stopped || w.turn > w.calmSince+500
	}
	for i := range w.gateways {
		if g := &w.gateways[i]; g.synced != g.next() || w.kafka && g.sender.Next() != g.synced {
			return false
		}
	}
	p, _ := w.group.committed(w)
	return len(w.owners) > 0 && p.Meta == "" && p.Offset == w.bus.end(w) || w.bus.end(w) == w.bus.first(w) && p.Offset < 0
}

func (w *world) standing() string {
	p, err := w.group.committed(w)
	s := fmt.Sprintf("log %s %d..%d, committed %+v %v", w.bus.id(w), w.bus.first(w), w.bus.end(w), p, err)
	for _, o := range w.owners {
		s += fmt.Sprintf("; %v", o)
	}
	for i := range w.gateways {
		g := &w.gateways[i]
		s += fmt.Sprintf("; gateway %c: %d..%d synced %d sent %d", 'a'+g.number, g.first, g.next(), g.synced, g.sender.Next())
	}
	return s
}

func (w *world) someGateway() *gateway {
	return &w.gateways[(w.turn+w.pick(len(w.gateways)))%len(w.gateways)]
}

// someOwner gives an ingester, mostly the newest; one is started if there is none.
func (w *world) someOwner() *ingester {
	if len(w.owners) == 0 {
		return w.newOwner()
	}
	if n := len(w.owners); n > 1 && w.pick(4) == 0 {
		return w.owners[w.pick(n)]
	}
	return w.owners[len(w.owners)-1]
}

// newOwner starts an ingester, which takes the partition over.
func (w *world) newOwner() *ingester {
	var o *ingester
	if n := len(w.idle); n > 0 {
		o, w.idle = w.idle[n-1], w.idle[:n-1]
	} else {
		o = &ingester{watermarks: sensor.Watermarks{}}
	}
	o.begin(w)
	w.owners = append(w.owners, o)
	return o
}

func (w *world) takeOver() {
	if len(w.owners) < maxOwners && w.sabotage.kind == 0 {
		if len(w.owners) > 0 {
			w.zombies++
		}
		w.newOwner()
	}
}

func (w *world) bury(o *ingester) {
	if i := slices.Index(w.owners, o); i >= 0 {
		w.owners = slices.Delete(w.owners, i, i+1)
		w.idle = append(w.idle, o)
	}
}

// crash ends a process at whatever it was about to do: before, after, or with its request on the way.
func (w *world) crash() {
	w.crashes++
	if w.kafka && w.pick(2) == 0 {
		w.someGateway().crash(w)
		return
	}
	if len(w.owners) == 0 {
		return
	}
	o := w.someOwner()
	if !w.kafka { // one process holds everything
		w.gateways[0].crash(w)
		for _, o := range slices.Clone(w.owners) {
			o.crash(w)
		}
		w.group.crash(w)
		w.gateways[0].start(w)
		return
	}
	o.crash(w)
}

// sleep lets an ingester wait for longer than a Lease.
func (w *world) sleep() {
	if len(w.owners) > 0 {
		o := w.someOwner()
		o.late = true
		w.sleeps++
		w.say("%v sleeps", o)
		w.expire(func(r *request) bool { return r.gen == o.gen })
	}
}

// expire settles requests on the way: those that have waited a Lease have arrived or never will.
func (w *world) expire(which func(*request) bool) {
	for i := len(w.limbo) - 1; i >= 0; i-- {
		if r := w.limbo[i]; which(&r) {
			w.limbo = slices.Delete(w.limbo, i, i+1)
			if w.pick(2) == 0 {
				w.say("arrives late: %v", &r)
				r.do(w)
			}
		}
	}
}

// arrive lets one request on the way arrive, or fall.
func (w *world) arrive() {
	if n := len(w.limbo); n > 0 {
		i := w.pick(n)
		r := w.limbo[i]
		w.limbo = slices.Delete(w.limbo, i, i+1)
		if w.pick(4) > 0 {
			w.say("arrives late: %v", &r)
			w.delayed++
			r.do(w)
		}
	}
}
