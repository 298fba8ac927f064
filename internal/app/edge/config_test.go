package edge

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/gateway"
	"github.com/situ-city/situ/internal/registry"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string // "" = fine
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.AutoRegister = false }, "--mqtt needs --credentials FILE"},
		{func(c *Config) { c.MQTT = "0.0.0.0:1883" }, "--mqtt 0.0.0.0:1883 is reachable from other machines: give --credentials"},
		{func(c *Config) { c.MQTT = ":1883" }, "reachable from other machines"},
		{func(c *Config) { c.MQTT, c.Credentials = "0.0.0.0:1883", "f" }, ""},
		{func(c *Config) { c.AutoRegister, c.Credentials = false, "f" }, ""},
		{func(c *Config) { c.MQTT = "" }, "nothing could ever arrive"},
		{func(c *Config) { c.MQTT, c.File = "", &host.File{Sources: []gateway.Source{{}}} }, ""},
		{func(c *Config) { c.MQTT, c.Credentials, c.File = "", "f", &host.File{Sources: []gateway.Source{{}}} }, "says nothing without --mqtt"},
		{func(c *Config) { c.SpoolBytes = 1 << 20 }, "--spool-bytes 1048576"},
		{func(c *Config) { c.HTTP = "0.0.0.0:8081" }, "--http 0.0.0.0:8081 is reachable"},
		{func(c *Config) { c.Registry = "query:8080" }, "want http://host:port"},
		{func(c *Config) { c.Registry = "http://query:8080" }, "would show the key"},
		{func(c *Config) { c.Registry, c.Insecure = "http://query:8080", true }, ""},
		{func(c *Config) { c.Registry = "https://query:8080" }, ""},
		{func(c *Config) { c.Registry = "http://[::1]:8080" }, ""},
	} {
		cfg := Config{HTTP: "127.0.0.1:0", MQTT: "127.0.0.1:0", AutoRegister: true, Registry: "http://127.0.0.1:8080", RegistryKey: "k",
			SpoolBytes: host.MinSpoolBytes, Kafka: host.Kafka{Brokers: []string{"127.0.0.1:9092"}, Replication: 1}}
		c.change(&cfg)
		err := cfg.check()
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, host.ErrConfig) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// TestAnonymousOnlyAtThisMachine: the one door without a password.
func TestAnonymousOnlyAtThisMachine(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want bool
	}{
		{Config{MQTT: "127.0.0.1:1883", AutoRegister: true}, true},
		{Config{MQTT: "127.0.0.1:1883"}, false},
		{Config{MQTT: "127.0.0.1:1883", AutoRegister: true, Credentials: "f"}, false},
		{Config{MQTT: "0.0.0.0:1883", AutoRegister: true}, false},
		{Config{MQTT: ":1883", AutoRegister: true}, false},
	} {
		if got := c.cfg.anonymous(); got != c.want {
			t.Errorf("%+v: %v", c.cfg, got)
		}
	}
}

const (
	sumOfSecret = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" // printf secret | sha256sum
	sumOfEmpty  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func TestCredentials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	text := "# devices\n\nalice:" + sumOfSecret + ":bureau\n  all:" + strings.ToUpper(sumOfSecret) + ":*\r\none:of:us:" + sumOfSecret + ":bureau/pump\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := openCredentials(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct {
		user, password string
		scope          registry.TopicScope
	}{
		{"alice", "secret", "bureau"}, {"all", "secret", "*"}, {"one:of:us", "secret", "bureau/pump"},
		{"alice", "Secret", ""}, {"alice", "", ""}, {"", "", ""}, {"nobody", "secret", ""}, {"nobody", "", ""}, {"Alice", "secret", ""},
		{"alice", sumOfSecret, ""},
	} {
		scope, ok := c.CheckCredential(q.user, []byte(q.password))
		if scope != q.scope || ok != (q.scope != "") {
			t.Errorf("%q %q: %q, %v", q.user, q.password, scope, ok)
		}
	}
}

func TestCredentialsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"alice:secret:bureau":                                        "line 1: want user:sha256:scope",
		"\nalice:" + sumOfSecret[:62] + ":bureau":                    "line 2: want user:sha256:scope",
		"alice:" + sumOfSecret:                                       "line 1: want user:sha256:scope",
		":" + sumOfSecret + ":bureau":                                "line 1: want user:sha256:scope",
		"alice:" + sumOfSecret + ":":                                 "not a scope",
		"alice:" + sumOfSecret + ":a/b/c":                            "not a scope",
		"a:" + sumOfSecret + ":x\na:" + sumOfSecret + ":y":           `line 2: user "a" is there twice`,
		"alice:" + sumOfEmpty + ":bureau":                            "line 1: the password is empty",
		"alice:" + sumOfSecret + ":bureau\nbob:5e884898da280471:*\n": "line 2: want",
	} {
		_, err := parseCredentials([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), sumOfSecret) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestNobodyWithoutAFile(t *testing.T) {
	c, err := openCredentials("", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if scope, ok := c.CheckCredential("", nil); ok {
		t.Fatalf("nobody may publish under %q", scope)
	}
}

// TestNoCgo: cmd/gateway builds for any edge box. What the standard library does with cgo it can do without.
func TestNoCgo(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if and .CgoFiles (not .Standard)}}{{.ImportPath}}{{end}}", "github.com/situ-city/situ/cmd/gateway")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if list := strings.TrimSpace(string(out)); list != "" {
		t.Errorf("cmd/gateway needs cgo for %s", list)
	}
}
