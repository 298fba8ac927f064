// Package broker is the embedded MQTT front: an MQTT 3.1, 3.1.1 and 5 server (mochi) that takes PUBLISH packets
// and hands them to a Handler. It routes nothing: nothing is retained or stored, and subscriptions are refused but those
// that a Session grants, which get what Deliver sends on that very connection.
//
// A QoS 1 PUBLISH is acknowledged when, and only when, its Session calls Client.Ack: mochi by itself would send
// PUBACK before anybody has stored the message. QoS 2 is the Session's too: Received sends PUBREC, Release takes PUBREL,
// Complete sends PUBCOMP; mochi sees none of it, and would forget at its end which packets were received. A client id is
// its user's own: two users may have the same, and one cannot take over the other's connection.
//
// Clauses in brackets are those of MQTT Version 5.0 (OASIS, 2019), where they equal 3.1.1's.
package broker

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Bounds on one connection.
const (
	MaxPacket      = 2 << 20          // bytes; a larger one closes the connection, as MQTT asks [MQTT-3.1.2-24]
	ReceiveMaximum = 4096             // QoS 1 and 2 messages a version 5 client may have unacknowledged
	maxPacketIDs   = 65535            // the same of older clients: as many as there are packet ids
	connectTimeout = 10 * time.Second // from accept to CONNECT
	ackTimeout     = 10 * time.Second // a client that does not read its PUBACKs is dropped
	writesPending  = 64
	maxConnect     = 16 << 10 // bytes of CONNECT, which mochi keeps as long as the connection
	maxAliases     = 16       // topics of up to 64 KiB that mochi keeps for a version 5 client
	maxAcks        = 4 * maxPacketIDs

	maxSubscriptions = 8   // granted to a connection
	maxFilter        = 256 // bytes of one
)

// DefaultConnections is how many connections there may be at once, unless Options say another number.
const DefaultConnections = 10_000

// Errors a Handler returns from Connect; each becomes its MQTT reason code.
var (
	ErrCredentials = errors.New("bad user name or password")
	ErrTopic       = errors.New("not allowed on this topic")
	// ErrReceive from Publish: more messages are unreleased than ReceiveMaximum allows.
	ErrReceive = errors.New("too many QoS 2 messages without PUBREL")
	// ErrUnread: the client has used a packet id again without having read the answer to its first use.
	ErrUnread = errors.New("the client does not read its acknowledgements")
	// ErrProtocol from Publish or Release: the client breaks the protocol.
	ErrProtocol = errors.New("against the protocol")
)

// Forever is the Keep of a client that names no end.
const Forever = time.Duration(math.MaxInt64)

// Connect is what CONNECT says.
type Connect struct {
	User      string
	Password  []byte
	WillTopic string        // "" when there is no Will
	Clean     bool          // nothing of an earlier session is wanted
	Keep      time.Duration // how long the session is to outlive the connection; 0 = not at all
}

// Accepted is what CONNACK says.
type Accepted struct {
	Present bool          // there was such a session [MQTT-3.2.2-2]
	Keep    time.Duration // how long it will outlive the connection, where that is less than asked
}

// Handler decides who may connect.
type Handler interface {
	// Connect is called for each CONNECT. An error refuses the connection.
	Connect(c *Client, k Connect) (Session, Accepted, error)
}

// Session takes what one connection publishes. Its methods are called by that connection's goroutine alone.
type Session interface {
	// Publish takes one PUBLISH. payload belongs to the session from now on. For qos 1 the session calls
	// c.Ack(id), for qos 2 c.Received(id), once the message is safe, from any goroutine, in the order of receipt
	// [MQTT-4.6.0-2]. An error closes the connection without an acknowledgement, so that the client sends again.
	Publish(topic string, payload []byte, qos byte, id uint16) error
	// Release takes one PUBREL. The session calls c.Complete(id) once the release is safe.
	Release(id uint16) error
	// Close tells that the connection is gone.
	Close()
}

// Subscriber is what a Session also implements if its client may subscribe to something.
type Subscriber interface {
	// Subscribe grants a topic filter, or not. It runs on the connection's goroutine.
	Subscribe(filter string) bool
}

