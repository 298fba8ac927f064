package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"syscall"
)

// Program is one of situ's own, or any other, beside the servers: it dies with this process.
type Program struct {
	Path string
	Args []string
	Env  []string // beside this process's
	Log  string   // file for what it says
	run  *process
}

// Build compiles commands of a module into a directory of the test's own. They look for races if the test does: then
// most of the work is in the cache already.
func Build(t T, packages ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-race" && s.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	out, err := exec.CommandContext(t.Context(), "go", append(args, packages...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("build %v: %v\n%s", packages, err, out)
	}
	return dir
}

// Start starts it; with a test that fails or ends it dies.
func (p *Program) Start(t T) {
	t.Helper()
	run, err := launchWith(p.Log, nil, p.Env, p.Path, p.Args...)
	if err != nil {
		t.Fatalf("%v", err)
	}
	p.run = run
	t.Cleanup(func() { _ = run.end(syscall.SIGKILL) }) // it is over either way
}

// Signal sends one.
func (p *Program) Signal(t T, s syscall.Signal) {
	t.Helper()
	if err := p.run.signal(s); err != nil {
		t.Fatalf("%s: %v", p.Path, err)
	}
}

// End sends a signal that ends it, waits, and gives its exit code, -1 if a signal ended it.
func (p *Program) End(t T, s syscall.Signal) int {
	t.Helper()
	if err := p.run.end(s); err != nil {
		t.Fatalf("%s: %v", p.Path, err)
	}
	return p.run.cmd.ProcessState.ExitCode()
}

// Ended tells whether it has ended by itself.
func (p *Program) Ended() bool {
	select {
	case <-p.run.ended:
		return true
	default:
		return false
	}
}

// Said is all that it wrote, in all its lives.
func (p *Program) Said(t T) string {
	t.Helper()
	b, err := os.ReadFile(p.Log)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(b)
}
