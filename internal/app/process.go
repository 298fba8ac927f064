package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/inproc"
	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/gateway"
	"github.com/situ-city/situ/internal/ingester"
	"github.com/situ-city/situ/internal/livestate"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/internal/query"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// groupName is the ingester's on the bus.
const groupName = "ingest"

// process holds everything `situ run` opens, in the order it opens it. cmd/ingester and cmd/query open parts of it.
type process struct {
	cfg     Config
	logger  *slog.Logger
	out     io.Writer
	started time.Time

	metrics   *prometheus.Registry
	catalogue *sensor.Catalogue
	models    *sensor.Models
	divisions *geo.Divisions
	registry  *registry.Registry
	keys      *query.Keys
	spools    map[sensor.Lane]*spool.Spool // nil: they are a gateway's of its own
	bus       bus.Log
	hold      func(part int32, offset int64) (func(int64), error) // keeps what the live state has still to read; nil = no need
	group     group                                               // the ingester's; nil: nothing is stored
	checkLog  func(context.Context, *store.Store) error           // may the ingester begin? nil: it may
	groupLog  bus.Log                                             // the bus as that group reads it
	holdThin  func(lane sensor.Lane) (uint64, func())             // what the spools must leave alone; nil = nothing
	pace      ingester.Pace                                       // nil: no partition waits for another
	lease     time.Duration                                       // how long the ingester's announcements hold; 0 = protocol.Lease
	messages  func(context.Context) int64                         // that the bus ever had, as far as this process knows
	engine    *engine.Supervisor                                  // nil: no embedded engine
	socket    string
	store     atomic.Pointer[store.Store] // nil until it answers and its tables are there
	ingester  atomic.Pointer[ingester.Ingester]
	live      *livestate.State
	canaries  *query.Canaries
	audit     *query.Audit
	again     *gateway.Again                   // reads dead letters
	sources   atomic.Pointer[[]gateway.Source] // that hold now
	reloader  *host.Reloader
	gateway   *gateway.Gateway
	web       net.Listener
	clickweb  net.Listener // nil: off
	tls       *tls.Config  // nil: plain

	onCommit host.CommitHook
	ready    host.Readiness
	status   statusCache
	banner   atomic.Pointer[string] // nil: nothing to say
	host.Closers
}

// group is the ingester's on either bus: it shares the partitions, and tells whoever asks where it stands.
type group interface {
	bus.Group
	Committed(ctx context.Context, part int32) (bus.Position, error)
}

// open opens what does not need to run. Ports come first: what is most often wrong is said at once.
func (p *process) open(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		p.openListeners, p.openCatalogue, p.openRegistry, p.openSpools, p.openEngine, p.openGateway,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *process) openListeners(context.Context) error {
	var err error
	if p.tls, err = p.cfg.TLS.Load(); err != nil {
		return err
	}
	if p.web, err = p.listenWeb("http", p.cfg.HTTP); err != nil {
		return err
	}
	if p.cfg.ClickHouseHTTP != "" && p.cfg.History == "on" {
		p.clickweb, err = p.listenWeb("clickhouse-http", p.cfg.ClickHouseHTTP)
	}
	return err
}

func (p *process) listenWeb(flag, addr string) (net.Listener, error) {
	ln, err := host.Listen(flag, addr, p.tls)
	if err == nil {
		p.Later(func() error { _ = ln.Close(); return nil }) // usually closed by its server already
	}
	return ln, err
}

func (p *process) openCatalogue(context.Context) (err error) {
	p.metrics = prometheus.NewRegistry()
	p.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if p.catalogue, err = sensor.LoadCatalogue(); err != nil {
		return err
	}
	if p.models, err = sensor.LoadModels(p.catalogue); err != nil {
		return err
	}
	p.divisions, err = geo.LoadDivisions()
	return err
}

func (p *process) openRegistry(ctx context.Context) (err error) {
	if err := p.openLedger(ctx); err != nil {
		return err
	}
	var made string
	if p.keys, made, err = query.OpenKeys(p.cfg.Data, p.cfg.AdminKey); err != nil {
		return fmt.Errorf("%w: --admin-key: %w", ErrRefused, err)
	}
	p.keys.Anonymous = p.cfg.anonymousHTTP()
	if made != "" {
		fmt.Fprintf(p.out, "administrator's key (shown once):  %s\n", made)
	}
	return p.firstCredential(ctx)
}

// firstCredential makes a device credential when devices need one and there is none.
func (p *process) firstCredential(ctx context.Context) error {
	if p.cfg.MQTT == "" || p.cfg.anonymousMQTT() || len(p.registry.Credentials()) > 0 {
		return nil
	}
	password, err := p.registry.IssueCredential(ctx, "device", "*")
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "MQTT user and password (shown once):  device  %s\n", password)
	return nil
}

