package broker

import (
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook is where mochi calls situ.
type hook struct {
	mqtt.HookBase
	handler Handler
	lines   lines
	refused func(reason string)
	server  *mqtt.Server
	clients sync.Map // *mqtt.Client -> *Client; mochi's client has no room for a value of ours

	connects atomic.Int64
	writers  sync.WaitGroup // of acknowledgements
}

func (h *hook) ID() string { return "situ" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnSessionEstablished, mqtt.OnDisconnect, mqtt.OnPublish,
		mqtt.OnPacketRead, mqtt.OnPacketEncode:
		return true
	}
	return false
}

// OnConnectAuthenticate asks the Handler, and checks the Will topic, which mochi does not.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	if pk.FixedHeader.Remaining > maxConnect {
		h.refused("connect")
		h.lines.log(slog.LevelInfo, "connection refused", "client", short(cl.ID), "remote", cl.Net.Remote, "err", "its CONNECT is longer than is kept",
			"bytes", pk.FixedHeader.Remaining)
		return false
	}
	c := &Client{cl: cl, server: h.server, refused: h.refused, wake: make(chan struct{}, 1), done: make(chan struct{}), ackTimeout: ackTimeout,
		id: cl.ID, version: cl.Properties.ProtocolVersion, said: connectOf(cl, pk)}
	// From here on mochi knows the client by its user and its id: it hands a connection over to whoever comes with the same.
	cl.ID = c.said.User + "\x00" + c.id
	c.keep.Store(int64(c.said.Keep))
	s, answer, err := h.handler.Connect(c, c.said)
	if err != nil {
		h.refused("connect")
		h.lines.log(slog.LevelInfo, "connection refused", "client", short(c.id), "remote", cl.Net.Remote, "err", err)
		return false
	}
	c.session, c.answer = s, answer
	c.said.Password = nil
	h.clients.Store(cl, c)
	if h.connects.Add(1)%sweepEvery == 0 {
		h.sweep()
	}
	return true
}

// connectOf reads what both versions of the protocol say in their own words.
func connectOf(cl *mqtt.Client, pk packets.Packet) Connect {
	k := Connect{User: string(pk.Connect.Username), Password: pk.Connect.Password, Clean: pk.Connect.Clean}
	if pk.Connect.WillFlag {
		k.WillTopic = pk.Connect.WillTopic
	}
	switch {
	case cl.Properties.ProtocolVersion >= 5:
		k.Keep = expiryOf(pk)
	case !k.Clean:
		k.Keep = Forever
	}
	return k
}

// expiryOf is the Session Expiry Interval; absent means 0 [MQTT-3.1.2.11.2].
func expiryOf(pk packets.Packet) time.Duration {
	switch seconds := pk.Properties.SessionExpiryInterval; {
	case !pk.Properties.SessionExpiryIntervalFlag:
		return 0
	case seconds == math.MaxUint32:
		return Forever
	default:
		return time.Duration(seconds) * time.Second
	}
}

// OnPacketRead takes what mochi would answer by its own memory: PUBREL is the session's. What is left to mochi is a PUBACK
// of an id that it does not know, which it lets pass.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	switch pk.FixedHeader.Type {
	case packets.Pubrel:
	case packets.Disconnect:
		if c, ok := h.client(cl); ok && pk.Properties.SessionExpiryIntervalFlag && c.Keep() > 0 { // [MQTT-3.14.2-2]
			c.keep.Store(int64(expiryOf(pk)))
		}
		return pk, nil
	default:
		return pk, nil
	}
	if c, ok := h.client(cl); ok {
		if err := c.session.Release(pk.PacketID); err != nil {
			h.lines.log(slog.LevelWarn, "release not taken, connection closed", "client", short(c.id), "packet", pk.PacketID, "err", err)
			c.Stop(err)
		}
	}
	pk.FixedHeader = packets.FixedHeader{Type: packets.Puback}
	return pk, nil
}

func (h *hook) client(cl *mqtt.Client) (*Client, bool) {
	v, ok := h.clients.Load(cl)
	if !ok {
		return nil, false
	}
	return v.(*Client), true
}

// OnPacketEncode puts into CONNACK what the Handler knows of the session: mochi knows only those of its own lifetime.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type != packets.Connack || pk.ReasonCode != 0 {
		return pk
	}
	c, ok := h.client(cl)
	if !ok {
		return pk
	}
	pk.SessionPresent = c.answer.Present
	pk.Properties.SessionExpiryIntervalFlag = c.answer.Keep < c.said.Keep
	pk.Properties.SessionExpiryInterval = uint32(min(c.answer.Keep/time.Second, math.MaxUint32))
	return pk
}

// OnSessionEstablished starts the acknowledgement writer: from here on mochi will call OnDisconnect.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	if c, ok := h.client(cl); ok {
		c.established.Store(true)
		h.writers.Go(c.writeAcks)
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

// releaseAll lets go what is left when mochi has ended.
func (h *hook) releaseAll() {
	h.clients.Range(func(k, _ any) bool { h.release(k.(*mqtt.Client)); return true })
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

// OnACLCheck refuses subscriptions, but those that the session grants, which mochi then keeps with the client; what may be
// published is decided in Publish, where it becomes a dead letter.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	if write || h.grants(cl, topic) {
		return true
	}
	h.refused("subscribe")
	return false
}

func (h *hook) grants(cl *mqtt.Client, filter string) bool {
	c, ok := h.client(cl)
	if !ok || len(filter) > maxFilter {
		return false
	}
	if _, again := cl.State.Subscriptions.Get(filter); !again && cl.State.Subscriptions.Len() >= maxSubscriptions {
		return false
	}
	s, ok := c.session.(Subscriber)
	return ok && s.Subscribe(filter)
}

// OnPublish hands the message over. ErrRejectPacket keeps mochi from acknowledging, routing and counting it.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c, ok := h.client(cl)
	if !ok { // the connection is ending
		cl.Stop(packets.ErrServerShuttingDown)
		return pk, packets.ErrRejectPacket
	}
	if err := c.session.Publish(pk.TopicName, pk.Payload, pk.FixedHeader.Qos, pk.PacketID); err != nil {
		h.lines.log(slog.LevelWarn, "publish not taken, connection closed", "client", short(c.id), "topic", short(pk.TopicName), "err", err)
		c.Stop(err)
	}
	return pk, packets.ErrRejectPacket
}
