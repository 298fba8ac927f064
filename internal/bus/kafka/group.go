package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/plain"

	"github.com/situ-city/situ/internal/bus"
)

// watchPartitions is how often a member looks whether the topic got more partitions.
const watchPartitions = 5 * time.Second

// MaxMeta is the longest metadata of a Position: brokers take 4096 bytes, and what a head needs goes before it.
const MaxMeta = 4096 - 33 - 2*(1+maxMark)

// Group implements bus.Group with a Kafka consumer group.
type Group struct {
	b    *Bus
	name string
}

var _ bus.Group = (*Group)(nil)

// Group gives this process's member of the group of that name.
func (b *Bus) Group(name string) *Group { return &Group{b, name} }

// Consume implements bus.Group. A handle that returns nil keeps its partition, idle, until it is taken away.
func (g *Group) Consume(ctx context.Context, handle func(context.Context, bus.Assignment) error) error {
	for {
		err := g.member(ctx, handle)
		if !errors.Is(err, errUnsettled) && !errors.Is(err, errRenamed) || ctx.Err() != nil {
			return err
		}
		g.b.log.Info("joining the group anew", "group", g.name, "why", err)
	}
}

// member is one membership of the group.
func (g *Group) member(ctx context.Context, handle func(context.Context, bus.Assignment) error) (err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cfg := g.b.cfg
	dialer := &kafkago.Dialer{ClientID: cfg.ClientID, Timeout: 10 * time.Second, DualStack: true, TLS: cfg.TLS}
	if cfg.User != "" {
		dialer.SASLMechanism = plain.Mechanism{Username: cfg.User, Password: cfg.Password}
	}
	cg, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID: g.name, Brokers: cfg.Brokers, Dialer: dialer, Topics: []string{cfg.Topic},
		GroupBalancers: []kafkago.GroupBalancer{kafkago.RoundRobinGroupBalancer{}}, // Range would give all backfill to one member
		SessionTimeout: cfg.SessionTimeout, RebalanceTimeout: cfg.RebalanceTimeout,
		HeartbeatInterval: min(3*time.Second, cfg.SessionTimeout/6), JoinGroupBackoff: time.Second,
		WatchPartitionChanges: true, PartitionWatchInterval: watchPartitions, // a new gateway may publish to new ones
	})
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	defer func() {
		stop(nil)
		_ = cg.Close() // waits for the handles; it has no error of its own
	}()
	for failed := 0; ; {
		gen, err := cg.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, kafkago.RebalanceInProgress):
			continue
		case err != nil:
			if failed++; failed&(failed-1) == 0 { // the first, the second, the fourth, ...: days of it are no flood
				g.b.log.Warn("waiting for the group", "group", g.name, "try", failed, "err", err) // kafka-go waits before it tries again
			}
			continue
		}
		failed = 0
		if err := g.begin(ctx, stop, gen, handle); err != nil {
			return err
		}
	}
}

// begin starts the handles of one generation. kafka-go ends a generation as soon as one of its functions returns, so
// each stays until the end; it joins the next one only when all have returned.
func (g *Group) begin(ctx context.Context, stop context.CancelCauseFunc, gen *kafkago.Generation, handle func(context.Context, bus.Assignment) error) error {
	if err := g.learn(ctx); err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	id, err := g.b.ID(ctx, 0)
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	var parts []int
	for _, a := range gen.Assignments[g.b.cfg.Topic] {
		parts = append(parts, a.ID)
	}
	g.b.log.Info("partitions assigned", "group", g.name, "generation", gen.ID, "partitions", parts)
	for _, part := range parts {
		a := &assignment{g: g, part: int32(part), generation: int(gen.ID), member: gen.MemberID, id: id, anew: stop}
		gen.Start(func(genctx context.Context) {
			hctx, cancel := context.WithCancel(ctx)
			defer cancel()
			unlink := context.AfterFunc(genctx, cancel)
			defer unlink()
			err := handle(hctx, a)
			if errors.Is(err, bus.ErrGeneration) {
				return // told so before the heartbeat was: end the generation here too, and join again
			}
			if err != nil && hctx.Err() == nil {
				stop(g.b.backwards(fmt.Errorf("partition %d: %w", part, err), id))
			}
			<-hctx.Done()
		})
	}
	return nil
}

// Committed tells where the group stands in a partition, to whoever wants to read from there.
func (g *Group) Committed(ctx context.Context, part int32) (bus.Position, error) {
	if err := g.learn(ctx); err != nil {
		return bus.Position{}, err
	}
	id, err := g.b.ID(ctx, part)
	if err != nil {
		return bus.Position{}, err
	}
	return g.committed(ctx, part, id)
}

