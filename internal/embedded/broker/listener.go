package broker

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

const listenerID = "mqtt"

// listener gives mochi its connections, and waits for all of them at its end: mochi's own counts a connection only when
// its goroutine has begun, and then misses the newest.
type listener struct {
	net.Listener
	logger  *slog.Logger
	refused func(reason string)
	most    int   // connections, those that are being told that there are too many among them
	room    *room // for large packets

	mu     sync.Mutex // guards what follows
	closed bool
	full   bool // there were too many, and there are nearly as many still
	conns  map[net.Conn]struct{}
	served sync.WaitGroup // their goroutines
}

// beingTold is how many connections beyond the bound are answered in MQTT's words at a time; others are just closed.
const beingTold = 64

func newListener(ln net.Listener, o Options) *listener {
	return &listener{Listener: ln, logger: o.Logger, refused: o.Refused, most: o.Connections + beingTold,
		room: newRoom(packetRoom), conns: map[net.Conn]struct{}{}}
}

func (l *listener) Init(*slog.Logger) error { return nil }
func (l *listener) ID() string              { return listenerID }
func (l *listener) Address() string         { return l.Addr().String() }
func (l *listener) Protocol() string        { return "tcp" }

// Serve accepts until the listener is closed. A new connection has a bounded time to say CONNECT; mochi's keep-alive
// takes over then.
func (l *listener) Serve(establish listeners.EstablishFn) {
	for {
		c, err := l.Accept()
		if err != nil {
			if l.isClosed() {
				return
			}
			time.Sleep(acceptPause) // out of file descriptors: those that are open may end
			continue
		}
		_ = c.SetDeadline(time.Now().Add(connectTimeout)) // one that is gone shows when it is read
		l.serve(c, establish)
	}
}

const acceptPause = 20 * time.Millisecond

func (l *listener) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

func (l *listener) serve(c net.Conn, establish listeners.EstablishFn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = c.Close()
		return
	}
	if len(l.conns) >= l.most {
		_ = c.Close()
		l.tooMany(true)
		return
	}
	m := newMetered(c, l.room, l.refused)
	l.conns[m] = struct{}{}
	l.served.Go(func() {
		err := establish(listenerID, m) // how a connection ended is else the hook's to know
		m.release()
		l.mu.Lock()
		delete(l.conns, m)
		l.tooMany(errors.Is(err, packets.ErrServerBusy))
		l.mu.Unlock()
	})
}

// tooMany counts a connection refused because there are enough, and logs the first of a row; l.mu is held.
func (l *listener) tooMany(yes bool) {
	if yes {
		l.refused("connections")
	}
	if yes && !l.full {
		l.logger.Warn("no more connections are taken: there are as many as --max-connections allows", "component", "gateway", "connections", len(l.conns))
	}
	l.full = yes || l.full && len(l.conns) > l.most/8*7
}

// Close stops accepting, has the clients told, and returns when nobody is served any more.
func (l *listener) Close(tell listeners.CloseFn) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	_ = l.Listener.Close()
	tell(listenerID)
	l.mu.Lock()
	for c := range l.conns {
		_ = c.Close() // those that have not said CONNECT
	}
	l.mu.Unlock()
	l.served.Wait()
}
