package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/query"
	"github.com/situ-city/situ/pkg/sensor"
)

// QueryConfig of cmd/query. The tags are its flags.
type QueryConfig struct {
	Data           string `help:"Data directory: keys, and the registry unless --registry-dsn." default:"query-data" type:"path" env:"SITU_DATA"`
	HTTP           string `name:"http" help:"Map, API and SQL listen here." default:"127.0.0.1:8080" env:"SITU_HTTP"`
	ClickHouseHTTP string `name:"clickhouse-http" help:"ClickHouse's HTTP interface, through the SQL gate; empty = off." default:"127.0.0.1:8123" env:"SITU_CLICKHOUSE_HTTP"`
	AdminKey       string `help:"Administrator's key; default: made at the first start and printed once." env:"SITU_ADMIN_KEY"`
	OpenMap        bool   `help:"On loopback: the map and what it shows need no key." env:"SITU_OPEN_MAP"`
	ClickHouse     string `name:"clickhouse" help:"Where the history is: clickhouse://user:password@host:9000, http://..., or unix:///path of the embedded engine's socket." required:"" env:"SITU_CLICKHOUSE"`
	SQLClickHouse  string `name:"sql-clickhouse" help:"HTTP address of that server for analysts' SQL, with a user that may read and nothing else: http://user:password@host:8123. Not needed on a socket." env:"SITU_SQL_CLICKHOUSE"`
	Database       string `help:"Database in ClickHouse." default:"situ" env:"SITU_DATABASE"`
	Group          string `help:"The ingesters' consumer group: where they stand is where the live state begins." default:"ingest" env:"SITU_GROUP"`
	Ledger
	host.Kafka
	host.TLS

	File *File `kong:"-"` // its sources: those of the gateways, for dead letters that are replayed
}

func (c *QueryConfig) check() error {
	return errors.Join(c.TLS.Check("http", c.HTTP), c.TLS.Check("clickhouse-http", c.ClickHouseHTTP), c.Kafka.Check(), c.Ledger.check(), checkClickHouse(c.ClickHouse))
}

// checkClickHouse looks at a DSN's form. What is wrong with it is not shown: it holds a password.
func checkClickHouse(dsn string) error {
	u, err := url.Parse(dsn)
	if err == nil && (u.Scheme == "unix" && u.Host == "" && u.Path != "" ||
		u.Host != "" && slices.Contains([]string{"clickhouse", "tcp", "http", "https"}, u.Scheme)) {
		return nil
	}
	return fmt.Errorf("%w: --clickhouse: want clickhouse://user:password@host:9000, http://..., or unix:///path", ErrConfig)
}

// RunQuery is cmd/query: the registry, the live state on Kafka's end, map, API and SQL, until ctx ends. It is the one
// writer of the registry, so there is one of it.
//
//	Kafka ----> live state -> tiles, page, API          registry -> /v1/registry/changes -> gateways
//	   '------> declarations -> registry                ClickHouse -> history, SQL
func RunQuery(ctx context.Context, cfg QueryConfig, logger *slog.Logger, out io.Writer) (err error) {
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
	p := &process{logger: logger, out: out, started: time.Now(), cfg: Config{
		Data: cfg.Data, HTTP: cfg.HTTP, ClickHouseHTTP: cfg.ClickHouseHTTP, AdminKey: cfg.AdminKey, AutoRegister: cfg.OpenMap,
		ClickHouse: cfg.ClickHouse, SQLClickHouse: cfg.SQLClickHouse, Database: cfg.Database, Ledger: cfg.Ledger, TLS: cfg.TLS,
		History: "on", File: cfg.File}}
	defer func() { err = errors.Join(err, p.Close()) }()
	if _, err := p.gateOptions(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{p.openListeners, p.openCatalogue, p.openRegistry} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	b, err := p.openKafka(&cfg.Kafka, "situ-query", cfg.Group)
	if err != nil {
		return err
	}
	count := &countedLog{Log: b}
	p.bus, p.messages = count, count.total
	heard, err := query.OpenDeclarations(query.DeclarationsConfig{Log: b, Registry: p.registry, Path: filepath.Join(cfg.Data, "declarations.json"), Logger: logger})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	p.hold = heard.Hold
	p.ready.Set("history", "connecting to ClickHouse")
	p.openLive()
	if err := p.openAgain(); err != nil {
		return err
	}
	return host.RunFloors(ctx, logger, [][]host.Stage{
		{{Name: "store", Run: p.connectStore}, {Name: "http", Run: p.runHTTP}, {Name: "registry", Run: p.runLedger}},
		{{Name: "live", Run: after(cfg.Kafka.Ensure, b, p.runFeed)}, {Name: "declarations", Run: heard.Run}, {Name: "configuration", Run: p.reloader.Run}},
	}, p.announce)
}

// countedLog counts the messages that are read, for the page's head line: an offset of Kafka stands for many.
type countedLog struct {
	bus.Log
	read atomic.Int64
}

// Fetch implements bus.Log.
func (c *countedLog) Fetch(ctx context.Context, part int32, from, to int64, maxRows int, b *sensor.Batch) (int64, error) {
	before := b.Messages
	next, err := c.Log.Fetch(ctx, part, from, to, maxRows, b)
	c.read.Add(int64(b.Messages - before))
	return next, err
}

func (c *countedLog) total(context.Context) int64 { return c.read.Load() }
