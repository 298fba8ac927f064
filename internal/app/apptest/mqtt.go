package apptest

import (
	"fmt"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// AckTimeout is how long a PUBACK may take in tests.
const AckTimeout = 20 * time.Second

// Dial connects one MQTT client that does not reconnect by itself.
func Dial(addr, id, user, password string) (paho.Client, error) {
	o := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(id).SetUsername(user).SetPassword(password).
		SetProtocolVersion(4).SetAutoReconnect(false).SetConnectTimeout(AckTimeout) // 4 is 3.1.1; paho would try 3.1 as well
	c := paho.NewClient(o)
	tok := c.Connect()
	if !tok.WaitTimeout(AckTimeout) {
		return nil, fmt.Errorf("connect %s: no answer within %s", id, AckTimeout)
	}
	return c, tok.Error()
}

// Connect is Dial for a connection that must succeed; it ends with the test.
func (s Server) Connect(t testing.TB, id, user, password string) paho.Client {
	t.Helper()
	c, err := Dial(s.MQTT, id, user, password)
	if err != nil {
		t.Fatalf("connect to %s: %v", s.MQTT, err)
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

// Publish sends one payload with QoS 1 on a connection of its own and waits for its PUBACK.
func (s Server) Publish(t testing.TB, topic, payload string) {
	t.Helper()
	c, err := Dial(s.MQTT, "publish-once", "", "")
	if err != nil {
		t.Fatalf("connect to %s: %v", s.MQTT, err)
	}
	defer c.Disconnect(50)
	Ack(t, c, topic, payload)
}

// Ack publishes with QoS 1 and waits for the PUBACK.
func Ack(t testing.TB, c paho.Client, topic, payload string) {
	t.Helper()
	tok := c.Publish(topic, 1, false, payload)
	if !tok.WaitTimeout(AckTimeout) || tok.Error() != nil {
		t.Fatalf("publish to %s was not acknowledged: %v", topic, tok.Error())
	}
}
