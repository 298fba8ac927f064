package broker

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// wire is a client of raw packets.
type wire struct {
	t *testing.T
	net.Conn
}

func dialWire(t *testing.T, addr string) wire {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return wire{t, c}
}

// say sends a packet and wants this answer.
func (w wire) say(packet, answer string) {
	w.t.Helper()
	if _, err := io.WriteString(w, packet); err != nil {
		w.t.Fatal(err)
	}
	w.hear(answer)
}

func (w wire) hear(answer string) {
	w.t.Helper()
	got := make([]byte, len(answer))
	if _, err := io.ReadFull(w, got); err != nil {
		w.t.Fatalf("want %x: %v", answer, err)
	}
	if string(got) != answer {
		w.t.Fatalf("got %x, want %x", got, answer)
	}
}

// PUBREC waits for the session, PUBREL is the session's, and mochi answers none of them by itself.
func TestQoS2PacketsAreTheSessions(t *testing.T) {
	r := newRecorder()
	r.exactly = true
	addr, _ := start(t, r)
	c := dialWire(t, addr)
	c.say("\x10\x0d\x00\x04MQTT\x04\x00\x00\x3c\x00\x01p", "\x20\x02\x00\x00")
	c.say("\x34\x06\x00\x01t\x01\x02x", "")
	<-r.got
	c.say("\xc0\x00", "\xd0\x00") // the answer to a PINGREQ comes first: no PUBREC yet
	r.ackAll()
	c.hear("\x50\x02\x01\x02")
	c.say("\x62\x02\x01\x02", "\x70\x02\x01\x02")
	c.say("\x62\x02\x01\x94", "\x70\x02\x01\x94") // unknown: 3.1.1 has no word for that
	if r.said.Clean || r.said.Keep != Forever {
		t.Errorf("CONNECT was understood as %+v", r.said)
	}
}

// Version 5 has reason codes, an expiry and a Receive Maximum.
func TestQoS2InVersion5(t *testing.T) {
	r := newRecorder()
	r.exactly = true
	r.answer = Accepted{Present: true, Keep: time.Hour}
	addr, _ := start(t, r)
	c := dialWire(t, addr)
	// CONNECT, expiry 7,200 s
	if _, err := io.WriteString(c, "\x10\x13\x00\x04MQTT\x05\x00\x00\x3c\x05\x11\x00\x00\x1c\x20\x00\x01p"); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatal(err)
	}
	connack := make([]byte, head[1])
	if _, err := io.ReadFull(c, connack); err != nil {
		t.Fatal(err)
	}
	props := string(connack[3:])
	if connack[0] != 1 || connack[1] != 0 || !strings.Contains(props, "\x11\x00\x00\x0e\x10") || !strings.Contains(props, "\x21\x10\x00") {
		t.Errorf("CONNACK %x: want session present, expiry 3600, receive maximum 4096", connack)
	}
	if r.said.Keep != 2*time.Hour {
		t.Errorf("CONNECT was understood as %+v", r.said)
	}
	c.say("\x62\x02\x01\x94", "\x70\x03\x01\x94\x92")
	c.say("\x34\x07\x00\x01t\x00\x09\x00x", "")
	<-r.got
	r.ackAll()
	c.hear("\x50\x02\x00\x09")
	c.say("\x62\x04\x00\x09\x00\x00", "\x70\x02\x00\x09")
	c.say("\xe0\x07\x00\x05\x11\x00\x00\x00\x00", "") // DISCONNECT, expiry 0
	<-r.closed
	if k := r.client.Keep(); k != 0 {
		t.Errorf("the session is to be kept for %v", k)
	}
}

// One user's client id is nothing to another: it used to throw the other's connection out.
func TestClientIDsBelongToTheirUser(t *testing.T) {
	r := newRecorder()
	r.user = "*"
	addr, _ := start(t, r)
	lost := make(chan string, 2)
	as := func(user string) func(*paho.ClientOptions) {
		return func(o *paho.ClientOptions) {
			o.SetClientID("gateway-1").SetUsername(user).SetPassword("x").SetConnectionLostHandler(func(paho.Client, error) { lost <- user })
		}
	}
	a, err := connect(t, addr, as("ecology"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = connect(t, addr, as("somebody")); err != nil {
		t.Fatal(err)
	}
	if r.client.ID() != "gateway-1" {
		t.Errorf("its id is %q", r.client.ID())
	}
	if tok := a.Publish("t", 0, false, "x"); !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
		t.Error("the first one was thrown out: ", tok.Error())
	}
	<-r.got
	if _, err = connect(t, addr, as("ecology")); err != nil { // its own id it may take over [MQTT-3.1.4-3]
		t.Fatal(err)
	}
	select {
	case user := <-lost:
		if user != "ecology" {
			t.Errorf("the connection of %s was taken over", user)
		}
	case <-time.After(time.Minute):
		t.Error("nobody was taken over")
	}
}
