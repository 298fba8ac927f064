package torture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	kafkago "github.com/segmentio/kafka-go"
)

// topic of observations, as its users write it.
const topic = "situ.observations.v1"

// rupture is a log that is no longer what was read of it. Each ingester must stop and say so, and nothing may be stored,
// because nobody knows what is missing; told by the operator to go on, nothing may be stored twice, and no more may be
// lost than the balance shows.
type rupture struct {
	kind      string // reset, the topic is deleted and made anew; rewind, the same topic's log is put back to an older copy
	busy      bool   // sensors go on meanwhile: what is in Kafka and not stored yet is lost with it
	positions bool   // rewind: the group's positions, and all else the broker has, are put back too
	outgrown  bool   // rewind: ingesters see nothing of it until the log has grown past all that is stored of it
}

func (r *rupture) String() string {
	what := "the topic is made anew"
	if r.kind == rewind {
		what = "the topic's log is put back to where it was before the round"
		if r.positions {
			what = "all that Kafka has is put back to where it was before the round"
		}
	}
	if r.busy {
		what += " under load"
	}
	if r.outgrown {
		what += ", and grows past where the ingesters are before they can look"
	}
	return what
}

// Kinds of ruptures, as --faults names them.
const (
	reset  = "reset"
	rewind = "rewind"
)

// resetFor is how long the sensors go on while the log is another one.
const resetFor = 2 * time.Second

// rupture lets it happen, and sees to all that must follow.
func (t *torturer) rupture(ctx context.Context, w *kafkaWorld, r *rupture) error {
	from := t.ledger.nextID()
	t.log.Info("fault", "kind", r.kind, "what", r.String())
	t.report.fault(r.kind)
	said := w.listen()
	if r.busy {
		t.send(ctx, resetFor/2)
	}
	held, err := t.happen(ctx, w, r)
	if err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	t.send(ctx, resetFor)
	accept := ""
	if !t.come(ctx, r.String()+", and an ingester does not stop and say so", func(context.Context) (err error) {
		accept, err = w.asked(said)
		return err
	}) {
		return ctx.Err()
	}
	if err := held(ctx); err != nil {
		t.report.fail("%s, and %v", r, err)
	}
	w.accept(accept)
	t.send(ctx, resetFor/2)
	if !t.come(ctx, "told to go on after "+r.String()+", not all processes do", w.healed) {
		return ctx.Err()
	}
	w.accept("") // once is enough
	if !t.come(ctx, "not everything is acknowledged although nothing is broken", t.unacknowledged) {
		return ctx.Err()
	}
	t.report.check(r.kind + ": the ingesters stop and say so, nothing is stored until they are told to go on, and then nothing twice")
	if r.busy {
		return t.judge.declared(ctx, from)
	}
	return t.judge.round(ctx, from, true, false)
}

// lastly lets happen at a run's end what it could have had and had not.
func (t *torturer) lastly(ctx context.Context) error {
	d := &drawer{t: t, Rand: rand.New(rand.NewPCG(t.cfg.Seed, 1<<41))}
	for _, kind := range []string{reset, rewind} {
		if slices.Contains(t.cfg.Faults, kind) && (d.plan.rupture == nil || d.IntN(2) == 0) {
			d.plan.rupture = nil
			d.rupture(kind)
		}
	}
	if slices.Contains(t.cfg.Faults, flooding) && !t.report.had(flooding) {
		if err := t.flood(ctx, &flood{kill: true}); err != nil || len(t.report.Failures) > 0 {
			return err
		}
	}
	if d.plan.rupture == nil || t.report.had(reset) || t.report.had(rewind) {
		return nil
	}
	w, from := t.world.(*kafkaWorld), t.ledger.nextID()
	if err := w.copyLogs(); err != nil {
		return err
	}
	t.send(ctx, resetFor/2)
	if !t.come(ctx, "not everything is acknowledged although nothing is broken", t.unacknowledged) {
		return ctx.Err()
	}
	if err := t.judge.round(ctx, from, false, false); err != nil {
		return err
	}
	return t.rupture(ctx, w, d.plan.rupture)
}

// send lets the sensors send for a while.
func (t *torturer) send(ctx context.Context, long time.Duration) {
	for _, s := range t.senders {
		s.quiet.Store(false)
	}
	pause(ctx, long)
	for _, s := range t.senders {
		s.rest()
	}
}

