package broker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// few is a server that takes two connections.
func few(t *testing.T, r *recorder) (addr string, refused func() []string) {
	t.Helper()
	var mu sync.Mutex
	var reasons []string
	s, err := Listen(Options{Addr: "127.0.0.1:0", Handler: r, Logger: slog.New(slog.DiscardHandler), Connections: 2,
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
	return s.Addr().String(), func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(reasons) }
}

// One connection too many is told so, in the words of its version, and is counted; those that are there go on.
func TestTooManyConnections(t *testing.T) {
	r := newRecorder()
	r.user = "*"
	addr, refused := few(t, r)
	first, second := dialWire(t, addr), dialWire(t, addr)
	first.say("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a", "\x20\x02\x00\x00")
	second.say("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01b", "\x20\x02\x00\x00")
	old := dialWire(t, addr)
	old.say("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c", "\x20\x02\x00\x03") // server unavailable
	if n, err := old.Read(make([]byte, 1)); err == nil {
		t.Errorf("it stays open and says %d bytes more", n)
	}
	newer := dialWire(t, addr)
	if _, err := io.WriteString(newer, "\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01d"); err != nil {
		t.Fatal(err)
	}
	connack, _ := io.ReadAll(newer) // it is closed behind it
	if len(connack) < 4 || connack[0] != 0x20 || connack[3] != 0x89 {
		t.Errorf("CONNACK %x: want server busy", connack)
	}
	waitFor(t, "two refusals are counted", func() bool {
		return slices.Equal(refused(), []string{"connections", "connections"})
	})
	first.say("\xc0\x00", "\xd0\x00")
	_ = second.Close()
	<-r.closed
	waitFor(t, "there is room again", func() bool {
		c := dialWire(t, addr)
		defer c.Close()
		got := make([]byte, 4)
		_, _ = io.WriteString(c, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01e")
		_, err := io.ReadFull(c, got)
		return err == nil && string(got) == "\x20\x02\x00\x00"
	})
}

// Those who connect and say nothing count too: beyond a few they are closed at once.
func TestSilentConnectionsAreBounded(t *testing.T) {
	addr, refused := few(t, newRecorder())
	for range 2 + beingTold {
		dialWire(t, addr)
	}
	one := dialWire(t, addr)
	if _, err := one.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one too many is open: %v", err)
	}
	if got := refused(); !slices.Equal(got, []string{"connections"}) {
		t.Errorf("counted: %v", got)
	}
}

// PUBACKs for a client that does not read them used to gather without a bound for as long as a write may take.
func TestUnreadAcknowledgementsEndTheConnection(t *testing.T) {
	r := newRecorder()
	r.user = "*"
	addr, refused := few(t, r)
	c := dialWire(t, addr)
	c.say("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a", "\x20\x02\x00\x00")
	r.client.cl.Lock() // as the writer holds it while nobody reads
	for i := range 3 * maxPacketIDs {
		r.client.Ack(uint16(i%maxPacketIDs + 1))
	}
	r.client.mu.Lock()
	waiting := len(r.client.acks)
	r.client.mu.Unlock()
	r.client.cl.Unlock()
	if waiting > maxAcks {
		t.Errorf("%d bytes of acknowledgements wait, at most %d may", waiting, maxAcks)
	}
	<-r.closed
	if got := refused(); !slices.Equal(got, []string{"unread"}) {
		t.Errorf("counted: %v", got)
	}
}

// A CONNECT is kept for the connection's life, so it may not be large.
func TestLongConnectIsRefused(t *testing.T) {
	r := newRecorder()
	r.user = "*"
	addr, refused := few(t, r)
	c := dialWire(t, addr)
	body := append([]byte("\x00\x04MQTT\x04\x82\x00\x3c\x00\x01a\x80\x00"), bytes.Repeat([]byte("u"), 0x8000)...)
	if _, err := c.Write(append(binary.AppendUvarint([]byte{0x10}, uint64(len(body))), body...)); err != nil {
		t.Fatal(err)
	}
	if connack, _ := io.ReadAll(c); len(connack) < 4 || connack[3] == 0 {
		t.Errorf("CONNACK %x", connack)
	}
	if got := refused(); !slices.Equal(got, []string{"connect"}) {
		t.Errorf("counted: %v", got)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for over := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(over) {
			t.Fatal("after a minute not: " + what)
		}
	}
}

// A large packet waits, before anything of it is passed on, until there is room for all of it; a small one does not.
func TestLargePacketsShareARoom(t *testing.T) {
	shared := newRoom(100_000)
	pipe := func() (far net.Conn, near *metered) {
		a, b := net.Pipe()
		t.Cleanup(func() { _, _ = a.Close(), b.Close() })
		return a, newMetered(b, shared, func(why string) { t.Error("refused: ", why) })
	}
	header := func(n int) []byte { return binary.AppendUvarint([]byte{0x32}, uint64(n)) }
	firstFar, first := pipe()
	secondFar, second := pipe()
	thirdFar, third := pipe()
	buf := make([]byte, 70_000)
	go firstFar.Write(header(60_000))
	if n, err := first.Read(buf); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	go secondFar.Write(header(60_000))
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		if n, err := second.Read(make([]byte, 100)); n != 4 || err != nil {
			t.Error(n, err)
		}
	}()
	go thirdFar.Write(append(header(5), "small"...))
	if n, err := third.Read(make([]byte, 100)); n != 7 || err != nil {
		t.Fatal("a small packet waits: ", n, err)
	}
	select {
	case <-passed:
		t.Fatal("two of 60,000 bytes are in a room of 100,000")
	default:
	}
	go firstFar.Write(append(make([]byte, 60_000), 0xc0, 0)) // its body, and a PINGREQ
	for got := 0; got < 60_002; {
		n, err := first.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	<-passed
	fourthFar, fourth := pipe()
	go fourthFar.Write(header(60_000))
	ended := make(chan error)
	go func() {
		_, err := fourth.Read(buf)
		ended <- err
	}()
	_ = fourth.Close() // a stop does not wait until there is room
	if err := <-ended; err == nil {
		t.Error("a connection that was closed goes on")
	}
}

// However the bytes are cut, the framing is kept, and what was taken is given back.
func TestMeteredKeepsTheFraming(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var stream []byte
	for range 200 {
		n := random.IntN(300)
		if random.IntN(10) == 0 {
			n = random.IntN(100_000)
		}
		stream = append(binary.AppendUvarint(append(stream, 0x32), uint64(n)), make([]byte, n)...)
	}
	shared := newRoom(packetRoom)
	m := newMetered(cut{Reader: bytes.NewReader(stream), random: random}, shared, func(why string) { t.Error(why) })
	got, err := io.ReadAll(m)
	if err != nil || !bytes.Equal(got, stream) {
		t.Fatalf("%d of %d bytes, %v", len(got), len(stream), err)
	}
	if m.release(); shared.left != packetRoom || m.left != 0 || m.n != 0 {
		t.Errorf("%d bytes are not given back; %d of a body and %d of a header are open", packetRoom-shared.left, m.left, m.n)
	}
}

// cut is a connection that gives a few bytes at a time.
type cut struct {
	net.Conn
	io.Reader
	random *rand.Rand
}

func (c cut) Read(p []byte) (int, error) {
	return c.Reader.Read(p[:min(len(p), 1+c.random.IntN(3000))])
}
func (cut) SetReadDeadline(time.Time) error { return nil }

// hearer is a recorder whose client may subscribe below "ok/".
type hearer struct{ *recorder }

func (l hearer) Connect(c *Client, k Connect) (Session, Accepted, error) {
	_, a, err := l.recorder.Connect(c, k)
	return l, a, err
}

func (hearer) Subscribe(filter string) bool { return strings.HasPrefix(filter, "ok/") }

// What a session grants is delivered on that connection, by the words of either version, and is bounded; all else is refused.
func TestGrantedSubscriptions(t *testing.T) {
	for version, want := range map[byte]string{4: "\x30\x08\x00\x04ok/ahi", 5: "\x30\x09\x00\x04ok/a\x00hi"} {
		r := newRecorder()
		r.user = "*"
		s, err := Listen(Options{Addr: "127.0.0.1:0", Handler: hearer{r}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx) }()
		c := dialWire(t, s.Addr().String())
		connect, properties := "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a", ""
		if version == 5 {
			connect, properties = "\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01a", "\x00"
		}
		if _, err := io.WriteString(c, connect); err != nil {
			t.Fatal(err)
		}
		subscribe := func(id byte, filter string) (code byte) {
			t.Helper()
			body := string([]byte{0, id}) + properties + string([]byte{byte(len(filter) >> 8), byte(len(filter))}) + filter + "\x01"
			if _, err := c.Write(append(binary.AppendUvarint([]byte{0x82}, uint64(len(body))), body...)); err != nil {
				t.Fatal(err)
			}
			for {
				kind, packet := nextPacket(t, c)
				if kind == 9 {
					return packet[len(packet)-1]
				}
			}
		}
		for i, k := range []struct {
			filter  string
			granted bool
		}{{"#", false}, {"ok/+", true}, {"ok/" + strings.Repeat("x", maxFilter), false}, {"no/a", false}} {
			if code := subscribe(byte(i+1), k.filter); code < 3 != k.granted {
				t.Errorf("version %d: %.20s: code %#x", version, k.filter, code)
			}
		}
		if r.client.Deliver("ok/a/b", []byte("hi")) || r.client.Deliver("no/a", []byte("hi")) || !r.client.Deliver("ok/a", []byte("hi")) {
			t.Errorf("version %d: delivered what was not subscribed to, or not what was", version)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Errorf("version %d: %q, %v", version, got, err)
		}
		for i := range maxSubscriptions + 1 {
			if code := subscribe(byte(10+i), fmt.Sprintf("ok/%d", i)); code < 3 != (i < maxSubscriptions-1) {
				t.Errorf("version %d: subscription %d: code %#x", version, i+2, code)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// nextPacket reads one packet of fewer than 128 bytes.
func nextPacket(t *testing.T, c io.Reader) (kind byte, body []byte) {
	t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatal(err)
	}
	body = make([]byte, head[1])
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatal(err)
	}
	return head[0] >> 4, body
}
