package city

import (
	"container/heap"
	"context"
	"log/slog"
	"time"
)

// Sink takes what the city says.
type Sink interface {
	Publish(ctx context.Context, topic string, payload []byte) error
}

// Play lets the city speak in real time until ctx ends. Each Thing sends when it is due.
func (c *City) Play(ctx context.Context, to Sink, logger *slog.Logger) error {
	q := make(schedule, len(c.things))
	now := time.Now()
	for i := range c.things {
		q[i] = due{c.Due(i, now), i}
	}
	heap.Init(&q)
	timer := time.NewTimer(0)
	defer timer.Stop()
	report := now.Add(time.Minute)
	var sent int
	var buf []byte
	for {
		next := &q[0]
		timer.Reset(time.Until(next.at))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		var ok bool
		if buf, ok = c.Payload(buf[:0], next.thing, next.at); ok {
			if err := to.Publish(ctx, c.Topic(next.thing), buf); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			sent++
		}
		// What was slept through (a suspended laptop) is not sent late: the city goes on from now.
		from := next.at.Add(time.Nanosecond)
		if late := time.Now(); late.Sub(next.at) > time.Minute {
			from = late
		}
		next.at = c.Due(next.thing, from)
		heap.Fix(&q, 0)
		if t := time.Now(); t.After(report) {
			logger.Info("city", "messages", sent)
			report = t.Add(10 * time.Minute)
		}
	}
}

type due struct {
	at    time.Time
	thing int
}

type schedule []due

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)        { *s = append(*s, x.(due)) }
func (s *schedule) Pop() any          { o := *s; x := o[len(o)-1]; *s = o[:len(o)-1]; return x }

// Round sends every Thing's latest message at once: a city that is just being looked at does not start empty.
func (c *City) Round(ctx context.Context, to Sink, now time.Time) error {
	var buf []byte
	for i := range c.things {
		at := c.Due(i, now).Add(-c.things[i].Interval)
		var ok bool
		if buf, ok = c.Payload(buf[:0], i, at); !ok {
			continue
		}
		if err := to.Publish(ctx, c.Topic(i), buf); err != nil {
			return err
		}
	}
	return nil
}

// Past sends what the city would have said since from, one message a Thing and step, oldest first and not in a rush.
func (c *City) Past(ctx context.Context, to Sink, from, now time.Time, step time.Duration) error {
	const pause, every = 50 * time.Millisecond, 100 // at most 2,000 messages a second
	var buf []byte
	sent := 0
	for t := from; t.Before(now.Add(-step)); t = t.Add(step) {
		for i := range c.things {
			at := t.Add(time.Duration(unit(c.things[i].own, 15, 0) * float64(step))).Truncate(time.Second)
			var ok bool
			if buf, ok = c.Payload(buf[:0], i, at); !ok {
				continue
			}
			if err := to.Publish(ctx, c.Topic(i), buf); err != nil {
				return err
			}
			if sent++; sent%every == 0 {
				select {
				case <-time.After(pause):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
	}
	return nil
}

// Replay sends what the city says between from and to, every message at its time, in order, as fast as it is taken.
func (c *City) Replay(ctx context.Context, to Sink, from, until time.Time, progress func(time.Time)) error {
	q := make(schedule, len(c.things))
	for i := range c.things {
		q[i] = due{c.Due(i, from), i}
	}
	heap.Init(&q)
	var buf []byte
	for n := 0; q[0].at.Before(until); n++ {
		next := &q[0]
		var ok bool
		if buf, ok = c.Payload(buf[:0], next.thing, next.at); ok {
			if err := to.Publish(ctx, c.Topic(next.thing), buf); err != nil {
				return err
			}
		}
		if n%1000 == 0 {
			progress(next.at)
		}
		next.at = c.Due(next.thing, next.at.Add(time.Nanosecond))
		heap.Fix(&q, 0)
	}
	return nil
}
