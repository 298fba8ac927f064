package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/peers"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// A spool that was full and has room again takes all that the broker kept: what was refused does not hold up what comes
// after it, and is not taken for something still on its way.
func TestPullGoesOnAfterAFullSpool(t *testing.T) {
	m := peers.Mosquitto(t, "")
	small, err := spool.Open(spool.Config{Dir: filepath.Join(t.TempDir(), "small"), Gateway: "gw", Lane: sensor.Live,
		MaxBytes: 32 << 10, SegmentBytes: 8 << 10})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *Config, _ *normalize.Options) {
		pulling(m.Addr())(c, nil)
		if err := c.Spools[sensor.Live].Close(); err != nil {
			t.Fatal(err)
		}
		c.Spools[sensor.Live] = small
	})
	r.subscribed(t)
	c := publisher(t, m)
	const n = 1000
	base := time.Now().UnixMilli()
	for i := range n {
		c.Publish("factory/press-1/up", 1, false, fmt.Sprintf(`{"t":%d,"temperature":%d}`, base-int64(i), i%50))
	}
	eventually(t, "refused", func() bool { return testutil.ToFloat64(r.g.metrics.refused.WithLabelValues("full")) > 0 })
	seen := map[int64]bool{}
	at := uint64(1)
	eventually(t, "all arrived", func() bool {
		at = drain(t, small, at, seen)
		return len(seen) == n
	})
}

// drain reads a spool from seq at on, frees what it read, and gives the seq after it.
func drain(t *testing.T, s *spool.Spool, at uint64, seen map[int64]bool) uint64 {
	t.Helper()
	rd, err := s.NewReader(at)
	if errors.Is(err, spool.ErrBeyond) {
		return at
	}
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	for _, next := s.Bounds(); at < next; at++ {
		_, body, err := rd.Next()
		if err != nil {
			t.Fatal(err)
		}
		var m sensor.Message
		if err := sensor.DecodeMessage(&m, body); err != nil {
			t.Fatal(err)
		}
		for _, o := range m.Observations {
			seen[o.PhenomenonTime] = true
		}
	}
	if err := s.Trim(at); err != nil {
		t.Fatal(err)
	}
	return at
}

// A full spool refuses many messages of one connection. The second refusal used to end the next connection as well.
func TestAnOldRefusalDoesNotEndTheNextConnection(t *testing.T) {
	m := peers.Mosquitto(t, "")
	r := newRig(t, func(c *Config, _ *normalize.Options) { c.Listen = "" })
	s := &Source{Name: "plant", Broker: "tcp://" + m.Addr(), Topics: []string{"factory/{thing}/up"}, Protocol: "json", Owner: "plant"}
	p := newPuller(s, "gw", r.g.newWorker(s), slog.New(slog.DiscardHandler), r.g.metrics)
	p.fail(spool.ErrFull)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 1)
	go func() { p.run(ctx); done <- struct{}{} }()
	defer func() { cancel(); <-done }()
	r.subscribed(t)
	tok := publisher(t, m).Publish("factory/press-1/up", 1, false, `{"temperature":1}`)
	tok.WaitTimeout(30 * time.Second)
	eventually(t, "arrived", func() bool { return len(r.messages(sensor.Live)) == 1 })
	if n := testutil.ToFloat64(r.g.metrics.pullDrops.WithLabelValues("plant")); n != 0 {
		t.Errorf("the connection was given up %v times", n)
	}
}
