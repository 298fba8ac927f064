// Package adapter lets devices in that speak a protocol of their own over TCP instead of MQTT (before step 1 of 8): it cuts
// their streams into frames, publishes each frame as one MQTT message, and answers the device when, and only when, the
// broker has acknowledged it.
//
//	device --TCP--> Split --frame--> PUBLISH, QoS 1 --> gateway --fsync--> PUBACK
//	device <--TCP-- Answer, in order of the frames <-------------------------'
//
// In: bytes of any number of connections, glued and split as TCP does. Out: frames, unchanged, under one topic a protocol
// (or one a serial number); decoding is the gateway's work. A device that gets no answer sends again, as its standard says,
// so nothing is kept here: what was not acknowledged when the adapter ends was not answered.
//
// Bounds: connections, frames of one connection that wait for PUBACK (then its socket is not read), bytes that wait to
// become a frame, of one connection and of all together, how long a connection may be silent, and how long it may leave an
// answer unread. situ_adapter_* counts what was dropped, by reason. A protocol
// without authentication is not made safe by being carried: the listener is for loopback, for a network that only the
// devices have, or behind TLS.
package adapter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Protocol is how a device's bytes are cut, named and answered.
type Protocol struct {
	Name string // as the gateway knows it, e.g. "hj212"

	// Split cuts a stream into frames and gives what waits for more bytes. Both may alias stream.
	Split func(stream []byte) (frames [][]byte, rest []byte)
	// Serial reads the device's number in a frame, "" if there is none. nil: topics do not name devices.
	Serial func(frame []byte) string
	// Answers gives, for one connection, what makes the answer that the standard wants for a frame that is stored; it is
	// asked frame after frame, and nil is none. A frame with a broken checksum is stored too, as a dead letter, but not
	// acknowledged to a device that would send it again. nil: the protocol has no answers.
	Answers func() func(frame []byte, now time.Time) []byte
	// Most is the longest that Split may leave waiting.
	Most int
}

// Token is a message on its way to the broker.
type Token interface {
	Done() <-chan struct{}
	Error() error
}

// Config of a Server. Zero values mean the defaults.
type Config struct {
	Protocol Protocol
	Topic    string // {serial} stands for the device's number; "-" for it if there is none that fits a topic
	Publish  func(ctx context.Context, topic string, payload []byte) (Token, error)

	Allow       []netip.Prefix // peers that may connect; none = all
	Connections int            // at once; 0 = 10,000
	Waiting     int            // frames of one connection without PUBACK; 0 = 16
	Room        int64          // bytes of all connections that wait to become frames; 0 = 64 MiB
	Unread      time.Duration  // a connection that does not take an answer for so long is closed; 0 = 10 s
	Idle        time.Duration  // a silent connection is closed after it; 0 = 15 min
	AckTimeout  time.Duration  // a connection whose frame has no PUBACK for so long is closed, unanswered; 0 = 30 s
	Clock       func() time.Time
	Logger      *slog.Logger
	Registerer  prometheus.Registerer
}

// Server takes connections.
type Server struct {
	cfg  Config
	m    *metrics
	held atomic.Int64 // bytes that wait to become frames
}

// New checks the configuration.
func New(cfg Config) (*Server, error) {
	p := &cfg.Protocol
	switch {
	case p.Split == nil || p.Name == "" || p.Most <= 0:
		return nil, errors.New("adapter: a protocol wants a name, Split and Most")
	case strings.ContainsAny(cfg.Topic, "+#") || cfg.Topic == "":
		return nil, fmt.Errorf("adapter: topic %q: want one to publish to, such as situ/v1/OWNER/-/%s", cfg.Topic, p.Name)
	case strings.Contains(cfg.Topic, "{serial}") && p.Serial == nil:
		return nil, fmt.Errorf("adapter: topic %q: frames of %s name no device", cfg.Topic, p.Name)
	}
	if cfg.Connections == 0 {
		cfg.Connections = 10_000
	}
	if cfg.Waiting == 0 {
		cfg.Waiting = 16
	}
	if cfg.Room == 0 {
		cfg.Room = 64 << 20
	}
	if cfg.Unread == 0 {
		cfg.Unread = 10 * time.Second
	}
	if cfg.Idle == 0 {
		cfg.Idle = 15 * time.Minute
	}
	if cfg.AckTimeout == 0 {
		cfg.AckTimeout = 30 * time.Second
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Registerer == nil {
		cfg.Registerer = prometheus.NewRegistry()
	}
	m, err := newMetrics(cfg.Registerer, p.Name)
	if err != nil {
		return nil, err
	}
	cfg.Logger = cfg.Logger.With("component", "adapter", "protocol", p.Name)
	return &Server{cfg: cfg, m: m}, nil
}

// Serve takes connections until ctx ends, and returns when all have been closed. ln is closed then.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	var all sync.WaitGroup
	defer all.Wait()
	room := make(chan struct{}, s.cfg.Connections)
	for {
		nc, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = nc.Close()
			}
			return nil
		}
		if err != nil {
			if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
				continue
			}
			return fmt.Errorf("accept: %w", err)
		}
		if why := s.refuses(nc, room); why != "" {
			s.m.refused.WithLabelValues(why).Inc()
			_ = nc.Close()
			continue
		}
		all.Go(func() {
			defer func() { <-room }()
			s.m.connections.Inc()
			defer s.m.connections.Dec()
			s.device(ctx, nc)
		})
	}
}

// refuses tells why a connection is not taken, "" if it is: it has a place in room then.
func (s *Server) refuses(nc net.Conn, room chan struct{}) string {
	if len(s.cfg.Allow) > 0 {
		peer, err := netip.ParseAddrPort(nc.RemoteAddr().String())
		allowed := false
		for _, p := range s.cfg.Allow {
			allowed = allowed || err == nil && p.Contains(peer.Addr().Unmap())
		}
		if !allowed {
			return "peer"
		}
	}
	select {
	case room <- struct{}{}:
		return ""
	default:
		return "connections"
	}
}
