package adapter

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is a protocol of lines, each "serial words"; those that begin with '!' want no answer.
func lines() Protocol {
	return Protocol{Name: "lines", Most: 32,
		Split: func(b []byte) (frames [][]byte, rest []byte) {
			for {
				i := bytes.IndexByte(b, '\n')
				if i < 0 {
					return frames, b
				}
				frames, b = append(frames, b[:i+1]), b[i+1:]
			}
		},
		Serial: func(f []byte) string { serial, _, _ := strings.Cut(string(f), " "); return serial },
		Answers: func() func([]byte, time.Time) []byte {
			return func(f []byte, now time.Time) []byte {
				if f[0] == '!' {
					return nil
				}
				return []byte(fmt.Sprintf("%d got %s", now.Unix(), f))
			}
		},
	}
}

// token is a PUBACK that the test gives.
type token struct {
	done chan struct{}
	err  error
}

func (t *token) Done() <-chan struct{} { return t.done }
func (t *token) Error() error          { return t.err }
func (t *token) ack(err error)         { t.err = err; close(t.done) }

// broker keeps what is published until the test acknowledges it.
type broker struct {
	mu     sync.Mutex
	topics []string
	texts  []string
	tokens []*token
	came   chan struct{}
	at     bool // acknowledge at once
}

func (b *broker) publish(_ context.Context, topic string, payload []byte) (Token, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := &token{done: make(chan struct{})}
	if b.at {
		t.ack(nil)
	}
	b.topics, b.texts, b.tokens = append(b.topics, topic), append(b.texts, string(payload)), append(b.tokens, t)
	b.came <- struct{}{}
	return t, nil
}

type rig struct {
	*broker
	addr string
	reg  *prometheus.Registry
	stop func()
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{broker: &broker{came: make(chan struct{}, 10_000)}, reg: prometheus.NewRegistry()}
	cfg := Config{Protocol: lines(), Topic: "situ/v1/acme/{serial}/lines", Publish: r.publish, Registerer: r.reg,
		Clock: func() time.Time { return time.Unix(77, 0) }}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func (r *rig) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

func send(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) refused(t *testing.T, reason string) float64 {
	t.Helper()
	n, err := testutil.GatherAndCount(r.reg, "situ_adapter_refused_total")
	if err != nil {
		t.Fatal(err)
	}
	all, err := r.reg.Gather()
	if err != nil || n == 0 {
		return 0
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "reason" && l.GetValue() == reason {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}

// TestAnswersAfterPuback: glued and split frames, each published whole; no answer before its PUBACK, all in order.
func TestAnswersAfterPuback(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial(t)
	for _, part := range []string{"a 1", "\nb 2\n!c 3\nd", " 4\n"} {
		send(t, c, part)
	}
	for range 4 {
		<-r.came
	}
	if got := strings.Join(r.texts, "|"); got != "a 1\n|b 2\n|!c 3\n|d 4\n" {
		t.Fatalf("published %q", got)
	}
	if got := strings.Join(r.topics, " "); got != "situ/v1/acme/a/lines situ/v1/acme/b/lines situ/v1/acme/!c/lines situ/v1/acme/d/lines" {
		t.Fatalf("under %s", got)
	}
	r.tokens[1].ack(nil) // the second before the first
	r.tokens[3].ack(nil)
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Fatal("an answer without PUBACK")
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	r.tokens[0].ack(nil)
	r.tokens[2].ack(nil)
	in := bufio.NewReader(c)
	for _, want := range []string{"77 got a 1\n", "77 got b 2\n", "77 got d 4\n"} {
		if got, err := in.ReadString('\n'); got != want || err != nil {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
}

// TestBrokerRefuses: the device is told nothing, loses its connection, and will send again.
func TestBrokerRefuses(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial(t)
	send(t, c, "a 1\nb 2\n")
	<-r.came
	<-r.came
	r.tokens[0].ack(errors.New("not now"))
	if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	if r.refused(t, "unacknowledged") != 1 {
		t.Error("not counted")
	}
	r.tokens[1].ack(nil)
}

func TestNoPuback(t *testing.T) {
	r := newRig(t, func(c *Config) { c.AckTimeout = 50 * time.Millisecond })
	c := r.dial(t)
	send(t, c, "a 1\n")
	if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	if r.refused(t, "unacknowledged") != 1 {
		t.Error("not counted")
	}
}

// TestBackPressure: a device that sends faster than the broker acknowledges is not read any further.
func TestBackPressure(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Waiting = 3 })
	c := r.dial(t)
	go func() { _, _ = io.WriteString(c, strings.Repeat("a 1\n", 1000)) }()
	for range 5 { // three wait, one is in the answerer's hands, one before the full queue
		<-r.came
	}
	select {
	case <-r.came:
		t.Fatal("a sixth frame is published")
	case <-time.After(100 * time.Millisecond):
	}
	r.mu.Lock()
	r.at = true
	for _, tok := range r.tokens {
		tok.ack(nil)
	}
	r.mu.Unlock()
	in := bufio.NewReader(c)
	for i := range 1000 {
		if _, err := in.ReadString('\n'); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
	}
}

func TestBounds(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Connections, c.Idle = 1, 200*time.Millisecond })
	c := r.dial(t)
	send(t, c, strings.Repeat("x", 50)) // no line end, and longer than a frame may be
	send(t, c, "a 1\n")
	<-r.came
	if got := r.texts[0]; got != "a 1\n" && !strings.HasSuffix(got, "xa 1\n") { // as TCP has cut it
		t.Errorf("published %q", got)
	}
	second := r.dial(t)
	if b, err := io.ReadAll(second); len(b) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("a second connection: %q, %v", b, err)
	}
	r.tokens[0].ack(nil)
	if _, err := io.ReadAll(c); err != nil { // answered, silent, closed
		t.Error(err)
	}
	if r.refused(t, "connections") != 1 || r.refused(t, "idle") != 1 {
		t.Error("not counted")
	}
}

func TestPeers(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	if b, err := io.ReadAll(r.dial(t)); len(b) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("%q, %v", b, err)
	}
	if r.refused(t, "peer") != 1 {
		t.Error("not counted")
	}
}

// TestEnd: what is published is answered before Serve returns; a device that is cut off in a frame is counted.
func TestEnd(t *testing.T) {
	r := newRig(t, nil)
	c, cut := r.dial(t), r.dial(t)
	send(t, cut, "half")
	send(t, c, "a 1\n")
	<-r.came
	_ = cut.Close()
	ended := make(chan struct{})
	go func() { defer close(ended); r.stop() }()
	select {
	case <-ended:
		t.Error("it ended with a frame on its way")
	case <-time.After(50 * time.Millisecond):
	}
	r.tokens[0].ack(nil)
	if b, err := io.ReadAll(c); string(b) != "77 got a 1\n" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	<-ended
}

func TestConfig(t *testing.T) {
	for what, change := range map[string]func(*Config){
		"wildcard":  func(c *Config) { c.Topic = "situ/v1/+/x/lines" },
		"no topic":  func(c *Config) { c.Topic = "" },
		"no serial": func(c *Config) { c.Protocol.Serial = nil },
		"no split":  func(c *Config) { c.Protocol.Split = nil },
	} {
		cfg := Config{Protocol: lines(), Topic: "situ/v1/acme/{serial}/lines"}
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	for serial, want := range map[string]string{"a1": "a1", "": "-", "a/b": "-", "a+": "-", "$x": "-", strings.Repeat("a", 65): "-"} {
		if got := level(serial); got != want {
			t.Errorf("%q is %q", serial, got)
		}
	}
}
