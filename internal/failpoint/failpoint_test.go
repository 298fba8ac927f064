package failpoint_test

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/failpoint"
)

const childEnv = "SITU_FAILPOINT_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child passes one point five times and says so each time.
func child() {
	if err := failpoint.Arm(os.Getenv, os.Getppid(), slog.New(slog.DiscardHandler)); err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	for i := range 5 {
		if err := failpoint.Hit(failpoint.SpoolSync); err != nil {
			fmt.Println("error", i+1, errors.Is(err, syscall.ENOSPC))
			continue
		}
		fmt.Println("passed", i+1)
	}
}

func run(t *testing.T, by int, points string) (said []string, err error) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1", failpoint.Env+"="+points, fmt.Sprintf("%s=%d", failpoint.EnvBy, by))
	out, err := cmd.Output()
	lines := bufio.NewScanner(strings.NewReader(string(out)))
	for lines.Scan() {
		said = append(said, lines.Text())
	}
	return said, err
}

func TestActions(t *testing.T) {
	for _, c := range []struct {
		points, said string
		killed       bool
	}{
		{"spool/sync=kill@3", "passed 1,passed 2", true},
		{"spool/sync=kill", "", true},
		{"spool/sync=error:ENOSPC@2", "passed 1,error 2 true,passed 3,passed 4,passed 5", false},
		{"spool/sync=error:ENOSPC@4+; ingester/rows=kill", "passed 1,passed 2,passed 3,error 4 true,error 5 true", false},
		{"spool/sync=error:whatever", "error 1 false,passed 2,passed 3,passed 4,passed 5", false},
		{"spool/sync=sleep:1ms; clock=+1h", "passed 1,passed 2,passed 3,passed 4,passed 5", false},
	} {
		said, err := run(t, os.Getpid(), c.points)
		if got := strings.Join(said, ","); got != c.said {
			t.Errorf("%s: it said %q, want %q", c.points, got, c.said)
		}
		var exit *exec.ExitError
		killed := errors.As(err, &exit) && exit.ExitCode() == -1
		if killed != c.killed {
			t.Errorf("%s: ended with %v", c.points, err)
		}
	}
}

// An environment that was copied to where no test is must not hurt.
func TestOnlyAParentMayAsk(t *testing.T) {
	said, err := run(t, os.Getpid()+1, "spool/sync=kill")
	if err != nil || len(said) != 5 {
		t.Errorf("it said %v and ended with %v", said, err)
	}
}

func TestBadTextIsAnError(t *testing.T) {
	for _, bad := range []string{"spool/sync", "spool/snyc=kill", "spool/sync=explode", "spool/sync=kill@0", "spool/sync=sleep:x", "clock=noon", "clock=1h@x"} {
		env := func(name string) string {
			if name == failpoint.Env {
				return bad
			}
			return "1"
		}
		if err := failpoint.Arm(env, 1, slog.New(slog.DiscardHandler)); err == nil {
			failpoint.Disarm()
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestClock(t *testing.T) {
	env := func(name string) string {
		return map[string]string{failpoint.Env: "clock=+48h,-1h@1000h", failpoint.EnvBy: "1"}[name]
	}
	if err := failpoint.Arm(env, 1, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	defer failpoint.Disarm()
	if d := failpoint.Now().Sub(time.Now().Round(0)); d < 47*time.Hour || d > 49*time.Hour {
		t.Errorf("the clock is off by %s, want 48 h", d)
	}
	failpoint.Disarm()
	if d := failpoint.Now().Sub(time.Now()); d.Abs() > time.Hour {
		t.Errorf("off, the clock is off by %s", d)
	}
}

// BenchmarkOff is what every group commit pays in production.
func BenchmarkOff(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := failpoint.Hit(failpoint.SpoolSync); err != nil {
			b.Fatal(err)
		}
	}
}
