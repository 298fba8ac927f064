package adapter

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode/gb26875"
	"github.com/situ-city/situ/internal/decode/hj212"
	"github.com/situ-city/situ/internal/decode/sl651"
	"github.com/situ-city/situ/internal/publisher"
)

// wire is an MQTT broker of a few lines: it takes PUBLISH packets and acknowledges when told. What was not acknowledged
// the client sends again on its next connection.
type wire struct {
	t       *testing.T
	ln      net.Listener
	mu      sync.Mutex
	acks    bool
	conns   []net.Conn
	serving sync.WaitGroup
	came    chan string // payloads
}

func newWire(t *testing.T) *wire {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, ln: ln, came: make(chan string, 1000)}
	w.serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			w.mu.Lock()
			w.conns = append(w.conns, c)
			w.mu.Unlock()
			w.serving.Go(func() { w.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		w.cut()
		w.serving.Wait()
	})
	return w
}

// cut ends all connections, as a broker does that is killed.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

func (w *wire) acknowledge(yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acks = yes
}

func (w *wire) serve(c net.Conn) {
	defer c.Close()
	for {
		var head [1]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		n, err := binary.ReadUvarint(single{c})
		if err != nil || n > 1<<20 {
			return
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		switch head[0] >> 4 {
		case 1: // CONNECT
			_, _ = c.Write([]byte{0x20, 2, 0, 0})
		case 3: // PUBLISH, QoS 1
			at := 2 + int(binary.BigEndian.Uint16(body))
			w.mu.Lock()
			acks := w.acks
			w.mu.Unlock()
			if acks {
				_, _ = c.Write([]byte{0x40, 2, body[at], body[at+1]})
			}
			w.came <- string(body[at+2:])
		case 12: // PINGREQ
			_, _ = c.Write([]byte{0xd0, 0})
		}
	}
}

type single struct{ io.Reader }

func (s single) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(s.Reader, b[:])
	return b[0], err
}

// wired is an adapter for a protocol in front of a real MQTT client on w.
func wired(t *testing.T, w *wire, name string, change func(*Config)) *rig {
	t.Helper()
	pub, err := publisher.Dial(t.Context(), publisher.Config{Broker: "tcp://" + w.ln.Addr().String(), Client: "adapter-" + name,
		Connections: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = pub.Close(over) // what is on its way is nobody's any more
		w.acknowledge(true)
		w.cut() // so that the client's last messages are done, one way or the other
	})
	r := newRig(t, func(c *Config) {
		for _, p := range Protocols() {
			if p.Name == name {
				c.Protocol = p
			}
		}
		c.Topic = "situ/v1/acme/-/" + name
		c.Publish = func(ctx context.Context, topic string, payload []byte) (Token, error) {
			return pub.Begin(ctx, topic, payload)
		}
		c.Clock = time.Now
		if change != nil {
			change(c)
		}
	})
	t.Cleanup(r.stop) // before the publisher
	return r
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, beijing)

