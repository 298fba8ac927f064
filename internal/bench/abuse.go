package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"
)

// Abuse is clients that behave badly, until ctx ends: what they break off they begin again.
type Abuse struct {
	Addr   string
	Deaf   int // publish and never read a PUBACK
	Large  int // send all of 2 MiB but the last byte, and wait
	Silent int // connect and say nothing more
}

// Run returns when all have gone.
func (a *Abuse) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	again := func(n int, name string, one func(ctx context.Context, c net.Conn, n int) error) {
		for i := range n {
			wg.Go(func() {
				for ctx.Err() == nil {
					a.client(ctx, fmt.Sprintf("situ-bad-%s-%d", name, i), i, one)
					_ = pause(ctx, 200*time.Millisecond)
				}
			})
		}
	}
	again(a.Deaf, "deaf", deaf)
	again(a.Large, "large", large)
	_ = pause(ctx, 300*time.Millisecond) // else these would have all the places
	again(a.Silent, "silent", func(ctx context.Context, _ net.Conn, _ int) error { <-ctx.Done(); return nil })
	wg.Wait()
	return nil
}

// client is one connection; how it ends is not its own doing.
func (a *Abuse) client(ctx context.Context, id string, n int, one func(context.Context, net.Conn, int) error) {
	c, err := net.Dial("tcp", a.Addr)
	if err != nil {
		return
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetReadBuffer(4 << 10) // else the kernel reads for it
	}
	if connect(c, id, "", "") == nil {
		_ = one(ctx, c, n)
	}
}

func deaf(ctx context.Context, c net.Conn, n int) error {
	l := Load{Owner: "bad", Things: 100}
	out := bufio.NewWriterSize(c, 16<<10)
	var packet []byte
	for k := 0; ctx.Err() == nil; k++ {
		packet = l.publish(packet[:0], n%l.Things, uint16(k%65535)+1, time.Now().UnixMilli(), k)
		if _, err := out.Write(packet); err != nil {
			return err
		}
		if k%200 == 199 { // 2,000 a second
			if err := pause(ctx, 100*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

func large(ctx context.Context, c net.Conn, _ int) error {
	topic := "situ/v1/bad/large/json"
	const size = 2<<20 - 8
	packet := binary.AppendUvarint([]byte{0x32}, size)
	packet = append(appendString(packet, topic), 0, 1)
	_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second)) // there may be no room for it
	if _, err := c.Write(append(packet, make([]byte, size-len(topic)-5)...)); err != nil {
		return err
	}
	return pause(ctx, 3*time.Second)
}
