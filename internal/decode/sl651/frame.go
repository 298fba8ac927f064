package sl651

import (
	"bytes"
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/frames"
)

const protocol = "sl651"

// envelope is what stands around the body of a frame.
type envelope struct {
	text     bool // coded in characters
	down     bool
	center   byte
	station  [5]byte
	password uint16
	function byte
	begin    byte // STX or SYN
	end      byte
	total    int // packets, 0 = not in packets
	number   int // of this packet
	body     []byte
	at       int // offset of body in the payload
	declared int // bytes by the length field
	actual   int
	sum      uint16 // the CRC in the frame
	right    uint16 // the CRC it should be
	summed   []byte
}

// open reads the envelope of the frame b[start:end]. closed tells whether the frame was seen to its end.
func open(b []byte, start, end int, closed bool) (e envelope, err error) {
	f := b[start:end]
	head := headBinary
	if f[0] == soh {
		head, e.text = headText, true
	}
	if len(f) < head {
		return e, fault(end, "", fmt.Errorf("%d bytes of a head of %d: %w", len(f), head, decode.ErrTruncated))
	}
	e.begin = f[head-1]
	if e.begin != stx && e.begin != syn {
		return e, fault(start+head-1, "", fmt.Errorf("%02XH, want STX or SYN: %w", e.begin, decode.ErrMalformed))
	}
	e.declared, e.down = length(f[:head], e.begin == syn)
	f, ok := e.trim(f, head)
	if !ok {
		if !closed && start+head+e.declared >= end {
			return e, fault(end, "", fmt.Errorf("%d bytes of a body of %d: %w", len(f)-head, e.declared, decode.ErrTruncated))
		}
		return e, fault(start+head, "length", fmt.Errorf("no end behind the %d bytes it says: %w", e.declared, decode.ErrMalformed))
	}
	e.readHead(f)
	tail := 3
	if e.text {
		tail = 5
	}
	e.summed, e.sum, ok = sumOf(f)
	if !ok {
		return e, fault(start+len(f)-4, "CRC", fmt.Errorf("want 4 hexadecimal digits: %w", decode.ErrMalformed))
	}
	e.right = checksum(e.summed)
	e.body, e.at, e.end = f[head:len(f)-tail], start+head, f[len(f)-tail]
	e.actual = len(e.body)
	if e.begin == syn {
		return e, e.packet()
	}
	return e, nil
}

// trim gives the frame without what hangs behind it. A frame whose length field is wrong is known by its checksum.
func (e *envelope) trim(f []byte, head int) (frame []byte, ok bool) {
	if n, is := measure(f); is == frames.Whole {
		return f[:n], true
	}
	for _, g := range [...][]byte{f, bytes.TrimRight(f, "\r\n\x00 ")} {
		if len(g) >= head+5 && right(g) {
			return g, true
		}
	}
	return f, false
}

func (e *envelope) readHead(f []byte) {
	var room [headBinary - 3]byte
	h := f[2 : headBinary-1]
	if e.text {
		h = hexed(room[:0], f[1:headText-1])
	}
	if e.down {
		copy(e.station[:], h)
		e.center = h[5]
	} else {
		e.center = h[0]
		copy(e.station[:], h[1:])
	}
	e.password = uint16(h[6])<<8 | uint16(h[7])
	e.function = h[8]
}

// packet reads total and number before the body of a packet (6.5.3).
func (e *envelope) packet() error {
	n := 3
	var v int
	if e.text {
		n = 6
	}
	if len(e.body) < n || e.text && !isHex(e.body[:n]) {
		return fault(e.at, "packet", fmt.Errorf("want its total and number: %w", decode.ErrMalformed))
	}
	for _, c := range e.body[:n] {
		if e.text {
			v = v<<4 | nibble(c)
		} else {
			v = v<<8 | int(c)
		}
	}
	e.total, e.number = v>>12, v&0xfff
	if e.number == 0 || e.number > e.total {
		return fault(e.at, "packet", fmt.Errorf("number %d of %d: %w", e.number, e.total, decode.ErrMalformed))
	}
	e.body, e.at = e.body[n:], e.at+n
	return nil
}

// hexed appends the bytes that b spells; b holds hexadecimal digits only.
func hexed(dst, b []byte) []byte {
	for ; len(b) > 1; b = b[2:] {
		dst = append(dst, byte(nibble(b[0])<<4|nibble(b[1])))
	}
	return dst
}

func fault(at int, field string, err error) *decode.Error {
	return &decode.Error{Protocol: protocol, Offset: at, Field: field, Err: err}
}