// Options of a Server.
type Options struct {
	Addr    string      // host:port; port 0 picks a free one
	TLS     *tls.Config // nil = plain
	Handler Handler
	Logger  *slog.Logger
	Refused func(reason string) // counter hook: connections and packets refused, by reason

	Connections int // at once; 0 = DefaultConnections
}

// Server is the broker. Make one with Listen, then Serve.
type Server struct {
	mq       *mqtt.Server
	hook     *hook
	listener net.Listener
}

// Listen binds the address, so that Addr is known and a port in use is reported before anything else starts.
func Listen(o Options) (*Server, error) {
	ln, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for MQTT on %s: %w", o.Addr, err)
	}
	if o.TLS != nil {
		ln = tls.NewListener(ln, o.TLS)
	}
	if o.Refused == nil {
		o.Refused = func(string) {}
	}
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumClientWritesPending = writesPending
	caps.MaximumPacketSize = MaxPacket
	caps.ReceiveMaximum = ReceiveMaximum
	caps.MaximumSessionExpiryInterval = 60 // mochi's own sessions hold nothing; ours are the Handler's
	caps.SharedSubAvailable, caps.WildcardSubAvailable, caps.SubIDAvailable = 0, 0, 0
	caps.TopicAliasMaximum = maxAliases
	if o.Connections <= 0 {
		o.Connections = DefaultConnections
	}
	caps.MaximumClients = int64(o.Connections)
	mq := mqtt.New(&mqtt.Options{
		Capabilities: caps, Logger: slog.New(quiet{o.Logger.Handler()}),
		ClientNetReadBufferSize: 16 << 10, SysTopicResendInterval: 3600,
	})
	h := &hook{handler: o.Handler, lines: lines{logger: o.Logger}, refused: o.Refused, server: mq}
	if err := mq.AddHook(h, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("add hook: %w", err), ln.Close())
	}
	if err := mq.AddListener(newListener(ln, o)); err != nil {
		return nil, errors.Join(fmt.Errorf("add listener: %w", err), ln.Close())
	}
	return &Server{mq: mq, hook: h, listener: ln}, nil
}

// Addr is the address bound.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve takes connections until ctx ends, then disconnects every client (reason 0x8B) and returns when all that was
// started for them has ended.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.mq.Serve(); err != nil {
		return fmt.Errorf("serve MQTT: %w", err)
	}
	<-ctx.Done()
	err := s.mq.Close()
	s.hook.releaseAll()
	s.hook.writers.Wait()
	return err
}

// Clients is the number of open connections.
func (s *Server) Clients() int64 { return atomic.LoadInt64(&s.mq.Info.ClientsConnected) }

// quiet passes errors only: mochi logs each disconnection as a warning, which situ counts instead.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError && q.Handler.Enabled(ctx, l)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(name string) slog.Handler   { return quiet{q.Handler.WithGroup(name)} }

// Client is one connection.
type Client struct {
	cl     *mqtt.Client
	server *mqtt.Server

	refused func(reason string)

	mu      sync.Mutex    // guards acks and unread
	acks    []byte        // PUBACK, PUBREC, PUBCOMP and delivered PUBLISH packets not yet written
	unread  bool          // more than maxAcks would wait: the connection is being closed
	wake    chan struct{} // holds one token when acks is not empty
	done    chan struct{} // closed when the connection is gone
	session Session

	id      string   // as the client gave it, or was given
	said    Connect  // what it said
	answer  Accepted // what it is told
	version byte     // of the protocol
	keep    atomic.Int64

	ackTimeout time.Duration // the constant, but in tests

	established atomic.Bool // CONNACK was sent
}

// ID is the MQTT client identifier.
func (c *Client) ID() string { return c.id }

// Keep is how long the session is to outlive the connection, as the client said last.
func (c *Client) Keep() time.Duration { return time.Duration(c.keep.Load()) }

// Unreleased is how many QoS 2 messages the client may have without PUBREL.
func (c *Client) Unreleased() int {
	if c.version < 5 {
		return maxPacketIDs
	}
	return ReceiveMaximum
}

// Remote is the peer's address.
func (c *Client) Remote() string { return c.cl.Net.Remote }