// spoken are the protocols, with the n-th frame of a device and what its answer must be.
var spoken = map[string]struct {
	frame    func(t *testing.T, n int) []byte
	answered func(t *testing.T, frame, answer []byte) bool
}{
	"hj212": {func(_ *testing.T, n int) []byte {
		return hj212.Append(nil, hj212.Frame{QN: noon.Add(time.Duration(n) * time.Second).Format("20060102150405.000"), ST: "22", CN: "2011", PW: "123456", MN: "88888880000001",
			Flag: "5", DataTime: noon.Format("20060102150405"), Values: []hj212.Value{{Code: "a34004", Param: "Rtd", Text: "35"}}})
	}, func(t *testing.T, frame, answer []byte) bool {
		f, err := hj212.Parse(frame)
		a, err2 := hj212.Parse(answer)
		return err == nil && err2 == nil && a.CN == "9014" && a.QN == f.QN
	}},
	"sl651": {func(t *testing.T, n int) []byte {
		body, err := sl651.AppendStation(nil, "0050600123", 'H')
		if err == nil {
			body, err = sl651.AppendNumber(sl651.AppendTime(body, noon), 0x39, 10.49)
		}
		if err != nil {
			t.Fatal(err)
		}
		f, err := sl651.Append(nil, sl651.Frame{Center: 1, Station: "0050600123", Function: 0x32, Serial: uint16(n + 1), Sent: noon.Format("060102150405"), Body: body})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}, func(t *testing.T, frame, answer []byte) bool {
		f, err := sl651.Parse(frame)
		a, err2 := sl651.Parse(answer)
		return err == nil && err2 == nil && a.Down && a.Serial == f.Serial && a.Checksum.OK
	}},
	"gb26875": {func(t *testing.T, n int) []byte {
		data := gb26875.AppendAnalog(gb26875.AppendUnit(nil, 3, 1), gb26875.Component{SystemType: 1, System: 3, Type: 40, Zone: 10, Place: 2}, 3, 215, noon)
		f, err := gb26875.Append(nil, gb26875.Packet{Serial: uint16(n), Version: [2]byte{1, 2}, Time: gb26875.Label(noon), Source: 0x379, Target: 1, Command: gb26875.Send, Data: data})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}, func(t *testing.T, frame, answer []byte) bool {
		f, err := gb26875.Parse(frame)
		a, err2 := gb26875.Parse(answer)
		return err == nil && err2 == nil && a.Command == gb26875.Confirm && a.Serial == f.Serial
	}},
}

// answer reads one answer.
func answer(t *testing.T, c net.Conn, protocol Protocol) []byte {
	t.Helper()
	var got []byte
	room := make([]byte, 256)
	for {
		n, err := c.Read(room)
		got = append(got, room[:n]...)
		if frames, _ := protocol.Split(got); len(frames) > 0 {
			return frames[0]
		}
		if err != nil {
			t.Fatalf("no answer, but %q, %v", got, err)
		}
	}
}

// Each protocol over a real MQTT client: frames that come slowly, byte by byte, glued, and between garbage are each
// published whole and answered as the standard has it, when the broker has acknowledged them.
func TestEachProtocolOverMQTT(t *testing.T) {
	for name, p := range spoken {
		t.Run(name, func(t *testing.T) {
			w := newWire(t)
			w.acknowledge(true)
			var protocol Protocol
			r := wired(t, w, name, func(c *Config) { protocol = c.Protocol })
			c := r.dial(t)
			random := rand.New(rand.NewPCG(1, 2))
			garbage := make([]byte, 300)
			for i := range garbage {
				garbage[i] = byte(random.IntN(256))
				if b := garbage[i]; b == '#' || b == 0x7E || b == 0x40 || b == 1 { // no frame begins in it
					garbage[i] = 0
				}
			}
			for n := range 4 {
				f := p.frame(t, n)
				switch n {
				case 0: // slowly
					for _, b := range f {
						send(t, c, string(b2(b)))
					}
				case 1, 2:
					send(t, c, string(garbage)+string(f))
				case 3:
					send(t, c, string(f[:len(f)/2]))
					send(t, c, string(f[len(f)/2:]))
				}
				if got := <-w.came; got != strings.TrimRight(string(f), "") {
					t.Fatalf("frame %d: published %q, want %q", n, got, f)
				}
				if a := answer(t, c, protocol); !p.answered(t, f, a) {
					t.Fatalf("frame %d: answered %q", n, a)
				}
			}
			send(t, c, string(p.frame(t, 5))+string(p.frame(t, 6))) // glued
			for _, n := range []int{5, 6} {
				if got := <-w.came; got != string(p.frame(t, n)) {
					t.Fatalf("published %q", got)
				}
			}
		})
	}
}

func b2(b byte) []byte { return []byte{b} }