// cellAt is the cell of resolution 12 that a Thing stands in.
func cellAt(at geo.LonLat) geo.Cell { return h3.CellAt(at, 12) }

func (p *process) openSpools(context.Context) (err error) {
	limit := p.cfg.SpoolBytes / 2
	if p.cfg.History == "off" {
		limit = min(limit, 256<<20) // there is nobody to read it again but the live state
	}
	var groups []string
	if p.cfg.History == "on" {
		groups = []string{groupName}
	}
	busDir := filepath.Join(p.cfg.Data, "bus")
	epochs, err := inproc.LastEpochs(busDir, groups)
	if err != nil {
		return err
	}
	p.spools, err = host.Spools{Dir: p.cfg.Data, Gateway: p.cfg.Gateway, MaxBytes: limit, DropOldest: p.cfg.History == "off",
		Epochs: epochs, Logger: p.logger, OnCommit: p.onCommit.Call}.Open()
	if err != nil {
		return err
	}
	var list []*spool.Spool
	for _, s := range p.spools {
		p.Later(s.Close)
		list = append(list, s)
	}
	b, err := inproc.Open(inproc.Config{Spools: list, Dir: busDir, Announced: protocol.Announced, Groups: groups, Logger: p.logger})
	if err != nil {
		return err
	}
	p.Later(b.Close)
	p.bus, p.messages = b, p.numbered
	if p.cfg.History == "off" {
		return nil // the spool itself is all the memory there is: nobody frees it but its bound
	}
	p.hold = func(part int32, offset int64) (func(int64), error) {
		h, err := b.Hold(part, offset)
		if err != nil {
			return nil, err
		}
		return h.Advance, nil
	}
	p.holdThin = func(lane sensor.Lane) (uint64, func()) { return b.HoldThin(int32(lane)) }
	g, err := b.Group(groupName)
	if err != nil {
		return err
	}
	p.group, p.groupLog = g, g.Log()
	p.pace = host.Lanes{Share: p.cfg.Pace(p.liveWaiting)}
	return nil
}

// liveWaiting is how many messages of the live lane are not stored.
func (p *process) liveWaiting() int64 {
	ctx := context.Background() // both are answered from memory
	_, next, err := p.bus.Bounds(ctx, int32(sensor.Live))
	if err != nil {
		return 0
	}
	at, err := p.committed(ctx, int32(sensor.Live))
	if err != nil || at < 0 {
		return 0
	}
	return next - at
}

// say puts a line over the map.
func (p *process) say(banner string) { p.banner.Store(&banner) }

// openEngine finds the ClickHouse engine. Its absence is not the end: readings wait in the spool.
func (p *process) openEngine(context.Context) error {
	switch {
	case p.cfg.History == "off":
		p.say("history is off: the oldest readings are freed when the spool is full; nothing is kept for ever")
		return nil
	case p.cfg.ClickHouse != "":
		p.ready.Set("history", "connecting to the ClickHouse server")
		return nil
	}
	lib, err := engine.Find(p.cfg.Engine)
	if err != nil {
		p.say("no history: the ClickHouse engine is missing; readings wait in the spool until it is there")
		p.ready.Set("history", err.Error())
		fmt.Fprintf(p.out, "no history: %v\n", err)
		return nil
	}
	if p.socket, err = p.socketPath(); err != nil {
		return err
	}
	argv := p.cfg.StoreArgv
	if argv == nil {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		argv = []string{self, "store"}
	}
	argv = append(argv, "--data", filepath.Join(p.cfg.Data, "clickhouse"), "--socket", p.socket, "--library", lib,
		"--memory-limit", fmt.Sprint(p.cfg.EngineMemory))
	p.ready.Set("history", "the ClickHouse engine is starting")
	p.engine, err = engine.NewSupervisor(engine.SupervisorConfig{Argv: argv, Socket: p.socket, Log: p.logger.With("component", "engine"), Registerer: p.metrics})
	return err
}

// socketPath is in the data directory, or, where that is too deep for a unix socket (107 bytes), in one of its own.
func (p *process) socketPath() (string, error) {
	path, err := filepath.Abs(filepath.Join(p.cfg.Data, "store.sock"))
	if err != nil || len(path) < 100 {
		return path, err
	}
	dir, err := os.MkdirTemp("", "situ-store-")
	if err != nil {
		return "", err
	}
	p.Later(func() error { return os.RemoveAll(dir) })
	return filepath.Join(dir, "store.sock"), nil
}
