package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/peers"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// pullChildEnv makes the test binary a gateway that pulls: "directory broker".
const pullChildEnv = "SITU_GATEWAY_TEST_CHILD"

func pullChild(args string) int {
	var dir, broker string
	if _, err := fmt.Sscan(args, &dir, &broker); err != nil {
		return fail(err)
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := failpoint.Arm(os.Getenv, os.Getppid(), logger); err != nil {
		return fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cat, err := sensor.LoadCatalogue()
	if err != nil {
		return fail(err)
	}
	div, err := geo.LoadDivisions()
	if err != nil {
		return fail(err)
	}
	reg, err := registry.Open(ctx, filepath.Join(dir, "registry.sqlite"), registry.Options{Catalogue: cat, Divisions: div})
	if err != nil {
		return fail(err)
	}
	cfg := Config{Credentials: reg, Protocols: all.Protocols(), Spools: map[sensor.Lane]*spool.Spool{}, Logger: logger, Registerer: prometheus.NewRegistry(),
		Normalizer: func() *normalize.Normalizer {
			return normalize.New(normalize.Options{Catalogue: cat, Divisions: div, AutoRegister: true, Ledger: func() normalize.Ledger { return reg.Snapshot() }})
		}}
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		if cfg.Spools[lane], err = spool.Open(spool.Config{Dir: filepath.Join(dir, lane.String()), Gateway: "gw", Lane: lane}); err != nil {
			return fail(err)
		}
	}
	pulling(broker)(&cfg, nil)
	g, err := New(cfg)
	if err == nil {
		err = g.Run(ctx)
	}
	return fail(err)
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// reading i of a test, at its own instant.
func reading(base int64, i int) string {
	return fmt.Sprintf(`{"t":%d,"temperature":%d}`, base-int64(i), i%50)
}

// deliver hands n readings to the broker and returns when it has acknowledged all.
func deliver(t *testing.T, c paho.Client, base int64, from, n int) {
	t.Helper()
	tokens := make([]paho.Token, n)
	for i := range tokens {
		tokens[i] = c.Publish("factory/press-1/up", 1, false, reading(base, from+i))
	}
	for _, tok := range tokens {
		if !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
			t.Fatal("the broker does not acknowledge: ", tok.Error())
		}
	}
}

// A gateway that dies between a delivery and its PUBACK, wherever it stands with the fsync, gets the message again, over
// the broker's restart as well: DUP is set, and what was stored already is stored under a second identity (history shows
// one). Nothing that the broker had acknowledged to its sender is lost.
func TestPullKilledBetweenDeliveryAndPuback(t *testing.T) {
	for _, c := range []struct {
		point   string
		restart bool // of the broker, while the gateway is dead
		again   bool // what was delivered before is on the disk
	}{
		{failpoint.SpoolWrite, false, false}, {failpoint.SpoolSync, true, false}, {failpoint.SpoolSynced, false, true},
		{failpoint.SpoolSynced, true, true}, {failpoint.SpoolAcked, false, false},
	} {
		t.Run(fmt.Sprintf("%s, broker restarted %v", c.point, c.restart), func(t *testing.T) {
			m := peers.Mosquitto(t, "")
			dir := t.TempDir()
			r := rigIn(t, dir, pulling(m.Addr())) // subscribes, so that the broker keeps what comes
			r.subscribed(t)
			r.stop()
			client, base := publisher(t, m), time.Now().UnixMilli()
			const n = 300
			deliver(t, client, base, 0, n/2)

			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s", pullChildEnv, dir, m.Addr()),
				fmt.Sprintf("%s=%s=kill@3", failpoint.Env, c.point), fmt.Sprintf("%s=%d", failpoint.EnvBy, os.Getpid()))
			if out, err := child.CombinedOutput(); child.ProcessState.ExitCode() != -1 {
				t.Fatalf("the gateway was to be killed: %v\n%s", err, out)
			}
			if c.restart {
				must(t, m.Stop(), m.Start())
			}
			deliver(t, client, base, n/2, n/2)
			r = rigIn(t, dir, pulling(m.Addr()))
			var seen map[int64]int
			eventually(t, "all arrived", func() bool { seen = r.seen(); return len(seen) == n })
			twice := 0
			for _, times := range seen {
				if times > 1 {
					twice++
				}
			}
			t.Logf("%d of %d are there twice", twice, n)
			if c.again && twice == 0 {
				t.Error("what was on the disk and not acknowledged was not delivered again")
			}
		})
	}
}

// What a gateway was not there for waits for it in its session, over the broker's restart, and comes once.
func TestPullWhileAway(t *testing.T) {
	m := peers.Mosquitto(t, "")
	dir := t.TempDir()
	r := rigIn(t, dir, pulling(m.Addr()))
	r.subscribed(t)
	r.stop()
	client, base := publisher(t, m), time.Now().UnixMilli()
	deliver(t, client, base, 0, 100)
	must(t, m.Stop(), m.Start())
	deliver(t, client, base, 100, 100)
	r = rigIn(t, dir, pulling(m.Addr()))
	eventually(t, "all arrived", func() bool { return len(r.seen()) == 200 })
	if n := len(r.messages(sensor.Live)); n != 200 {
		t.Errorf("%d messages", n)
	}
}

