package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
)

// built is the program itself, built once a test run, with the race detector where the tests have it.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "SITU_") && !strings.HasPrefix(name, "SITU_ENGINE") && name != "SITU_SAMPLES" && name != "SITU_TORTURE_ROUNDS" {
			_ = os.Unsetenv(name) // what the user of this machine has set is not what the tests are about
		}
	}
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// program gives the path of the program, building it when it is first asked for.
func program(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "situ-bin-"); built.err != nil {
			return
		}
		args := []string{"build", "-o", filepath.Join(built.dir, "situ")}
		if raceEnabled() {
			args = append(args, "-race")
		}
		if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
			built.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "situ")
}

// raceEnabled reports whether this test binary was built with -race.
func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// life is one `situ run`, from start to end.
type life struct {
	apptest.Server
	cmd      *exec.Cmd
	out, log apptest.Lines
	ended    chan struct{} // closed when the process is gone
	exit     int           // valid then; -1 = by a signal
}

// begin starts `situ run` with args and does not wait for anything.
func begin(t testing.TB, data string, args ...string) *life {
	t.Helper()
	all := append([]string{"run", "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--clickhouse-http", ""}, args...)
	l := &life{cmd: exec.Command(program(t), all...), ended: make(chan struct{}), Server: apptest.Server{Data: data}}
	l.cmd.Env = append(os.Environ(), "SITU_ADMIN_KEY="+apptest.Key, "SITU_CANARY=0s") // tests count; --canary is for those about it
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.log
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(l.ended)
		_ = l.cmd.Wait() // the code says it
		l.exit = l.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		l.kill()
		if t.Failed() {
			t.Logf("situ run said:\n%s%s", l.out.String(), tail(l.log.String(), 60))
		}
		if strings.Contains(l.log.String(), "WARNING: DATA RACE") {
			t.Errorf("data race in situ run:\n%s", l.log.String())
		}
	})
	return l
}

// start is begin, and waits until situ says where it listens.
func start(t testing.TB, data string, args ...string) *life {
	t.Helper()
	l := begin(t, data, args...)
	apptest.Until(t, time.Minute, func() string {
		select {
		case <-l.ended:
			t.Fatalf("situ run ended with %d:\n%s%s", l.exit, l.out.String(), l.log.String())
		default:
		}
		page, ok := l.out.After("map   ")
		mqtt, ok2 := l.out.After("MQTT   ")
		if !ok || !ok2 {
			return "situ run has not said where it listens"
		}
		l.URL = strings.TrimSuffix(page, "/")
		l.MQTT, _, _ = strings.Cut(mqtt, " ")
		return ""
	})
	return l
}

// kill ends it with SIGKILL, if it still runs.
func (l *life) kill() {
	_ = l.cmd.Process.Kill() // it may have ended
	<-l.ended
}

// stop asks it to end and gives its exit code.
func (l *life) stop(t testing.TB) int {
	t.Helper()
	if err := l.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	select {
	case <-l.ended:
	case <-time.After(time.Minute):
		t.Fatal("situ run has not ended a minute after SIGINT")
	}
	return l.exit
}

func tail(s string, lines int) string {
	list := strings.SplitAfter(s, "\n")
	return strings.Join(list[max(0, len(list)-lines):], "")
}

// needEngine skips a test that cannot be without the ClickHouse engine.
func needEngine(t testing.TB) {
	t.Helper()
	t.Setenv("SITU_ENGINE", enginetest.Library(t))
}
