package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/app/apptest"
)

// Surroundings in which situ cannot start: each is said in one sentence that names the setting, with its exit code, and
// what runs beside it goes on.
func TestRunIsRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().String()
	used := apptest.Dir(t)
	first := start(t, used, "--auto-register", "--history", "off")
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cases := []struct {
		name string
		data string // "" = a fresh one
		args []string
		exit int
		says []string
	}{
		{"data directory in use", used, nil, 78, []string{"another situ is running on " + used, "--data"}},
		{"HTTP port in use", "", []string{"--http", port}, 78, []string{"--http", port, "address already in use", "give another"}},
		{"MQTT port in use", "", []string{"--mqtt", port}, 78, []string{"--mqtt", port, "address already in use", "give another"}},
		{"ClickHouse port in use", "", []string{"--clickhouse-http", port}, 78, []string{"--clickhouse-http", port, "address already in use"}},
		{"data directory is a file", file("data", ""), nil, 78, []string{"data directory"}},
		{"key too short", "", []string{"--admin-key", "short"}, 78, []string{"--admin-key", "at least 16 characters"}},
		{"certificate that is not there", "", []string{"--tls-cert", "no.pem", "--tls-key", "no.key"}, 78, []string{"--tls-cert", "no such file"}},
		{"HTTP beyond loopback", "", []string{"--http", "0.0.0.0:0"}, 2, []string{"--http 0.0.0.0:0", "--tls-cert", "--insecure"}},
		{"certificate without key", "", []string{"--tls-cert", "a.pem"}, 2, []string{"--tls-cert and --tls-key belong together"}},
		{"unknown flag", "", []string{"--htpp", port}, 2, []string{"unknown flag --htpp"}},
		{"misspelt setting in the file", "", []string{"--config", file("situ.yaml", "htpp: 127.0.0.1:0\n")}, 2, []string{"situ.yaml", `"htpp"`, "no setting"}},
		{"file that is no YAML", "", []string{"--config", file("situ.yaml", "http: [\n")}, 2, []string{"situ.yaml", "yaml"}},
		{"file that is not there", "", []string{"--config", "/nonexistent.yaml"}, 2, []string{"/nonexistent.yaml", "no such file"}},
		{"setting of a wrong kind in the file", "", []string{"--config", file("situ.yaml", "demo-things: many\n")}, 2, []string{"demo-things", "many"}},
		{"source without topics", "", []string{"--config", file("situ.yaml", "sources:\n- {name: plant, broker: 'tcp://127.0.0.1:1', protocol: json, owner: plant}\n")}, 2,
			[]string{`source configuration "plant"`, "topics is empty"}},
		{"source with a misspelt setting", "", []string{"--config", file("situ.yaml", "sources:\n- {name: plant, brocker: 'tcp://127.0.0.1:1'}\n")}, 2, []string{"brocker"}},
		{"spool smaller than the least", "", []string{"--spool-bytes", "1000"}, 2, []string{"--spool-bytes 1000", "67108864"}},
		{"memory for less than its queues", "", []string{"--memory-limit", "100000000"}, 2, []string{"--memory-limit 100000000", "268435456"}},
		{"more connections than memory", "", []string{"--memory-limit", "268435456", "--max-connections", "5000"}, 2, []string{"--max-connections 5000", "--memory-limit 268435456", "2048"}},
		{"nothing could ever arrive", "", []string{"--mqtt", ""}, 2, []string{"--mqtt is empty"}},
		{"demo without MQTT", "", []string{"--mqtt", "", "--demo"}, 2, []string{"--demo needs --mqtt"}},
		{"no history, and a server for it", "", []string{"--history", "off", "--clickhouse", "clickhouse://127.0.0.1"}, 2, []string{"--history off and --clickhouse disagree"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.data == "" {
				c.data = apptest.Dir(t)
			}
			l := begin(t, c.data, c.args...)
			<-l.ended
			said := l.log.String()
			if l.exit != c.exit {
				t.Errorf("exit code %d, want %d", l.exit, c.exit)
			}
			if !strings.HasPrefix(said, "situ: ") && !strings.Contains(said, "\nsitu: ") {
				t.Errorf("stderr has no line that begins with 'situ: '")
			}
			for _, w := range c.says {
				if !strings.Contains(said, w) {
					t.Errorf("stderr does not say %q", w)
				}
			}
			if n := strings.Count(said, "situ: "); n > 1 {
				t.Errorf("said %d times", n)
			}
			if t.Failed() {
				t.Log(said)
			}
		})
	}
	first.Publish(t, "situ/v1/me/shed/json", `{"temperature":21.5}`)
	apptest.Until(t, apptest.AckTimeout, func() string {
		if a := first.Do(t, apptest.Key, "GET", "/v1/things/me/shed", ""); a.Status != 200 || !strings.Contains(a.Body, "21.5") {
			return "the first situ does not show what it was told: " + a.Body
		}
		return ""
	})
	if code := first.stop(t); code != 0 {
		t.Errorf("the first situ ended with %d", code)
	}
}
