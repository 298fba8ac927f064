package gb26875

// Signs and bounds of a packet.
const (
	sign    = 0x40 // twice, begins it
	mark    = 0x23 // twice, ends it
	head    = 27   // bytes up to and with the command
	tail    = 3
	maxData = 1024 // bytes of the data unit (6.6)
)

const maxPacket = head + maxData + tail

// maxSound bounds how many packets are looked at to see whether one is torn by another.
const maxSound = 32

// Split cuts a stream into its packets and returns what must wait for more bytes. Bytes around packets are dropped.
// packets and rest alias stream; rest is never longer than a packet may be. Whether a packet is any good, Parse and
// Decode say.
func Split(stream []byte) (packets [][]byte, rest []byte) {
	for from := 0; ; {
		start, end, closed, ok := next(stream, from)
		switch {
		case !ok:
			if n := len(stream); n > from && stream[n-1] == sign { // perhaps the first half of a beginning
				return packets, stream[n-1:]
			}
			return packets, nil
		case !closed:
			return packets, stream[start:end]
		}
		packets = append(packets, stream[start:end])
		from = end
	}
}

// next finds the packet that begins at or after from. closed is false if it ends only because the bytes do.
func next(b []byte, from int) (start, end int, closed, ok bool) {
	start = find(b, from)
	if start < 0 {
		return 0, 0, false, false
	}
	n, is := measure(b[start:])
	for is == broken && start+2 < len(b) && b[start+2] == sign { // noise ended with the same sign
		start++
		n, is = measure(b[start:])
	}
	limit := len(b)
	switch is {
	case whole:
		limit = start + n
		if right(b[start:limit]) {
			return start, limit, true, true
		}
		closed = true
	case broken:
		if again := find(b, start+1); again >= 0 {
			limit, closed = again, true
		}
		if limit-start > maxPacket {
			limit, closed = start+maxPacket, true
		}
		return start, limit, closed, true
	}
	if inner := sound(b[:limit], start+1); inner >= 0 { // it was torn: another one begins before its end
		return start, inner, true, true
	}
	return start, limit, closed, true
}

// find gives the place where a packet begins, -1 if nowhere.
func find(b []byte, from int) int {
	for i := from; i+1 < len(b); i++ {
		if b[i] == sign && b[i+1] == sign {
			return i
		}
	}
	return -1
}

// condition of a packet by its length field.
type condition uint8

const (
	whole  condition = iota // it ends where it should
	more                    // the bytes end before it does
	broken                  // no packet, or one of another length
)

// measure reads the length field of the packet at the beginning of b. n is the packet's length.
func measure(b []byte) (n int, is condition) {
	if len(b) < head {
		return 0, more
	}
	data := int(b[24]) | int(b[25])<<8
	n = head + data + tail
	switch {
	case data > maxData:
		return 0, broken
	case len(b) < n:
		return n, more
	case b[n-2] != mark || b[n-1] != mark:
		return n, broken
	}
	return n, whole
}

// sound finds the first packet in b, from on, whose end and sum are right; -1 if there is none.
func sound(b []byte, from int) int {
	for tries := 0; tries < maxSound; from++ {
		from = find(b, from)
		if from < 0 {
			return -1
		}
		if n, is := measure(b[from:]); is == whole {
			if right(b[from : from+n]) {
				return from
			}
			tries++
		}
	}
	return -1
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
