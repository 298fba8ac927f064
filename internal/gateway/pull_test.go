package gateway

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/peers"
	"github.com/situ-city/situ/pkg/sensor"
)

// publisher is a client of the broker that keeps what it could not send yet.
func publisher(t *testing.T, m *peers.MosquittoServer) paho.Client {
	t.Helper()
	return dialAs(t, m.Addr(), "plant")
}

func dialAs(t *testing.T, addr, client string) paho.Client {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(client).SetCleanSession(false).
		SetAutoReconnect(true).SetMaxReconnectInterval(200 * time.Millisecond))
	if tok := c.Connect(); tok.Wait() && tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	t.Cleanup(func() { c.Disconnect(50) })
	return c
}

// pulling makes a gateway's one way in the plant's broker.
func pulling(addr string) func(*Config, *normalize.Options) {
	return func(c *Config, _ *normalize.Options) {
		c.Listen = ""
		c.Sources = []Source{{Name: "plant", Broker: "tcp://" + addr, Topics: []string{"factory/{thing}/up"}, Protocol: "json", Owner: "plant"}}
	}
}

func (r *rig) subscribed(t *testing.T) {
	t.Helper()
	eventually(t, "subscribed", func() bool { return testutil.ToFloat64(r.g.metrics.pullUp.WithLabelValues("plant")) == 1 })
}

// seen tells how often each reading is in the spool, by its time.
func (r *rig) seen() map[int64]int {
	seen := map[int64]int{}
	for _, msg := range r.messages(sensor.Live) {
		for _, o := range msg.Observations {
			seen[o.PhenomenonTime]++
		}
	}
	return seen
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Readings of a foreign broker arrive through the same code; a broker that goes away and comes back loses nothing,
// and what it delivers twice is the same observation.
func TestPullFromMosquitto(t *testing.T) {
	m := peers.Mosquitto(t, "")
	r := newRig(t, pulling(m.Addr()))
	r.subscribed(t)
	c := publisher(t, m)
	const n = 600
	base := time.Now().UnixMilli()
	var wg sync.WaitGroup
	for i := range n {
		if i == n/2 {
			must(t, m.Stop(), m.Start())
		}
		tok := c.Publish("factory/press-1/up", 1, false, fmt.Sprintf(`{"t":%d,"temperature":%d}`, base-int64(i), i%50))
		wg.Go(func() { tok.WaitTimeout(30 * time.Second) })
	}
	wg.Wait()
	var seen map[int64]int
	eventually(t, "all arrived", func() bool { seen = r.seen(); return len(seen) == n })
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
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not %s after a minute", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A password in a broker's address used to be in every line of log about that source.
func TestPasswordOfABrokerIsNotLogged(t *testing.T) {
	for broker, want := range map[string]string{
		"tcp://user:s3cret@broker.example:1883": "broker=tcp://broker.example:1883",
		"user:s3cret@broker.example:1883":       "broker=tcp://broker.example:1883",
		"ssl://broker.example:8883":             "broker=ssl://broker.example:8883",
		"127.0.0.1:1883":                        "broker=127.0.0.1:1883",
	} {
		var out bytes.Buffer
		newPuller(&Source{Name: "s", Broker: broker}, "gw", nil, slog.New(slog.NewTextHandler(&out, nil)), nil).logger.Warn("source lost")
		if strings.Contains(out.String(), "s3cret") || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %s", broker, &out)
		}
	}
}
