package kafka

import (
	"context"
	"errors"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// Waits between attempts.
const (
	firstWait = 50 * time.Millisecond
	longWait  = time.Second
)

// passing tells whether an error may go away by itself: anything of the network, and what Kafka calls retriable.
func passing(err error) bool {
	if errors.Is(err, errFinal) {
		return false
	}
	var k kafkago.Error
	switch {
	case !errors.As(err, &k), k.Temporary():
		return true
	case k == kafkago.BrokerNotAvailable: // kafka-go's word when none can be reached
		return true
	}
	return k == kafkago.ReplicaNotAvailable // a leader that is just becoming one; to kafka-go it is for ever
}

// errFinal marks situ's own errors, which waiting does not mend.
var errFinal = errors.New("final")

// final marks an error whose words are for people.
type final struct{ error }

func (f final) Unwrap() []error { return []error{f.error, errFinal} }

// unknownTopic tells whether the error says that the topic is not there, or not there yet.
func unknownTopic(err error) bool {
	return errors.Is(err, kafkago.UnknownTopicOrPartition) || errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition)
}

// retry calls do until it succeeds, ctx ends, or the error is none that passes. Each attempt has the configured time.
func (b *Bus) retry(ctx context.Context, what string, do func(context.Context) error) error {
	wait := firstWait
	for n := 1; ; n++ {
		attempt, cancel := context.WithTimeout(ctx, b.cfg.Timeout)
		err := do(attempt)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !passing(err) {
			return err
		}
		if n&(n-1) == 0 { // the first, the second, the fourth, ...: days of it are no flood
			b.log.Warn("waiting for Kafka", "doing", what, "attempt", n, "err", err)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, longWait)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
