package gb26875

import (
	"bytes"
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/frames"
)

const protocol = "gb26875"

// Commands (table of 6.6).
const (
	Control byte = 1 // the center commands
	Send    byte = 2 // the device tells
	Confirm byte = 3
	Request byte = 4 // the center asks
	Answer  byte = 5 // the device answers
	Deny    byte = 6
)

// Packet is all that stands in one packet.
type Packet struct {
	Serial   uint16
	Version  [2]byte // major, user's
	Time     [6]byte // second, minute, hour, day, month, year of the century
	Source   uint64  // 48 bits
	Target   uint64
	Command  byte
	Data     []byte // the data unit
	Declared int    // bytes of the data unit, by the length field
	Sum      byte   // as sent
	Right    byte   // as it should be
	at       int    // offset of Data in the payload
}

// Address writes a 48-bit address as this package does.
func Address(a uint64) string { return fmt.Sprintf("%012X", a&(1<<48-1)) }

// Parse reads the first packet in payload. Sum and length are compared, not judged. The Packet does not alias payload.
func Parse(payload []byte) (Packet, error) {
	start, end, closed, ok := packets.Next(payload, 0)
	if !ok {
		return Packet{}, fault(0, "", fmt.Errorf("no packet begins here (4040H): %w", decode.ErrMalformed))
	}
	p, err := open(payload, start, end, closed)
	if err != nil {
		return Packet{}, err
	}
	p.Data, p.at = bytes.Clone(p.Data), 0
	return p, nil
}

// open reads the packet b[start:end]; its Data aliases b. closed tells whether the packet was seen to its end.
func open(b []byte, start, end int, closed bool) (p Packet, err error) {
	f := b[start:end]
	if len(f) < head {
		return p, fault(end, "", fmt.Errorf("%d bytes of a head of %d: %w", len(f), head, decode.ErrTruncated))
	}
	p.Declared = int(f[24]) | int(f[25])<<8
	if n, is := measure(f); is == frames.Whole {
		f = f[:n]
	} else if g := bytes.TrimRight(f, "\r\n\x00 "); ends(f) {
	} else if ends(g) {
		f = g
	} else if !closed && is == frames.More {
		return p, fault(end, "", fmt.Errorf("%d bytes of a data unit of %d: %w", len(f)-head, p.Declared, decode.ErrTruncated))
	} else {
		return p, fault(start+24, "length", fmt.Errorf("no end behind the %d bytes it says: %w", p.Declared, decode.ErrMalformed))
	}
	p.Serial = uint16(f[2]) | uint16(f[3])<<8
	p.Version = [2]byte{f[4], f[5]}
	p.Time = [6]byte(f[6:12])
	p.Source, p.Target = address(f[12:18]), address(f[18:24])
	p.Command = f[26]
	p.Data, p.at = f[head:len(f)-tail:len(f)-tail], start+head
	p.Sum, p.Right = f[len(f)-tail], sum(f)
	return p, nil
}

// ends: a packet whose length field is wrong is known by its end and sum.
func ends(f []byte) bool {
	n := len(f)
	return n >= head+tail && n <= maxPacket && f[n-1] == mark && f[n-2] == mark && right(f)
}

// address reads 48 bits, low byte first.
func address(b []byte) (a uint64) {
	for i := 5; i >= 0; i-- {
		a = a<<8 | uint64(b[i])
	}
	return a
}

func fault(at int, field string, err error) *decode.Error {
	return &decode.Error{Protocol: protocol, Offset: at, Field: field, Err: err}
}
