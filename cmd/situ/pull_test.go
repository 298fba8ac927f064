package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/peers"
)

// Readings of somebody's broker: killed at any instant, situ takes up where the broker knows it stopped, and every
// message that the broker had acknowledged to its sender is in history, once.
func TestPullKilledAnytime(t *testing.T) {
	needEngine(t)
	addr := peers.Mosquitto(t, "").Addr()
	data := apptest.Dir(t)
	config := filepath.Join(t.TempDir(), "situ.yaml")
	text := fmt.Sprintf("auto-register: true\nsources:\n- {name: plant, broker: 'tcp://%s', topics: ['factory/{thing}/up'], protocol: json, owner: plant}\n", addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l := start(t, data, "--config", config) // subscribes, so that the broker keeps what comes while situ is away
	apptest.Until(t, apptest.AckTimeout, func() string {
		if l.Metric(t, "situ_gateway_pull_up", `source="plant"`) != 1 {
			return "not subscribed"
		}
		return ""
	})
	c, err := apptest.Dial(addr, "plant", "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(50)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	base := time.Now().Add(-time.Hour).UnixMilli()
	const rounds, each = 3, 3000
	for round := range rounds {
		var tokens []paho.Token
		for i := range each {
			n := round*each + i
			tokens = append(tokens, c.Publish(fmt.Sprintf("factory/p%d/up", n%5), 1, false, fmt.Sprintf(`{"t":%d,"temperature":%d}`, base+int64(n), n%50)))
		}
		pause(random, 400)
		l.kill()
		for _, tok := range tokens {
			if !tok.WaitTimeout(apptest.AckTimeout) || tok.Error() != nil {
				t.Fatal("the broker does not acknowledge: ", tok.Error())
			}
		}
		l = start(t, data, "--config", config)
	}
	l.WaitReady(t)
	apptest.Until(t, time.Minute, func() string {
		r := l.SQL(t, "SELECT count() AS n, uniqExact(phenomenon_time) AS instants FROM history WHERE owner = 'plant'")[0]
		if r.Int(t, "instants") < rounds*each {
			return fmt.Sprintf("SQL has %v, %d were published", r, rounds*each)
		}
		if r.Int(t, "n") != rounds*each {
			t.Fatalf("SQL has %v, %d were published", r, rounds*each)
		}
		return ""
	})
	raw := l.Store(t, "SELECT count() AS n, uniqExact(gateway, epoch, lane, seq, idx) AS identities FROM situ.observations")[0]
	t.Logf("%d messages, %v delivered and stored", rounds*each, raw["n"])
	if raw.String("n") != raw.String("identities") {
		t.Errorf("rows and identities: %v", raw)
	}
}
