package app

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
)

// storeArg makes this test binary the store process of the situ under test.
const storeArg = "be-the-store"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == storeArg {
		os.Exit(beStore(os.Args[2:]))
	}
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := goleak.Find(goleak.IgnoreTopFunction("github.com/mochi-mqtt/server/v2.(*Server).eventLoop")); err != nil && code == 0 {
		os.Stderr.WriteString("situ has stopped and left behind: " + err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

func beStore(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var cfg engine.Config
	f := flag.NewFlagSet(storeArg, flag.ExitOnError)
	f.StringVar(&cfg.DataDir, "data", "", "")
	f.StringVar(&cfg.Socket, "socket", "", "")
	f.StringVar(&cfg.Library, "library", "", "")
	f.Uint64Var(&cfg.MemoryLimit, "memory-limit", 0, "")
	_ = f.Parse(args)                                // it exits
	if cache, err := os.UserCacheDir(); err == nil { // the library is checked once for all tests
		cfg.StateDir = filepath.Join(cache, "situ")
		_ = os.MkdirAll(cfg.StateDir, 0o700) // without it the check fails, and says so
	}
	cfg.Log = slog.New(slog.NewJSONHandler(os.Stderr, nil))
	return engine.ExitCode(engine.Serve(ctx, cfg))
}

// rig is situ run in this process: real ports, a real registry, spool and broker, and the engine where it is needed.
type rig struct {
	apptest.Server
	out, log apptest.Lines
	cancel   context.CancelFunc
	ended    chan error
}

// closed is the configuration of a server that asks everybody for a key; change makes it another. Without the engine
// a test that needs history is skipped.
func run(t *testing.T, data string, change func(*Config)) *rig {
	t.Helper()
	cfg := Config{Data: data, HTTP: "127.0.0.1:0", MQTT: "127.0.0.1:0", AdminKey: apptest.Key, DemoThings: 30, History: "on",
		Database: "situ", EngineMemory: 1 << 30, SpoolBytes: host.MinSpoolBytes, StoreArgv: []string{os.Args[0], storeArg}}
	if change != nil {
		change(&cfg)
	}
	if cfg.History == "on" {
		cfg.Engine = enginetest.Library(t)
	}
	r := &rig{Server: apptest.Server{Data: data}, ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	logger := slog.New(slog.NewTextHandler(&r.log, nil))
	go func() { r.ended <- Run(ctx, cfg, logger, &r.out) }()
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("situ ended with: %v", err)
		}
		if t.Failed() {
			t.Logf("situ said:\n%s%s", r.out.String(), r.log.String())
		}
	})
	apptest.Until(t, time.Minute, func() string {
		select {
		case err := <-r.ended:
			r.ended <- err
			t.Fatalf("situ ended with: %v", err)
		default:
		}
		page, ok := r.out.After("map   ")
		mqtt, ok2 := r.out.After("MQTT   ")
		if !ok || !ok2 {
			return "situ has not said where it listens"
		}
		r.URL = strings.TrimSuffix(page, "/")
		r.MQTT, _, _ = strings.Cut(mqtt, " ")
		return ""
	})
	if _, port, ok := strings.Cut(r.MQTT, "[::]:"); ok {
		r.MQTT = "127.0.0.1:" + port
	}
	r.WaitReady(t)
	return r
}

// stop ends it and gives what it ended with; again, it gives nil.
func (r *rig) stop() error {
	r.cancel()
	err, ok := <-r.ended
	if !ok || errors.Is(err, context.Canceled) {
		return nil
	}
	close(r.ended)
	return err
}

// open lets everybody on this machine in.
func open(c *Config) { c.AutoRegister = true }

// noHistory runs without the engine.
func noHistory(c *Config) { c.History = "off" }
