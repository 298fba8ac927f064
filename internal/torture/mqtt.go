package torture

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Control packet types of MQTT 3.1.1, 2.2.1.
const (
	packetConnect = 1
	packetConnack = 2
	packetPublish = 3
	packetPuback  = 4
	packetPubrec  = 5
	packetPubrel  = 6
	packetPubcomp = 7
)

// conn is one MQTT 3.1.1 connection of a client that has to know exactly what it sent and what it was told: libraries
// hide both. It publishes with QoS 1 and 2 and does nothing else.
type conn struct {
	net.Conn
	r *bufio.Reader
}

const dialTimeout = 3 * time.Second

// dialMQTT opens a connection with a session that outlives it, or, clean, one that ends every session of this client.
func dialMQTT(ctx context.Context, addr, client string, clean bool) (*conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, r: bufio.NewReader(nc)}
	_ = c.SetDeadline(time.Now().Add(dialTimeout))
	body := []byte{0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 0} // level 4, clean session off, keep alive off
	if clean {
		body[7] = 2
	}
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(client))), client...)
	if _, err := c.Write(appendPacket(nil, packetConnect<<4, body)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	typ, b, err := c.read()
	if err == nil && (typ != packetConnack || len(b) != 2 || b[1] != 0) {
		err = fmt.Errorf("CONNECT was answered by packet %d, %v", typ, b)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	_ = c.SetDeadline(time.Time{})
	return c, nil
}

// appendPacket frames a packet. [MQTT 3.1.1, 2.2.3: remaining length]
func appendPacket(dst []byte, first byte, body []byte) []byte {
	dst = append(dst, first)
	n := len(body)
	for n >= 128 {
		dst = append(dst, byte(n)|128)
		n >>= 7
	}
	return append(append(dst, byte(n)), body...)
}

// appendPublish frames a PUBLISH; again sets DUP.
func appendPublish(dst []byte, m *message, again bool) []byte {
	body := append(binary.BigEndian.AppendUint16(nil, uint16(len(m.topic))), m.topic...)
	body = append(binary.BigEndian.AppendUint16(body, m.packet), m.payload...)
	first := byte(packetPublish<<4) | m.qos<<1
	if again {
		first |= 8
	}
	return appendPacket(dst, first, body)
}

func appendPubrel(dst []byte, packet uint16) []byte {
	return appendPacket(dst, packetPubrel<<4|2, binary.BigEndian.AppendUint16(nil, packet))
}

// read gives the next packet's type and what follows its length.
func (c *conn) read() (typ byte, body []byte, err error) {
	first, err := c.r.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(c.r) // the same form as MQTT's, for what a server sends
	if err != nil || n > 1<<20 {
		return 0, nil, errors.Join(err, fmt.Errorf("packet of %d bytes", n))
	}
	body = make([]byte, n)
	_, err = io.ReadFull(c.r, body)
	return first >> 4, body, err
}
