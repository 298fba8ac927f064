package torture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/situ-city/situ/internal/failpoint"
)

// life is how one start of a process is to go.
type life struct {
	points  string        // failpoints; "" = none
	dies    time.Duration // killed so long after its start; 0 = not
	allowed bool          // it may end by itself, with an error: a disk was made to fail
}

// process is one of situ's, started again whenever it dies, as a service manager would.
type process struct {
	name    string
	argv    []string
	env     []string
	logPath string
	points  []string // failpoints that it passes
	recover []string // those of them that it passes while it takes up what was left
	clocked bool     // it decides something by the wall clock
	died    func(p *process, how string, killed, allowed bool)
	ended   chan error // of the keeper

	mu      sync.Mutex // guards what follows
	cmd     *exec.Cmd
	next    []life // that the coming starts will have; none = an undisturbed one
	now     life
	began   time.Time // of this life
	stopped bool      // it stands still by SIGSTOP of ours
	mayEnd  bool      // what is done to it now is to be refused
	asked   bool      // it was asked to end, and ought to with exit code 0
}

const restartAfter = 50 * time.Millisecond

// keep runs the process until ctx ends. It is started and waited for by one thread, whose end would kill the child.
func (p *process) keep(ctx context.Context) {
	p.ended = make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		p.ended <- p.lives(ctx)
	}()
}

func (p *process) lives(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := p.live(ctx); err != nil {
			return err
		}
		select {
		case <-time.After(restartAfter):
		case <-ctx.Done():
		}
	}
	return nil
}

// live is one start and its end.
func (p *process) live(ctx context.Context) error {
	out, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	defer out.Close()
	p.mu.Lock()
	p.now = life{}
	if len(p.next) > 0 {
		p.now, p.next = p.next[0], p.next[1:]
	}
	l := p.now
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Env = append(append(os.Environ(), p.env...), failpoint.Env+"="+l.points, fmt.Sprintf("%s=%d", failpoint.EnvBy, os.Getpid()))
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, dieWithParent()
	fmt.Fprintf(out, "---- %s starts %s, failpoints %q\n", time.Now().Format(time.StampMilli), p.name, l.points)
	p.began = time.Now()
	err = cmd.Start()
	p.cmd = cmd
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	over := make(chan struct{})
	if l.dies > 0 {
		timer := time.AfterFunc(l.dies, func() { p.signal(syscall.SIGKILL) })
		defer timer.Stop()
	}
	go p.watch(ctx, cmd.Process.Pid, over)
	err = cmd.Wait()
	close(over)
	if ctx.Err() == nil {
		var exit *exec.ExitError
		killed := errors.As(err, &exit) && exit.ExitCode() == -1
		how := "exit code 0"
		if err != nil {
			how = err.Error()
		}
		p.died(p, how, killed, l.allowed || p.mayRefuse() || p.wasAsked() && err == nil)
	}
	return nil
}

// watch ends the process with ctx, first by asking, and wakes it when a failpoint made it stand still.
func (p *process) watch(ctx context.Context, pid int, over chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	still := 0
	for {
		select {
		case <-over:
			return
		case <-ctx.Done():
			p.signal(syscall.SIGCONT)
			p.signal(syscall.SIGTERM)
			select {
			case <-over:
			case <-time.After(30 * time.Second):
				p.signal(syscall.SIGKILL)
			}
			return
		case <-tick.C:
		}
		p.mu.Lock()
		ours := p.stopped
		p.mu.Unlock()
		if still++; state(pid) != "T" || ours {
			still = 0
		}
		if still > 15 {
			p.signal(syscall.SIGCONT)
		}
	}
}

// signal reaches the process if it runs.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(sig) // it may have ended
	}
}

// kill ends it as kill -9 does, with what its coming lives will be.
func (p *process) kill(lives ...life) {
	p.mu.Lock()
	p.next = append(p.next, lives...)
	p.mu.Unlock()
	p.signal(syscall.SIGKILL)
}

// standStill stops it for a while, as a machine that swaps or a hypervisor that moves it does.
func (p *process) standStill(ctx context.Context, d time.Duration) {
	p.setStopped(true)
	p.signal(syscall.SIGSTOP)
	pause(ctx, d)
	p.signal(syscall.SIGCONT)
	p.setStopped(false)
}

// end asks it to stop, under full load.
func (p *process) end() {
	p.mu.Lock()
	p.asked = true
	p.mu.Unlock()
	p.signal(syscall.SIGTERM)
}

func (p *process) started() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.began
}

func (p *process) mayRefuse() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mayEnd
}

func (p *process) wasAsked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = false
	return asked
}

func (p *process) setStopped(v bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = v
}

// disturbed tells whether a life that is to end early is still to come or on.
func (p *process) disturbed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.next) > 0 || p.now.points != "" || p.now.dies > 0
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.cmd.Process == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// state is a process's letter in /proc, "" if it is gone.
func state(pid int) string {
	f := statOf(pid)
	if len(f) == 0 {
		return ""
	}
	return f[0]
}

// statOf gives the fields of /proc/pid/stat behind the command's name: state, parent, ...
func statOf(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.Fields(rest)
}

// childOf gives the one child of a process, 0 when there is none.
func childOf(parent int) int {
	list, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range list {
		pid, _ := strconv.Atoi(filepath.Base(path))
		if f := statOf(pid); len(f) > 1 && f[0] != "Z" && f[1] == strconv.Itoa(parent) {
			return pid
		}
	}
	return 0
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
