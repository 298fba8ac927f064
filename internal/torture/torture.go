// Package torture proves P1 to P3 (DESIGN §5) the hard way: it runs situ as its processes, sends it numbered messages
// over MQTT, kills, stops, cuts, fills and duplicates at random, and then lets SQL be the judge: what was acknowledged
// is there, and nothing is there twice.
//
//	sent list  <-- senders --MQTT--> [proxy] --> situ, as processes --> ClickHouse
//	(fsynced        |                              ^ kill, stop, disk, clock, failpoints        |
//	before          '---- acknowledged ----> judge <------------------- SQL -------------------'
//	PUBLISH)
//
// A round is: send while the round's faults happen, let everything come back, wait until all is acknowledged, judge.
// Which faults a round has is a function of seed and round number alone; where exactly they hit is the machine's.
// It knows situ from outside: command lines, MQTT, the tables. Callers: cmd/situ and its tests. It never decides what
// may be lost: a message that was acknowledged and cannot be found, in rows, dead letters or declared gaps, is a failure.
package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/progress"
)

// Worlds.
const (
	Embedded = "embedded" // situ run and its store process
	Kafka    = "kafka"    // gateways, ingesters, query and store as processes, Kafka between them
)

// AllFaults are the kinds of faults, in the order they are asked for.
var AllFaults = []string{"kill", "stop", "net", "disk", "clock", "dup", "qos2", flooding, reset, rewind}

// FaultsOf are those that a world has: where the log is the spool itself, no topic can be made anew.
func FaultsOf(world string) []string {
	if world == Kafka {
		return AllFaults
	}
	return slices.DeleteFunc(slices.Clone(AllFaults), func(f string) bool { return f == reset || f == rewind })
}

// Defaults of Config.
const (
	DefaultSending = 1500 * time.Millisecond
	DefaultSenders = 6
	DefaultRate    = 1500
	patience       = 90 * time.Second // for anything that must happen once nothing is broken any more
)

// Config of a run. Zero values mean the defaults above.
type Config struct {
	World   string
	Seed    uint64
	Rounds  int
	Round   int      // if not 0: only this one, to replay it
	Faults  []string // nil = FaultsOf its world
	Kills   int      // so many kills at least in each round; 0 = 1 or 2
	AtLeast int      // go on beyond Rounds until so many have been killed

	Dir      string // made, and kept when something is wrong or Keep is set
	Keep     bool
	Situ     string // program
	Programs string // directory of gateway, ingester and query; for the world of Kafka

	Sending time.Duration // how long a round sends, at least
	Senders int           // MQTT clients
	Rate    int           // messages a second, all clients together

	Out    io.Writer // progress; nil = none
	Logger *slog.Logger
}