// A broker that lost its sessions, with its disk, is subscribed to anew.
func TestPullFromABrokerThatForgot(t *testing.T) {
	dir := t.TempDir()
	m, err := peers.StartMosquitto(dir, "")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(m.Close)
	r := newRig(t, pulling(m.Addr()))
	r.subscribed(t)
	must(t, m.Stop(), os.Remove(filepath.Join(dir, "mosquitto.db")), m.Start())
	eventually(t, "lost", func() bool { return testutil.ToFloat64(r.g.metrics.pullDrops.WithLabelValues("plant")) > 0 })
	r.subscribed(t)
	deliver(t, publisher(t, m), time.Now().UnixMilli(), 0, 10)
	eventually(t, "all arrived", func() bool { return len(r.seen()) == 10 })
}

// A delivery that comes again while its first is still on its way to the disk is the same message: stored once, and
// acknowledged on the connection that lives.
func TestPullRedeliveryOfWhatIsOnItsWay(t *testing.T) {
	m := peers.Mosquitto(t, "")
	p := startPubacks(t, m.Addr())
	r := newRig(t, pulling(p.ln.Addr().String()))
	client, base := publisher(t, m), time.Now().UnixMilli()
	slow := 2 * time.Second
	n := 0
	for again := 0.0; again == 0; n++ { // a machine may be slower than the disk
		r.subscribed(t)
		env := map[string]string{failpoint.Env: fmt.Sprintf("%s=sleep:%s", failpoint.SpoolSync, slow), failpoint.EnvBy: "1"}
		must(t, failpoint.Arm(func(key string) string { return env[key] }, 1, slog.New(slog.DiscardHandler)))
		deliver(t, client, base, n, 1)
		p.cut()
		eventually(t, "arrived", func() bool { return len(r.seen()) == n+1 })
		failpoint.Disarm()
		again = testutil.ToFloat64(r.g.metrics.redelivered)
		slow *= 2
	}
	r.subscribed(t)
	deliver(t, client, base, n, 1) // comes only when the broker got its acknowledgements: it allows one on its way
	eventually(t, "the last arrived", func() bool { return len(r.seen()) == n+1 })
	if got := len(r.messages(sensor.Live)); n == 1 && got != 2 {
		t.Errorf("%d messages of 2", got)
	}
}

// Acknowledgements that never reach the broker cost a second delivery and lose nothing.
func TestPullLostPubacks(t *testing.T) {
	m := peers.Mosquitto(t, "")
	p := startPubacks(t, m.Addr())
	r := newRig(t, pulling(p.ln.Addr().String()))
	r.subscribed(t)
	p.swallow.Store(true)
	client, base := publisher(t, m), time.Now().UnixMilli()
	deliver(t, client, base, 0, 200)
	eventually(t, "as many are on their way as the broker allows", func() bool { return p.swallowed.Load() >= 20 })
	p.swallow.Store(false)
	p.cut()
	eventually(t, "all arrived", func() bool { return len(r.seen()) == 200 })
	if n := len(r.messages(sensor.Live)); n < 220 {
		t.Errorf("%d messages: the 20 whose acknowledgements were lost did not come again", n)
	}
}

// pubacks stands between a gateway and its broker; it swallows PUBACKs while it is told to, and cuts connections.
type pubacks struct {
	ln        net.Listener
	swallow   atomic.Bool
	swallowed atomic.Int64
	wait      sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns []net.Conn
}

func startPubacks(t *testing.T, to string) *pubacks {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &pubacks{ln: ln}
	p.wait.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			broker, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, client, broker)
			p.mu.Unlock()
			p.wait.Go(func() { p.up(client, broker) })
			p.wait.Go(func() { down(broker, client) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); p.cut(); p.wait.Wait() })
	return p
}

// cut ends all connections.
func (p *pubacks) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

func down(from, to net.Conn) {
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// up hands on packets one by one [MQTT 3.1.1 2.2]: a client's are short.
func (p *pubacks) up(from, to net.Conn) {
	defer to.Close()
	one := make([]byte, 1)
	next := func() (byte, bool) { n, err := from.Read(one); return one[0], n == 1 && err == nil }
	for {
		first, ok := next()
		packet := []byte{first}
		length := 0
		for shift := 0; ok; shift += 7 {
			var b byte
			b, ok = next()
			packet, length = append(packet, b), length|int(b&0x7f)<<shift
			if b < 0x80 {
				break
			}
		}
		for range length {
			var b byte
			if b, ok = next(); !ok {
				return
			}
			packet = append(packet, b)
		}
		if !ok {
			return
		}
		if p.swallow.Load() && first>>4 == 4 {
			p.swallowed.Add(1)
			continue
		}
		if _, err := to.Write(packet); err != nil {
			return
		}
	}
}
