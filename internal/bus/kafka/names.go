package kafka

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/protocol"
)

// A topic whose log went backwards keeps its id, but its offsets stand for other messages from there on. Whoever goes on
// with it calls the log by another name, so that no token and no block of before is taken for one of now:
//
//	topic's id -> renamed once -> renamed twice -> ...
//
// Each name follows from the one before, so all processes come to the same. Which one holds is in the group's commits;
// the newest counts.

// maxNames bounds how often one topic may have gone backwards.
const maxNames = 64

// renamed is what a log is called after it went backwards.
func renamed(id bus.LogID) bus.LogID {
	sum := sha256.Sum256(append([]byte("situ: a log that went backwards\n"), id[:]...))
	return bus.LogID(sum[:len(id)])
}

// nameOf tells how often a topic had gone backwards when its log was called so; false: it is none of its names.
func nameOf(topic bus.LogID, name string) (times int, ok bool) {
	for ; times < maxNames; times++ {
		if topic.String() == name {
			return times, true
		}
		topic = renamed(topic)
	}
	return 0, false
}

// named gives what the log of a topic is called. The lock is held.
func (b *Bus) named(topic bus.LogID) bus.LogID {
	name := topic
	for range b.renamed {
		name = renamed(name)
	}
	return name
}

// learn notes a name that somebody gave the log: the operator, or who committed. True: it is newer than what was known.
func (b *Bus) learn(topic bus.LogID, name string) bool {
	times, ok := nameOf(topic, name)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !ok || times <= b.renamed {
		return false
	}
	b.renamed = times
	clear(b.trails) // what was read is not what is there under the new name
	return true
}

// learn reads the group's commits for the log's name.
func (g *Group) learn(ctx context.Context) error {
	if _, err := g.b.ID(ctx, 0); err != nil {
		return err
	}
	parts, err := g.b.Partitions(ctx)
	if err != nil {
		return err
	}
	req := kafkago.OffsetFetchRequest{GroupID: g.name, Topics: map[string][]int{}}
	for _, p := range parts {
		req.Topics[g.b.cfg.Topic] = append(req.Topics[g.b.cfg.Topic], int(p))
	}
	return g.b.retry(ctx, "read the group's positions", func(ctx context.Context) error {
		r, err := g.b.client.OffsetFetch(ctx, &req)
		if err != nil {
			return err
		}
		if r.Error != nil && !errors.Is(r.Error, kafkago.GroupIdNotFound) {
			return r.Error
		}
		for _, o := range r.Topics[g.b.cfg.Topic] {
			if before, _, ok := strings.Cut(o.Metadata, " "); ok && o.CommittedOffset >= 0 {
				g.b.learn(g.b.topicNow(), parseHead(before).log)
			}
		}
		return nil
	})
}

// topicNow is the topic's id as it was seen last.
func (b *Bus) topicNow() bus.LogID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.id
}

// backwards adds what can be done where a log does not have what it had.
func (b *Bus) backwards(err error, name bus.LogID) error {
	if errors.Is(err, protocol.ErrLogReplaced) ||
		!errors.Is(err, protocol.ErrLogShrank) && !errors.Is(err, protocol.ErrCommitsBehind) && !errors.Is(err, bus.ErrOffset) {
		return err
	}
	return fmt.Errorf("%w. If it cannot be brought back, go on with what topic %s holds now: --kafka-accept %v; it is read from its beginning, "+
		"what is stored is not stored again, and the balance shows what was lost", err, b.cfg.Topic, renamed(name))
}