func (c *Config) setDefaults() error {
	if c.Sending == 0 {
		c.Sending = DefaultSending
	}
	if c.Senders == 0 {
		c.Senders = DefaultSenders
	}
	if c.Rate == 0 {
		c.Rate = DefaultRate
	}
	if c.Faults == nil {
		c.Faults = FaultsOf(c.World)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Out == nil {
		c.Out = io.Discard
	}
	if c.World != Embedded && c.World != Kafka {
		return fmt.Errorf("no world is called %q; there are %s and %s", c.World, Embedded, Kafka)
	}
	for _, f := range c.Faults {
		if list := FaultsOf(c.World); !slices.Contains(list, f) {
			return fmt.Errorf("world %s has no faults called %q; it has %s", c.World, f, strings.Join(list, ", "))
		}
	}
	if c.Rounds < 1 && c.Round < 1 {
		return errors.New("no rounds")
	}
	return nil
}

// torturer is one run.
type torturer struct {
	cfg     Config
	log     *slog.Logger
	world   world
	ledger  *ledger
	senders []*sender
	meter   *meter
	judge   *judge
	report  *Report
	last    int // number of the last round
}

// Run tortures until the rounds are over, the first promise is broken, or ctx ends. The report is there also with an
// error; an error alone means that the torture itself could not be done.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, err
	}
	t := &torturer{cfg: cfg, report: newReport(cfg)}
	logFile, err := os.OpenFile(filepath.Join(cfg.Dir, "torture.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	t.log = slog.New(slog.NewTextHandler(logFile, nil))
	err = t.run(ctx)
	t.report.finish()
	if err == nil && len(t.report.Failures) == 0 && !cfg.Keep {
		err = os.RemoveAll(cfg.Dir)
	}
	return t.report, err
}

func (t *torturer) run(ctx context.Context) (err error) {
	if t.ledger, err = openLedger(filepath.Join(t.cfg.Dir, "sent.list")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.ledger.close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if t.world, err = t.newWorld(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.world.close()) }()
	t.meter = newMeter(t.world, t.ledger)
	for _, p := range t.world.processes() {
		p.died = t.processDied
	}
	if err := t.world.start(ctx); err != nil {
		return fmt.Errorf("start the world: %w", err)
	}
	if err := t.enrol(ctx); err != nil {
		return err
	}
	t.judge = &judge{socket: t.world.socket(), ledger: t.ledger, report: t.report, log: t.log, shared: t.cfg.World == Kafka}
	t.report.Versions = t.judge.versions(ctx, t.cfg.Situ, t.world)
	stop := t.startSenders(ctx)
	defer stop()
	meterDone := make(chan struct{})
	go func() { defer close(meterDone); t.meter.run(ctx) }()
	defer func() { cancel(); <-meterDone }()
	return t.rounds(ctx)
}

func (t *torturer) newWorld() (world, error) {
	if t.cfg.World == Kafka {
		return newKafkaWorld(t.cfg, t.log)
	}
	return newEmbeddedWorld(t.cfg, t.log)
}

// processDied is told of each end of a process that nobody had asked for by name.
func (t *torturer) processDied(p *process, how string, killed, allowed bool) {
	t.log.Info("process ended", "process", p.name, "how", how)
	switch {
	case killed && p.mayRefuse(): // the operator's, after a rupture
	case killed:
		t.report.kill(p.name)
		t.meter.killed(p.name)
	case allowed: // its disk was made to fail, or it was asked to
	case t.world.disk().wasFull(p.started()):
		t.log.Info("refused to start on a full disk", "process", p.name)
	default:
		t.report.fail("process %s ended by itself: %s; see %s", p.name, how, p.logPath)
	}
}

func (t *torturer) startSenders(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var waits []chan struct{}
	for i := range t.cfg.Senders {
		b := t.world.brokers()
		at := b[i%len(b)]
		at.qos2 = at.qos2 && slices.Contains(t.cfg.Faults, "qos2")
		s := newSender(i, at, t.ledger, rand.New(rand.NewPCG(t.cfg.Seed, 1<<40+uint64(i))), t.cfg.Rate/t.cfg.Senders)
		t.senders = append(t.senders, s)
		done := make(chan struct{})
		waits = append(waits, done)
		go func() { defer close(done); s.run(ctx) }()
	}
	return func() {
		cancel()
		for _, w := range waits {
			<-w
		}
	}
}

func (t *torturer) rounds(ctx context.Context) error {
	first, last := 1, t.cfg.Rounds
	if t.cfg.Round > 0 {
		first, last = t.cfg.Round, t.cfg.Round
	}
	t.last = last
	bar := progress.New(t.cfg.Out, "torture, world "+t.cfg.World)
	for k := first; k <= last || t.report.TotalKills() < t.cfg.AtLeast; k++ {
		if err := t.round(ctx, k); err != nil {
			return fmt.Errorf("round %d: %w", k, err)
		}
		t.report.Rounds++
		t.report.sampleLoad()
		bar.Set(float64(k-first+1)/float64(last-first+1), t.report.note())
		if len(t.report.Failures) > 0 {
			t.report.FailedRound = k
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	bar.Done(t.report.note())
	if t.cfg.Round == 0 && len(t.report.Failures) == 0 {
		return t.lastly(ctx)
	}
	return nil
}

// round lets one round's faults happen and judges what is left.
func (t *torturer) round(ctx context.Context, k int) error {
	began, from := time.Now(), t.ledger.nextID()
	p := t.plan(k)
	t.log.Info("round", "round", k, "plan", p.String())
	if p.rupture != nil && p.rupture.kind == rewind {
		if err := t.world.(*kafkaWorld).copyLogs(); err != nil {
			return err
		}
	}
	for _, s := range t.senders {
		s.quiet.Store(false)
	}
	t.inflict(ctx, p)
	if !t.come(ctx, "processes are not up again", t.world.healed) ||
		!t.come(ctx, "no new row after a kill", func(context.Context) error { return t.meter.pending() }) {
		return ctx.Err()
	}
	for _, s := range t.senders {
		s.rest()
	}
	if !t.come(ctx, "not everything is acknowledged although nothing is broken", t.unacknowledged) {
		return ctx.Err()
	}
	for _, r := range t.meter.take() {
		t.log.Info("recovered", "process", r.process, "took", r.took.String())
		t.report.recovered(r)
	}
	if err := t.judge.round(ctx, from, k%25 == 0 || t.isLast(k), p.clock); err != nil {
		return err
	}
	t.log.Info("round judged", "round", k, "took", time.Since(began).String(), "messages", t.ledger.nextID()-from)
	if p.flood != nil && len(t.report.Failures) == 0 {
		if err := t.flood(ctx, p.flood); err != nil {
			return err
		}
	}
	if p.rupture != nil && len(t.report.Failures) == 0 {
		return t.rupture(ctx, t.world.(*kafkaWorld), p.rupture)
	}
	return nil
}

// isLast: what is judged after this round is all there will be.
func (t *torturer) isLast(k int) bool {
	return k >= t.last && t.report.TotalKills() >= t.cfg.AtLeast
}

// come waits for what must come. If it does not, that is a failure of situ.
func (t *torturer) come(ctx context.Context, what string, missing func(context.Context) error) bool {
	err := until(ctx, patience, missing)
	if err != nil && ctx.Err() == nil {
		t.report.fail("%s: %v", what, err)
	}
	return err == nil
}

func (t *torturer) unacknowledged(context.Context) error {
	n := 0
	for _, s := range t.senders {
		n += s.unacknowledged()
	}
	if n > 0 {
		return fmt.Errorf("%d messages", n)
	}
	return nil
}

// until asks again and again, until missing gives nil; the last error, if limit passes.
func until(ctx context.Context, limit time.Duration, missing func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := missing(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}