// Ack sends PUBACK for packet id. It never blocks: the packets of one group commit leave in one write.
func (c *Client) Ack(id uint16) { c.send(packets.Puback<<4, 2, byte(id>>8), byte(id)) } // no reason code = success [MQTT-3.4.2.1]

// Received sends PUBREC for packet id, as Ack does PUBACK.
func (c *Client) Received(id uint16) { c.send(packets.Pubrec<<4, 2, byte(id>>8), byte(id)) }

// Complete sends PUBCOMP for packet id. known: it was received, and not released before.
func (c *Client) Complete(id uint16, known bool) {
	if known || c.version < 5 {
		c.send(packets.Pubcomp<<4, 2, byte(id>>8), byte(id))
		return
	}
	c.send(packets.Pubcomp<<4, 3, byte(id>>8), byte(id), packets.ErrPacketIdentifierNotFound.Code) // [MQTT-4.3.3-13]
}

// Deliver sends a PUBLISH of QoS 0 to the client if it has subscribed to topic. It never blocks.
func (c *Client) Deliver(topic string, payload []byte) bool {
	if _, ok := c.server.Topics.Subscribers(topic).Subscriptions[c.cl.ID]; !ok {
		return false
	}
	packet := publishPacket(topic, payload, c.version >= 5)
	if most := c.cl.Properties.Props.MaximumPacketSize; most > 0 && uint64(len(packet)) > uint64(most) {
		return false // [MQTT-3.1.2-24]
	}
	return c.send(packet...)
}

// publishPacket is a PUBLISH of QoS 0, without properties.
func publishPacket(topic string, payload []byte, properties bool) []byte {
	rest := 2 + len(topic) + len(payload)
	if properties {
		rest++
	}
	b := binary.AppendUvarint([]byte{packets.Publish << 4}, uint64(rest)) // MQTT's variable byte integer is the same
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(topic))), topic...)
	if properties {
		b = append(b, 0)
	}
	return append(b, payload...)
}

// send queues a whole packet behind those that wait. false: the client does not read.
func (c *Client) send(packet ...byte) bool {
	c.mu.Lock()
	if len(c.acks)+len(packet) > maxAcks {
		first := !c.unread
		c.unread = true
		c.mu.Unlock()
		if first {
			c.refused("unread")
			go c.cl.Stop(ErrUnread) // closing a TLS connection writes to it, and this must not block
		}
		return false
	}
	c.acks = append(c.acks, packet...)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return true
}

// Stop closes the connection; code is told to a version 5 client.
func (c *Client) Stop(err error) {
	_ = c.server.DisconnectClient(c.cl, reasonCode(err)) // its error is the code itself, or a connection already gone
}

// writeAcks moves acknowledgements to the socket until the connection ends.
func (c *Client) writeAcks() {
	var out []byte
	for {
		select {
		case <-c.wake:
		case <-c.done:
			return
		}
		c.mu.Lock()
		out, c.acks = c.acks, out[:0]
		c.mu.Unlock()
		c.cl.Lock() // WritePacket takes the same lock
		_ = c.cl.Net.Conn.SetWriteDeadline(time.Now().Add(c.ackTimeout))
		_, err := c.cl.Net.Conn.Write(out)
		_ = c.cl.Net.Conn.SetWriteDeadline(c.keepAliveEnd())
		c.cl.Unlock()
		if err != nil {
			c.cl.Stop(err)
			return
		}
	}
}

// keepAliveEnd is the deadline that mochi sets with each packet it reads. It has to stand again after ours, or the
// answer to a PINGREQ that comes later than ours would find it passed.
func (c *Client) keepAliveEnd() time.Time {
	k := time.Duration(c.cl.State.Keepalive) * time.Second
	if k == 0 {
		return time.Time{} // none
	}
	return time.Now().Add(k + k/2) // [MQTT-3.1.2-22]
}

func reasonCode(err error) packets.Code {
	switch {
	case errors.Is(err, ErrCredentials):
		return packets.ErrBadUsernameOrPassword
	case errors.Is(err, ErrTopic):
		return packets.ErrNotAuthorized
	case errors.Is(err, ErrReceive):
		return packets.ErrReceiveMaximum // [MQTT-3.3.4-9]
	case errors.Is(err, ErrProtocol):
		return packets.ErrProtocolViolation
	}
	return packets.ErrQuotaExceeded
}
