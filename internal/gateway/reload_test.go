package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/mapped"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/peers"
	"github.com/situ-city/situ/pkg/sensor"
)

// scaled is the plant's source by rule number k: value n arrives as n*10 + k, on both its topics.
func scaled(addr string, k int) []Source {
	return []Source{{Name: "plant", Broker: addr, Topics: []string{"factory/{thing}/up"}, Protocol: "json", Owner: "plant",
		Mapping: mapped.Mapping{Time: "payload.t", Values: []mapped.Value{{Property: "count", Value: fmt.Sprintf("payload.n * 10 + %d", k)}}}}}
}

// Messages with numbers come in without pause while the rules change again and again: each is stored exactly once, by one
// of the rules, and none by a rule that was gone before it was sent.
func TestReloadLosesNothing(t *testing.T) {
	for name, k := range map[string]struct {
		embedded bool
		change   func(s *Source, k int) // beside the rule
	}{
		"embedded": {embedded: true},
		"rules":    {},
		"topics":   {change: func(s *Source, k int) { s.Topics = append(s.Topics, fmt.Sprintf("more/%d/{thing}", k)) }},
		"session":  {change: func(s *Source, k int) { s.User = fmt.Sprintf("user%d", k) }}, // connects anew
		"away and back": {change: func(s *Source, k int) {
			if k%2 == 1 {
				s.Name, s.Client = "elsewhere", "situ-gw-elsewhere" // another session; the first one waits for the next change
				s.Topics = []string{"nothing/{thing}"}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			broker := ""
			if !k.embedded {
				broker = "tcp://" + peers.Mosquitto(t, "").Addr()
			}
			sources := func(rule int) []Source {
				s := scaled(broker, rule)
				if k.change != nil {
					k.change(&s[0], rule)
				}
				return s
			}
			r := newRig(t, func(c *Config, _ *normalize.Options) { c.Sources = sources(0) })
			to := strings.TrimPrefix(broker, "tcp://")
			if k.embedded {
				to = r.g.Addr().String()
			} else {
				r.subscribed(t)
			}
			const rules = 8
			n := numbered(t, to, func(sent func() int) {
				for rule := 1; rule <= rules; rule++ {
					must(t, r.g.Reload(t.Context(), sources(rule)))
					from, some := sent(), 50+rand.IntN(300)
					eventually(t, "sent", func() bool { return sent() >= from+some })
				}
			})
			var seen map[int64]int
			eventually(t, "all arrived", func() bool { seen = r.seen(); return len(seen) >= n })
			by := map[int]int{}
			for _, m := range r.messages(sensor.Live) {
				if len(m.DeadLetters) > 0 {
					t.Errorf("dead letter %+v", m.DeadLetters[0])
				}
				for i := range m.Observations {
					o := &m.Observations[i]
					number, rule := int(o.Result)/10, int(o.Result)%10
					if o.Result != float64(number*10+rule) || rule > rules {
						t.Errorf("value %v", o.Result)
					}
					by[rule]++
				}
			}
			for at, times := range seen {
				if times != 1 {
					t.Errorf("the reading of %d is there %d times", at, times)
				}
			}
			t.Logf("%d messages, by rule %v", n, by)
			if len(by) < 2 {
				t.Errorf("only the rules %v were seen: the test tests nothing", by)
			}
			if drops := testutil.ToFloat64(r.g.metrics.pullDrops.WithLabelValues("plant")); drops != 0 {
				t.Errorf("%v connections lost", drops)
			}
		})
	}
}

// numbered publishes messages with QoS 1, n counting up, until during returns; all are acknowledged.
func numbered(t *testing.T, addr string, during func(sent func() int)) int {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var sender sync.WaitGroup
	var sent atomic.Int64
	n := 0
	c := dialAs(t, addr, "numbered")
	base := time.Now().UnixMilli()
	sender.Go(func() {
		for ctx.Err() == nil {
			tok := c.Publish("factory/press-1/up", 1, false, fmt.Sprintf(`{"t":%d,"n":%d}`, base-int64(n), n))
			n++
			sent.Store(int64(n))
			if n%16 == 0 && (!tok.WaitTimeout(time.Minute) || tok.Error() != nil) {
				t.Error("not acknowledged: ", tok.Error())
				return
			}
		}
		if tok := c.Publish("factory/press-1/up", 1, false, fmt.Sprintf(`{"t":%d,"n":%d}`, base-int64(n), n)); !tok.WaitTimeout(time.Minute) {
			t.Error("the last one was not acknowledged")
		}
		n++
	})
	during(func() int { return int(sent.Load()) })
	stop()
	sender.Wait()
	return n
}

// A configuration that cannot work changes nothing.
func TestReloadRefuses(t *testing.T) {
	r := newRig(t, func(c *Config, _ *normalize.Options) { c.Sources = scaled("", 1) })
	bad := append(scaled("", 2), Source{Name: "x", Where: "situ.yaml:9", Topics: []string{"a/{thing}"}, Owner: "x", Protocol: "json",
		Mapping: mapped.Mapping{Values: []mapped.Value{{Property: "v", Value: "item."}}}})
	err := r.g.Reload(t.Context(), bad)
	if want := `situ.yaml:9: source configuration "x": mapping: values[0].value: column 5`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Fatalf("%v, want %s", err, want)
	}
	if err := r.g.Reload(t.Context(), append(scaled("", 2), scaled("", 3)...)); err == nil || !strings.Contains(err.Error(), "two sources") {
		t.Error(err)
	}
	publish(t, r.connect("", ""), "factory/press-1/up", `{"n":1}`)
	if m := r.messages(sensor.Live); len(m) != 1 || len(m[0].Observations) != 1 || m[0].Observations[0].Result != 11 {
		t.Errorf("%+v", m)
	}
}

