package gb26875

import "github.com/situ-city/situ/internal/decode/frames"

// Signs and bounds of a packet.
const (
	sign    = 0x40 // twice, begins it
	mark    = 0x23 // twice, ends it
	head    = 27   // bytes up to and with the command
	tail    = 3
	maxData = 1024 // bytes of the data unit (6.6)
)

const maxPacket = head + maxData + tail

// packets is how packets look in a stream.
var packets = frames.Format{Sign: sign, Max: maxPacket, Find: find, Maybe: maybe, Measure: measure, Right: right}

// Split cuts a stream into its packets and returns what must wait for more bytes. Bytes around packets are dropped.
// Both alias stream; rest is never longer than a packet may be. Whether a packet is any good, Parse and Decode say.
func Split(stream []byte) (whole [][]byte, rest []byte) { return packets.Split(stream) }

// find gives the place where a packet begins, -1 if nowhere.
func find(b []byte, from int) int {
	for i := from; i+1 < len(b); i++ {
		if b[i] == sign && b[i+1] == sign {
			return i
		}
	}
	return -1
}

// maybe gives the place where a packet may begin that more bytes make plain.
func maybe(b []byte, from int) int {
	if n := len(b); n > from && b[n-1] == sign { // perhaps the first half of a beginning
		return n - 1
	}
	return len(b)
}

// measure reads the length field of the packet at the beginning of b. n is the packet's length.
func measure(b []byte) (n int, is frames.Condition) {
	if len(b) < head {
		return 0, frames.More
	}
	data := int(b[24]) | int(b[25])<<8
	n = head + data + tail
	switch {
	case data > maxData:
		return 0, frames.Broken
	case len(b) < n:
		return n, frames.More
	case b[n-2] != mark || b[n-1] != mark:
		return n, frames.Broken
	}
	return n, frames.Whole
}

// right compares the sum of a whole packet.
func right(p []byte) bool { return sum(p) == p[len(p)-tail] }

// sum adds the bytes from the serial number to the end of the data unit (6.6).
func sum(p []byte) (s byte) {
	for _, c := range p[2 : len(p)-tail] {
		s += c
	}
	return s
}
