package apptest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Flood publishes distinct readings, a batch at a time, and remembers which were acknowledged. A connection that breaks
// takes its tokens with it: paho's own reconnect calls messages done that it is only about to send again.
type Flood struct {
	t     testing.TB
	o     FloodOptions
	stop  context.CancelFunc
	done  chan struct{}
	acked []int64 // owned by run; read after End
	sent  int     // likewise
	count atomic.Int64
}

// FloodOptions say where to and how fast.
type FloodOptions struct {
	Addr  string        // of the broker
	Topic string        // with a %d for one of 20 Things; "" = situ/v1/bureau/t%d/json
	First int64         // number of the first reading, which is its value too
	Batch int           // readings on their way at once; 0 = 200
	Pause time.Duration // between batches
}

// StartFlood begins to send.
func StartFlood(t testing.TB, o FloodOptions) *Flood {
	t.Helper()
	if o.Topic == "" {
		o.Topic = "situ/v1/bureau/t%d/json"
	}
	if o.Batch == 0 {
		o.Batch = 200
	}
	f := &Flood{t: t, o: o, done: make(chan struct{})}
	var ctx context.Context
	ctx, f.stop = context.WithCancel(t.Context())
	go f.run(ctx)
	return f
}

func (f *Flood) run(ctx context.Context) {
	defer close(f.done)
	base := time.Now().Add(-time.Hour).UnixMilli()
	var client paho.Client
	for ctx.Err() == nil {
		if client == nil || !client.IsConnectionOpen() {
			var err error
			if client, err = Dial(f.o.Addr, fmt.Sprintf("flood-%d", f.o.First), "", ""); err != nil {
				client = nil
				pause(ctx, 50*time.Millisecond)
				continue
			}
		}
		f.batch(client, base)
		pause(ctx, f.o.Pause)
	}
	if client != nil {
		client.Disconnect(0)
	}
}

func (f *Flood) batch(client paho.Client, base int64) {
	tokens := make([]paho.Token, f.o.Batch)
	for i := range tokens {
		n := f.sent + i
		tokens[i] = client.Publish(fmt.Sprintf(f.o.Topic, n%20), 1, false, fmt.Sprintf(`{"t":%d,"water_level":%d}`, base+int64(n), f.o.First+int64(n)))
	}
	for i, tok := range tokens {
		for !tok.WaitTimeout(20*time.Millisecond) && client.IsConnectionOpen() {
		}
		select {
		case <-tok.Done():
			if tok.Error() == nil {
				f.acked = append(f.acked, f.o.First+int64(f.sent+i))
				f.count.Add(1)
			}
		default: // its connection is gone
		}
	}
	f.sent += len(tokens)
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Enough waits until so many were acknowledged, and a few more than at its beginning.
func (f *Flood) Enough(t testing.TB, n int64) {
	t.Helper()
	least := max(n, f.count.Load()+200)
	Until(t, 2*time.Minute, func() string {
		if n := f.count.Load(); n < least {
			return fmt.Sprintf("only %d readings were acknowledged, waiting for %d", n, least)
		}
		return ""
	})
}

// End stops sending and gives what was acknowledged, and how many were published at least once.
func (f *Flood) End() (acked []int64, sent int) {
	f.stop()
	<-f.done
	return f.acked, f.sent
}
