// Package enginetest gives tests a real embedded ClickHouse engine: one store process per
// test binary, made by running the binary once more, and an own empty database per Start.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { os.Exit(enginetest.Run(m)) }
//
// Without the engine library Start skips the test and says how to get it.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/embedded/engine"
)

// childEnv holds, in the store process, "library\ndata directory\nsocket".
const childEnv = "SITU_ENGINETEST_CHILD"

// Runner is *testing.M, or anything that wraps it.
type Runner interface{ Run() int }

// Run is the body of TestMain. It runs the tests and stops the store, or, in the store
// process, is the store.
func Run(m Runner) int { return Wrap(m).Run() }

// Wrap is Run for a TestMain that hands its M on, such as goleak.VerifyTestMain's.
func Wrap(m Runner) Runner { return runner{m} }

type runner struct{ tests Runner }

func (r runner) Run() int {
	if v := os.Getenv(childEnv); v != "" {
		return child(strings.Split(v, "\n"))
	}
	shared.mu.Lock()
	shared.allowed = true
	shared.mu.Unlock()
	defer shared.stop()
	return r.tests.Run()
}

func child(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	err := engine.Serve(ctx, engine.Config{
		Library: args[0], DataDir: args[1], Socket: args[2], StateDir: stateDir(args[1]), Log: log,
	})
	if err != nil {
		log.Error("store", "err", err)
	}
	return engine.ExitCode(err)
}

// stateDir lets all test binaries of a user share one check of the library.
func stateDir(otherwise string) string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return otherwise
	}
	dir := filepath.Join(cache, "situ")
	if os.MkdirAll(dir, 0o700) != nil {
		return otherwise
	}
	return dir
}

// shared is the one store of this test binary.
var shared store

type store struct {
	mu      sync.Mutex // guards what follows
	allowed bool       // TestMain called Run
	tried   bool
	err     error
	dir     string
	socket  string
	end     func() error

	databases atomic.Uint64
}

// Start gives a connection whose database is new and empty, and the store's socket.
// Both are cleaned up with the test.
func Start(t testing.TB) (conn driver.Conn, socket string) {
	t.Helper()
	socket = Socket(t)
	name := fmt.Sprintf("test_%d", shared.databases.Add(1))
	admin := open(t, socket, "")
	if err := admin.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create database for test: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := admin.Exec(ctx, "DROP DATABASE "+name+" SYNC"); err != nil {
			t.Errorf("drop database of test: %v", err)
		}
		admin.Close()
	})
	conn = open(t, socket, name)
	t.Cleanup(func() { conn.Close() })
	return conn, socket
}

func open(t testing.TB, socket, database string) driver.Conn {
	t.Helper()
	conn, err := engine.Open(socket, database)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	return conn
}

// Socket is Start without a database.
func Socket(t testing.TB) string {
	t.Helper()
	library := Library(t)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.allowed {
		t.Fatal("enginetest needs: func TestMain(m *testing.M) { os.Exit(enginetest.Run(m)) }")
	}
	if !shared.tried {
		shared.tried = true
		shared.err = shared.start(library)
	}
	if shared.err != nil {
		t.Fatalf("start store for tests: %v", shared.err)
	}
	return shared.socket
}

// Library finds the engine library or skips the test.
func Library(t testing.TB) string {
	t.Helper()
	library, err := engine.Find("")
	var missing *engine.MissingError
	if errors.As(err, &missing) {
		t.Skip("not run: " + err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return library
}

// Supervised runs a store process of its own on dir, for tests that kill it.
// It answers once WaitReady returns; stop ends it.
func Supervised(dir, library string, log *slog.Logger) (s *engine.Supervisor, socket string, stop func() error, err error) {
	cfg := SupervisorConfig(dir, library, log, nil)
	s, err = engine.NewSupervisor(cfg)
	if err != nil {
		return nil, "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return s, cfg.Socket, func() error { cancel(); return <-ended }, nil
}

// SupervisorConfig is how Supervised runs the store.
func SupervisorConfig(dir, library string, log *slog.Logger, r prometheus.Registerer) engine.SupervisorConfig {
	socket := filepath.Join(dir, "s")
	return engine.SupervisorConfig{
		Argv:   []string{os.Args[0]},
		Env:    append(os.Environ(), childEnv+"="+strings.Join([]string{library, dir, socket}, "\n")),
		Socket: socket, Log: log, Registerer: r,
	}
}

func (s *store) start(library string) error {
	var err error
	if s.dir, err = os.MkdirTemp("", "situ-engine"); err != nil {
		return err
	}
	var sup *engine.Supervisor
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if sup, s.socket, s.end, err = Supervised(s.dir, library, log); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	return sup.WaitReady(ctx)
}

func (s *store) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil {
		if err := s.end(); err != nil {
			fmt.Fprintln(os.Stderr, "stop store of tests:", err)
		}
	}
	if s.dir != "" {
		if err := os.RemoveAll(s.dir); err != nil {
			fmt.Fprintln(os.Stderr, "remove store of tests:", err)
		}
	}
}