// A plug-in that is exchanged under the same name is another source: a reload takes it, for the connections that are there
// and for those that come, and no message is lost. Until then nobody sees the new file, not even a connection that comes.
func TestReloadTakesAnotherPlugin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plugin.wasm")
	put := func(name string) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "plugins", name))
		must(t, err)
		must(t, os.WriteFile(path+".new", b, 0o600), os.Rename(path+".new", path))
	}
	for name, pulled := range map[string]bool{"embedded": false, "mosquitto": true} {
		t.Run(name, func(t *testing.T) {
			put("acme.wasm")
			source := Source{Name: "plant", Topics: []string{"factory/{thing}/up"}, Owner: "plant", Protocol: "wasm",
				Settings: decode.Settings{Plugin: decode.Plugin{File: path}}}
			addr := ""
			if pulled {
				addr = peers.Mosquitto(t, "").Addr()
				source.Broker = "tcp://" + addr
			}
			r := newRig(t, func(c *Config, _ *normalize.Options) { c.Sources = []Source{source} })
			if pulled {
				r.subscribed(t)
			} else {
				addr = r.g.Addr().String()
			}
			c := dialAs(t, addr, "numbered")
			const report = "\x01\x00\x00\x00\x07\x69\xa3\xb8\x00\x09\x24\x3d\x0e\x10" // by acme.wasm three values; hostile.wasm sees its case 1
			n := 0
			send := func(client paho.Client) {
				t.Helper()
				publish(t, client, "factory/press-1/up", report)
				n++
			}
			read := func() (byAcme, byOther int) {
				eventually(t, "all arrived", func() bool {
					byAcme, byOther = 0, 0
					for _, m := range append(r.messages(sensor.Live), r.messages(sensor.Backfill)...) {
						if len(m.Observations) == 3 {
							byAcme++
						} else if len(m.DeadLetters) > 0 {
							byOther++
						}
					}
					return byAcme+byOther >= n
				})
				return byAcme, byOther
			}
			for range 10 {
				send(c)
			}
			put("hostile.wasm")
			send(c)
			send(dialAs(t, addr, "another"))
			if acme, other := read(); acme != n || other != 0 {
				t.Fatalf("before the reload %d and %d of %d", acme, other, n)
			}
			must(t, r.g.Reload(t.Context(), []Source{source}))
			old := n
			for range 10 {
				send(c)
			}
			send(dialAs(t, addr, "third"))
			if acme, other := read(); acme != old || other != n-old {
				t.Errorf("after it %d and %d, want %d and %d", acme, other, old, n-old)
			}
			must(t, os.WriteFile(path, []byte("half"), 0o600))
			if err := r.g.Reload(t.Context(), []Source{source}); err == nil {
				t.Error("half a module is taken")
			}
			send(dialAs(t, addr, "fourth"))
			if acme, other := read(); acme != old || other != n-old {
				t.Errorf("after a refused one %d and %d, want %d and %d", acme, other, old, n-old)
			}
		})
	}
}
