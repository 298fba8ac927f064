package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/bus/kafka"
	"github.com/situ-city/situ/internal/ingester"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/internal/store"
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
	p.checkLog = p.sameTopic(b, cfg.Accept)
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
	p.lease = protocol.Holds(k.Session)
	return b, nil
}

// sameTopic stops an ingester before it begins with a topic that was made anew. Kafka forgets a group's commits together
// with the topic, so to the group it looks like one that nobody ever read; the store remembers the other.
func (p *process) sameTopic(b *kafka.Bus, accept string) func(context.Context, *store.Store) error {
	return func(ctx context.Context, s *store.Store) error {
		id, err := b.ID(ctx, 0)
		if err != nil || id.String() == accept {
			return err
		}
		known, other, err := p.logsOf(ctx, s, id.String())
		if err != nil || known || other == "" {
			return err
		}
		parts, err := b.Partitions(ctx)
		if err != nil {
			return err
		}
		for _, part := range parts {
			at, err := p.group.Committed(ctx, part)
			if err != nil || at.Offset >= 0 {
				return err // it has begun with this one before
			}
		}
		return fmt.Errorf("%w: the store holds blocks of another topic, with id %s, and none of this one, with id %v: %w; if the topic "+
			"was deleted, what it held and was not stored is gone with it. To begin with this one: --kafka-accept %v",
			host.ErrRefused, other, id, ingester.ErrLogReplaced, id)
	}
}

// logsOf asks the store until it answers.
func (p *process) logsOf(ctx context.Context, s *store.Store, log string) (known bool, other string, err error) {
	for n := 1; ; n++ {
		if known, other, err = s.Logs(ctx, log); err == nil {
			return known, other, nil
		}
		if n&(n-1) == 0 && ctx.Err() == nil { // the first, the second, the fourth, ...: days of it are no flood
			p.logger.Warn("asking the store for the topic; trying again", "component", "ingester", "try", n, "err", err)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return false, "", fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
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
