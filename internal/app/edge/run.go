package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/bus/kafka"
	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/gateway"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// process holds everything cmd/gateway opens, in the order it opens it.
type process struct {
	cfg    Config
	logger *slog.Logger
	out    io.Writer

	metrics     *prometheus.Registry
	ops         net.Listener // nil: off
	catalogue   *sensor.Catalogue
	divisions   *geo.Divisions
	credentials *credentials
	follower    *registry.Follower
	spools      map[sensor.Lane]*spool.Spool
	kafka       *kafka.Bus
	gateway     *gateway.Gateway
	reloader    *host.Reloader
	pumps       map[sensor.Lane]*pump // made after everything is open, before anything runs

	onCommit host.CommitHook
	ready    host.Readiness
	host.Closers
}

// Run is cmd/gateway: it runs until ctx ends. out gets what is printed for people: where it listens.
//
// It stops with the flow: receiving first, then what the spools hold goes to Kafka for a few seconds more (the rest
// stays on disk for the next start), then the registry's snapshot is written.
func Run(ctx context.Context, cfg Config, logger *slog.Logger, out io.Writer) (err error) {
	if err := cfg.check(); err != nil {
		return err
	}
	if err := host.Failpoints(logger); err != nil {
		return err
	}
	unlock, err := host.Lock(cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	cfg.MemoryLimit.Apply(logger)
	p := &process{cfg: cfg, logger: logger, out: out, metrics: host.NewMetrics(), pumps: map[sensor.Lane]*pump{}}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.open(); err != nil {
		return err
	}
	pumps := p.newPumps()
	return host.RunFloors(ctx, logger, [][]host.Stage{
		{{Name: "registry", Run: p.follower.Run}, {Name: "credentials", Run: p.credentials.watch}, {Name: "http", Run: p.runOps}},
		{{Name: "batch", Run: func(ctx context.Context) error { return p.runPumps(ctx, pumps) }}},
		{{Name: "gateway", Run: p.runGateway}, {Name: "configuration", Run: p.reloader.Run}},
	}, p.announce)
}

// open opens what does not need to run. Ports come first: what is most often wrong is said at once.
func (p *process) open() (err error) {
	tlsConfig, err := p.cfg.TLS.Load()
	if err != nil {
		return err
	}
	if p.cfg.HTTP != "" {
		if p.ops, err = host.Listen("http", p.cfg.HTTP, tlsConfig); err != nil {
			return err
		}
		p.Later(func() error { _ = p.ops.Close(); return nil }) // usually closed by its server already
	}
	if p.credentials, err = openCredentials(p.cfg.Credentials, p.logger); err != nil {
		return fmt.Errorf("%w: --credentials: %w", host.ErrConfig, err)
	}
	if p.catalogue, err = sensor.LoadCatalogue(); err != nil {
		return err
	}
	if p.divisions, err = geo.LoadDivisions(); err != nil {
		return err
	}
	if err = p.openFollower(); err != nil {
		return err
	}
	p.spools, err = host.Spools{Dir: p.cfg.Data, Gateway: p.cfg.Gateway, MaxBytes: p.cfg.SpoolBytes / 2, Logger: p.logger, OnCommit: p.onCommit.Call}.Open()
	if err != nil {
		return err
	}
	for _, s := range p.spools {
		p.Later(s.Close)
	}
	if p.cfg.Kafka.Began, err = readPartitions(p.cfg.Data, p.cfg.Topic); err != nil {
		return err
	}
	if p.kafka, err = p.cfg.Kafka.Open("situ-gateway-"+p.name(), p.logger); err != nil {
		return err
	}
	p.Later(p.kafka.Close)
	p.gateway, err = gateway.New(gateway.Config{
		Listen: p.cfg.MQTT, TLS: tlsConfig, Anonymous: p.cfg.anonymous(), Credentials: p.credentials, Sources: p.cfg.sources(), KeepRaw: p.cfg.KeepRaw,
		Protocols: all.Protocols(), Normalizer: p.newNormalizer, Spools: p.spools,
		Canary:   gateway.Canary{Every: p.cfg.Canary, File: filepath.Join(p.cfg.Data, "canary.json"), Normalizer: p.newCanaryNormalizer},
		Horizons: p.cfg.SpoolHorizon.List, Hold: host.Holds(p.holdThin),
		Connections: p.cfg.Connections(), Prepared: p.cfg.Prepared(),
		Sessions: filepath.Join(p.cfg.Data, "mqtt-sessions"), Logger: p.logger, Registerer: p.metrics,
	})
	if errors.Is(err, gateway.ErrSource) {
		return fmt.Errorf("%w: %w", host.ErrConfig, err)
	}
	var port *net.OpError
	if errors.As(err, &port) {
		return fmt.Errorf("%w: %w; is another broker on that port? give another with --mqtt", host.ErrRefused, err)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", host.ErrRefused, err)
	}
	p.onCommit.Set(p.gateway.OnCommit)
	p.reloader = &host.Reloader{File: p.cfg.File, Apply: p.gateway.Reload, Logger: p.logger}
	p.reloader.Register(p.metrics)
	return nil
}

// name of this gateway, once the spools are open.
func (p *process) name() string { return p.spools[sensor.Live].Producer().Gateway }

// newNormalizer makes the normaliser of one connection.
func (p *process) newNormalizer() *normalize.Normalizer {
	return normalize.New(normalize.Options{Catalogue: p.catalogue, Divisions: p.divisions, AutoRegister: p.cfg.AutoRegister,
		Ledger: func() normalize.Ledger { return p.follower.Snapshot() }})
}

// newCanaryNormalizer makes the one of this gateway's own canary, which nobody registers.
func (p *process) newCanaryNormalizer() *normalize.Normalizer {
	return normalize.New(normalize.Options{Catalogue: p.catalogue, AutoRegister: true, Class: sensor.Government,
		Ledger: func() normalize.Ledger { return p.follower.Snapshot() }})
}

// runGateway receives as soon as the registry is known. The port is bound since open: a client that comes earlier
// waits for its CONNACK, gives up, and comes again.
func (p *process) runGateway(ctx context.Context) error {
	if err := p.waitRegistry(ctx); err != nil {
		stopped, cancel := context.WithCancel(ctx)
		cancel()
		return p.gateway.Run(stopped) // closes the listener
	}
	return p.gateway.Run(ctx)
}

func (p *process) runOps(ctx context.Context) error {
	if p.ops == nil {
		<-ctx.Done()
		return nil
	}
	return host.ServeHTTP(ctx, p.ops, host.Ops(p.metrics, p.notReady), p.logger)
}

// nearlyFull is how much room a spool must have left to be called ready.
const nearlyFull = 1 << 20

// notReady says why readings are not taken. Kafka's absence is no reason: the spools are there for it.
func (p *process) notReady() []host.NotReady {
	for lane, s := range p.spools {
		why := ""
		if used, limit := s.Used(); limit-used < nearlyFull {
			why = fmt.Sprintf("full: %d bytes wait for Kafka; see situ_batch_waiting_messages", used)
		}
		p.ready.Set("spool of lane "+lane.String(), why)
	}
	p.ready.Set("spool", p.gateway.Full())
	return p.ready.List()
}

// announce prints where the gateway is to be found.
func (p *process) announce() {
	fmt.Fprintf(p.out, "gateway %s\n", p.name())
	if a := p.gateway.Addr(); a != nil {
		fmt.Fprintf(p.out, "MQTT   %s   topic situ/v1/{owner}/{thing}/json\n", a)
	}
	if p.ops != nil {
		fmt.Fprintf(p.out, "state  http://%s/readyz\n", p.ops.Addr())
	}
}