// happen does it, and gives what tells later whether something of the wrong log was stored.
func (t *torturer) happen(ctx context.Context, w *kafkaWorld, r *rupture) (held func(context.Context) error, err error) {
	known, err := t.ends(ctx)
	if err != nil {
		return nil, err
	}
	logs := map[string]bool{}
	for at := range known {
		logs[at.log] = true
	}
	if r.kind == reset {
		held = func(ctx context.Context) error {
			now, err := t.ends(ctx)
			for at := range now {
				if !logs[at.log] {
					err = errors.Join(err, fmt.Errorf("blocks of the new topic are stored in partition %d", at.part))
				}
			}
			return err
		}
		return held, w.recreateTopic(ctx)
	}
	if w.called == "" && len(logs) == 1 { // nobody gave it another name yet
		for log := range logs {
			w.called = log
		}
	}
	w.mu.Lock()
	err = w.kafka.Kill(0)
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	before, err := t.settledEnds(ctx) // a block under way needs no Kafka to be stored
	if err != nil {
		return nil, err
	}
	if r.outgrown {
		w.ingesters(syscall.SIGSTOP)
		defer w.ingesters(syscall.SIGCONT)
	}
	w.mu.Lock()
	err = errors.Join(w.putBack(r.positions), w.kafka.Start(0))
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	cut, err := w.shorter(ctx, before)
	if err != nil {
		return nil, err
	}
	t.log.Info("the log went backwards", "partitions", fmt.Sprint(cut))
	for r.outgrown {
		t.send(ctx, resetFor/2)
		ends, err := w.logEnds(ctx)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(cut, func(at place) bool { return ends[at.part] <= before[at] }) {
			t.log.Info("the log has outgrown what is stored of it", "ends", fmt.Sprint(ends))
			break
		}
	}
	return func(ctx context.Context) error {
		now, err := t.ends(ctx)
		for _, at := range cut {
			if now[at] != before[at] {
				err = errors.Join(err, fmt.Errorf("partition %d was stored up to %d, and then blocks up to %d came", at.part, before[at], now[at]))
			}
		}
		return err
	}, nil
}

// place is a partition of a log.
type place struct {
	log  string
	part int32
}

