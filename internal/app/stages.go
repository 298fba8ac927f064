package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/gateway"
	"github.com/situ-city/situ/internal/ingester"
	"github.com/situ-city/situ/internal/livestate"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/query"
	"github.com/situ-city/situ/internal/rollup"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
	"github.com/situ-city/situ/web"
)

func (p *process) openGateway(context.Context) (err error) {
	p.gateway, err = gateway.New(gateway.Config{
		Listen: p.cfg.MQTT, TLS: p.tls, Anonymous: p.cfg.anonymousMQTT(), Credentials: p.registry, Sources: p.cfg.sources(), KeepRaw: p.cfg.KeepRaw,
		Protocols:  all.Protocols(),
		Normalizer: p.newNormalizer,
		Canary:     gateway.Canary{Every: p.cfg.Canary, File: filepath.Join(p.cfg.Data, "canary.json"), Normalizer: p.newCanaryNormalizer},
		Spools:     p.spools, Sessions: filepath.Join(p.cfg.Data, "mqtt-sessions"), Logger: p.logger, Registerer: p.metrics,
		Horizons: p.horizons(), Hold: p.holds(),
		Connections: p.cfg.Connections(), Prepared: p.cfg.Prepared(),
	})
	if errors.Is(err, gateway.ErrSource) {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	var port *net.OpError
	if errors.As(err, &port) {
		return fmt.Errorf("%w: %w; is another broker on that port? give another with --mqtt", ErrRefused, err)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	p.onCommit.Set(p.gateway.OnCommit)
	return nil
}

// horizons is what full spools give up. Without history they free their oldest segments instead, whatever is in them.
func (p *process) horizons() []spool.Horizon {
	if p.cfg.History == "off" {
		return nil
	}
	return p.cfg.SpoolHorizon.List
}

func (p *process) holds() map[sensor.Lane]gateway.Hold {
	if p.holdThin == nil {
		return nil
	}
	return host.Holds(p.holdThin)
}

// run starts the stages upstream last and stops them upstream first.
//
//	engine    the ClickHouse child, and the connection to it
//	serve     page, API, live state, ingester
//	receive   MQTT in
//	demo      the simulated city
func (p *process) run(ctx context.Context) error {
	p.openLive()
	if err := p.openAgain(); err != nil {
		return err
	}
	return host.RunFloors(ctx, p.logger, [][]host.Stage{
		{{Name: "engine", Run: p.runEngine}, {Name: "registry", Run: p.runLedger}},
		{{Name: "live", Run: p.runFeed}, {Name: "ingester", Run: p.runIngester}, {Name: "http", Run: p.runHTTP}},
		{{Name: "gateway", Run: p.gateway.Run}, {Name: "configuration", Run: p.reloader.Run}},
		{{Name: "demo", Run: p.runDemo}},
	}, p.announce)
}

func (p *process) openLive() {
	p.live = livestate.New(query.Meta{Registry: p.registry, Catalogue: p.catalogue}, p.catalogue, failpoint.Now())
	p.live.Register(p.metrics, failpoint.Now)
	p.canaries = query.NewCanaries(p.metrics, p.logger, failpoint.Now)
	if p.cfg.History == "on" {
		p.audit = query.NewAudit(p.metrics, p.logger, failpoint.Now)
	}
}

// announce prints where situ is to be found.
func (p *process) announce() {
	scheme := "http"
	if p.tls != nil {
		scheme = "https"
	}
	fmt.Fprintf(p.out, "map    %s://%s/\n", scheme, p.web.Addr())
	if p.clickweb != nil {
		fmt.Fprintf(p.out, "SQL    %s://%s/   ClickHouse's HTTP interface; password: the administrator's key\n", scheme, p.clickweb.Addr())
	}
	if p.gateway == nil {
		return
	}
	if a := p.gateway.Addr(); a != nil {
		fmt.Fprintf(p.out, "MQTT   %s   topic situ/v1/{owner}/{thing}/json\n", a)
	}
}

// runEngine keeps the ClickHouse child alive and opens the store when it answers.
func (p *process) runEngine(ctx context.Context) error {
	if p.engine == nil && p.cfg.ClickHouse == "" {
		<-ctx.Done()
		return nil
	}
	// The store is used until everything downstream has stopped, and the child dies after that.
	eg, ctx := errgroup.WithContext(ctx)
	if p.engine != nil {
		eg.Go(func() error {
			err := p.engine.Run(ctx)
			if err != nil && ctx.Err() == nil { // it refuses to run: readings wait in the spool
				p.logger.Error("no history", "component", "engine", "err", err)
				p.ready.Set("history", err.Error())
				p.say("no history: the ClickHouse engine refuses to run; readings wait in the spool; see /readyz")
				<-ctx.Done()
				return nil
			}
			return err
		})
	}
	eg.Go(func() error { return p.connectStore(ctx) })
	return eg.Wait()
}

func (p *process) connectStore(ctx context.Context) error {
	opt := p.storeOptions()
	wait := 200 * time.Millisecond
	for n := 1; ctx.Err() == nil; n++ {
		if p.engine != nil {
			if err := p.engine.WaitReady(ctx); err != nil {
				return nil // it will never be ready; runEngine has said why
			}
		}
		s, err := store.Open(ctx, opt)
		if err == nil {
			if err = s.Migrate(ctx); err == nil {
				if p.registry != nil { // history knows no owner and no Thing before
					p.ready.Set("names", "copying the registry to the history")
				}
				p.store.Store(s)
				p.ready.Set("history", "")
				<-ctx.Done()
				p.store.Store(nil)
				return s.Close()
			}
			_ = s.Close()
		}
		if ctx.Err() == nil {
			p.ready.Set("history", err.Error())
			if n&(n-1) == 0 { // the first, the second, the fourth, ...: days of it are no flood
				p.logger.Warn("open the store; trying again", "component", "store", "attempt", n, "err", err)
			}
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, 5*time.Second)
		case <-ctx.Done():
		}
	}
	return nil
}

// storeOptions says where ClickHouse is: on the engine's socket, on one that --clickhouse names, or behind a DSN.
func (p *process) storeOptions() store.Options {
	opt := store.Options{Database: p.cfg.Database, Cell: cellE7, Log: p.logger, Shared: p.registry == nil} // cmd/ingester is one of several
	socket, unix := strings.CutPrefix(p.cfg.ClickHouse, "unix://")
	switch {
	case unix:
		opt.ClickHouse = engine.Options(socket, "")
	case p.engine != nil:
		opt.ClickHouse = engine.Options(p.socket, "")
	default:
		opt.DSN = p.cfg.ClickHouse
	}
	return opt
}

// cellE7 is the cell of resolution 12 for positions in the log's units.
func cellE7(lon, lat int32) geo.Cell { return cellAt(geo.FromE7(lon, lat)) }

// waitStore waits until there is a store.
func (p *process) waitStore(ctx context.Context) (*store.Store, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if s := p.store.Load(); s != nil {
			return s, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (p *process) runFeed(ctx context.Context) error {
	p.ready.Set("live", "loading the newest values")
	f := query.Feed{Log: p.bus, Live: p.live, Registry: p.registry, Catalog: p.catalogue, Store: p.store.Load, Logger: p.logger,
		From: p.committed, Seen: p.canaries.Seen, Loaded: func() { p.ready.Set("live", "") }, Copied: func() { p.ready.Set("names", "") }, Hold: p.hold,
		Still: func(part int32, why string) { p.ready.Set(fmt.Sprintf("live partition %d", part), why) }}
	return f.Run(ctx, p.cfg.History == "on" && (p.engine != nil || p.cfg.ClickHouse != ""))
}

// committed is where the store stands in a partition.
func (p *process) committed(ctx context.Context, part int32) (int64, error) {
	if p.group == nil {
		return -1, nil
	}
	at, err := p.group.Committed(ctx, part)
	return at.Offset, err
}

// blockRows bounds a block where the log is a spool. What is being stored cannot be given up, and there are two blocks
// at a time: a store that stands still must not leave the whole spool to them.
func (p *process) blockRows() int {
	if p.spools == nil {
		return 0
	}
	return int(min(ingester.DefaultMaxRows, p.cfg.SpoolBytes/2/16/bus.RowBytes))
}

func (p *process) runIngester(ctx context.Context) error {
	if p.group == nil {
		<-ctx.Done()
		return nil
	}
	s, err := p.waitStore(ctx)
	if err != nil {
		return nil
	}
	if p.checkLog != nil {
		if err := p.checkLog(ctx, s); err != nil {
			return err
		}
	}
	rollups, err := rollup.New(rollup.Options{Store: s, Now: failpoint.Now, Logger: p.logger, Registerer: p.metrics})
	if err != nil {
		return err
	}
	opt := ingester.Options{Log: p.logToStore(), Pace: p.pace, Holds: p.lease, Group: rollup.Lead(p.group, rollups.Run), Store: s, Logger: p.logger, Registerer: p.metrics, MaxRows: p.blockRows()}
	if p.registry != nil { // else declarations go to cmd/query, which reads the same bus
		opt.RegistryVersion = func() uint64 { return p.registry.Snapshot().Version() }
		opt.Declare = func(ctx context.Context, d []sensor.Declaration) error {
			_, err := p.registry.Declare(ctx, d)
			return err
		}
	}
	in, err := ingester.New(opt)
	if err != nil {
		return err
	}
	p.ingester.Store(in)
	return in.Run(ctx)
}

// logToStore is the bus as the ingester has to read it.
func (p *process) logToStore() bus.Log {
	if p.groupLog != nil {
		return p.groupLog
	}
	return p.bus
}

func (p *process) runHTTP(ctx context.Context) error {
	gate, err := p.sql()
	if err != nil {
		return err
	}
	letters, redecoder := p.letters(), p.redecoder()
	server := query.New(query.Config{
		Registry: p.registry, Live: p.live, Catalogue: p.catalogue, Models: p.models, Divisions: p.divisions,
		History: func() query.History {
			if s := p.store.Load(); s != nil {
				return s
			}
			return nil
		},
		SQL: gate, Letters: letters, Redecode: p.redecode(redecoder), Tiles: p.tiles(), Stream: p.stream(),
		Page: web.Handler(), Keys: p.keys, Metrics: promhttp.HandlerFor(p.metrics, promhttp.HandlerOpts{}),
		Ready: p.notReady, Status: p.statusNow, Logger: p.logger, Registrer: p.metrics,
	})
	eg, ctx := errgroup.WithContext(ctx)
	eg.Go(func() error { return server.Serve(ctx, p.web) })
	if p.clickweb != nil {
		eg.Go(func() error { return server.ServeClickHouse(ctx, p.clickweb) })
	}
	eg.Go(func() error { return p.status.keep(ctx, p) })
	if p.cfg.History == "on" {
		eg.Go(func() error { return letters.Run(ctx) })
		eg.Go(func() error { return p.finishRedecode(ctx, redecoder) })
	}
	if p.audit != nil {
		eg.Go(func() error { return p.audit.Run(ctx, p.asked) })
		eg.Go(func() error { return p.canaries.Watch(ctx, p.asked) })
	}
	return eg.Wait()
}

// newNormalizer makes the normaliser of one connection.
func (p *process) newNormalizer() *normalize.Normalizer {
	return normalize.New(normalize.Options{Catalogue: p.catalogue, Divisions: p.divisions, AutoRegister: p.cfg.autoRegister(),
		Ledger: func() normalize.Ledger { return p.registry.Snapshot() }})
}

// newCanaryNormalizer makes the one of the gateway's own canary, which nobody registers.
func (p *process) newCanaryNormalizer() *normalize.Normalizer {
	return normalize.New(normalize.Options{Catalogue: p.catalogue, AutoRegister: true, Class: sensor.Government,
		Ledger: func() normalize.Ledger { return p.registry.Snapshot() }})
}

// asked is the store as those who watch it see it; nil while there is none.
func (p *process) asked() query.Watched {
	if s := p.store.Load(); s != nil {
		return s
	}
	return nil
}

// notReady is /readyz: what this process has noted, and what its ingester says of itself.
func (p *process) notReady() (list []query.NotReady) {
	for _, n := range p.ready.List() {
		list = append(list, query.NotReady(n))
	}
	if p.gateway != nil {
		if why := p.gateway.Full(); why != "" {
			list = append(list, query.NotReady{Component: "spool", Why: why})
		}
	}
	if in := p.ingester.Load(); in != nil {
		if err := in.Ready(); err != nil {
			list = append(list, query.NotReady{Component: "ingester", Why: err.Error()})
		}
	}
	return list
}
