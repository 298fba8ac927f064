package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/gateway"
)

// Config of `situ run`. The tags are its flags.
type Config struct {
	Data           string `help:"Data directory." default:"data" type:"path" env:"SITU_DATA"`
	HTTP           string `name:"http" help:"Map, API and SQL listen here." default:"127.0.0.1:8080" env:"SITU_HTTP"`
	MQTT           string `name:"mqtt" help:"Embedded MQTT front listens here; empty = off." default:"127.0.0.1:1883" env:"SITU_MQTT"`
	ClickHouseHTTP string `name:"clickhouse-http" help:"ClickHouse's HTTP interface, through the SQL gate; empty = off." default:"127.0.0.1:8123" env:"SITU_CLICKHOUSE_HTTP"`
	AdminKey       string `help:"Administrator's key; default: made at the first start and printed once." env:"SITU_ADMIN_KEY"`
	AutoRegister   bool   `help:"Take readings of unknown Things and properties; on loopback also without credentials." env:"SITU_AUTO_REGISTER"`
	Demo           bool   `help:"Add a simulated city of 2,000 Things; implies --auto-register." env:"SITU_DEMO"`
	DemoThings     int    `help:"Things of the simulated city." default:"2000" env:"SITU_DEMO_THINGS"`
	History        string `help:"on, or off: no ClickHouse, the oldest readings are freed when the spool is full." default:"on" enum:"on,off" env:"SITU_HISTORY"`
	ClickHouse     string `name:"clickhouse" help:"ClickHouse server instead of the embedded engine: clickhouse://, http:// or unix:///path." env:"SITU_CLICKHOUSE"`
	SQLClickHouse  string `name:"sql-clickhouse" help:"HTTP address of that server for analysts' SQL, with a user that may read and nothing else: http://user:password@host:8123." env:"SITU_SQL_CLICKHOUSE"`
	Database       string `help:"Database in ClickHouse." default:"situ" env:"SITU_DATABASE"`
	Engine         string `help:"libchdb.so; default: looked for." env:"SITU_ENGINE"`
	EngineMemory   uint64 `help:"Bytes the engine may use." default:"2147483648" env:"SITU_ENGINE_MEMORY"`
	SpoolBytes     int64  `help:"Bound of the spool on disk." default:"8589934592" env:"SITU_SPOOL_BYTES"`
	Gateway        string `help:"Name of this gateway; default: made at the first start." env:"SITU_GATEWAY"`

	Canary time.Duration `help:"How often the gateway's canary sings: a reading of its own that goes the whole way; 0 = never." default:"10s" env:"SITU_CANARY"`

	Ledger
	host.Bounds
	host.TLS

	File      *File    `kong:"-"` // sources of the configuration file
	StoreArgv []string `kong:"-"` // command of the store process; nil = this program, `store`
}

// check names settings that disagree. (Not Validate: kong would call that before the sources are known.)
func (c *Config) check() error {
	if err := errors.Join(c.TLS.Check("http", c.HTTP), c.TLS.Check("clickhouse-http", c.ClickHouseHTTP), c.Ledger.check(), c.Bounds.Check()); err != nil {
		return err
	}
	switch {
	case c.History == "off" && c.ClickHouse != "":
		return fmt.Errorf("%w: --history off and --clickhouse disagree", ErrConfig)
	case c.SpoolBytes < host.MinSpoolBytes:
		return fmt.Errorf("%w: --spool-bytes %d is below the least, %d", ErrConfig, c.SpoolBytes, host.MinSpoolBytes)
	case c.MQTT == "" && (c.File == nil || len(c.File.Sources) == 0) && !c.Demo:
		return fmt.Errorf("%w: --mqtt is empty and there are no sources: nothing could ever arrive", ErrConfig)
	case c.MQTT == "" && c.Demo:
		return fmt.Errorf("%w: --demo needs --mqtt: the simulated city speaks MQTT", ErrConfig)
	}
	return nil
}

func (c *Config) autoRegister() bool  { return c.AutoRegister || c.Demo }
func (c *Config) anonymousMQTT() bool { return c.autoRegister() && host.Loopback(c.MQTT) }
func (c *Config) anonymousHTTP() bool { return c.autoRegister() && host.Loopback(c.HTTP) }

// Run runs everything in one process until ctx ends. out gets what is printed for people: addresses, and secrets once.
//
// It stops with the flow: receiving first, then the ingester (which flushes and commits what it has), the page and
// the live state, the spools, the engine, the registry.
func Run(ctx context.Context, cfg Config, logger *slog.Logger, out io.Writer) (err error) {
	if err := cfg.check(); err != nil {
		return err
	}
	if err := host.Failpoints(logger); err != nil {
		return err
	}
	cfg.MemoryLimit.Apply(logger)
	unlock, err := host.Lock(cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	p := &process{cfg: cfg, logger: logger, out: out, started: time.Now()}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.open(ctx); err != nil {
		return err
	}
	return p.run(ctx)
}

// sources are those of the configuration file.
func (c *Config) sources() []gateway.Source {
	if c.File == nil {
		return nil
	}
	return c.File.Sources
}
