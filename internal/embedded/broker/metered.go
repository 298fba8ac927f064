package broker

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// A packet takes memory from its header on: mochi makes room for all of it, twice, before the first byte of its body has
// come. A thousand connections that each announce 2 MiB would take 4 GB. So the large ones share a room in bytes: what
// finds none waits, and small packets pass by.
const (
	smallPacket = 16 << 10         // bytes; as much as each connection's read buffer has anyway
	packetRoom  = 16 << 20         // bytes of large packets being received at once, over all connections
	largeTime   = 60 * time.Second // within which a large one has to have come
	roomWait    = 10 * time.Second // how long one waits for room until its connection is closed
)

// room is a number of bytes that connections share.
type room struct {
	mu   sync.Mutex // guards what follows
	left int
	next chan struct{} // closed when bytes come back; nil when nobody waits
}

func newRoom(bytes int) *room { return &room{left: bytes} }

// take waits for n bytes, at most until over, or until gone is closed.
func (r *room) take(n int, over <-chan time.Time, gone <-chan struct{}) error {
	for {
		r.mu.Lock()
		if r.left >= n {
			r.left -= n
			r.mu.Unlock()
			return nil
		}
		if r.next == nil {
			r.next = make(chan struct{})
		}
		next := r.next
		r.mu.Unlock()
		select {
		case <-next:
		case <-over:
			return errNoRoom
		case <-gone:
			return net.ErrClosed
		}
	}
}

func (r *room) give(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += n
	if r.next != nil {
		close(r.next)
		r.next = nil
	}
}

var errNoRoom = errors.New("too many large packets at once")

// metered is a connection that holds back the header of a large packet until there is room for its body. It is read by
// one goroutine. [MQTT-2.2: a type, then the remaining length in one to four bytes]
type metered struct {
	net.Conn
	room    *room
	refused func(reason string)
	once    sync.Once
	gone    chan struct{} // closed by Close, from any goroutine; what follows is the reader's
	head    [5]byte       // of the packet that begins
	n       int           // bytes of it that have come
	left    int           // bytes of the body that have not
	held    int           // bytes taken from room
}

func newMetered(c net.Conn, r *room, refused func(reason string)) *metered {
	return &metered{Conn: c, room: r, refused: refused, gone: make(chan struct{})}
}

// Close implements net.Conn: who waits for room waits no longer.
func (m *metered) Close() error {
	m.once.Do(func() { close(m.gone) })
	return m.Conn.Close()
}

// Read implements net.Conn.
func (m *metered) Read(p []byte) (int, error) {
	if m.left == 0 {
		m.release() // the reader has done with it: it asks for the next
	}
	n, err := m.Conn.Read(p)
	for b := p[:n]; len(b) > 0; {
		if m.left > 0 {
			skip := min(m.left, len(b))
			m.left -= skip
			b = b[skip:]
			continue
		}
		if e := m.header(b[0]); e != nil {
			return 0, e
		}
		b = b[1:]
	}
	return n, err
}

// header takes one byte of a header. A length that is none is left to the reader, who closes the connection.
func (m *metered) header(b byte) error {
	m.head[m.n] = b
	m.n++
	if m.n < 2 || b >= 0x80 && m.n < len(m.head) {
		return nil
	}
	size, _ := binary.Uvarint(m.head[1:m.n]) // the same encoding
	m.n, m.left = 0, int(min(size, MaxPacket))
	m.release()
	if m.left <= smallPacket {
		return nil
	}
	wait := time.NewTimer(roomWait)
	defer wait.Stop()
	if err := m.room.take(m.left, wait.C, m.gone); err != nil {
		if errors.Is(err, errNoRoom) {
			m.refused("memory")
		}
		return err
	}
	m.held = m.left
	if err := m.SetReadDeadline(time.Now().Add(largeTime)); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

func (m *metered) release() {
	if m.held > 0 {
		m.room.give(m.held)
		m.held = 0
	}
}
