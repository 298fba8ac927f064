package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestMain(m *testing.M) {
	if args := os.Getenv(pullChildEnv); args != "" {
		os.Exit(pullChild(args))
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/mochi-mqtt/server/v2.(*Server).eventLoop"))
}

// rig is a gateway on real spools, a real registry and a real listener.
type rig struct {
	t        *testing.T
	g        *Gateway
	reg      *registry.Registry
	spools   map[sensor.Lane]*spool.Spool
	password string
	stop     func()
}

func newRig(t *testing.T, change func(*Config, *normalize.Options)) *rig {
	t.Helper()
	return rigIn(t, t.TempDir(), change)
}

// rigIn is newRig on the data of an earlier life.
func rigIn(t *testing.T, dir string, change func(*Config, *normalize.Options)) *rig {
	t.Helper()
	cat, err := sensor.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	div, err := geo.LoadDivisions()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, spools: map[sensor.Lane]*spool.Spool{}}
	if r.reg, err = registry.Open(t.Context(), filepath.Join(dir, "registry.sqlite"), registry.Options{Catalogue: cat, Divisions: div}); err != nil {
		t.Fatal(err)
	}
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		if r.spools[lane], err = spool.Open(spool.Config{Dir: filepath.Join(dir, lane.String()), Gateway: "gw", Lane: lane}); err != nil {
			t.Fatal(err)
		}
	}
	if r.password, err = r.reg.IssueCredential(t.Context(), "ecology", "ecology"); err != nil {
		t.Fatal(err)
	}
	no := normalize.Options{Catalogue: cat, Divisions: div, AutoRegister: true, Ledger: func() normalize.Ledger { return r.reg.Snapshot() }}
	cfg := Config{Listen: "127.0.0.1:0", Anonymous: true, Credentials: r.reg, Protocols: all.Protocols(), Spools: r.spools,
		Normalizer: func() *normalize.Normalizer { return normalize.New(no) },
		Logger:     slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()}
	if change != nil {
		change(&cfg, &no)
	}
	if r.g, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.g.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, s := range r.spools {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := r.reg.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func (r *rig) connect(user, password string) paho.Client {
	r.t.Helper()
	o := paho.NewClientOptions().AddBroker("tcp://" + r.g.Addr().String()).SetClientID("t-" + user).SetAutoReconnect(false).
		SetUsername(user).SetPassword(password)
	c := paho.NewClient(o)
	if tok := c.Connect(); tok.Wait() && tok.Error() != nil {
		r.t.Fatal(tok.Error())
	}
	r.t.Cleanup(func() { c.Disconnect(50) })
	return c
}

func publish(t *testing.T, c paho.Client, topic, payload string) {
	t.Helper()
	tok := c.Publish(topic, 1, false, payload)
	if !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatalf("publish to %s was not acknowledged: %v", topic, tok.Error())
	}
}

