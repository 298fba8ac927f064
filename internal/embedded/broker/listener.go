package broker

import (
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
)

const listenerID = "mqtt"

// listener gives mochi its connections, and waits for all of them at its end: mochi's own counts a connection only when
// its goroutine has begun, and then misses the newest.
type listener struct {
	net.Listener

	mu     sync.Mutex // guards what follows
	closed bool
	conns  map[net.Conn]struct{}
	served sync.WaitGroup // their goroutines
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
	l.conns[c] = struct{}{}
	l.served.Go(func() {
		_ = establish(listenerID, c) // how a connection ended is the hook's to know
		l.mu.Lock()
		delete(l.conns, c)
		l.mu.Unlock()
	})
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
