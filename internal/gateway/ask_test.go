package gateway

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/situ-city/situ/internal/decode/sparkplug"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/peers"
	"github.com/situ-city/situ/pkg/sensor"
)

// edgeNode plays a Sparkplug edge node that answers rebirth requests.
type edgeNode struct {
	t     *testing.T
	c     paho.Client
	seq   uint8
	asked chan string // topics of the requests
}

func newEdgeNode(t *testing.T, addr string) *edgeNode {
	n := &edgeNode{t: t, c: dialAs(t, addr, "edge1"), asked: make(chan string, 16)}
	tok := n.c.Subscribe("spBv1.0/plant/NCMD/edge1", 1, func(_ paho.Client, m paho.Message) {
		if m.Qos() != 0 || m.Retained() || !bytes.Contains(m.Payload(), []byte("Node Control/Rebirth")) {
			t.Errorf("QoS %d, retained %t, %q", m.Qos(), m.Retained(), m.Payload())
		}
		n.asked <- m.Topic()
	}).(*paho.SubscribeToken)
	if !tok.WaitTimeout(time.Minute) || tok.Error() != nil || tok.Result()["spBv1.0/plant/NCMD/edge1"] > 2 {
		t.Fatal("not subscribed to its commands: ", tok.Error(), tok.Result())
	}
	return n
}

func (n *edgeNode) publish(kind string, m ...sparkplug.Metric) {
	n.t.Helper()
	now := time.Now()
	for i := range m {
		m[i].Time = now
	}
	payload := sparkplug.Append(nil, sparkplug.Payload{Time: now, HasSeq: true, Seq: n.seq, Metrics: m})
	n.seq++
	publish(n.t, n.c, "spBv1.0/plant/"+kind+"/edge1", string(payload))
}

func (n *edgeNode) birth() {
	n.seq = 0
	n.publish("NBIRTH", sparkplug.Metric{Name: "bdSeq", Type: sparkplug.Int64},
		sparkplug.Metric{Name: "temperature", Alias: 7, Type: sparkplug.Double, Number: 20, Unit: "Cel"})
}

func (n *edgeNode) data(v float64) {
	n.publish("NDATA", sparkplug.Metric{Alias: 7, Type: sparkplug.Double, Number: v})
}

func (n *edgeNode) wantAsked() {
	n.t.Helper()
	select {
	case topic := <-n.asked:
		if topic != "spBv1.0/plant/NCMD/edge1" {
			n.t.Error(topic)
		}
	case <-time.After(time.Minute):
		n.t.Fatal("nobody asked for a birth")
	}
}

// results are all values stored so far, in their order.
func (r *rig) results() (values []float64) {
	for _, m := range r.messages(sensor.Live) {
		for i := range m.Observations {
			values = append(values, m.Observations[i].Result)
		}
	}
	return values
}

// A Sparkplug node whose data cannot be read without its birth, or has gone missing, is asked for a birth: on its own
// connection to the embedded front, or through the broker that it is pulled from. Meanwhile known aliases go on to be read.
func TestSparkplugNodesAreAskedForTheirBirth(t *testing.T) {
	for name, pulled := range map[string]bool{"embedded": false, "mosquitto": true} {
		t.Run(name, func(t *testing.T) {
			source := Source{Name: "plant", Topics: []string{"spBv1.0/#"}, Protocol: "sparkplug", Owner: "plant"}
			addr := ""
			if pulled {
				addr = peers.Mosquitto(t, "").Addr()
				source.Broker = "tcp://" + addr
			}
			var ahead atomic.Int64
			r := newRig(t, func(c *Config, _ *normalize.Options) {
				c.Sources = []Source{source}
				c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			})
			if pulled {
				eventually(t, "subscribed", func() bool { return testutil.ToFloat64(r.g.metrics.pullUp.WithLabelValues("plant")) == 1 })
			} else {
				addr = r.g.Addr().String()
			}
			count := func(outcome string) float64 {
				return testutil.ToFloat64(r.g.metrics.asked.WithLabelValues("plant", outcome))
			}
			stored := func(n int) { eventually(t, "stored", func() bool { return len(r.results()) >= n }) }
			n := newEdgeNode(t, addr)
			n.data(21) // before its birth
			n.wantAsked()
			n.data(22) // asked just now: not again
			n.birth()
			n.data(23)
			stored(2)
			ahead.Add(sparkplug.AskEvery * int64(time.Millisecond))
			n.seq += 3
			n.data(24) // after a gap, read all the same
			stored(3)
			if got := count(askSent); got != 1 {
				t.Errorf("%v requests: the missing ones may come late", got)
			}
			ahead.Add(sparkplug.ReorderTimeout * int64(time.Millisecond))
			n.data(25)
			n.wantAsked()
			n.birth()
			n.data(26)
			stored(6)
			if got := r.results(); len(got) != 6 || got[0] != 20 || got[1] != 23 || got[2] != 24 || got[3] != 25 || got[4] != 20 || got[5] != 26 {
				t.Errorf("stored %v", got)
			}
			if got := count(askSent); got != 2 || len(n.asked) != 0 {
				t.Errorf("%v requests sent, %d more received; two are wanted", got, len(n.asked))
			}
		})
	}
}

// rebirth: false, and a subscription that others share, keep situ silent.
func TestNobodyIsAskedWhereTheSourceSaysSo(t *testing.T) {
	no := false
	sources := []Source{{Name: "quiet", Topics: []string{"spBv1.0/#"}, Protocol: "sparkplug", Owner: "plant", Rebirth: &no}}
	r := newRig(t, func(c *Config, _ *normalize.Options) { c.Sources = sources })
	n := newEdgeNode(t, r.g.Addr().String())
	n.data(21)
	if got := testutil.CollectAndCount(r.g.metrics.asked); got != 0 || len(n.asked) != 0 {
		t.Errorf("%d counted, %d received", got, len(n.asked))
	}
	shared := Source{Name: "s", Broker: "tcp://x:1", Topics: []string{"$share/situ/spBv1.0/#"}, Protocol: "sparkplug", Owner: "plant"}
	if shared.asker(sparkplug.New()) != nil {
		t.Error("one of several that share a subscription asks")
	}
	json := Source{Name: "j", Topics: []string{"a/{thing}"}, Protocol: "json", Owner: "plant", Rebirth: &no}
	if err := json.Validate(r.g.protocols); err == nil || !strings.Contains(err.Error(), "rebirth") {
		t.Error(err)
	}
}

// A node that does not listen is not sent anything, and nothing but Sparkplug's commands can be subscribed to.
func TestOnlySparkplugNodesSubscribe(t *testing.T) {
	r := newRig(t, func(c *Config, _ *normalize.Options) {
		c.Sources = []Source{{Name: "plant", Topics: []string{"spBv1.0/#"}, Protocol: "sparkplug", Owner: "plant"}}
	})
	n := &edgeNode{t: t, c: dialAs(t, r.g.Addr().String(), "deaf")}
	n.data(21)
	if got := testutil.ToFloat64(r.g.metrics.asked.WithLabelValues("plant", askUnsubscribed)); got != 1 {
		t.Errorf("%v counted", got)
	}
	for filter, granted := range map[string]bool{"#": false, "situ/v1/#": false, "spBv1.0/plant/NCMD/deaf": true} {
		tok := n.c.Subscribe(filter, 1, nil).(*paho.SubscribeToken)
		if !tok.WaitTimeout(time.Minute) || tok.Result()[filter] < 3 != granted {
			t.Errorf("%s: %v", filter, tok.Result())
		}
	}
}
