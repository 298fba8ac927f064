package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/situ-city/situ/internal/progress"
)

// Journey measures the whole way of `situ run` on this machine.
type Journey struct {
	Self        string // the situ program
	Data        string // "" = a directory of its own
	Messages    int
	Things      int
	Connections int
	Latency     time.Duration
	Idle        time.Duration
	Profile     string
	Args        []string  // more of situ run's
	Out         io.Writer // the result
	Progress    io.Writer

	cmd  *exec.Cmd
	url  string
	mqtt string
}

const benchKey = "situ_bench_key_0123456789"

// Run measures and prints.
func (j *Journey) Run(ctx context.Context) error {
	return j.with(ctx, func(ctx context.Context) error {
		if err := j.register(ctx); err != nil {
			return err
		}
		if err := j.idle(ctx); err != nil {
			return err
		}
		rate, err := j.throughput(ctx)
		if err != nil || j.Latency == 0 {
			return err
		}
		return j.latency(ctx, rate/2)
	})
}

// with runs measure while a situ of its own is running.
func (j *Journey) with(ctx context.Context, measure func(context.Context) error) (err error) {
	if j.Data == "" {
		dir, err := os.MkdirTemp("", "situ-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		j.Data = dir
	}
	if err := j.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.stop()) }()
	return measure(ctx)
}

// start runs situ on ports of its own and waits until it is ready.
func (j *Journey) start(ctx context.Context) error {
	web, err := freeAddr()
	if err != nil {
		return err
	}
	if j.mqtt, err = freeAddr(); err != nil {
		return err
	}
	j.url = "http://" + web
	j.cmd = exec.Command(j.Self, "run", "--data", j.Data, "--http", web, "--mqtt", j.mqtt, "--clickhouse-http", "", "--auto-register", "--canary", "0s", "--log-level", "warn")
	j.cmd.Args = append(j.cmd.Args, j.Args...)
	j.cmd.Env = append(os.Environ(), "SITU_ADMIN_KEY="+benchKey)
	if j.Profile != "" {
		j.cmd.Env = append(j.cmd.Env, "SITU_CPU_PROFILE="+j.Profile)
	}
	j.cmd.Stderr = j.Progress
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := j.cmd.Start(); err != nil {
		return err
	}
	started := time.Now()
	for time.Since(started) < time.Minute {
		res, err := http.Get(j.url + "/readyz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				fmt.Fprintf(j.Out, "ready after                         %8.2f s\n", time.Since(started).Seconds())
				return nil
			}
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("situ run is not ready after a minute; see its log above")
}

func (j *Journey) stop() error {
	_ = j.cmd.Process.Signal(syscall.SIGTERM)
	return j.cmd.Wait()
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// register declares the Things of the load, on a grid over the city.
func (j *Journey) register(ctx context.Context) error {
	var b bytes.Buffer
	b.WriteString("id,class,grade,lon,lat,crs,interval,properties\n")
	for i := range j.Things {
		lon, lat := place(i)
		fmt.Fprintf(&b, "bench/t-%d,government,open,%.6f,%.6f,WGS84,60s,temperature;pm2_5\n", i, lon, lat)
	}
	b.WriteString("bench/probe,government,open,107.9,31.9,WGS84,60s,pm2_5\n")
	res, err := j.do(ctx, http.MethodPost, "/v1/register", &b)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func (j *Journey) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, j.url+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+benchKey)
	res, err := http.DefaultClient.Do(req)
	if err == nil && res.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
		_ = res.Body.Close()
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, text)
	}
	return res, err
}

// count is how many rows of the load SELECT shows.
func (j *Journey) count(ctx context.Context) (n int, err error) {
	res, err := j.do(ctx, http.MethodPost, "/v1/sql?format=tsv", strings.NewReader("SELECT count() AS n FROM history WHERE owner = 'bench' AND thing != 'bench/probe'"))
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	lines := strings.Fields(string(b))
	if len(lines) == 0 {
		return 0, fmt.Errorf("no count in %q", b)
	}
	_, err = fmt.Sscan(lines[len(lines)-1], &n)
	return n, err
}