func (g *Group) committed(ctx context.Context, part int32, id bus.LogID) (p bus.Position, err error) {
	topic := g.b.cfg.Topic
	err = g.b.retry(ctx, "read the group's position", func(ctx context.Context) error {
		r, err := g.b.client.OffsetFetch(ctx, &kafkago.OffsetFetchRequest{GroupID: g.name, Topics: map[string][]int{topic: {int(part)}}})
		if err != nil {
			return err
		}
		if errors.Is(r.Error, kafkago.GroupIdNotFound) { // some brokers' word for a group that never committed
			p.Offset = -1
			return nil
		}
		if r.Error != nil {
			return r.Error
		}
		for _, o := range r.Topics[topic] {
			if o.Partition == int(part) {
				p = bus.Position{Offset: o.CommittedOffset, Meta: o.Metadata}
				return o.Error
			}
		}
		return fmt.Errorf("the answer lacks partition %d", part)
	})
	if err != nil {
		return bus.Position{}, fmt.Errorf("committed of partition %d: %w", part, err)
	}
	if p.Offset < 0 {
		return bus.Position{Offset: -1}, nil
	}
	before, meta, ok := strings.Cut(p.Meta, " ")
	head := parseHead(before)
	log := head.log
	times, ours := nameOf(g.b.topicNow(), log)
	now, _ := nameOf(g.b.topicNow(), id.String())
	switch {
	case ok && log == id.String():
	case ok && ours && times > now:
		g.b.learn(g.b.topicNow(), log)
		return bus.Position{}, fmt.Errorf("group %s has gone on under the name %s: %w: %w", g.name, log, errRenamed, bus.ErrGeneration)
	case id == g.b.cfg.Accept, ok && ours:
		return bus.Position{Offset: -1}, nil
	default:
		return bus.Position{}, fmt.Errorf("group %s committed offset %d: %w", g.name, p.Offset, replaced(topic, log, id))
	}
	p.Meta = meta
	if err := g.b.resume(ctx, part, p, head.marks); err != nil {
		return bus.Position{}, fmt.Errorf("group %s committed offset %d: %w", g.name, p.Offset, err)
	}
	return p, nil
}

// assignment is one partition in one generation of the group.
type assignment struct {
	g          *Group
	part       int32
	generation int
	member     string
	id         bus.LogID
	anew       func(error) // ends the membership
	mu         sync.Mutex  // one commit at a time: they must not overtake each other
}

func (a *assignment) Partition() int32 { return a.part }

func (a *assignment) Committed(ctx context.Context) (bus.Position, error) {
	p, err := a.g.committed(ctx, a.part, a.id)
	if errors.Is(err, errRenamed) {
		a.anew(errRenamed)
	}
	return p, err
}

// Settle implements bus.Settler: this process joins the group once more, as another member, in a newer generation. What is
// still on its way is refused from then on, however late it comes.
func (a *assignment) Settle(context.Context) error {
	a.anew(errUnsettled)
	return fmt.Errorf("partition %d: %w: %w", a.part, errUnsettled, bus.ErrGeneration)
}

// Why a process joins its group anew, under another member's name.
var (
	errUnsettled = errors.New("a commit had no answer, and may be carried out yet")
	errRenamed   = errors.New("the log has another name")
)

// Commit implements bus.Assignment. What the broker refuses for now is tried again here. A request without an answer is
// not: Kafka may take it up after later ones, and the position would go back to it.
func (a *assignment) Commit(ctx context.Context, p bus.Position) error {
	if len(p.Meta) > MaxMeta {
		return fmt.Errorf("commit partition %d: metadata of %d bytes, at most %d: %w", a.part, len(p.Meta), MaxMeta, errFinal)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	topic := a.g.b.cfg.Topic
	metadata := a.g.b.headOf(a.id, a.part, p) + " " + p.Meta
	err := a.g.b.retry(ctx, "commit", func(ctx context.Context) error {
		r, err := a.g.b.client.OffsetCommit(ctx, &kafkago.OffsetCommitRequest{
			GroupID: a.g.name, GenerationID: a.generation, MemberID: a.member,
			Topics: map[string][]kafkago.OffsetCommit{topic: {{Partition: int(a.part), Offset: p.Offset, Metadata: metadata}}},
		})
		var answered kafkago.Error
		if dial := (*net.OpError)(nil); errors.As(err, &answered) || errors.As(err, &dial) && dial.Op == "dial" {
			return err // refused, or nothing was sent
		}
		if err != nil {
			return fmt.Errorf("%w: %w: %w", bus.ErrUnanswered, err, errFinal)
		}
		for _, o := range r.Topics[topic] {
			if o.Partition == int(a.part) {
				return fenced(o.Error)
			}
		}
		return fmt.Errorf("the answer lacks partition %d", a.part)
	})
	if err != nil {
		return fmt.Errorf("commit partition %d: %w", a.part, err)
	}
	a.g.b.forget(a.part, p.Offset)
	return nil
}

// fenced gives Kafka's ways to say "you are not in this generation" the bus's name.
func fenced(err error) error {
	for _, k := range []kafkago.Error{kafkago.IllegalGeneration, kafkago.UnknownMemberId, kafkago.RebalanceInProgress, kafkago.FencedInstanceID} {
		if errors.Is(err, k) {
			return fmt.Errorf("%w: %w: %w", bus.ErrGeneration, err, errFinal)
		}
	}
	return err
}
