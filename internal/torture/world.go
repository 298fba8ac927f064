package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/situ-city/situ/internal/failpoint"
)

// world is situ as processes, with what stands around it.
type world interface {
	start(ctx context.Context) error
	processes() []*process
	victims() []victim
	proxies() []*proxy
	disk() *disk
	brokers() []broker
	socket() string                                          // where ClickHouse answers
	api() string                                             // where it answers over HTTP
	gateways() []string                                      // from which rows come: where each answers over HTTP
	shut(ctx context.Context) (open func() error, err error) // nothing takes from the spools until open
	healed(ctx context.Context) error                        // nil when all runs undisturbed
	versions() map[string]string
	close() error
}

// victim is what kill and stop are done to: a process of situ's, the store child of one, or one that is no part of situ.
type victim struct {
	name string
	p    *process   // nil: it is not ours to start again
	pid  func() int // to be signalled, if there is no p
	kill func(context.Context) error
	stop func(context.Context, time.Duration) error
}

// embeddedWorld is `situ run` and its store process.
type embeddedWorld struct {
	run   *process
	mqtt  *proxy
	data  string
	http  string
	small *disk
	log   *slog.Logger
	end   context.CancelFunc
}

func newEmbeddedWorld(cfg Config, log *slog.Logger) (*embeddedWorld, error) {
	w := &embeddedWorld{data: filepath.Join(cfg.Dir, "data"), log: log}
	if err := os.MkdirAll(w.data, 0o750); err != nil {
		return nil, err
	}
	var err error
	if slices.Contains(cfg.Faults, "disk") {
		if w.small, err = mountSmall(w.data, cfg.Dir, dataMB); err != nil {
			return nil, err
		}
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	w.http = ports[0]
	if w.mqtt, err = newProxy("sensors-situ", ports[1]); err != nil {
		return nil, err
	}
	gateway, _, ingester := failpoint.Points()
	w.run = &process{name: "situ", logPath: filepath.Join(cfg.Dir, "situ.log"),
		argv: []string{cfg.Situ, "run", "--data", w.data, "--http", ports[0], "--mqtt", ports[1], "--clickhouse-http", "", "--auto-register", "--canary", "0s",
			"--spool-bytes", fmt.Sprint(spoolBytes)},
		env: []string{"SITU_ADMIN_KEY=" + adminKey}, clocked: true,
		points: slices.Concat(gateway, ingester, []string{failpoint.BusCommit, failpoint.BusCommitted}),
		recover: []string{failpoint.SpoolRecover, failpoint.BusCommit, failpoint.IngesterRecover, failpoint.IngesterReplay, failpoint.IngesterRows,
			failpoint.StorePart, failpoint.IngesterStored}}
	return w, nil
}

// spoolBytes is the least bound of a gateway's spools, so that segments are made and freed often.
const spoolBytes = 64 << 20

// Sizes of small disks, in MiB: under everything, where the store keeps a reserve, and under a gateway's spools.
const (
	dataMB   = 1536
	spoolsMB = 128
)

// adminKey is the administrator's of what is tortured.
const adminKey = "situ_torture_0123456789abcdef"

func (w *embeddedWorld) start(ctx context.Context) error {
	ctx, w.end = context.WithCancel(ctx)
	w.run.keep(ctx)
	return until(ctx, patience, w.healed)
}

func (w *embeddedWorld) processes() []*process { return []*process{w.run} }

func (w *embeddedWorld) victims() []victim {
	store := func() int { return childOf(w.run.pid()) }
	return []victim{{name: "situ", p: w.run}, {name: "store", pid: store}}
}

func (w *embeddedWorld) proxies() []*proxy  { return []*proxy{w.mqtt} }
func (w *embeddedWorld) api() string        { return w.http }
func (w *embeddedWorld) gateways() []string { return []string{w.http} }
func (w *embeddedWorld) disk() *disk        { return w.small }
func (w *embeddedWorld) socket() string     { return filepath.Join(w.data, "store.sock") }

func (w *embeddedWorld) brokers() []broker {
	return []broker{{addr: w.mqtt.addr, qos2: true}}
}

func (w *embeddedWorld) versions() map[string]string { return nil }

func (w *embeddedWorld) healed(ctx context.Context) error {
	if w.run.disturbed() {
		return errors.New("situ still has a fault before it")
	}
	return readyAt(ctx, w.http)
}

func (w *embeddedWorld) close() error {
	if w.end != nil {
		w.end()
		if err := <-w.run.ended; err != nil {
			return err
		}
	}
	w.mqtt.close()
	return w.small.unmount()
}

// shut lets the store stand still, each that there is: one that is started meanwhile as well.
func (w *embeddedWorld) shut(ctx context.Context) (open func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for ctx.Err() == nil {
			if pid := childOf(w.run.pid()); pid > 0 {
				_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have ended
			}
			pause(ctx, shutAgain)
		}
	}()
	return func() error {
		cancel()
		<-over
		if pid := childOf(w.run.pid()); pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
		return nil
	}, nil
}

const shutAgain = 10 * time.Millisecond

// readyAt asks /readyz.
func readyAt(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("/readyz of %s: %s", addr, b)
	}
	return err
}

// Ports are taken below those that the system gives to outgoing connections: who is killed must find its own again.
const (
	lowestPort = 10_000
	portRange  = 5_000
)

// freePorts gives loopback addresses that nobody listens on.
func freePorts(n int) (list []string, err error) {
	for range 1000 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowestPort+rand.IntN(portRange)))
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		defer ln.Close()
		if list = append(list, addr); len(list) == n {
			return list, nil
		}
	}
	return nil, errors.New("no free ports on loopback")
}

// die kills a victim at once, with what its coming lives will be.
func (t *torturer) die(ctx context.Context, v victim, lives ...life) {
	switch {
	case v.p != nil:
		v.p.kill(lives...) // its end is counted when it comes
		return
	case v.kill != nil:
		if err := v.kill(ctx); err != nil {
			t.report.fail("kill %s: %v", v.name, err)
		}
	default:
		if pid := v.pid(); pid == 0 || syscall.Kill(pid, syscall.SIGKILL) != nil {
			return // there is none just now
		}
	}
	t.report.kill(v.name)
	t.meter.killed(v.name)
}

// standStill stops a victim for a while.
func (t *torturer) standStill(ctx context.Context, v victim, d time.Duration) {
	switch {
	case v.p != nil:
		v.p.standStill(ctx, d)
	case v.stop != nil:
		if err := v.stop(ctx, d); err != nil {
			t.report.fail("stop %s: %v", v.name, err)
		}
	default:
		if pid := v.pid(); pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have ended
			pause(ctx, d)
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}
}