// A broker that takes a message and swallows the PUBACK, and one that is killed in between: the device hears nothing until
// the message is acknowledged.
func TestNoAnswerWithoutPuback(t *testing.T) {
	for name, p := range spoken {
		t.Run(name+"/swallowed", func(t *testing.T) {
			w := newWire(t)
			r := wired(t, w, name, func(c *Config) { c.AckTimeout = 200 * time.Millisecond })
			c := r.dial(t)
			send(t, c, string(p.frame(t, 0)))
			<-w.came
			if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
				t.Fatalf("%q, %v", b, err)
			}
			if r.refused(t, "unacknowledged") != 1 {
				t.Error("not counted")
			}
		})
		t.Run(name+"/killed", func(t *testing.T) {
			w := newWire(t)
			var protocol Protocol
			r := wired(t, w, name, func(c *Config) { protocol = c.Protocol })
			c := r.dial(t)
			f := p.frame(t, 0)
			send(t, c, string(f))
			first := <-w.came
			_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Fatal("an answer without PUBACK")
			}
			_ = c.SetReadDeadline(time.Now().Add(time.Minute))
			w.acknowledge(true)
			w.cut()
			if again := <-w.came; again != first { // the client sends it again
				t.Errorf("%q, then %q", first, again)
			}
			if a := answer(t, c, protocol); !p.answered(t, f, a) {
				t.Errorf("answered %q", a)
			}
		})
	}
}

// A thousand devices that each leave a frame unfinished share one room; the one for whom there is none is let go.
func TestManyDevicesAreBoundedInMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("not run: a thousand connections; leave -short out")
	}
	const devices, each, room = 1000, 60_000, 8 << 20
	w := newWire(t)
	w.acknowledge(true)
	r := wired(t, w, "sl651", func(c *Config) { c.Room = room })
	head := append([]byte{0x7E, 0x7E, 1, 0, 0x50, 0x60, 1, 0x23, 0, 0, 0x36, 0x7f, 0xff, 0x16}, 0xff, 0xf0, 1) // a packet of 32,767 bytes
	before := heapNow()
	var conns []net.Conn
	for range devices {
		conns = append(conns, r.dial(t))
	}
	part := append(head, bytes.Repeat([]byte{0x33}, 30_000)...)
	for _, c := range conns {
		_, _ = c.Write(part) // the adapter may have let it go meanwhile
	}
	for over := time.Now().Add(time.Minute); r.refused(t, "memory") < devices/2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(over) {
			t.Fatalf("%v let go", r.refused(t, "memory"))
		}
	}
	if grown := heapNow() - before; grown > 3*room+devices*40_000 {
		t.Errorf("%d bytes grown", grown)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	for over := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // there is room again
		c := r.dial(t)
		f := spoken["sl651"].frame(t, 1)
		send(t, c, string(f[:20]))
		send(t, c, string(f[20:]))
		select {
		case got := <-w.came:
			if got != string(f) {
				t.Errorf("published %q", got)
			}
			return
		case <-time.After(time.Second):
		}
		if time.Now().After(over) {
			t.Fatal("no room after all have gone")
		}
	}
}

func heapNow() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A device that never reads its answers is not read any further, and closed in the end.
func TestUnreadAnswers(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Unread, c.Waiting = 100*time.Millisecond, 4 })
	r.at = true
	s, err := New(Config{Protocol: lines(), Topic: "situ/v1/acme/{serial}/lines", Publish: r.publish, Unread: 100 * time.Millisecond, Waiting: 4})
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe() // no buffer: what is not read is not written
	var served sync.WaitGroup
	served.Go(func() { s.device(t.Context(), near) })
	_ = far.SetDeadline(time.Now().Add(time.Minute))
	sent := 0
	for ; ; sent++ {
		if _, err := far.Write([]byte("a 1\n")); err != nil {
			break
		}
	}
	served.Wait()
	if sent == 0 || sent > 10 {
		t.Errorf("%d frames were taken of a device that reads no answer", sent)
	}
}
