// Package bench measures situ from outside, as its users meet it: over MQTT, HTTP and SQL, with the load generator
// in a process of its own so that its CPU time is not counted.
package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Load publishes JSON readings of two values each, about 100 bytes, with QoS 1. It frames MQTT 3.1.1 by itself:
// a client library costs more than the whole road it is to measure.
type Load struct {
	Addr        string
	User        string
	Password    string
	Connections int
	Things      int     // Things the messages are spread over
	Owner       string  // topics are situ/v1/{Owner}/t-{n}/json
	Total       int     // messages
	Rate        float64 // messages a second over all connections, 0 = as fast as they are acknowledged
	InFlight    int     // unacknowledged messages a connection

	acked atomic.Int64
}

// Acked is the number of messages acknowledged so far.
func (l *Load) Acked() int64 { return l.acked.Load() }

// Run publishes everything and returns when all is acknowledged.
func (l *Load) Run(ctx context.Context) error {
	if l.Things < l.Connections {
		return fmt.Errorf("%d connections and %d Things: each connection needs one of its own", l.Connections, l.Things)
	}
	var wg sync.WaitGroup
	errs := make(chan error, l.Connections)
	for i := range l.Connections {
		wg.Go(func() { errs <- l.connection(ctx, i) })
	}
	wg.Wait()
	close(errs)
	var err error
	for e := range errs {
		err = errors.Join(err, e)
	}
	return err
}

func (l *Load) connection(ctx context.Context, n int) error {
	c, err := net.Dial("tcp", l.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if err := connect(c, fmt.Sprintf("situ-bench-%d", n), l.User, l.Password); err != nil {
		return err
	}
	share := l.Total / l.Connections
	if n < l.Total%l.Connections {
		share++
	}
	window := make(chan struct{}, l.InFlight)
	read := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		err := l.readAcks(c, share, window)
		if err != nil {
			cancel() // else the writer waits for ever for room in its window
		}
		read <- err
	}()
	if err := l.write(ctx, c, n, share, window); err != nil {
		_ = c.Close()
		return errors.Join(err, <-read)
	}
	return <-read
}

// write sends the share of connection n: Things n, n+Connections, ... in turn. No Thing says two things of the same
// instant, which would be one observation corrected.
func (l *Load) write(ctx context.Context, c net.Conn, n, share int, window chan struct{}) error {
	out := bufio.NewWriterSize(c, 64<<10)
	started := time.Now()
	own := (l.Things - n + l.Connections - 1) / l.Connections
	var packet []byte
	var now, earliest int64 // ms; earliest is that of this round of the Things
	for k := range share {
		select {
		case window <- struct{}{}:
		default: // the window is full: let what is written go, then wait
			if err := out.Flush(); err != nil {
				return err
			}
			select {
			case window <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if l.Rate > 0 {
			due := started.Add(time.Duration(float64(k) * float64(l.Connections) / l.Rate * float64(time.Second)))
			if wait := time.Until(due); wait > 2*time.Millisecond {
				if err := out.Flush(); err != nil {
					return err
				}
				time.Sleep(wait)
			}
		}
		if k%own == 0 {
			earliest = now + 1
		}
		now = max(time.Now().UnixMilli(), earliest)
		packet = l.publish(packet[:0], n+k%own*l.Connections, uint16(k%65535)+1, now, k)
		if _, err := out.Write(packet); err != nil {
			return err
		}
	}
	return out.Flush()
}

// publish builds one PUBLISH packet, QoS 1 [MQTT-3.1.1 section 3.3].
func (l *Load) publish(dst []byte, thing int, id uint16, now int64, k int) []byte {
	var body [256]byte
	b := append(body[:2], "situ/v1/"...)
	b = append(b, l.Owner...)
	b = append(b, "/t-"...)
	b = strconv.AppendInt(b, int64(thing), 10)
	b = append(b, "/json"...)
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	b = binary.BigEndian.AppendUint16(b, id)
	b = append(b, `{"t":`...)
	b = strconv.AppendInt(b, now, 10)
	b = append(b, `,"lon":`...)
	lon, lat := place(thing)
	b = strconv.AppendFloat(b, lon, 'f', 6, 64)
	b = append(b, `,"lat":`...)
	b = strconv.AppendFloat(b, lat, 'f', 6, 64)
	b = append(b, `,"temperature":`...)
	b = strconv.AppendFloat(b, 15+float64((thing*7+k)%200)/10, 'f', 1, 64)
	b = append(b, `,"pm2_5":`...)
	b = strconv.AppendFloat(b, 20+float64((thing*13+k)%400)/10, 'f', 1, 64)
	b = append(b, '}')
	dst = append(dst, 0x32)
	dst = binary.AppendUvarint(dst, uint64(len(b))) // MQTT's remaining length is the same encoding
	return append(dst, b...)
}

// place puts the Things on a grid over the city.
func place(thing int) (lon, lat float64) {
	return 106.2 + float64(thing%100)*0.007, 29.3 + float64(thing/100%100)*0.005
}

func (l *Load) readAcks(c net.Conn, n int, window chan struct{}) error {
	in := bufio.NewReaderSize(c, 16<<10)
	var p [4]byte
	for range n {
		if _, err := io.ReadFull(in, p[:]); err != nil {
			return fmt.Errorf("read PUBACK: %w", err)
		}
		if p[0] != 0x40 || p[1] != 2 {
			return fmt.Errorf("got packet %x, want PUBACK", p)
		}
		<-window
		l.acked.Add(1)
	}
	return nil
}

// connect says CONNECT and reads CONNACK.
func connect(c net.Conn, id, user, password string) error {
	flags := byte(2) // clean session
	payload := appendString(nil, id)
	if user != "" {
		flags |= 0xc0
		payload = appendString(appendString(payload, user), password)
	}
	body := append(appendString(nil, "MQTT"), 4, flags, 0, 60)
	body = append(body, payload...)
	packet := append(binary.AppendUvarint([]byte{0x10}, uint64(len(body))), body...)
	if _, err := c.Write(packet); err != nil {
		return err
	}
	var ack [4]byte
	if _, err := io.ReadFull(c, ack[:]); err != nil {
		return fmt.Errorf("read CONNACK: %w", err)
	}
	if ack[0] != 0x20 || ack[3] != 0 {
		return fmt.Errorf("connection refused: CONNACK %x", ack)
	}
	return nil
}

func appendString(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}
