package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/peers"
	"github.com/situ-city/situ/pkg/sensor"
)

// withCanary lets a gateway's canary sing every few milliseconds; nothing else is registered or taken.
func withCanary(file string) func(*Config, *normalize.Options) {
	return func(c *Config, no *normalize.Options) {
		any := *no
		any.AutoRegister, any.Class = true, sensor.Government
		no.AutoRegister = false
		c.Anonymous = false
		c.Canary = Canary{Every: 5 * time.Millisecond, File: file, Normalizer: func() *normalize.Normalizer { return normalize.New(any) }}
	}
}

// songs waits until the canary has sung so often, and gives what the log has of it: numbers and acknowledged ones.
func songs(t *testing.T, r *rig, n int) (numbers, acked []uint64) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for len(r.messages(sensor.Live)) < n {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute the log has %d messages, want %d", len(r.messages(sensor.Live)), n)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
	sequence, acknowledged := sensor.CanaryStreams(sensor.CanaryThing("gw"))
	for i, m := range r.messages(sensor.Live) {
		if len(m.Observations) != 2 || m.Observations[0].Datastream != sequence || m.Observations[1].Datastream != acknowledged ||
			m.Observations[0].Thing != sensor.CanaryThing("gw").Key() || m.Observations[0].Lon != sensor.NoPosition || len(m.DeadLetters) != 0 {
			t.Fatalf("message %d is no canary's: %+v", i+1, m)
		}
		numbers = append(numbers, uint64(m.Observations[0].Result))
		acked = append(acked, uint64(m.Observations[1].Result))
	}
	return numbers, acked
}

// chain fails unless numbers rise and each names the acknowledged one before it.
func chain(t *testing.T, numbers, acked []uint64, last uint64) {
	t.Helper()
	for i, n := range numbers {
		if i > 0 && n <= numbers[i-1] {
			t.Errorf("number %d comes after %d", n, numbers[i-1])
		}
		if acked[i] != last {
			t.Errorf("number %d names %d as the acknowledged one, want %d", n, acked[i], last)
		}
		last = n
	}
}

// Over the listener, with a password that nobody else has; after a new start the numbers go on.
func TestCanarySingsOverTheListener(t *testing.T) {
	file := filepath.Join(t.TempDir(), "canary.json")
	r := newRig(t, withCanary(file))
	numbers, acked := songs(t, r, 4)
	chain(t, numbers, acked, 0)
	first := r.messages(sensor.Live)[0]
	if len(first.Declarations) == 0 || first.Declarations[0].Thing == nil || first.Declarations[0].Thing.Class != sensor.Government ||
		first.Declarations[0].Thing.Grade != sensor.Restricted || first.Declarations[0].Thing.Placed {
		t.Errorf("it declares itself as %+v", first.Declarations)
	}
	o := paho.NewClientOptions().AddBroker("tcp://" + r.g.Addr().String()).SetClientID("x").SetUsername(canaryUser).SetPassword("guess").SetAutoReconnect(false)
	c := paho.NewClient(o)
	if tok := c.Connect(); tok.Wait() && tok.Error() == nil {
		t.Error("a guessed password was taken")
	}
	c.Disconnect(0)
	if scope, ok := r.g.canary.admits(canaryUser, []byte(r.g.canary.password)); !ok || scope.AllowsTopic("situ/v1/ecology/x/json") {
		t.Errorf("the canary may publish as others: %q", scope)
	}
	r.stop()
	last := r.g.canary.state

	again := newRig(t, withCanary(file))
	numbers, acked = songs(t, again, 3)
	if numbers[0] != last.Next {
		t.Errorf("it goes on with %d, want %d", numbers[0], last.Next)
	}
	chain(t, numbers, acked, last.Acked)
}

func TestCanarySingsWithoutAListener(t *testing.T) {
	r := newRig(t, func(c *Config, no *normalize.Options) {
		withCanary(filepath.Join(t.TempDir(), "canary.json"))(c, no)
		c.Listen = ""
	})
	numbers, acked := songs(t, r, 4)
	chain(t, numbers, acked, 0)
}

// TLS with a certificate for the devices' name of the gateway; any other certificate is not its own.
func TestCanarySingsOverTLS(t *testing.T) {
	server := &tls.Config{Certificates: []tls.Certificate{certificate(t, "mqtt.example")}}
	r := newRig(t, func(c *Config, no *normalize.Options) {
		withCanary(filepath.Join(t.TempDir(), "canary.json"))(c, no)
		c.TLS = server
	})
	numbers, acked := songs(t, r, 3)
	chain(t, numbers, acked, 0)
	other := ownCertificate(&tls.Config{Certificates: []tls.Certificate{certificate(t, "mqtt.example")}})
	if conn, err := tls.Dial("tcp", r.g.Addr().String(), other); err == nil {
		conn.Close()
		t.Error("another one's certificate was taken for its own")
	}
}

func certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Through somebody's broker and back, where the source says that it may.
func TestCanarySingsThroughASource(t *testing.T) {
	m := peers.Mosquitto(t, "")
	r := newRig(t, func(c *Config, no *normalize.Options) {
		withCanary(filepath.Join(t.TempDir(), "canary.json"))(c, no)
		c.Canary.Every = 50 * time.Millisecond
		c.Listen = ""
		c.Sources = []Source{{Name: "city", Broker: "tcp://" + m.Addr(), Topics: []string{"situ/v1/#"}, Canary: true}}
	})
	numbers, _ := songs(t, r, 3)
	for i := 1; i < len(numbers); i++ {
		if numbers[i] <= numbers[i-1] {
			t.Errorf("numbers %v", numbers)
		}
	}
}

// Numbers that cannot be read, and a source that would not bring the canary back, stop the start with a text.
func TestCanaryRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "canary.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	cfg := r.g.cfg
	cfg.Listen = ""
	for name, c := range map[string]struct {
		canary Canary
		source Source
		says   string
	}{
		"damaged numbers": {canary: Canary{Every: time.Second, File: file}, says: "delete it"},
		"one-way source": {canary: Canary{Every: time.Second, File: filepath.Join(t.TempDir(), "n.json")},
			source: Source{Name: "city", Broker: "tcp://127.0.0.1:1", Topics: []string{"situ/v1/ecology/#"}, Canary: true}, says: "add situ/v1/#"},
	} {
		g := &Gateway{cfg: cfg, spools: r.spools}
		var sources []Source
		if c.source.Name != "" {
			sources = []Source{c.source}
		}
		if err := g.openCanary(c.canary, sources); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
