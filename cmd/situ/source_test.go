package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/peers"
)

// Somebody's broker sends numbered messages without pause while the mapping in the configuration file is written anew
// several times, once wrongly: each message that the broker took is in the tables exactly once, by one of the rules; and
// so for a foreign topic of the embedded front.
func TestMappingChangesWhileMessagesCome(t *testing.T) {
	needEngine(t)
	addr := peers.Mosquitto(t, "").Addr()
	config := filepath.Join(t.TempDir(), "situ.yaml")
	write := func(rule string) {
		t.Helper()
		values := "time: payload.t, values: [{property: count, value: " + rule + "}]}\n"
		text := "auto-register: true\nsources:\n" +
			fmt.Sprintf("- {name: plant, broker: 'tcp://%s', topics: ['factory/{line}/{press}/up'], thing: '{line}-{press}', protocol: json, owner: plant, ", addr) + values +
			"- {name: acme, topics: ['acme/{thing}'], protocol: json, owner: acme, " + values
		if err := os.WriteFile(config+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(config+".new", config); err != nil {
			t.Fatal(err)
		}
	}
	write("payload.n * 10")
	l := start(t, apptest.Dir(t), "--config", config)
	wait := func(what string, ok func() bool) {
		t.Helper()
		apptest.Until(t, time.Minute, func() string {
			if ok() {
				return ""
			}
			return "not " + what
		})
	}
	reloads := func(result string) float64 { return l.Metric(t, "situ_config_reloads_total", `result="`+result+`"`) }
	wait("subscribed", func() bool { return l.Metric(t, "situ_gateway_pull_up", `source="plant"`) == 1 })

	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	var sent [2]atomic.Int64
	base := time.Now().UnixMilli()
	for i, to := range []struct{ addr, topic string }{{addr, "factory/l1/p7/up"}, {l.MQTT, "acme/a1"}} {
		c, err := apptest.Dial(to.addr, "numbers", "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Disconnect(50)
		senders.Go(func() {
			for n := int64(0); ctx.Err() == nil; n++ {
				tok := c.Publish(to.topic, 1, false, fmt.Sprintf(`{"t":%d,"n":%d}`, base-n, n))
				if !tok.WaitTimeout(apptest.AckTimeout) || tok.Error() != nil {
					t.Error("not acknowledged: ", tok.Error())
					return
				}
				sent[i].Store(n + 1)
			}
		})
	}
	const rules = 3
	for rule := 1; rule <= rules; rule++ {
		if rule == 2 {
			write("payload.n * ")
			wait("refused", func() bool { return reloads("refused") == 1 })
		}
		write(fmt.Sprintf("payload.n * 10 + %d", rule))
		if rule != 2 { // that one is found by itself
			if err := l.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
		wait("reloaded", func() bool { return reloads("applied") == float64(rule) })
		from := sent[0].Load()
		wait("sent", func() bool { return sent[0].Load() > from+50 })
	}
	stop()
	senders.Wait()
	total := sent[0].Load() + sent[1].Load()
	if refused := l.Metric(t, "situ_config_refused"); refused != 0 {
		t.Error("the configuration is still called refused")
	}
	l.WaitReady(t)
	wait("stored", func() bool { return l.Store(t, "SELECT count() AS n FROM situ.observations")[0].Int(t, "n") >= total })
	q := l.Store(t, `SELECT count() AS n, uniqExact(thing, phenomenon_time) AS times, uniqExact(thing) AS things, uniqExact(thing, intDiv(toInt64(result), 10)) AS numbers,
		uniqExact(toInt64(result) % 10) AS rules, max(toInt64(result) % 10) AS last FROM situ.observations`)[0]
	for column, want := range map[string]int64{"n": total, "times": total, "things": 2, "numbers": total, "rules": rules + 1, "last": rules} {
		if got := q.Int(t, column); got != want {
			t.Errorf("%s: %d, want %d (%v)", column, got, want, q)
		}
	}
	if n := l.Store(t, "SELECT count() AS n FROM situ.deadletters")[0].Int(t, "n"); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	t.Logf("%d messages, %v", total, q)
}

// Every configuration in docs/sources.md works, and every payload there is stored as a whole.
func TestDocumentedSources(t *testing.T) {
	text, err := os.ReadFile("../../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config, payload := filepath.Join(dir, "situ.yaml"), filepath.Join(dir, "payload")
	configs, payloads := 0, 0
	blocks := regexp.MustCompile("(?s)```(yaml|json|text)\n(.*?)```").FindAllSubmatchIndex(text, -1)
	for _, b := range blocks {
		kind, body := string(text[b[2]:b[3]]), text[b[4]:b[5]]
		check := sourceCheckCmd{File: config, Arrival: "2026-11-24T00:30:00Z"}
		path := payload
		if kind == "yaml" {
			configs, path = configs+1, config
		} else {
			topics := regexp.MustCompile("topic `([^`]+)`:").FindAllSubmatch(text[:b[0]], -1)
			payloads, check.Payload, check.Topic = payloads+1, payload, string(topics[len(topics)-1][1])
		}
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := check.run(nil, &out); err != nil {
			t.Errorf("%v\n%s\n%s", err, body, &out)
		}
		if kind != "yaml" && strings.Contains(out.String(), "unit unknown") && !strings.Contains(out.String(), "ch1") {
			t.Errorf("a name is not in the catalogue:\n%s", &out)
		}
	}
	if configs < 4 || payloads < 3 {
		t.Errorf("only %d configurations and %d payloads were found", configs, payloads)
	}
}
