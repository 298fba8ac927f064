//go:build linux

package rollup_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/rollup"
	"github.com/situ-city/situ/internal/store"
)

// workerEnv holds, in the process that is killed, "socket\ndatabase".
const workerEnv = "SITU_ROLLUPTEST_WORKER"

func TestMain(m *testing.M) {
	if v := os.Getenv(workerEnv); v != "" {
		if err := settleForEver(strings.Split(v, "\n")); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(enginetest.Run(m))
}

func settleForEver(args []string) error {
	s, err := store.Open(context.Background(), store.Options{ClickHouse: engine.Options(args[0], ""), Database: args[1], Cell: cellE7})
	if err != nil {
		return err
	}
	w, err := rollup.New(rollup.Options{Store: s})
	for err == nil {
		err = w.Settle(context.Background())
	}
	return err
}

// The process is killed in mid-work, with statements of its own still running in the engine, and followed by the next at
// once.
func TestWorkerKilled(t *testing.T) {
	w := newWorld(t, seed())
	w.insert(t, w.some(30))
	for range 6 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), workerEnv+"="+enginetest.Socket(t)+"\n"+w.db)
		c.Stderr = os.Stderr
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		must(t, c.Start())
		before := w.clock(t)
		for limit := time.Now().Add(time.Minute); w.clock(t) == before; { // it has begun
			if time.Now().After(limit) {
				_ = c.Process.Kill()
				t.Fatal("the worker did nothing for a minute")
			}
			w.insert(t, w.some(1))
		}
		for range w.random.IntN(4) {
			w.insert(t, w.some(3))
		}
		must(t, c.Process.Kill())
		if err := c.Wait(); err == nil {
			t.Fatal("the worker ended by itself")
		}
	}
	w.exact(t)
}

// clock is how many recomputes have begun.
func (w *world) clock(t *testing.T) (n uint64) {
	t.Helper()
	must(t, w.conn.QueryRow(t.Context(), "SELECT max(version) FROM "+w.db+".rollup_clock").Scan(&n))
	return n
}
