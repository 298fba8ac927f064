package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/situ-city/situ/pkg/sensor"
)

func TestLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:1883": true, "127.3.2.1:1": true, "localhost:0": true, "[::1]:8080": true,
		"0.0.0.0:1883": false, ":1883": false, "[::]:1": false, "192.168.1.4:80": false, "query.example:80": false, "127.0.0.1": false, "": false,
	} {
		if Loopback(addr) != want {
			t.Errorf("%q: %v", addr, !want)
		}
	}
}

func TestTLSCheck(t *testing.T) {
	for _, c := range []struct {
		tls  TLS
		addr string
		want string
	}{
		{TLS{}, "127.0.0.1:80", ""},
		{TLS{}, "", ""},
		{TLS{}, "0.0.0.0:80", "--http 0.0.0.0:80 is reachable from other machines"},
		{TLS{Insecure: true}, "0.0.0.0:80", ""},
		{TLS{TLSCert: "c", TLSKey: "k"}, "0.0.0.0:80", ""},
		{TLS{TLSCert: "c"}, "127.0.0.1:80", "belong together"},
	} {
		says(t, c.tls.Check("http", c.addr), ErrConfig, c.want)
	}
}

func TestKafkaCheck(t *testing.T) {
	near, far := []string{"127.0.0.1:9092"}, []string{"127.0.0.1:9092", "k1:9092"}
	for _, c := range []struct {
		k    Kafka
		want string
	}{
		{Kafka{Brokers: far}, ""},
		{Kafka{Brokers: []string{"k1"}}, "--kafka: address k1: missing port"},
		{Kafka{Brokers: near, User: "u"}, "belong together"},
		{Kafka{Brokers: near, User: "u", PasswordFile: "f"}, ""},
		{Kafka{Brokers: far, User: "u", PasswordFile: "f"}, "needs --kafka-tls"},
		{Kafka{Brokers: far, User: "u", PasswordFile: "f", KafkaTLS: true, CA: "ca"}, ""},
		{Kafka{Brokers: near, CA: "ca"}, "without --kafka-tls"},
		{Kafka{Brokers: near, Partitions: -1}, "--kafka-partitions -1"},
		{Kafka{Brokers: near, Session: 11 * time.Second}, "--kafka-session 11s is below 12s"},
		{Kafka{Brokers: near, Session: 2 * time.Second, ShortSession: true}, ""},
		{Kafka{Brokers: near, Session: time.Millisecond, ShortSession: true}, "is below a second"},
		{Kafka{Brokers: near, Session: 12 * time.Second}, ""},
		{Kafka{Brokers: near, Accept: "9fc7fd03b22544bca09f1a29b9fe62cb", Skip: []string{"3:1842", "0:0"}}, ""},
		{Kafka{Brokers: near, Accept: "9fc7fd03"}, "--kafka-accept \"9fc7fd03\": want the 32"},
		{Kafka{Brokers: near, Skip: []string{"3:1842", "1842"}}, "--kafka-skip \"1842\": want partition:offset"},
		{Kafka{Brokers: near, Skip: []string{"3:-1"}}, "--kafka-skip \"3:-1\""},
	} {
		c.k.Replication = 1
		says(t, c.k.Check(), ErrConfig, c.want)
	}
}

// says wants no error where text is "", else one of its kind with the text in it.
func says(t *testing.T, err, kind error, text string) {
	t.Helper()
	if text == "" && err == nil || text != "" && errors.Is(err, kind) && strings.Contains(err.Error(), text) {
		return
	}
	t.Errorf("got %v, want %q", err, text)
}

// journal is what stages did, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) stage(name string) Stage {
	return Stage{name, func(ctx context.Context) error {
		<-ctx.Done()
		j.add(name)
		return ctx.Err()
	}}
}

func TestFloorsStopFromTheTop(t *testing.T) {
	var j journal
	ctx, cancel := context.WithCancel(t.Context())
	err := RunFloors(ctx, slog.New(slog.DiscardHandler), [][]Stage{{j.stage("store")}, {j.stage("ingest")}, {j.stage("receive")}}, cancel)
	if err != nil || !slices.Equal(j.lines, []string{"receive", "ingest", "store"}) {
		t.Fatalf("%v, %v", j.lines, err)
	}
}

func TestFloorsStopWhenAStageFails(t *testing.T) {
	var j journal
	broken := errors.New("disk")
	err := RunFloors(t.Context(), slog.New(slog.DiscardHandler), [][]Stage{
		{j.stage("store")},
		{{"ingest", func(context.Context) error { return broken }}, j.stage("beside")},
		{j.stage("receive")},
	}, func() {})
	if !errors.Is(err, broken) || err.Error() != "ingest: disk" {
		t.Fatalf("error is %v", err)
	}
	if !slices.Contains(j.lines, "beside") || j.lines[len(j.lines)-1] != "store" || len(j.lines) != 3 {
		t.Fatalf("stopped %v", j.lines)
	}
}

func TestClosersUndoLastFirst(t *testing.T) {
	var c Closers
	var order []int
	for i := range 3 {
		c.Later(func() error { order = append(order, i); return fmt.Errorf("error %d", i) })
	}
	if err := c.Close(); err == nil || !slices.Equal(order, []int{2, 1, 0}) || !strings.Contains(err.Error(), "error 0") {
		t.Fatalf("%v, %v", order, err)
	}
	if err := c.Close(); err != nil {
		t.Fatalf("twice: %v", err)
	}
}

func TestLockIsOneProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Lock(dir)
	says(t, err, ErrRefused, "another situ is running on "+dir)
	unlock()
	if unlock, err = Lock(dir); err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestListenSaysWhatToDo(t *testing.T) {
	ln, err := Listen("http", "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = Listen("http", ln.Addr().String(), nil)
	says(t, err, ErrRefused, "give another with --http")
}

func TestSpoolsShareAName(t *testing.T) {
	o := Spools{Dir: t.TempDir(), MaxBytes: 1 << 20}
	lanes, err := o.Open()
	if err != nil {
		t.Fatal(err)
	}
	name := lanes[sensor.Live].Producer().Gateway
	if name == "" || name != lanes[sensor.Backfill].Producer().Gateway {
		t.Fatalf("%q and %q", name, lanes[sensor.Backfill].Producer().Gateway)
	}
	_, err = o.Open()
	says(t, err, ErrRefused, "in use")
	for _, s := range lanes {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	o.Gateway = "another"
	_, err = o.Open()
	says(t, err, ErrRefused, name)
}

// flags is a process of one command, as the three are.
type flags struct {
	Kafka
	TLS
	Base
}

func (flags) Help() string { return "Examples:\n  test --kafka k1:1" }

func TestMainReadsFlagEnvironmentFile(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		path := filepath.Join(dir, "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("SITU_KAFKA_TOPIC", "from-environment")
	path := file("kafka: [a:1, b:2]\nkafka-topic: from-file\nkafka-partitions: 6\ninsecure: true\nlog-level: warn\n")
	var c flags
	code := Main("test", "A test.", &c, []string{"--config", path, "--kafka-partitions=7"}, func(context.Context) error { return nil })
	if code != 0 || !slices.Equal(c.Brokers, []string{"a:1", "b:2"}) || c.Topic != "from-environment" || c.Partitions != 7 || !c.Insecure || c.Level != "warn" || c.Replication != 3 {
		t.Fatalf("code %d, %+v", code, c)
	}
}

// A secret may be mounted as a file; it stands where the variable would, and not beside it.
func TestMainReadsSecretFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "topic")
	if err := os.WriteFile(path, []byte("from-a-secret\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (flags, int) {
		var c flags
		code := Main("test", "A test.", &c, args, func(context.Context) error { return nil })
		return c, code
	}
	t.Setenv("SITU_KAFKA_TOPIC_FILE", path)
	if c, code := run(); code != 0 || c.Topic != "from-a-secret" {
		t.Errorf("exit %d, topic %q", code, c.Topic)
	}
	if c, code := run("--kafka-topic", "from-flag"); code != 0 || c.Topic != "from-flag" {
		t.Errorf("exit %d, topic %q", code, c.Topic)
	}
	t.Setenv("SITU_KAFKA_TOPIC", "from-environment")
	if _, code := run(); code != ExitUsage {
		t.Errorf("both: exit %d", code)
	}
	os.Unsetenv("SITU_KAFKA_TOPIC") // t.Setenv puts back what was
	t.Setenv("SITU_KAFKA_TOPIC_FILE", path+"-missing")
	if _, code := run(); code != ExitUsage {
		t.Errorf("no file: exit %d", code)
	}
}

func TestMainAsksHealth(t *testing.T) {
	healthy := true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !healthy {
			http.Error(w, "no", http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	ask := func(url string) int {
		return Main("test", "A test.", new(flags), []string{"--health", url}, func(context.Context) error { t.Error("ran"); return nil })
	}
	if code := ask(s.URL); code != 0 {
		t.Errorf("healthy: exit %d", code)
	}
	healthy = false
	if code := ask(s.URL); code != ExitFailed {
		t.Errorf("ill: exit %d", code)
	}
	s.Close()
	if code := ask(s.URL); code != ExitFailed {
		t.Errorf("gone: exit %d", code)
	}
}

func TestMainExitCodes(t *testing.T) {
	misspelt := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(misspelt, []byte("kafca: a:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		err  error
		want int
	}{
		{nil, nil, 0},
		{nil, context.Canceled, 0},
		{nil, errors.New("broken"), ExitFailed},
		{nil, fmt.Errorf("%w: x", ErrRefused), ExitRefused},
		{nil, fmt.Errorf("%w: x", ErrConfig), ExitUsage},
		{[]string{"--help"}, errors.New("not run"), 0},
		{[]string{"--version"}, errors.New("not run"), 0},
		{[]string{"--nonsense"}, nil, ExitUsage},
		{[]string{"--log-level", "loud"}, nil, ExitUsage},
		{[]string{"--config", misspelt}, nil, ExitUsage},
		{[]string{"--config", "/nowhere/c.yaml"}, nil, ExitUsage},
	} {
		if got := Main("test", "A test.", new(flags), c.args, func(context.Context) error { return c.err }); got != c.want {
			t.Errorf("%v, %v: exit %d, want %d", c.args, c.err, got, c.want)
		}
	}
}