func (j *Journey) idle(ctx context.Context) error {
	if err := pause(ctx, j.Idle); err != nil {
		return err
	}
	u, err := UsageOf(j.cmd.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Fprintf(j.Out, "idle memory, engine included        %8.0f MB\n", float64(u.RSS)/1e6)
	return nil
}

// load runs the generator in a process of its own and returns the messages acknowledged and the time they took.
func (j *Journey) load(ctx context.Context, messages int, rate float64) (acked int, took time.Duration, err error) {
	cmd := exec.CommandContext(ctx, j.Self, "bench", "load", "--addr", j.mqtt, "--things", fmt.Sprint(j.Things),
		"--messages", fmt.Sprint(messages), "--connections", fmt.Sprint(j.Connections), "--rate", fmt.Sprint(rate))
	cmd.Stderr = j.Progress
	out, err := cmd.Output()
	if err != nil {
		return 0, 0, fmt.Errorf("load generator: %w", err)
	}
	var ns int64
	_, err = fmt.Sscan(string(out), &acked, &ns)
	return acked, time.Duration(ns), err
}

// throughput publishes as fast as situ acknowledges and waits until SELECT shows every value. The clock stops then.
func (j *Journey) throughput(ctx context.Context) (rate float64, err error) {
	before, err := UsageOf(j.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	syncs, syncing, err := j.syncs(ctx)
	if err != nil {
		return 0, err
	}
	bar := progress.New(j.Progress, "throughput")
	started := time.Now()
	type loaded struct {
		acked int
		took  time.Duration
		err   error
	}
	done := make(chan loaded, 1)
	go func() {
		acked, took, err := j.load(ctx, j.Messages, 0)
		done <- loaded{acked, took, err}
	}()
	var l loaded
	for waiting := true; waiting; {
		select {
		case l = <-done:
			waiting = false
		case <-time.After(time.Second):
			n, err := j.metric(ctx, "situ_gateway_observations_total")
			if err == nil {
				bar.Set(n/2/float64(j.Messages), fmt.Sprintf("%.0f messages", n/2))
			}
		}
	}
	if l.err != nil {
		return 0, l.err
	}
	syncs2, syncing2, err := j.syncs(ctx)
	if err != nil {
		return 0, err
	}
	want := 2 * l.acked
	for {
		n, err := j.count(ctx)
		if err != nil {
			return 0, err
		}
		if n >= want {
			if n > want {
				return 0, fmt.Errorf("SELECT shows %d values of %d published", n, want)
			}
			break
		}
		if time.Since(started) > 10*time.Minute {
			return 0, fmt.Errorf("SELECT shows %d values of %d after ten minutes", n, want)
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return 0, err
		}
	}
	wall := time.Since(started)
	after, err := UsageOf(j.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	bar.Done(fmt.Sprintf("%d messages", l.acked))
	perM := (after.CPU - before.CPU).Seconds() / float64(l.acked) * 1e6
	rate = float64(l.acked) / wall.Seconds()
	fmt.Fprintf(j.Out, "messages, two values each           %8d\n", l.acked)
	fmt.Fprintf(j.Out, "PUBLISH to PUBACK                   %8.0f messages/s\n", float64(l.acked)/l.took.Seconds())
	n := syncs2 - syncs
	fmt.Fprintf(j.Out, "  group commits, each synced        %8.0f /s, %.0f messages and %.2f ms each, %d connections\n",
		n/l.took.Seconds(), float64(l.acked)/n, (syncing2-syncing)/n*1e3, j.Connections)
	fmt.Fprintf(j.Out, "PUBLISH to SELECT, all of them      %8.0f messages/s\n", rate)
	fmt.Fprintf(j.Out, "CPU of all processes                %8.2f s a million messages\n", perM)
	fmt.Fprintf(j.Out, "peak memory, engine included        %8.0f MB\n", float64(after.PeakRSS)/1e6)
	return rate, j.bytes(ctx)
}

// bytes prints what an observation takes on disk, if the schema's view is there to ask.
func (j *Journey) bytes(ctx context.Context) error {
	size := int64(0)
	err := filepath.Walk(filepath.Join(j.Data, "clickhouse"), func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	if err == nil {
		fmt.Fprintf(j.Out, "files of the engine                 %8.1f MB\n", float64(size)/1e6)
	}
	return err
}

// syncs is how many group commits of the spools there were, and the seconds they took.
func (j *Journey) syncs(ctx context.Context) (n, seconds float64, err error) {
	if n, err = j.metric(ctx, "situ_spool_commit_seconds_count"); err != nil {
		return 0, 0, err
	}
	seconds, err = j.metric(ctx, "situ_spool_commit_seconds_sum")
	return n, seconds, err
}

// metric reads one value of /metrics.
func (j *Journey) metric(ctx context.Context, name string) (float64, error) {
	res, err := j.do(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	in := bufio.NewScanner(res.Body)
	for in.Scan() {
		if rest, ok := strings.CutPrefix(in.Text(), name+" "); ok {
			var v float64
			_, err := fmt.Sscan(rest, &v)
			return v, err
		}
	}
	return 0, fmt.Errorf("no metric %s", name)
}

// latency publishes at the given rate and, beside it, a probe reading every 100 ms, and looks for each in the live
// cell and in SQL.
func (j *Journey) latency(ctx context.Context, rate float64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, _, err := j.load(ctx, int(rate*j.Latency.Seconds()), rate)
		done <- err
	}()
	p, err := newProbe(j)
	if err != nil {
		return err
	}
	defer p.close()
	bar := progress.New(j.Progress, "latency   ")
	started := time.Now()
	for time.Since(started) < j.Latency-time.Second {
		bar.Set(time.Since(started).Seconds()/j.Latency.Seconds(), "")
		if err := p.shoot(ctx); err != nil {
			return err
		}
	}
	bar.Done("")
	fmt.Fprintf(j.Out, "at %.0f messages/s, %d probes:\n", rate, len(p.cell))
	fmt.Fprintf(j.Out, "  PUBLISH to live cell, p50 p99     %8.0f %6.0f ms\n", quantile(p.cell, 0.5), quantile(p.cell, 0.99))
	fmt.Fprintf(j.Out, "  PUBLISH to tile, p50 p99          %8.0f %6.0f ms\n", quantile(p.tile, 0.5), quantile(p.tile, 0.99))
	fmt.Fprintf(j.Out, "  PUBLISH to SELECT, p50 p99        %8.0f %6.0f ms\n", quantile(p.sql, 0.5), quantile(p.sql, 0.99))
	return <-done
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// decodeJSON reads a JSON answer.
func decodeJSON(res *http.Response, v any) error {
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(v)
}
