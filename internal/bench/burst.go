package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/situ-city/situ/internal/embedded/engine"
)

// Burst sends ten times the usual rate through `situ run`, with its store asleep for a part of it and with clients that
// behave badly beside, and prints what both processes take of memory at most, phase by phase. It fails when that is more
// than the settings say (docs/operations/bounds.md).
type Burst struct {
	Journey
	Rate           float64       // messages a second of a usual day; the burst has ten times as many
	Phase          time.Duration // length of each
	MemoryLimit    int64         // of the gateway's process
	EngineMemory   int64         // of the engine's
	SpoolBytes     int64
	MaxConnections int
	Deaf, Large    int // clients that do not read their PUBACKs, and that send large packets and never their end

	worst [2]int64 // peaks over all phases
}

// ErrBound: a process took more memory than its settings say.
var ErrBound = errors.New("more memory than the bound")

// phase of a burst.
type phase struct {
	name   string
	rate   float64
	asleep bool // the store
	abuse  bool
}

// Run measures and prints.
func (b *Burst) Run(ctx context.Context) error {
	b.Args = []string{"--memory-limit", fmt.Sprint(b.MemoryLimit), "--engine-memory", fmt.Sprint(b.EngineMemory),
		"--spool-bytes", fmt.Sprint(b.SpoolBytes), "--max-connections", fmt.Sprint(b.MaxConnections)}
	return b.with(ctx, func(ctx context.Context) error {
		if err := b.register(ctx); err != nil {
			return err
		}
		fmt.Fprintf(b.Out, "%-34s %10s %10s %12s %12s %10s\n", "phase", "asked /s", "PUBACK /s", "gateway MB", "engine MB", "refused")
		acked := 0
		for _, p := range []phase{
			{"usual", b.Rate, false, false},
			{"ten times", 10 * b.Rate, false, false},
			{"ten times, bad clients", 10 * b.Rate, false, true},
			{"ten times, bad clients, store asleep", 10 * b.Rate, true, true},
			{"ten times, store back", 10 * b.Rate, false, false},
			{"usual again", b.Rate, false, false},
		} {
			n, err := b.phase(ctx, p)
			if err != nil {
				return fmt.Errorf("phase %q: %w", p.name, err)
			}
			acked += n
		}
		if err := b.all(ctx, 2*acked); err != nil {
			return err
		}
		return b.verdict()
	})
}

func (b *Burst) phase(ctx context.Context, p phase) (acked int, err error) {
	child := b.child()
	pids := [2]int{b.cmd.Process.Pid, child}
	for _, pid := range pids {
		forgetPeak(pid)
	}
	before, err := b.refusals(ctx)
	if err != nil {
		return 0, err
	}
	if p.asleep {
		if child == 0 {
			return 0, errors.New("there is no engine to put to sleep")
		}
		if err := syscall.Kill(child, syscall.SIGSTOP); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, syscall.Kill(child, syscall.SIGCONT)) }()
	}
	acked, took, err := b.loaded(ctx, p)
	if err != nil {
		return 0, err
	}
	after, err := b.refusals(ctx)
	if err != nil {
		return 0, err
	}
	var peaks [2]int64
	for i, pid := range pids {
		peaks[i] = peakOf(pid)
		b.worst[i] = max(b.worst[i], peaks[i])
	}
	fmt.Fprintf(b.Out, "%-36s %8.0f %10.0f %12.0f %12.0f %10.0f\n", p.name, p.rate, float64(acked)/took.Seconds(),
		float64(peaks[0])/1e6, float64(peaks[1])/1e6, after-before)
	return acked, nil
}

// loaded runs the load of a phase, and beside it, once it is connected, the bad clients.
func (b *Burst) loaded(ctx context.Context, p phase) (acked int, took time.Duration, err error) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		acked, took, err = b.load(ctx, int(p.rate*b.Phase.Seconds()), p.rate)
	}()
	if !p.abuse {
		<-over
		return acked, took, err
	}
	for connected := false; !connected; {
		select {
		case <-over:
			return acked, took, err
		case <-time.After(50 * time.Millisecond):
			n, err := b.metric(ctx, "situ_gateway_clients")
			connected = err == nil && n >= float64(b.Connections)
		}
	}
	cmd := exec.Command(b.Self, "bench", "abuse", "--addr", b.mqtt, "--deaf", fmt.Sprint(b.Deaf), "--large", fmt.Sprint(b.Large),
		"--silent", fmt.Sprint(b.MaxConnections))
	cmd.Stderr = b.Progress
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if e := cmd.Start(); e != nil {
		<-over
		return acked, took, errors.Join(err, e)
	}
	<-over
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	if e := cmd.Wait(); e != nil {
		err = errors.Join(err, fmt.Errorf("bad clients: %w", e))
	}
	return acked, took, err
}

// child is the process of the ClickHouse engine, 0 if there is none.
func (b *Burst) child() int {
	pids, err := family(b.cmd.Process.Pid)
	if err != nil || len(pids) < 2 {
		return 0
	}
	return pids[1]
}

// refusals sums what the gateway has refused, for whatever reason.
func (b *Burst) refusals(ctx context.Context) (sum float64, err error) {
	return b.sum(ctx, "situ_gateway_refused_total{")
}

// all waits until SELECT shows everything that was acknowledged to the load; what the bad clients sent has another owner.
func (b *Burst) all(ctx context.Context, want int) error {
	for over := time.Now().Add(5 * time.Minute); ; {
		n, err := b.count(ctx)
		if err == nil && n == want {
			fmt.Fprintf(b.Out, "acknowledged values, all in SELECT once %9d\n", n)
			return nil
		}
		if n > want || time.Now().After(over) {
			return fmt.Errorf("SELECT shows %d values, %d were acknowledged: %w", n, want, err)
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// verdict compares the peaks with the bounds.
func (b *Burst) verdict() error {
	library, err := engine.Find("")
	if err != nil {
		return err
	}
	info, err := os.Stat(library)
	if err != nil {
		return err
	}
	for i, bound := range []struct {
		name, of string
		bytes    int64
	}{
		{"gateway", "--memory-limit", b.MemoryLimit},
		{"engine", "--engine-memory + the size of its library's file", b.EngineMemory + info.Size()},
	} {
		fmt.Fprintf(b.Out, "%-8s at most %5.0f MB, bound %5.0f MB = %s\n", bound.name, float64(b.worst[i])/1e6, float64(bound.bytes)/1e6, bound.of)
		if b.worst[i] > bound.bytes {
			err = errors.Join(err, fmt.Errorf("%w: %s %d bytes, %s is %d", ErrBound, bound.name, b.worst[i], bound.of, bound.bytes))
		}
		if b.worst[i] == 0 {
			err = errors.Join(err, fmt.Errorf("the memory of the %s is not known", bound.name))
		}
	}
	return err
}

// sum adds the samples of /metrics whose lines begin so.
func (j *Journey) sum(ctx context.Context, prefix string) (sum float64, err error) {
	res, err := j.do(ctx, "GET", "/metrics", nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &v); err != nil {
			return 0, err
		}
		sum += v
	}
	return sum, nil
}
