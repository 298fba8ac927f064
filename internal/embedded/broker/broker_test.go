package broker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// recorder is a Handler and a Session: it keeps what it gets and acknowledges when told.
type recorder struct {
	mu       sync.Mutex
	client   *Client
	topics   []string
	ids      []uint16
	got      chan struct{}
	closed   chan struct{}
	user     string // "*": anybody
	password string
	exactly  bool // ackAll sends PUBREC
	said     Connect
	answer   Accepted
	refuse   error
}

func newRecorder() *recorder {
	return &recorder{got: make(chan struct{}, 1024), closed: make(chan struct{}, 16)}
}

func (r *recorder) Connect(c *Client, k Connect) (Session, Accepted, error) {
	if r.user != "*" && (k.User != r.user || string(k.Password) != r.password) {
		return nil, Accepted{}, ErrCredentials
	}
	if k.WillTopic != "" && k.WillTopic != "situ/v1/a/b/json" {
		return nil, Accepted{}, ErrTopic
	}
	r.mu.Lock()
	r.client, r.said = c, k
	r.mu.Unlock()
	return r, r.answer, nil
}

func (r *recorder) Release(id uint16) error {
	r.client.Complete(id, id != 404)
	return nil
}

func (r *recorder) Publish(topic string, _ []byte, qos byte, id uint16) error {
	if r.refuse != nil {
		return r.refuse
	}
	r.mu.Lock()
	r.topics = append(r.topics, topic)
	if qos > 0 {
		r.ids = append(r.ids, id)
	}
	r.mu.Unlock()
	r.got <- struct{}{}
	return nil
}

func (r *recorder) Close() { r.closed <- struct{}{} }

func (r *recorder) ackAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range r.ids {
		if r.exactly {
			r.client.Received(id)
		} else {
			r.client.Ack(id)
		}
	}
	r.ids = nil
}

func start(t *testing.T, r *recorder) (addr string, refused func() []string) {
	t.Helper()
	var mu sync.Mutex
	var reasons []string
	s, err := Listen(Options{Addr: "127.0.0.1:0", Handler: r, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Refused: func(reason string) { mu.Lock(); reasons = append(reasons, reason); mu.Unlock() }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String(), func() []string { mu.Lock(); defer mu.Unlock(); return append([]string(nil), reasons...) }
}

func connect(t *testing.T, addr string, change func(*paho.ClientOptions)) (paho.Client, error) {
	t.Helper()
	o := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("t").SetAutoReconnect(false).SetConnectTimeout(5 * time.Second)
	if change != nil {
		change(o)
	}
	c := paho.NewClient(o)
	tok := c.Connect()
	tok.Wait()
	if tok.Error() == nil {
		t.Cleanup(func() { c.Disconnect(0) })
	}
	return c, tok.Error()
}

func TestPubackOnlyWhenTheSessionSaysSo(t *testing.T) {
	r := newRecorder()
	addr, _ := start(t, r)
	c, err := connect(t, addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	var toks []paho.Token
	for range 100 {
		toks = append(toks, c.Publish("situ/v1/a/b/json", 1, false, "{}"))
	}
	for range 100 {
		<-r.got
	}
	for i, tok := range toks {
		select {
		case <-tok.Done():
			t.Fatalf("message %d acknowledged before the session said so", i)
		default:
		}
	}
	r.ackAll()
	for i, tok := range toks {
		if !tok.WaitTimeout(5 * time.Second) {
			t.Fatalf("message %d not acknowledged", i)
		}
	}
}

func TestRefusals(t *testing.T) {
	r := newRecorder()
	r.user, r.password = "gate", "secret"
	addr, refused := start(t, r)
	if _, err := connect(t, addr, nil); err == nil {
		t.Error("connected without credentials")
	}
	cred := func(o *paho.ClientOptions) { o.SetUsername("gate").SetPassword("secret") }
	if _, err := connect(t, addr, func(o *paho.ClientOptions) { cred(o); o.SetWill("situ/v1/other/x/json", "gone", 0, false) }); err == nil {
		t.Error("connected with a Will on a foreign topic")
	}
	c, err := connect(t, addr, cred)
	if err != nil {
		t.Fatal(err)
	}
	tok := c.Subscribe("#", 0, nil).(*paho.SubscribeToken)
	tok.Wait()
	if code := tok.Result()["#"]; code < 0x80 {
		t.Errorf("subscription granted: code %#x", code)
	}
	want := map[string]bool{"connect": false, "subscribe": false}
	for _, s := range refused() {
		want[s] = true
	}
	for reason, seen := range want {
		if !seen {
			t.Errorf("refusal %q not counted", reason)
		}
	}
}

func TestRefusedPublishClosesWithoutAck(t *testing.T) {
	r := newRecorder()
	r.refuse = errors.New("spool is full")
	addr, _ := start(t, r)
	lost := make(chan error, 1)
	c, err := connect(t, addr, func(o *paho.ClientOptions) {
		o.SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Publish("situ/v1/a/b/json", 1, false, "{}")
	select {
	case <-lost:
	case <-time.After(5 * time.Second):
		t.Fatal("connection stayed open")
	}
	select {
	case <-r.closed:
	case <-time.After(5 * time.Second):
		t.Fatal("session was not closed")
	}
}

func TestSilentConnectionIsClosedAndPortInUseIsSaid(t *testing.T) {
	r := newRecorder()
	addr, _ := start(t, r)
	if _, err := Listen(Options{Addr: addr, Handler: r, Logger: slog.Default()}); err == nil {
		t.Error("second listener on the same port")
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{0x30, 0x00}); err != nil { // PUBLISH before CONNECT [MQTT-3.1.0-1]
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) {
		t.Errorf("read %d bytes, err %v: want the connection closed", n, err)
	}
}

// The time limit of a PUBACK used to stand when the next PINGRESP was due: whoever published less often than every ten
// seconds was thrown out at the first PINGREQ.
func TestPingIsAnsweredLongAfterAnAck(t *testing.T) {
	for _, keepAlive := range []byte{0, 60} {
		r := newRecorder()
		addr, _ := start(t, r)
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		say := func(packet string, answer int) {
			t.Helper()
			if _, err := io.WriteString(c, packet); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, answer)); err != nil {
				t.Fatalf("keep-alive %d: no answer to %x: %v", keepAlive, packet, err)
			}
		}
		say("\x10\x0d\x00\x04MQTT\x04\x02\x00"+string(rune(keepAlive))+"\x00\x01p", 4)
		say("\x32\x06\x00\x01t\x00\x01x", 0)
		<-r.got
		r.client.ackTimeout = time.Millisecond
		r.ackAll()
		if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
			t.Fatal("no PUBACK: ", err)
		}
		<-time.After(20 * time.Millisecond) // the limit passes
		say("\xc0\x00", 2)
	}
}
