package peers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is one run of a server; what it says goes to a file.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{} // closed when it has ended
	err   error         // how, once ended
}

// launch starts a program that dies with this one. The order to die comes when the thread that forked ends, so that
// thread stays with the process.
func launch(log string, name string, args ...string) (*process, error) {
	return launchAs(log, nil, name, args...)
}

// launchAs is launch as another account; nil = this one.
func launchAs(log string, as *syscall.Credential, name string, args ...string) (*process, error) {
	return launchWith(log, as, nil, name, args...)
}

// launchWith is launchAs with more in the environment.
func launchWith(log string, as *syscall.Credential, env []string, name string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(name, args...), log: log, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = out, out, dieWithParent()
	p.cmd.SysProcAttr.Credential = as
	if len(env) > 0 {
		p.cmd.Env = append(os.Environ(), env...)
	}
	begun := make(chan error)
	go func() {
		defer close(p.ended)
		defer out.Close()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if p.err = p.cmd.Start(); p.err != nil {
			begun <- p.err
			return
		}
		begun <- nil
		if p.err = p.cmd.Wait(); p.err == nil {
			p.err = errors.New("exit status 0")
		}
	}()
	if err := <-begun; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// signal sends one; a process that has ended is none's business.
func (p *process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// end sends a signal that ends it, and waits until it has. A paused one is woken.
func (p *process) end(s syscall.Signal) error {
	if err := errors.Join(p.signal(s), p.signal(syscall.SIGCONT)); err != nil {
		return err
	}
	<-p.ended
	return nil
}

// said is the last of what it wrote.
func (p *process) said() string {
	const last = 4 << 10
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-last):])
}
