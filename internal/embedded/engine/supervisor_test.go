package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
)

// TestAnsweredInsertsSurviveKill kills the store in the middle of inserts, at random
// moments, and then wants every answered block whole, no block in part, and a repeat of an
// unanswered one to be safe.
func TestAnsweredInsertsSurviveKill(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s, socket := own(t)
	conn, err := engine.Open(socket, "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	do(t, conn, strings.Replace(rawTable, "(x UInt64", "(block UInt64 ALIAS intDiv(x, 1000), x UInt64", 1))
	const size, kills = 1000, 6
	next := uint64(0)
	for range kills {
		victim := s.Pid()
		kill := time.AfterFunc(time.Duration(50+random.IntN(300))*time.Millisecond, func() {
			_ = syscall.Kill(victim, syscall.SIGKILL) // it is ours and alive
		})
		for {
			if err := send(t, conn, fmt.Sprint("block ", next), next*size, (next+1)*size); err != nil {
				break
			}
			next++
		}
		kill.Stop() // for an insert that failed of itself; the next line then tells
		eventually(t, func() bool { pid := s.Pid(); return pid != 0 && pid != victim })
		whole := one[uint64](t, conn, "SELECT count() FROM (SELECT block FROM raw GROUP BY block HAVING count() = 1000 AND uniqExact(x) = 1000)")
		if n := count(t, conn); n != whole*size || whole != next && whole != next+1 {
			t.Fatalf("%d blocks were answered; the table has %d rows in %d whole blocks", next, n, whole)
		}
		// The block without an answer is sent again by the loop's next round.
	}
	if next == 0 {
		t.Error("no block was ever answered")
	}
	t.Logf("%d blocks answered over %d kills", next, kills)
}

func TestSecondStoreIsRefused(t *testing.T) {
	library := enginetest.Library(t)
	s, socket := own(t)
	dir := filepath.Dir(socket)
	second, _, stop, err := enginetest.Supervised(dir, library, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	err = second.WaitReady(ctx)
	want := fmt.Sprintf("data directory %s is in use by another store (process %d)", dir, s.Pid())
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	if err := stop(); err == nil {
		t.Error("Run returned nil")
	}
	if err := engine.Ping(t.Context(), socket); err != nil {
		t.Errorf("the first store is gone: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	wrong := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(wrong, []byte("not it"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := engine.Verify(wrong, t.TempDir()); err == nil || !strings.Contains(err.Error(), "situ engine install") || engine.ExitCode(err) != engine.ExitRefused {
		t.Errorf("another library: %v", err)
	}
	t.Setenv(engine.EnvLibrary, wrong+".absent")
	_, err := engine.Find("")
	var missing *engine.MissingError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "`situ engine install`") || !strings.Contains(err.Error(), "`npm ci`") {
		t.Errorf("no library: %v", err)
	}
	for _, c := range []engine.Config{
		{Socket: "s", Library: wrong},
		{DataDir: "d", Library: wrong},
		{DataDir: "d", Socket: strings.Repeat("s", 108), Library: wrong},
		{DataDir: "d", Socket: "s", Library: wrong, MemoryLimit: 1 << 20},
	} {
		if err := engine.Serve(t.Context(), c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func TestVerifyRemembers(t *testing.T) {
	library, state := enginetest.Library(t), t.TempDir()
	for i := range 2 {
		began := time.Now()
		if err := engine.Verify(library, state); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); i == 1 && d > 100*time.Millisecond {
			t.Errorf("the second check took %s", d)
		}
	}
}

func TestSupervisorRestartsAndStops(t *testing.T) {
	library := enginetest.Library(t)
	dir, err := os.MkdirTemp("", "situ-own")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	registry := prometheus.NewRegistry()
	var lines atomic.Int64
	log := slog.New(countHandler{slog.DiscardHandler, &lines})
	s, err := engine.NewSupervisor(enginetest.SupervisorConfig(dir, library, log, registry))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var g sync.WaitGroup
	g.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	ready(t, s)
	before := s.Pid()
	if err := syscall.Kill(before, syscall.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return s.Pid() != before })
	ready(t, s)
	if up := gauge(t, registry, "situ_store_up"); up != 1 {
		t.Errorf("situ_store_up %v", up)
	}
	if rss := gauge(t, registry, "situ_store_resident_bytes"); rss < 50<<20 {
		t.Errorf("situ_store_resident_bytes %v", rss)
	}
	last := s.Pid()
	cancel()
	g.Wait()
	if err := syscall.Kill(last, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", last, err)
	}
	if starts, deaths := gauge(t, registry, "situ_store_starts_total"), gauge(t, registry, "situ_store_deaths_total"); starts != 2 || deaths != 1 {
		t.Errorf("%v starts, %v deaths", starts, deaths)
	}
	if lines.Load() == 0 {
		t.Error("nothing of the process's log came through")
	}
	if err := s.WaitReady(t.Context()); err == nil {
		t.Error("a stopped store is ready")
	}
}

func gauge(t testing.TB, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

type countHandler struct {
	slog.Handler
	n *atomic.Int64
}

func (h countHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h countHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "engine started" {
		h.n.Add(1)
	}
	return nil
}

// TestStoreDiesWithItsParent runs a supervisor in a process of its own and kills that.
func TestStoreDiesWithItsParent(t *testing.T) {
	enginetest.Library(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperSupervise$")
	cmd.Env = append(os.Environ(), "SITU_TEST_SUPERVISE=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var dir string
	if _, err := fmt.Fscanf(out, "store %d %s\n", &pid, &dir); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := errors.Join(syscall.Kill(pid, 0), cmd.Process.Kill()); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	eventually(t, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
}

func TestHelperSupervise(t *testing.T) {
	if os.Getenv("SITU_TEST_SUPERVISE") == "" {
		t.Skip("not run: a helper of TestStoreDiesWithItsParent")
	}
	s, socket := own(t)
	fmt.Printf("store %d %s\n", s.Pid(), filepath.Dir(socket))
	<-t.Context().Done()
	select {} // until killed
}
