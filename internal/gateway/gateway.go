// Package gateway takes readings in (step 1 of 8): it receives over MQTT, has them decoded, normalised and written
// to the spool, and acknowledges when, and only when, they are on disk.
//
// In: PUBLISH packets, from the embedded broker front or pulled from somebody's broker; both end in worker.build.
// Out: records in the spools of the live and the backfill lane (internal/spool), and PUBACK.
// Refused: connections without credentials, packets beyond 2 MiB; everything else that cannot be read
// becomes a dead letter in the same spool. situ_gateway_* counts each, by reason.
//
//	sensor --MQTT--> front (broker)  --.
//	                                    > worker: route, decode, normalise --> spool --fsync--> Acked
//	broker <--MQTT-- puller (paho)   --'         ^ one a connection              |
//	   ^                                                                        v
//	   '-------------------------- PUBACK, in order of receipt <---------- ackQueue
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"crypto/tls"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/embedded/broker"
	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/gateway/inflight"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// Config of a Gateway.
type Config struct {
	Listen      string // address of the embedded front, "" = none
	TLS         *tls.Config
	Anonymous   bool // no credentials asked; the caller makes sure that Listen is loopback
	Credentials credentials
	Sources     []Source
	KeepRaw     []string // filters of situ's own topics whose payloads are kept as they come
	Protocols   []decode.Protocol
	Normalizer  func() *normalize.Normalizer // one a connection
	Spools      map[sensor.Lane]*spool.Spool // both lanes; the caller opens and closes them
	Horizons    []spool.Horizon              // what a spool that fills gives up, in this order; none = nothing
	Hold        map[sensor.Lane]Hold         // what it must leave alone; nil = nothing
	Sessions    string                       // journal of the MQTT sessions; "" = QoS 2 holds as long as the process
	Clock       func() time.Time             // nil = the wall clock
	Canary      Canary
	Connections int   // of the embedded front, at once; 0 = broker.DefaultConnections
	Prepared    int64 // bytes that all connections keep of prepared Things, names and topics; 0 = DefaultPrepared
	Logger      *slog.Logger
	Registerer  prometheus.Registerer
}

// Hold is spool.Policy's.
type Hold func() (from uint64, release func())

// Gateway is the stage. Make it with New, then Run.
type Gateway struct {
	cfg       Config
	protocols map[string]decode.Protocol
	spools    map[sensor.Lane]*spool.Spool
	front     *broker.Server // nil: none
	sessions  *inflight.Table
	embedded  atomic.Pointer[embedded] // sources of the front's topics
	pulls     *pulls
	canary    *canary // nil: none
	metrics   *metrics
	room      *normalize.Room
	memory    *normalize.Memory // from one connection of a Thing to the next
}

// New checks the configuration and binds the listener, so that a port in use is said before anything starts.
func New(cfg Config) (*Gateway, error) {
	if cfg.Clock == nil {
		cfg.Clock = failpoint.Now // time.Now, but in tests that move the clock
	}
	if cfg.Prepared == 0 {
		cfg.Prepared = DefaultPrepared
	}
	g := &Gateway{cfg: cfg, spools: cfg.Spools,
		room: normalize.NewRoom(cfg.Prepared - cfg.Prepared/memoryPart), memory: normalize.NewMemory(cfg.Prepared / memoryPart)}
	if g.spools[sensor.Live] == nil || g.spools[sensor.Backfill] == nil {
		return nil, errors.New("gateway: a spool for each lane is needed")
	}
	if err := CheckKeep(cfg.KeepRaw); err != nil {
		return nil, fmt.Errorf("%w: keep raw: %w", ErrSource, err)
	}
	g.protocols = byName(cfg.Protocols)
	g.metrics = newMetrics(cfg.Registerer, func() float64 {
		if g.front == nil {
			return 0
		}
		return float64(g.front.Clients())
	})
	g.pulls = newPulls(g)
	sources, err := g.checked(cfg.Sources)
	if err != nil {
		return nil, err
	}
	if err := g.openCanary(cfg.Canary, sources); err != nil {
		return nil, err
	}
	g.embedded.Store(newEmbedded(sources))
	g.pulls.first = sources
	if cfg.Listen == "" {
		return g, nil
	}
	g.sessions, err = inflight.Open(inflight.Config{Path: cfg.Sessions, Spools: cfg.Spools, Clock: cfg.Clock, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	g.front, err = broker.Listen(broker.Options{Addr: cfg.Listen, TLS: cfg.TLS, Logger: cfg.Logger, Connections: cfg.Connections,
		Handler: &front{g: g, credentials: cfg.Credentials, anonymous: cfg.Anonymous},
		Refused: func(reason string) { g.metrics.refused.WithLabelValues(reason).Inc() }})
	if err != nil {
		return nil, errors.Join(err, g.sessions.Close())
	}
	g.metrics.inflight(cfg.Registerer, g.sessions.Counts)
	return g, nil
}

// Addr is where the embedded front listens, nil when there is none.
func (g *Gateway) Addr() net.Addr {
	if g.front == nil {
		return nil
	}
	return g.front.Addr()
}

// Run receives until ctx ends, and returns after everything it started has returned. What was received by then is
// in the spool or was not acknowledged. A spool that fails ends it: what the disk holds is then unknown.
func (g *Gateway) Run(ctx context.Context) error {
	eg, ctx := errgroup.WithContext(ctx)
	if g.front != nil {
		last, over := context.WithCancel(context.WithoutCancel(ctx)) // the journal is written until nobody publishes
		eg.Go(func() error {
			defer over()
			return g.front.Serve(ctx)
		})
		eg.Go(func() error { return g.sessions.Run(last) })
	}
	eg.Go(func() error { return g.pulls.run(ctx) })
	for lane, s := range g.spools {
		eg.Go(func() error {
			select {
			case <-s.Failed():
				return fmt.Errorf("spool of lane %s: %w", lane, s.Err())
			case <-ctx.Done():
				return nil
			}
		})
	}
	for lane, s := range g.spools {
		if p := g.policy(lane); len(p.Classes) > 0 {
			eg.Go(func() error { return s.RunPolicy(ctx, p) })
		}
	}
	eg.Go(func() error { return g.measure(ctx) })
	if g.canary != nil {
		eg.Go(func() error { return g.canary.run(ctx) })
	}
	return eg.Wait()
}

// measure keeps the gauge of the spools.
func (g *Gateway) measure(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		for lane, s := range g.spools {
			used, _ := s.Used()
			g.metrics.spoolBytes.WithLabelValues(lane.String()).Set(float64(used))
			for class, h := range s.Held() {
				g.metrics.held.WithLabelValues(lane.String(), sensor.OwnerClass(class).String()).Set(float64(h.Bytes))
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// OnCommit is for spool.Config: it measures the group commits.
func (g *Gateway) OnCommit(c spool.Commit) {
	g.metrics.commit.Observe((c.Wrote + c.Synced).Seconds())
	g.metrics.commitSize.Observe(float64(c.Records))
}

// producer is the gateway's name.
func (g *Gateway) producer() string { return g.spools[sensor.Live].Producer().Gateway }

func (g *Gateway) newNormalizer() *normalize.Normalizer { return g.cfg.Normalizer() }
