package bench

import (
	"context"
	"io"
	"net"
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
