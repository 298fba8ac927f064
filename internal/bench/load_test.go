package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A broker that closes the connection while the window is full used to leave the load waiting for ever.
func TestLoadEndsWhenTheBrokerCloses(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.ReadFull(c, make([]byte, 20)) // of CONNECT and what follows, the rest stays unread
		_, _ = c.Write([]byte{0x20, 2, 0, 0})
		_, _ = io.ReadFull(c, make([]byte, 300))
	}()
	l := &Load{Addr: ln.Addr().String(), Connections: 1, Things: 1, Owner: "bench", Total: 1000, InFlight: 4}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { done <- l.Run(ctx) }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("no error, and nothing was acknowledged")
		}
	case <-time.After(10 * time.Second):
		t.Error("still waiting for room in its window")
	}
}

// What is published as fast as it can be must be as many observations as messages: no instant of a Thing comes twice.
func TestLoadRepeatsNoInstant(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var mu sync.Mutex
	seen := map[string]int{}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				var head [2]byte
				for id := 0; ; id++ {
					if _, err := io.ReadFull(c, head[:]); err != nil {
						return
					}
					size := int(head[1])
					if size&0x80 != 0 {
						var more [1]byte
						_, _ = io.ReadFull(c, more[:])
						size = size&0x7f | int(more[0])<<7
					}
					body := make([]byte, size)
					if _, err := io.ReadFull(c, body); err != nil {
						return
					}
					if head[0] == 0x10 {
						_, _ = c.Write([]byte{0x20, 2, 0, 0})
						continue
					}
					topic := 2 + int(binary.BigEndian.Uint16(body))
					at, _, _ := bytes.Cut(body[topic+2:], []byte(`,"lon"`))
					mu.Lock()
					seen[fmt.Sprintf("%s %s", body[2:topic], at)]++
					mu.Unlock()
					_, _ = c.Write([]byte{0x40, 2, body[topic], body[topic+1]})
				}
			}()
		}
	}()
	for _, connections := range []int{1, 3, 8, 20} {
		mu.Lock()
		clear(seen)
		mu.Unlock()
		l := &Load{Addr: ln.Addr().String(), Connections: connections, Things: 20, Owner: "bench", Total: 2000, InFlight: 100}
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(seen) != l.Total {
			t.Errorf("%d connections: %d instants of %d messages", connections, len(seen), l.Total)
		}
	}
}
