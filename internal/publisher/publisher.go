// Package publisher sends payloads to an MQTT broker over a few connections, with QoS 1 and a bounded number in
// flight. It is the other side of the wire for the simulated city and the replay: it knows nothing of situ's inside.
package publisher

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Config of a Publisher. Zero values mean the defaults.
type Config struct {
	Broker      string // tcp://host:port
	User        string
	Password    string
	Client      string // prefix of the client ids
	Connections int    // default 4
	InFlight    int    // unacknowledged messages a connection, default 512
	Logger      *slog.Logger
}

// Publisher is a set of open connections.
type Publisher struct {
	conns []conn
	acked atomic.Uint64
	sent  atomic.Uint64
}

type conn struct {
	client paho.Client
	tokens chan paho.Token // in order of sending
	done   chan struct{}
}

// Dial opens the connections. They reconnect by themselves and resend what was not acknowledged.
func Dial(ctx context.Context, cfg Config) (*Publisher, error) {
	if cfg.Connections == 0 {
		cfg.Connections = 4
	}
	if cfg.InFlight == 0 {
		cfg.InFlight = 512
	}
	p := &Publisher{}
	for i := range cfg.Connections {
		o := paho.NewClientOptions().AddBroker(cfg.Broker).SetClientID(fmt.Sprintf("%s-%d", cfg.Client, i)).
			SetCleanSession(false).SetUsername(cfg.User).SetPassword(cfg.Password).SetOrderMatters(false).
			SetAutoReconnect(true).SetMaxReconnectInterval(2 * time.Second).SetConnectTimeout(5 * time.Second).
			SetConnectionLostHandler(func(_ paho.Client, err error) { cfg.Logger.Warn("connection lost, reconnecting", "err", err) })
		c := paho.NewClient(o)
		if err := await(ctx, c.Connect()); err != nil {
			c.Disconnect(0)
			return nil, errors.Join(fmt.Errorf("connect to %s: %w", cfg.Broker, err), p.Close(ctx))
		}
		k := conn{client: c, tokens: make(chan paho.Token, cfg.InFlight), done: make(chan struct{})}
		go p.collect(k)
		p.conns = append(p.conns, k)
	}
	return p, nil
}

func (p *Publisher) collect(k conn) {
	defer close(k.done)
	for tok := range k.tokens {
		if tok.Wait() && tok.Error() == nil {
			p.acked.Add(1)
		}
	}
}

// Token is a message on its way: Done is closed when the broker has acknowledged it, or Error says why it will not.
type Token interface {
	Done() <-chan struct{}
	Error() error
}

// Publish sends a copy of one message; messages of one topic keep their order. It waits while too many are in flight.
func (p *Publisher) Publish(ctx context.Context, topic string, payload []byte) error {
	_, err := p.Begin(ctx, topic, append([]byte(nil), payload...))
	return err
}

// Begin is Publish for whoever wants to know of this message. payload is the publisher's until the token is done.
func (p *Publisher) Begin(ctx context.Context, topic string, payload []byte) (Token, error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(topic))
	k := p.conns[int(h.Sum32())%len(p.conns)]
	tok := k.client.Publish(topic, 1, false, payload)
	select {
	case k.tokens <- tok:
		p.sent.Add(1)
		return tok, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Counts tells how many messages were sent and acknowledged.
func (p *Publisher) Counts() (sent, acked uint64) { return p.sent.Load(), p.acked.Load() }

// Close waits until everything sent is acknowledged or ctx ends, and disconnects.
func (p *Publisher) Close(ctx context.Context) error {
	for _, k := range p.conns {
		close(k.tokens)
	}
	var err error
	for _, k := range p.conns {
		select {
		case <-k.done:
		case <-ctx.Done():
			err = ctx.Err()
		}
		k.client.Disconnect(100)
	}
	return err
}

func await(ctx context.Context, tok paho.Token) error {
	select {
	case <-tok.Done():
		return tok.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}
