package gateway

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// keeper is a source that keeps, and one that does not.
func keeper() []Source {
	return []Source{
		{Name: "acme", Topics: []string{"acme/{thing}/up"}, Owner: "acme", Protocol: "json", Keep: keepRaw},
		{Name: "other", Topics: []string{"other/{thing}/up"}, Owner: "other", Protocol: "json"},
	}
}

// recorded gives what the spools hold, once they hold so many messages.
func (r *rig) recorded(n int) (list []sensor.LoggedPayload, messages int) {
	r.t.Helper()
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		s := r.spools[lane]
		ctx, stop := context.WithTimeout(r.t.Context(), time.Minute)
		defer stop()
		if lane == sensor.Live {
			if err := s.Wait(ctx, uint64(n)); err != nil {
				r.t.Fatal(err)
			}
		}
		at, err := s.NewReader(1)
		if err != nil {
			r.t.Fatal(err)
		}
		var b sensor.Batch
		for {
			seq, body, err := at.Next()
			if err == io.EOF {
				break
			}
			var m sensor.Message
			if err == nil {
				err = sensor.DecodeMessage(&m, body)
			}
			if err != nil {
				r.t.Fatal(err)
			}
			b.Add(s.Producer(), seq, &m)
		}
		_ = at.Close()
		list, messages = append(list, b.Payloads...), messages+b.Messages
	}
	return list, messages
}

// Whatever QoS it has and whatever becomes of it, a payload is kept as it came where its topic says so, and nowhere else.
func TestPayloadsAreKeptAsTheyCame(t *testing.T) {
	r := newRig(t, func(c *Config, _ *normalize.Options) {
		c.Sources, c.KeepRaw = keeper(), []string{"situ/v1/eco/+/hj212", "situ/v1/city/#"}
	})
	c := r.connect("", "")
	old := time.Now().Add(-72 * time.Hour).UnixMilli()
	kept := map[string]string{} // payload: topic
	n := 0
	for _, p := range []struct {
		topic, payload string
		qos            byte
		kept           bool
	}{
		{"acme/a/up", `{"temperature": 20}`, 0, true},
		{"acme/a/up", `{"temperature": 21}`, 1, true},
		{"acme/a/up", `{"temperature": 22}`, 2, true},
		{"acme/a/up", `{}`, 1, true},                                                                   // no values
		{"acme/a/up", "{broken \xff", 1, true},                                                         // a dead letter
		{"acme/a/up", fmt.Sprintf(`{"t": %d, "temperature": 23}`, old), 1, true},                       // backfill
		{"acme/a/up", fmt.Sprintf(`[{"t": %d, "temperature": 24},{"temperature": 25}]`, old), 1, true}, // both lanes
		{"other/a/up", `{"temperature": 26}`, 1, false},
		{"situ/v1/eco/b/json", `{"temperature": 27}`, 1, false},
		{"situ/v1/eco/b/hj212", "##0008ST=99;XX", 1, true},
		{"situ/v1/city/b/json", `{"temperature": 28}`, 1, true},
		{"acme/a/up", strings.Repeat(" ", MaxPayload+1), 1, false}, // its dead letter has it
	} {
		tok := c.Publish(p.topic, p.qos, false, p.payload)
		if !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
		if n++; p.kept {
			kept[p.payload] = p.topic
		}
	}
	list, messages := r.recorded(n - 1) // one is in backfill alone
	if messages != n+1 || len(list) != len(kept)+1 {
		t.Errorf("%d messages, %d payloads; want %d and %d", messages, len(list), n+1, len(kept)+1)
	}
	parts := map[sensor.Part]int{}
	for _, k := range list {
		if topic, ok := kept[string(k.Payload)]; !ok || k.Topic != topic || k.Size != len(k.Payload) {
			t.Errorf("%+v", k)
		}
		parts[k.Part]++
		if k.Part != sensor.Whole && (k.Part == sensor.BackfillPart) != (k.Lane == sensor.Backfill) {
			t.Errorf("part %d is in lane %s", k.Part, k.Lane)
		}
		if k.Source == "acme" && (k.Named != "acme/a" || k.Protocol != "json") || k.Source == "" && !strings.HasPrefix(k.Topic, ownPrefix) {
			t.Errorf("%+v", k)
		}
	}
	if parts[sensor.LivePart] != 1 || parts[sensor.BackfillPart] != 1 {
		t.Errorf("parts %v", parts)
	}
}

// A configuration that cannot mean what it says is refused.
func TestKeepIsChecked(t *testing.T) {
	s := keeper()
	s[0].Keep = "yes"
	if err := CheckSources(s, all.Protocols()); err == nil || !strings.Contains(err.Error(), "want raw") {
		t.Errorf("%v", err)
	}
	for _, f := range []string{"acme/#", "situ/v1/#/x", ""} {
		if err := CheckKeep([]string{f}); err == nil {
			t.Errorf("%q was taken", f)
		}
	}
	if err := CheckKeep([]string{"situ/v1/#", "situ/v1/+/+/hj212"}); err != nil {
		t.Error(err)
	}
}

// Keeping nothing costs nothing; keeping costs no allocation more.
func BenchmarkBuildKept(b *testing.B) {
	for name, keep := range map[string][]string{"nothing": nil, "raw": {"situ/v1/#"}} {
		b.Run(name, func(b *testing.B) {
			w := benchWorker(b, keep)
			payload := []byte(`{"temperature": 21.5, "humidity": 63}`)
			from := sensor.Origin{Client: "c"}
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				w.build("situ/v1/a/b/json", payload, from)
				w.body = sensor.AppendMessage(w.body[:0], &w.live)
				w.shrink()
			}
		})
	}
}

// benchWorker is a connection's, without a listener and spools.
func benchWorker(tb testing.TB, keep []string) *worker {
	tb.Helper()
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		tb.Fatal(err)
	}
	g := &Gateway{cfg: Config{Clock: time.Now, KeepRaw: keep, Normalizer: func() *normalize.Normalizer {
		return normalize.New(normalize.Options{Catalogue: catalogue, AutoRegister: true, Ledger: func() normalize.Ledger { return nothing{} }})
	}}, protocols: byName(all.Protocols()), metrics: newMetrics(prometheus.NewRegistry(), func() float64 { return 0 }),
		room: normalize.NewRoom(DefaultPrepared), memory: normalize.NewMemory(DefaultPrepared)}
	g.embedded.Store(newEmbedded(nil))
	return g.newWorker(nil)
}

// nothing is a ledger in which nothing is.
type nothing struct{}

func (nothing) Version() uint64                                   { return 1 }
func (nothing) Thing(sensor.ThingID) (*sensor.Thing, bool)        { return nil, false }
func (nothing) Serial(string, string) (sensor.ThingID, bool)      { return "", false }
func (nothing) DatastreamsOf(sensor.ThingID) []*sensor.Datastream { return nil }
