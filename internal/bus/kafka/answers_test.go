package kafka

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
)

// answers stands before one broker and loses the answers it is told to lose, each with its connection: the broker has
// done what it was asked and nobody hears of it.
type answers struct {
	ln   net.Listener
	to   string // set before anybody connects
	wait sync.WaitGroup

	mu    sync.Mutex // guards what follows
	lose  map[protocol.ApiKey]int
	lost  int
	conns []net.Conn
}

func newAnswers(t *testing.T) *answers {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &answers{ln: ln, lose: map[protocol.ApiKey]int{}}
	t.Cleanup(a.close)
	return a
}

func (a *answers) serve(to string) {
	a.to = to
	a.wait.Go(func() {
		for {
			c, err := a.ln.Accept()
			if err != nil {
				return
			}
			a.wait.Go(func() { a.conn(c) })
		}
	})
}

func (a *answers) close() {
	_ = a.ln.Close()
	a.mu.Lock()
	for _, c := range a.conns {
		_ = c.Close()
	}
	a.mu.Unlock()
	a.wait.Wait()
}

// loseNext loses the answer to the next request of this kind.
func (a *answers) loseNext(key protocol.ApiKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lose[key]++
}

// count tells how many were lost.
func (a *answers) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lost
}

func (a *answers) conn(client net.Conn) {
	broker, err := net.Dial("tcp", a.to)
	if err != nil {
		_ = client.Close()
		return
	}
	a.mu.Lock()
	a.conns = append(a.conns, client, broker)
	a.mu.Unlock()
	drop := make(chan bool, 1000) // of each request on its way: is its answer to be lost? Answers come in their order.
	var both sync.WaitGroup
	both.Go(func() {
		defer close(drop)
		defer broker.Close()
		frames(client, broker, func(frame []byte) bool {
			drop <- a.take(protocol.ApiKey(binary.BigEndian.Uint16(frame)))
			return true
		})
	})
	both.Go(func() {
		defer client.Close()
		frames(broker, client, func([]byte) bool { return !<-drop })
	})
	both.Wait()
}

func (a *answers) take(key protocol.ApiKey) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lose[key] == 0 {
		return false
	}
	a.lose[key]--
	a.lost++
	return true
}

// frames hands on what Kafka's length prefix holds together, until pass says no or a side ends.
func frames(from io.Reader, to io.Writer, pass func([]byte) bool) {
	var size [4]byte
	for {
		if _, err := io.ReadFull(from, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(from, frame); err != nil || len(frame) < 2 || !pass(frame) {
			return
		}
		if _, err := to.Write(append(size[:], frame...)); err != nil {
			return
		}
	}
}
