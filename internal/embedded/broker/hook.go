package broker

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

var errQoS2 = errors.New("QoS 2 is not supported; publish with QoS 1 (situ counts a repeat once)")

// hook is where mochi calls situ.
type hook struct {
	mqtt.HookBase
	handler Handler
	logger  *slog.Logger
	refused func(reason string)
	server  *mqtt.Server
	clients sync.Map // *mqtt.Client -> *Client; mochi's client has no room for a value of ours

	connects atomic.Int64
}

func (h *hook) ID() string { return "situ" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnSessionEstablished, mqtt.OnDisconnect, mqtt.OnPublish:
		return true
	}
	return false
}

// OnConnectAuthenticate asks the Handler, and checks the Will topic, which mochi does not.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	c := &Client{cl: cl, server: h.server, wake: make(chan struct{}, 1), done: make(chan struct{}), ackTimeout: ackTimeout}
	will := ""
	if pk.Connect.WillFlag {
		will = pk.Connect.WillTopic
	}
	s, err := h.handler.Connect(c, string(pk.Connect.Username), pk.Connect.Password, will)
	if err != nil {
		h.refused("connect")
		h.logger.Info("connection refused", "client", cl.ID, "remote", cl.Net.Remote, "err", err)
		return false
	}
	c.session = s
	h.clients.Store(cl, c)
	if h.connects.Add(1)%sweepEvery == 0 {
		h.sweep()
	}
	return true
}

// OnSessionEstablished starts the acknowledgement writer: from here on mochi will call OnDisconnect.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	if v, ok := h.clients.Load(cl); ok {
		c := v.(*Client)
		c.established.Store(true)
		go c.writeAcks()
	}
}

// OnDisconnect ends the acknowledgement writer and tells the session.
func (h *hook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) { h.release(cl) }

func (h *hook) release(cl *mqtt.Client) {
	if v, ok := h.clients.LoadAndDelete(cl); ok {
		c := v.(*Client)
		close(c.done)
		c.session.Close()
	}
}

// sweepEvery bounds what connections that broke between CONNECT and CONNACK leave behind: mochi tells nobody of them.
const sweepEvery = 1024

func (h *hook) sweep() {
	h.clients.Range(func(k, v any) bool {
		if cl := k.(*mqtt.Client); cl.Closed() && !v.(*Client).established.Load() {
			h.release(cl)
		}
		return true
	})
}

// OnACLCheck refuses every subscription; what may be published is decided in Publish, where it becomes a dead letter.
func (h *hook) OnACLCheck(_ *mqtt.Client, _ string, write bool) bool {
	if !write {
		h.refused("subscribe")
	}
	return write
}

// OnPublish hands the message over. ErrRejectPacket keeps mochi from acknowledging, routing and counting it.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	v, ok := h.clients.Load(cl)
	if !ok { // the connection is ending
		cl.Stop(packets.ErrServerShuttingDown)
		return pk, packets.ErrRejectPacket
	}
	c := v.(*Client)
	if pk.FixedHeader.Qos == 2 {
		h.refused("qos2")
		h.logger.Info("publish refused", "client", cl.ID, "topic", pk.TopicName, "err", errQoS2)
		c.Stop(errQoS2)
		return pk, packets.ErrRejectPacket
	}
	if err := c.session.Publish(pk.TopicName, pk.Payload, pk.FixedHeader.Qos, pk.PacketID); err != nil {
		h.logger.Warn("publish not taken, connection closed", "client", cl.ID, "topic", pk.TopicName, "err", err)
		c.Stop(err)
	}
	return pk, packets.ErrRejectPacket
}
