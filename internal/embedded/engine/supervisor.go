package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// SupervisorConfig says how to run the store process.
type SupervisorConfig struct {
	Argv   []string // program and arguments of a process that calls Serve
	Env    []string // nil means this process's
	Socket string   // where that process will answer

	StartTimeout time.Duration // until it answers; 0 means 60 s
	Grace        time.Duration // from SIGTERM to SIGKILL; 0 means 15 s
	MinBackoff   time.Duration // before the next start; doubles while it dies without ever answering; 0 means 200 ms
	MaxBackoff   time.Duration // 0 means 10 s

	Log        *slog.Logger          // also for what the process writes to stderr; nil discards
	Registerer prometheus.Registerer // nil means no metrics
}

// ExitRefused is the exit code of a store process that would fail again and again:
// no library, another build of it, a data directory in use. The supervisor does not
// restart it.
const ExitRefused = 78

// ExitCode is the code with which a store process should leave after Serve returned err.
func ExitCode(err error) int {
	var missing *MissingError
	var pin *PinError
	var locked *LockedError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &missing), errors.As(err, &pin), errors.As(err, &locked):
		return ExitRefused
	}
	return 1
}

// Supervisor keeps one store process running.
type Supervisor struct {
	cfg     SupervisorConfig
	metrics supervisorMetrics

	over chan struct{} // closed when Run has returned

	mu    sync.Mutex    // guards what follows
	up    chan struct{} // closed while the process answers
	pid   int           // of the answering process, 0 for none
	cause error         // why Run returned
	last  string        // last log record of the process above level info
}

// NewSupervisor starts nothing: Run does.
func NewSupervisor(cfg SupervisorConfig) (*Supervisor, error) {
	if len(cfg.Argv) == 0 || cfg.Socket == "" {
		return nil, errors.New("supervisor needs a command and a socket")
	}
	for d, or := range map[*time.Duration]time.Duration{
		&cfg.StartTimeout: time.Minute, &cfg.Grace: 15 * time.Second,
		&cfg.MinBackoff: 200 * time.Millisecond, &cfg.MaxBackoff: 10 * time.Second,
	} {
		if *d <= 0 {
			*d = or
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Supervisor{cfg: cfg, up: make(chan struct{}), over: make(chan struct{})}
	return s, s.metrics.register(cfg.Registerer, s)
}

// Run starts the process, starts it again whenever it dies, and stops it when ctx ends;
// it returns after the process is gone. It is called once. An error means that the
// process refuses to run (see ExitRefused).
func (s *Supervisor) Run(ctx context.Context) error {
	err := s.keep(ctx)
	s.mu.Lock()
	s.cause = err
	s.mu.Unlock()
	close(s.over)
	return err
}

func (s *Supervisor) keep(ctx context.Context) error {
	backoff := s.cfg.MinBackoff
	for {
		answered, err := s.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		s.metrics.deaths.Inc()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == ExitRefused {
			return fmt.Errorf("store process refuses to run: %s", s.lastWords(err))
		}
		if answered {
			backoff = s.cfg.MinBackoff
		}
		s.cfg.Log.Error("store process died", "err", err, "restart_in", backoff)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, s.cfg.MaxBackoff)
	}
}

// lastWords is the last thing the process warned of, else how it ended.
func (s *Supervisor) lastWords(err error) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return first(s.last, err.Error())
}

// once runs the process until it dies or ctx ends, and says whether it ever answered.
func (s *Supervisor) once(ctx context.Context) (answered bool, err error) {
	p, err := s.start()
	if err != nil {
		return false, fmt.Errorf("start the store process: %w", err)
	}
	late := time.NewTimer(s.cfg.StartTimeout)
	defer late.Stop()
	poll := time.NewTicker(pingEvery)
	defer poll.Stop()
	for !s.answers(ctx, p) {
		select {
		case <-p.died:
			return false, p.err
		case <-ctx.Done():
			return false, s.terminate(p)
		case <-late.C:
			return false, errors.Join(fmt.Errorf("no answer within %s", s.cfg.StartTimeout), s.terminate(p))
		case <-poll.C:
		}
	}
	s.setUp(p)
	defer s.setDown()
	select {
	case <-p.died:
		return true, p.err
	case <-ctx.Done():
		return true, s.terminate(p)
	}
}

