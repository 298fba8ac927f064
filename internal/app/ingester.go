package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/bus/kafka"
)

// IngesterConfig of cmd/ingester. The tags are its flags.
type IngesterConfig struct {
	HTTP       string `name:"http" help:"/metrics, /healthz and /readyz listen here; empty = off." default:"127.0.0.1:8082" env:"SITU_HTTP"`
	ClickHouse string `name:"clickhouse" help:"Where to store: clickhouse://user:password@host:9000, http://..., or unix:///path of the embedded engine's socket." required:"" env:"SITU_CLICKHOUSE"`
	Database   string `help:"Database in ClickHouse." default:"situ" env:"SITU_DATABASE"`
	Group      string `help:"Consumer group; all ingesters of one ClickHouse share it." default:"ingest" env:"SITU_GROUP"`
	host.Kafka
	host.TLS
}

func (c *IngesterConfig) check() error {
	return errors.Join(c.TLS.Check("http", c.HTTP), c.Kafka.Check(), checkClickHouse(c.ClickHouse))
}

// RunIngester is cmd/ingester: Kafka into ClickHouse, each observation exactly once, until ctx ends. Several share the
// topic's partitions. It keeps nothing on disk: where it stands is in Kafka, what it stored is in ClickHouse.
//
//	Kafka -> ingester -> ClickHouse        what Things declared of themselves rides the bus to cmd/query
func RunIngester(ctx context.Context, cfg IngesterConfig, logger *slog.Logger, out io.Writer) (err error) {
	if err := cfg.check(); err != nil {
		return err
	}
	if err := host.Failpoints(logger); err != nil {
		return err
	}
	p := &process{logger: logger, out: out, metrics: host.NewMetrics(),
		cfg: Config{HTTP: cfg.HTTP, TLS: cfg.TLS, ClickHouse: cfg.ClickHouse, Database: cfg.Database, History: "on"}}
	defer func() { err = errors.Join(err, p.Close()) }()
	if cfg.HTTP != "" {
		if err := p.openListeners(ctx); err != nil {
			return err
		}
	}
	b, err := p.openKafka(&cfg.Kafka, "situ-ingester", cfg.Group)
	if err != nil {
		return err
	}
	p.bus = b
	p.ready.Set("history", "connecting to ClickHouse")
	return host.RunFloors(ctx, logger, [][]host.Stage{
		{{Name: "store", Run: p.connectStore}, {Name: "http", Run: p.runOps}},
		{{Name: "ingester", Run: after(cfg.Kafka.Ensure, b, p.runIngester)}},
	}, p.announceOps)
}

// openKafka opens the bus at scale, and the ingesters' group on it.
func (p *process) openKafka(k *host.Kafka, client, group string) (*kafka.Bus, error) {
	b, err := k.Open(client, p.logger)
	if err != nil {
		return nil, err
	}
	p.Later(b.Close)
	p.group = b.Group(group)
	return b, nil
}

// after runs a stage when the topic is there.
func after(ensure func(context.Context, *kafka.Bus) error, b *kafka.Bus, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := ensure(ctx, b); err != nil {
			return fmt.Errorf("make the topic: %w", err)
		}
		return run(ctx)
	}
}

// runOps serves what a process without a face shows of itself.
func (p *process) runOps(ctx context.Context) error {
	if p.web == nil {
		<-ctx.Done()
		return nil
	}
	return host.ServeHTTP(ctx, p.web, host.Ops(p.metrics, func() (list []host.NotReady) {
		for _, n := range p.notReady() {
			list = append(list, host.NotReady(n))
		}
		return list
	}), p.logger)
}

func (p *process) announceOps() {
	if p.web != nil {
		fmt.Fprintf(p.out, "state  http://%s/readyz\n", p.web.Addr())
	}
}