// ends tells how far each log is stored.
func (t *torturer) ends(ctx context.Context) (map[place]int64, error) {
	all := map[place]int64{}
	err := t.judge.with(ctx, func(conn driver.Conn) error {
		rows, err := conn.Query(ctx, "SELECT log, partition, max(block_to) FROM situ.ingest_blocks GROUP BY 1, 2")
		if err != nil {
			return err
		}
		for rows.Next() {
			var at place
			var end int64
			if err := rows.Scan(&at.log, &at.part, &end); err != nil {
				return errors.Join(err, rows.Close())
			}
			all[at] = end
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	return all, err
}

// settledEnds waits until nothing moves.
func (t *torturer) settledEnds(ctx context.Context) (ends map[place]int64, err error) {
	err = until(ctx, patience, func(ctx context.Context) error {
		before, err := t.ends(ctx)
		if err != nil {
			return err
		}
		pause(ctx, 700*time.Millisecond)
		if ends, err = t.ends(ctx); err == nil && !maps.Equal(before, ends) {
			err = errors.New("blocks are still being stored")
		}
		return err
	})
	return ends, err
}

// shorter lists the partitions of which more is stored than the log now has. There is one at least: else nothing happened.
func (w *kafkaWorld) shorter(ctx context.Context, stored map[place]int64) (list []place, err error) {
	err = until(ctx, patience, func(ctx context.Context) error {
		list = nil
		ends, err := w.logEnds(ctx)
		if err != nil {
			return err
		}
		for at, end := range stored {
			if at.log == w.called && end > ends[at.part] {
				list = append(list, at)
			}
		}
		if len(list) == 0 {
			return fmt.Errorf("no partition of log %s is shorter than what is stored of it", w.called)
		}
		return nil
	})
	return list, err
}

// logEnds asks the broker for the end of each partition.
func (w *kafkaWorld) logEnds(ctx context.Context) (map[int32]int64, error) {
	client := kafkago.Client{Addr: kafkago.TCP(w.kafka.Own(0)), Timeout: 10 * time.Second}
	var ask []kafkago.OffsetRequest
	for part := range partitions {
		ask = append(ask, kafkago.LastOffsetOf(part))
	}
	r, err := client.ListOffsets(ctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{topic: ask}})
	if err != nil {
		return nil, err
	}
	ends := map[int32]int64{}
	for _, o := range r.Topics[topic] {
		if o.Error != nil {
			return nil, o.Error
		}
		ends[int32(o.Partition)] = o.LastOffset
	}
	return ends, nil
}

// ingesters sends each a signal.
func (w *kafkaWorld) ingesters(sig syscall.Signal) {
	for _, p := range w.all {
		if strings.HasPrefix(p.name, "ingester") {
			p.setStopped(sig == syscall.SIGSTOP)
			p.signal(sig)
		}
	}
}

// listen notes how long each log file is: what comes is new. From now on the readers may end by themselves.
func (w *kafkaWorld) listen() map[*process]int {
	said := map[*process]int{}
	for _, p := range w.all {
		p.mu.Lock()
		p.mayEnd = true
		p.mu.Unlock()
		b, _ := os.ReadFile(p.logPath) // there is none: all that comes is new
		said[p] = len(b)
	}
	return said
}

var acceptFlag = regexp.MustCompile(`--kafka-accept ([0-9a-f]{32})`)

// asked finds what the ingesters ask for, all of them the same.
func (w *kafkaWorld) asked(said map[*process]int) (accept string, err error) {
	for _, p := range w.all {
		if !strings.HasPrefix(p.name, "ingester") {
			continue
		}
		b, err := os.ReadFile(p.logPath)
		if err != nil {
			return "", err
		}
		m := acceptFlag.FindStringSubmatch(string(b[said[p]:]))
		switch {
		case m == nil:
			return "", errors.New(p.name)
		case accept != "" && accept != m[1]:
			return "", fmt.Errorf("one asks for --kafka-accept %s, the other for %s", accept, m[1])
		}
		accept = m[1]
	}
	return accept, nil
}

// accept is what the operator does: the readers are started again, and told to begin with this log. "" takes the word
// back, for their later starts.
func (w *kafkaWorld) accept(log string) {
	for _, p := range w.all {
		reader := strings.HasPrefix(p.name, "ingester") || p.name == "query"
		p.mu.Lock()
		p.env = slices.DeleteFunc(p.env, func(s string) bool { return strings.HasPrefix(s, "SITU_KAFKA_ACCEPT=") })
		if reader && log != "" {
			p.env = append(p.env, "SITU_KAFKA_ACCEPT="+log)
		}
		p.mayEnd = log != ""
		p.mu.Unlock()
		if reader && log != "" {
			p.signal(syscall.SIGKILL)
		}
	}
	if log != "" {
		w.called = log
	}
}

func (w *kafkaWorld) recreateTopic(ctx context.Context) error {
	client := kafkago.Client{Addr: kafkago.TCP(w.kafka.Own(0)), Timeout: 10 * time.Second}
	gone, err := client.DeleteTopics(ctx, &kafkago.DeleteTopicsRequest{Topics: []string{topic}})
	if err == nil {
		err = gone.Errors[topic]
	}
	if err != nil {
		return fmt.Errorf("delete the topic: %w", err)
	}
	return until(ctx, patience, func(ctx context.Context) error {
		made, err := client.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}}})
		if err == nil && !errors.Is(made.Errors[topic], kafkago.TopicAlreadyExists) { // query may have been faster
			err = made.Errors[topic]
		}
		return err
	})
}

// copyLogs keeps what the broker has now, as a snapshot of its disk would: it runs on.
func (w *kafkaWorld) copyLogs() error {
	kept := filepath.Join(w.cfg.Dir, "kafka-copy")
	if err := os.RemoveAll(kept); err != nil {
		return err
	}
	return run("cp", "-a", "--sparse=always", w.kafka.Data(0), kept)
}

// putBack puts the copy in the place of what the broker has: all of it, or the topic's partitions alone. It does not run.
func (w *kafkaWorld) putBack(all bool) error {
	kept, data := filepath.Join(w.cfg.Dir, "kafka-copy"), w.kafka.Data(0)
	if all {
		return errors.Join(os.RemoveAll(data), os.Rename(kept, data))
	}
	parts, err := filepath.Glob(filepath.Join(data, topic+"-*"))
	if err != nil {
		return err
	}
	for _, dir := range parts {
		if err := errors.Join(os.RemoveAll(dir), os.Rename(filepath.Join(kept, filepath.Base(dir)), dir)); err != nil {
			return err
		}
	}
	// Up to where it had synced is not what it was: it looks at all of the segments again.
	return errors.Join(os.Remove(filepath.Join(data, "recovery-point-offset-checkpoint")), os.RemoveAll(kept))
}
