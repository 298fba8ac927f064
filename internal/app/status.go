package app

import (
	"context"
	"sync"
	"time"

	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/query"
	"github.com/situ-city/situ/internal/version"
	"github.com/situ-city/situ/pkg/sensor"
)

// statusCache holds what is too dear to ask at each request: totals of the store, and rates.
type statusCache struct {
	mu           sync.Mutex // guards what follows
	observations uint64
	letters      uint64
	messagesPerS float64
}

const statusEvery = 2 * time.Second

// keep refreshes the cache until ctx ends.
func (c *statusCache) keep(ctx context.Context, p *process) error {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	before, at := p.messages(ctx), time.Now()
	for {
		if s := p.store.Load(); s != nil {
			if n, err := s.Count(ctx); err == nil {
				c.mu.Lock()
				c.observations, c.letters = n.Observations, n.DeadLetters
				c.mu.Unlock()
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		n, now := p.messages(ctx), time.Now()
		rate := float64(n-before) / now.Sub(at).Seconds()
		before, at = n, now
		c.mu.Lock()
		c.messagesPerS = 0.6*c.messagesPerS + 0.4*rate
		c.mu.Unlock()
	}
}

// numbered is how many messages the spools have ever numbered.
func (p *process) numbered(ctx context.Context) (n int64) {
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		if _, next, err := p.bus.Bounds(ctx, int32(lane)); err == nil {
			n += next
		}
	}
	return n
}

// statusNow is /v1/status.
func (p *process) statusNow() query.Status {
	snap, live := p.registry.Snapshot(), p.live.Stats()
	p.status.mu.Lock()
	s := query.Status{
		Version: version.Number, Started: p.started.UTC(), Now: failpoint.Now().UTC(), Demo: p.cfg.Demo, History: "on",
		Things: snap.Things(), Datastreams: snap.Datastreams(), Observations: p.status.observations, DeadLetters: p.status.letters,
		Rates: query.Rates{MessagesPerS: p.status.messagesPerS, ObservationsPerS: live.Rate},
	}
	p.status.mu.Unlock()
	s.Banner = p.bannerNow()
	switch {
	case p.cfg.History == "off":
		s.History, s.Observations = "off", live.Observations
	case p.store.Load() == nil:
		s.History = "unavailable"
	}
	if !live.NewestArrive.IsZero() {
		age := time.Since(live.NewestArrive).Seconds()
		s.AgeS = &age
	}
	s.Balance, s.Canaries = p.audit.Summary(), p.canaries.List()
	s.Things = max(s.Things-len(s.Canaries), 0) // they are no Things of the city
	s.Sets = []string{}
	for _, n := range p.live.Sets() {
		if prop, ok := p.catalogue.ByNumber(n); ok {
			s.Sets = append(s.Sets, string(prop.Code))
		}
	}
	return s
}

// bannerNow is what the page says above the map. A full spool comes before what is always so.
func (p *process) bannerNow() string {
	if p.gateway != nil && p.gateway.Full() != "" {
		return "the spool is full: nothing more is acknowledged, sensors keep their readings; see /readyz"
	}
	if b := p.banner.Load(); b != nil {
		return *b
	}
	return ""
}
