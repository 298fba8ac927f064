package sl651

import (
	"bytes"

	"github.com/situ-city/situ/internal/decode/frames"
)

// Control characters (table 10).
const (
	soh = 0x01 // begins a frame in characters
	stx = 0x02
	syn = 0x16
	etx = 0x03 // ends the last frame
	etb = 0x17 // ends a frame after which more follow
	enq = 0x05
	eot = 0x04
	ack = 0x06
	nak = 0x15
	esc = 0x1B
)

// Bounds of a frame: the length field of a packet has 16 bits.
const (
	headBinary = 14 // bytes up to and with STX
	headText   = 24
	maxBody    = 0xffff
	maxFrame   = headText + maxBody + 5
)

// format is how frames look in a stream.
var format = frames.Format{Sign: 0x7E, Max: maxFrame, Find: find, Maybe: maybe, Measure: measure, Right: right}

// Split cuts a stream into its frames and returns what must wait for more bytes. Bytes around frames (registration
// and heartbeats of modems) are dropped. Both alias stream; rest is never longer than a frame may be. Whether a frame
// is any good, Parse and Decode say.
func Split(stream []byte) (whole [][]byte, rest []byte) { return format.Split(stream) }

// find gives the place where a frame begins, -1 if nowhere.
func find(b []byte, from int) int {
	for i := from; i < len(b); i++ {
		switch b[i] {
		case 0x7E:
			if i+1 < len(b) && b[i+1] == 0x7E {
				return i
			}
		case soh:
			if len(b)-i >= headText && isHex(b[i+1:i+headText-1]) {
				return i
			}
		}
	}
	return -1
}

// maybe gives the place from where more bytes may make a beginning.
func maybe(b []byte, from int) int {
	tail := max(from, len(b)-headText+1)
	for i := tail; i < len(b); i++ {
		if b[i] == soh && isHex(b[i+1:min(len(b), i+headText-1)]) {
			return i
		}
	}
	if n := len(b); n > from && b[n-1] == 0x7E {
		return n - 1
	}
	return len(b)
}

// isHex: letters and digits of any hexadecimal number.
func isHex(b []byte) bool {
	for _, c := range b {
		if nibble(c) < 0 {
			return false
		}
	}
	return true
}

func nibble(c byte) int {
	switch {
	case c-'0' <= 9:
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// measure reads the length field of the frame at the beginning of b. n is the frame's length.
func measure(b []byte) (n int, is frames.Condition) {
	head, sum := headBinary, 2
	if b[0] == soh {
		head, sum = headText, 4
	}
	if len(b) < head {
		return 0, frames.More
	}
	begin := b[head-1]
	if begin != stx && begin != syn {
		return 0, frames.Broken
	}
	body, _ := length(b[:head], begin == syn)
	n = head + body + 1 + sum
	if len(b) < n {
		return n, frames.More
	}
	if bytes.IndexByte([]byte{etx, etb, enq, eot, ack, nak, esc}, b[head+body]) < 0 {
		return n, frames.Broken
	}
	return n, frames.Whole
}

// length splits the field of direction and length (6.5.2). Packets use all its bits for the length, so that a
// first digit of 8 there might be either: it is taken for the direction, since nobody sends packets of 32 kB.
func length(head []byte, packet bool) (n int, down bool) {
	if head[0] == soh {
		for _, c := range head[headText-5 : headText-1] {
			n = n<<4 | nibble(c)
		}
	} else {
		n = int(head[headBinary-3])<<8 | int(head[headBinary-2])
	}
	if n>>12 == 8 || !packet {
		return n & 0xfff, n>>12 == 8
	}
	return n, false
}

// right compares the checksum of a whole frame.
func right(frame []byte) bool {
	data, sum, ok := sumOf(frame)
	return ok && checksum(data) == sum
}

// sumOf gives what the checksum is counted of, and the checksum sent.
func sumOf(frame []byte) (data []byte, sum uint16, ok bool) {
	n := len(frame)
	if frame[0] != soh {
		return frame[:n-2], uint16(frame[n-2])<<8 | uint16(frame[n-1]), true
	}
	for _, c := range frame[n-4:] {
		v := nibble(c)
		if v < 0 {
			return nil, 0, false
		}
		sum = sum<<4 | uint16(v)
	}
	return frame[:n-4], sum, true
}