// messages reads back what a lane's spool holds.
func (r *rig) messages(lane sensor.Lane) (list []sensor.Message) {
	r.t.Helper()
	rd, err := r.spools[lane].NewReader(1)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rd.Close()
	_, next := r.spools[lane].Bounds()
	for seq := uint64(1); seq < next; seq++ {
		_, body, err := rd.Next()
		if err != nil {
			r.t.Fatal(err)
		}
		var m sensor.Message
		if err := sensor.DecodeMessage(&m, body); err != nil {
			r.t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

// Everything bad is acknowledged as what it is, counted, kept for its owner, and its good neighbours go on.
func TestBadInputIsData(t *testing.T) {
	r := newRig(t, nil)
	c := r.connect("", "")
	now := time.Now().UnixMilli()
	old, ahead := now-5*86400_000, now+3600_000
	cases := []struct {
		name, topic, payload string
		reason               sensor.Reason // of the dead letter; "" = none
		values               int           // observations in the live lane
		back                 int           // and in the backfill lane
		says                 string        // part of the text
	}{
		{"good", "situ/v1/a/t1/json", `{"lon":106.5,"lat":29.5,"pm2_5":12.5,"temperature":20}`, "", 2, 0, ""},
		{"malformed JSON", "situ/v1/a/t1/json", `{"pm2_5":12.5,`, sensor.ReasonTruncated, 0, 0, "byte"},
		{"not JSON", "situ/v1/a/t1/json", `hello`, sensor.ReasonMalformed, 0, 0, "byte 0"},
		{"NaN", "situ/v1/a/t1/json", `{"pm2_5":NaN}`, sensor.ReasonMalformed, 0, 0, "byte"},
		{"null is absent", "situ/v1/a/t1/json", `{"pm2_5":null,"temperature":1}`, "", 1, 0, ""},
		{"beyond float64", "situ/v1/a/t1/json", `{"pm2_5":1e400,"temperature":2}`, sensor.ReasonNumber, 1, 0, "pm2_5"},
		{"outside the world", "situ/v1/a/t1/json", `{"lon":206.5,"lat":29.5,"temperature":3}`, sensor.ReasonPosition, 0, 0, "206.5"},
		{"swapped", "situ/v1/a/t1/json", `{"lon":29.5,"lat":106.5,"temperature":3}`, sensor.ReasonPosition, 0, 0, "swapped"},
		{"clock ahead", "situ/v1/a/t1/json", fmt.Sprintf(`{"t":%d,"temperature":3}`, ahead), sensor.ReasonTime, 0, 0, "ahead"},
		{"clock never set", "situ/v1/a/t1/json", `{"t":"1999-01-01T00:00:00Z","temperature":3}`, sensor.ReasonTime, 0, 0, "1999"},
		{"five days old", "situ/v1/a/t1/json", fmt.Sprintf(`{"t":%d,"temperature":3}`, old), "", 0, 1, ""},
		{"empty", "situ/v1/a/t1/json", ``, sensor.ReasonEmpty, 0, 0, "no bytes"},
		{"1 MiB and more", "situ/v1/a/t1/json", `{"x":"` + strings.Repeat("y", MaxPayload) + `"}`, sensor.ReasonSize, 0, 0, "1048"},
		{"not UTF-8", "situ/v1/a/t1/json", "{\"pm2_5\":1,\"n\":\"\xff\xfe\"}", sensor.ReasonEncoding, 0, 0, ""},
		{"foreign topic", "factory/7/up", `{"pm2_5":1}`, sensor.ReasonTopic, 0, 0, "situ/v1/{owner}/{thing}/{protocol}"},
		{"unknown protocol", "situ/v1/a/t1/modbus", `{"pm2_5":1}`, sensor.ReasonProtocol, 0, 0, "hj212, homeassistant, json"},
		{"wrong CRC", "situ/v1/a/t2/hj212", "##0101QN=20160801085857223;ST=32;CN=2011;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&a34004-Rtd=3&&FFFF\r\n",
			sensor.ReasonChecksum, 0, 0, "FFFF"},
		{"good again", "situ/v1/a/t1/json", `{"pm2_5":13}`, "", 1, 0, ""},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			live, back := len(r.messages(sensor.Live)), len(r.messages(sensor.Backfill))
			counted := 0.0
			if k.reason != "" {
				counted = testutil.ToFloat64(r.g.metrics.letters.WithLabelValues(string(k.reason)))
			}
			publish(t, c, k.topic, k.payload)
			values, letters := 0, []sensor.DeadLetter(nil)
			for _, m := range r.messages(sensor.Live)[live:] {
				values += len(m.Observations)
				letters = append(letters, m.DeadLetters...)
			}
			backs := 0
			for _, m := range r.messages(sensor.Backfill)[back:] {
				backs += len(m.Observations)
			}
			if values != k.values || backs != k.back {
				t.Errorf("%d live and %d backfilled values, want %d and %d", values, backs, k.values, k.back)
			}
			if k.reason == "" {
				if len(letters) > 0 {
					t.Errorf("dead letters %+v", letters)
				}
				return
			}
			if len(letters) != 1 || letters[0].Reason != k.reason || !strings.Contains(letters[0].Detail, k.says) || letters[0].Detail == "" {
				t.Fatalf("dead letters %+v, want one of reason %s that says %q", letters, k.reason, k.says)
			}
			if strings.HasPrefix(k.topic, "situ/v1/a/") && letters[0].Owner != "a" {
				t.Errorf("the dead letter belongs to %q", letters[0].Owner)
			}
			if letters[0].Size != len(k.payload) || len(letters[0].Payload) != min(len(k.payload), sensor.MaxDeadLetterPayload) {
				t.Errorf("kept %d of %d bytes", len(letters[0].Payload), letters[0].Size)
			}
			if now := testutil.ToFloat64(r.g.metrics.letters.WithLabelValues(string(k.reason))); now != counted+1 {
				t.Errorf("counter of %s went from %g to %g", k.reason, counted, now)
			}
		})
	}
}

func TestCredentialsBindTopics(t *testing.T) {
	r := newRig(t, func(c *Config, _ *normalize.Options) { c.Anonymous = false })
	o := paho.NewClientOptions().AddBroker("tcp://" + r.g.Addr().String()).SetClientID("nobody").SetAutoReconnect(false)
	if tok := paho.NewClient(o).Connect(); tok.Wait() && tok.Error() == nil {
		t.Fatal("connected without credentials")
	}
	c := r.connect("ecology", r.password)
	publish(t, c, "situ/v1/ecology/a/json", `{"pm2_5":1}`)
	publish(t, c, "situ/v1/other/a/json", `{"pm2_5":1}`)
	m := r.messages(sensor.Live)
	if len(m) != 2 || len(m[0].Observations) != 1 || len(m[1].DeadLetters) != 1 || m[1].DeadLetters[0].Reason != sensor.ReasonACL {
		t.Fatalf("got %+v", m)
	}
	if d := m[1].DeadLetters[0]; d.Owner != "ecology" {
		t.Errorf("the dead letter belongs to %q, who did not send it", d.Owner)
	}
}

func TestUnknownThingsWithoutAutoRegister(t *testing.T) {
	r := newRig(t, func(_ *Config, n *normalize.Options) { n.AutoRegister = false })
	c := r.connect("", "")
	publish(t, c, "situ/v1/a/t1/json", `{"pm2_5":1}`)
	if _, err := r.reg.PutThing(t.Context(), &sensor.Thing{ID: "a/t1"}); err != nil {
		t.Fatal(err)
	}
	publish(t, c, "situ/v1/a/t1/json", `{"pm2_5":1,"no_such_thing":2}`)
	m := r.messages(sensor.Live)
	if len(m) != 2 || len(m[0].DeadLetters) != 1 || m[0].DeadLetters[0].Reason != sensor.ReasonThing {
		t.Fatalf("first: %+v", m)
	}
	if len(m[1].Observations) != 1 || len(m[1].DeadLetters) != 1 || m[1].DeadLetters[0].Reason != sensor.ReasonProperty {
		t.Fatalf("second: %+v", m[1])
	}
}

// A message with values on both sides of the two-day rule is acknowledged once, after both its halves are on disk.
func TestBothLanes(t *testing.T) {
	r := newRig(t, nil)
	c := r.connect("", "")
	now := time.Now().UnixMilli()
	for range 20 {
		publish(t, c, "situ/v1/a/t1/json", fmt.Sprintf(`[{"t":%d,"pm2_5":1},{"t":%d,"pm2_5":2}]`, now, now-3*86400_000))
	}
	if l, b := len(r.messages(sensor.Live)), len(r.messages(sensor.Backfill)); l != 20 || b != 20 {
		t.Errorf("%d live and %d backfill messages, want 20 each", l, b)
	}
	for _, m := range r.messages(sensor.Backfill) {
		if o := m.Observations[0]; o.Result != 2 || o.Quality&sensor.Late == 0 || math.IsNaN(o.Result) {
			t.Errorf("got %+v", o)
		}
	}
}

func TestSourceValidation(t *testing.T) {
	protocols := map[string]decode.Protocol{}
	for _, p := range all.Protocols() {
		protocols[p.Name] = p
	}
	for _, k := range []struct {
		s    Source
		says string
	}{
		{Source{}, "no name"},
		{Source{Name: "x"}, "topics is empty"},
		{Source{Name: "x", Topics: []string{"a/#/b"}, Owner: "o", Protocol: "json"}, "'#' must be the last"},
		{Source{Name: "x", Topics: []string{"a/+"}, Protocol: "json"}, "owner is empty"},
		{Source{Name: "x", Topics: []string{"a/+"}, Owner: "o"}, "needs a protocol"},
		{Source{Name: "x", Topics: []string{"a/+"}, Owner: "o", Protocol: "morse"}, "no protocol"},
		{Source{Name: "x", Topics: []string{"a"}, Owner: "o", Protocol: "json", Password: "a", PassFile: "b"}, "both set"},
		{Source{Name: "x", Topics: []string{"a"}, Owner: "o", Protocol: "json", Settings: decode.Settings{Profiles: []decode.Profile{{Decoder: "cayenne"}}}}, "LoRaWAN"},
	} {
		if err := k.s.Validate(protocols); err == nil || !strings.Contains(err.Error(), k.says) {
			t.Errorf("%+v: %v, want %q", k.s, err, k.says)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, k := range []struct {
		pattern, topic, owner, thing string
		ok                           bool
	}{
		{"a/{owner}/{thing}/up", "a/o/t/up", "o", "t", true},
		{"a/+/{thing}", "a/x/t", "", "t", true},
		{"a/#", "a/b/c/d", "", "", true},
		{"a/#", "a", "", "", true},
		{"a/{thing}/#", "a/t", "", "t", true},
		{"a/{thing}", "a/t/x", "", "", false},
		{"a/{thing}/x", "a/t", "", "", false},
		{"a", "b", "", "", false},
	} {
		parts, ok := match(k.pattern, k.topic)
		o, th := parts["owner"], parts["thing"]
		if ok != k.ok || ok && (o != k.owner || th != k.thing) {
			t.Errorf("match(%q, %q) = %q, %q, %v", k.pattern, k.topic, o, th, ok)
		}
	}
}
