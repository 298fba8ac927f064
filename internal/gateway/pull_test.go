package gateway

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// mosquitto is a real broker with persistence in a directory of its own.
type mosquitto struct {
	t    *testing.T
	addr string
	conf string
	cmd  *exec.Cmd
}

func startMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		if path = "/usr/sbin/mosquitto"; !exists(path) {
			t.Skip("mosquitto is not installed (Debian: apt install mosquitto)")
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mosquitto{t: t, addr: ln.Addr().String()}
	_ = ln.Close()
	dir := t.TempDir()
	_, port, _ := net.SplitHostPort(m.addr)
	m.conf = filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\nautosave_interval 1\nmax_queued_messages 0\nlog_type none\nuser %s\n",
		port, dir, os.Getenv("USER"))
	if os.Getenv("USER") == "" {
		text = text[:len(text)-len("user \n")] + "user root\n"
	}
	if err := os.WriteFile(m.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m.cmd = exec.Command(path, "-c", m.conf)
	m.start()
	t.Cleanup(m.stop)
	return m
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func (m *mosquitto) start() {
	m.t.Helper()
	m.cmd = exec.Command(m.cmd.Path, "-c", m.conf)
	m.cmd.Stderr = os.Stderr
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if c, err := net.Dial("tcp", m.addr); err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-m.t.Context().Done():
		}
	}
	m.t.Fatal("mosquitto does not answer")
}

func (m *mosquitto) stop() {
	_ = m.cmd.Process.Signal(os.Interrupt)
	_ = m.cmd.Wait()
}

func (m *mosquitto) publisher(t *testing.T) paho.Client {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + m.addr).SetClientID("plant").SetCleanSession(false).
		SetAutoReconnect(true).SetMaxReconnectInterval(200 * time.Millisecond))
	if tok := c.Connect(); tok.Wait() && tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	t.Cleanup(func() { c.Disconnect(50) })
	return c
}

// Readings of a foreign broker arrive through the same code; a broker that goes away and comes back loses nothing,
// and what it delivers twice is the same observation.
func TestPullFromMosquitto(t *testing.T) {
	m := startMosquitto(t)
	r := newRig(t, func(c *Config, _ *normalize.Options) {
		c.Listen = ""
		c.Sources = []Source{{Name: "plant", Broker: "tcp://" + m.addr, Topics: []string{"factory/{thing}/up"}, Protocol: "json", Owner: "plant"}}
	})
	eventually(t, "subscribed", func() bool { return testutil.ToFloat64(r.g.metrics.pullUp.WithLabelValues("plant")) == 1 })
	c := m.publisher(t)
	const n = 600
	base := time.Now().UnixMilli()
	var wg sync.WaitGroup
	for i := range n {
		if i == n/2 {
			m.stop()
			m.start()
		}
		tok := c.Publish("factory/press-1/up", 1, false, fmt.Sprintf(`{"t":%d,"temperature":%d}`, base-int64(i), i%50))
		wg.Go(func() { tok.WaitTimeout(30 * time.Second) })
	}
	wg.Wait()
	seen := map[int64]int{}
	eventually(t, "all arrived", func() bool {
		seen = map[int64]int{}
		for _, msg := range r.messages(sensor.Live) {
			for _, o := range msg.Observations {
				seen[o.PhenomenonTime]++
			}
		}
		return len(seen) == n
	})
	twice := 0
	for _, k := range seen {
		if k > 1 {
			twice++
		}
	}
	t.Logf("%d readings, %d of them delivered twice by the broker", len(seen), twice)
	if got := testutil.ToFloat64(r.g.metrics.pullDrops.WithLabelValues("plant")); got == 0 {
		t.Error("the loss of the broker was not counted")
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not %s after 30 s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