// answers is whether this very process answers: another's socket may be in its place.
func (s *Supervisor) answers(ctx context.Context, p *process) bool {
	pid, err := ping(ctx, s.cfg.Socket)
	return err == nil && pid == strconv.Itoa(p.cmd.Process.Pid)
}

const pingEvery = 20 * time.Millisecond

// process is one life of the store; err may be read after died is closed.
type process struct {
	cmd  *exec.Cmd
	died chan struct{}
	err  error
}

func (s *Supervisor) start() (*process, error) {
	p := &process{cmd: exec.Command(s.cfg.Argv[0], s.cfg.Argv[1:]...), died: make(chan struct{})}
	p.cmd.Env = s.cfg.Env
	p.cmd.SysProcAttr = dieWithParent()
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	s.metrics.starts.Inc()
	started := make(chan error, 1)
	go func() {
		// The kernel sends the parent-death signal when the thread that forked ends, so this
		// thread stays with the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			s.forward(stderr)
			p.err = p.cmd.Wait()
		}
		close(p.died)
	}()
	return p, <-started
}

// terminate stops the process and waits until it is gone.
func (s *Supervisor) terminate(p *process) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be dead already
	grace := time.NewTimer(s.cfg.Grace)
	defer grace.Stop()
	select {
	case <-p.died:
	case <-grace.C:
		s.cfg.Log.Warn("store process ignores SIGTERM", "grace", s.cfg.Grace)
		_ = p.cmd.Process.Kill() // as above
		<-p.died
	}
	return p.err
}

// forward repeats the process's log until it closes stderr: lines of slog's JSON form
// with their level and attributes, anything else as a warning.
func (s *Supervisor) forward(stderr io.Reader) {
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimSpace(line); line != "" {
			s.repeat(line)
		}
		if err != nil {
			return
		}
	}
}

func (s *Supervisor) repeat(line string) {
	level, msg := slog.LevelWarn, line
	var attrs []any
	var record map[string]any
	if json.Unmarshal([]byte(line), &record) == nil {
		if text, ok := record[slog.MessageKey].(string); ok {
			msg = text
		}
		if text, ok := record[slog.LevelKey].(string); ok && level.UnmarshalText([]byte(text)) != nil {
			level = slog.LevelWarn
		}
		for _, k := range slices.Sorted(maps.Keys(record)) {
			if k != slog.MessageKey && k != slog.LevelKey && k != slog.TimeKey {
				attrs = append(attrs, k, record[k])
			}
		}
	}
	s.cfg.Log.Log(context.Background(), level, msg, attrs...)
	if level > slog.LevelInfo {
		s.mu.Lock()
		s.last = strings.TrimSpace(fmt.Sprintln(append([]any{msg}, attrs...)...))
		s.mu.Unlock()
	}
}

func (s *Supervisor) setUp(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pid = p.cmd.Process.Pid
	close(s.up)
}

func (s *Supervisor) setDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pid = 0
	s.up = make(chan struct{})
}

// Pid is the answering process's id, 0 while there is none.
func (s *Supervisor) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid
}

// WaitReady returns nil once the store answers, Run's error if Run gave up, or ctx's.
func (s *Supervisor) WaitReady(ctx context.Context) error {
	s.mu.Lock()
	up := s.up
	s.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the store: %w", ctx.Err())
	case <-s.over:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		return errors.New("store is stopped")
	}
	return s.cause
}

// Ping asks the store on socket once whether it answers.
func Ping(ctx context.Context, socket string) error {
	_, err := ping(ctx, socket)
	return err
}

// pidHeader tells on /ping which process answers.
const pidHeader = "Situ-Store-Pid"

func ping(ctx context.Context, socket string) (pid string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	defer t.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://situ-store/ping", nil)
	if err != nil {
		return "", fmt.Errorf("ping the store: %w", err)
	}
	res, err := t.RoundTrip(req)
	if err != nil {
		return "", fmt.Errorf("ping the store: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ping the store: %s", res.Status)
	}
	return res.Header.Get(pidHeader), nil
}
