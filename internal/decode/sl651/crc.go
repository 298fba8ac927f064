package sl651

// checksum is the CRC of 6.2.3.1: polynomial x^16+x^15+x^2+1, low bit first, from FFFFH (CRC-16/MODBUS).
func checksum(data []byte) uint16 { return crc16(data, 0xffff) }

func crc16(data []byte, r uint16) uint16 {
	for len(data) >= 2 {
		r ^= uint16(data[0]) | uint16(data[1])<<8
		r = second[byte(r)] ^ first[byte(r>>8)]
		data = data[2:]
	}
	for _, c := range data {
		r = r>>8 ^ first[byte(r)^c]
	}
	return r
}

// first is the step of one byte, second that of a byte with another one behind it.
var first, second = steps()

func steps() (a, b [256]uint16) {
	for i := range a {
		r := uint16(i)
		for range 8 {
			carry := r & 1
			r = r>>1 ^ carry*0xa001
		}
		a[i] = r
	}
	for i := range b {
		b[i] = a[i]>>8 ^ a[byte(a[i])]
	}
	return a, b
}

// Names of the wrong ways of counting that Checksum.Variant tells.
const (
	variantSwapped = "low-byte-first"
	variantARC     = "crc16-arc"
)

// variant names the wrong way of counting that gives sum instead of right, "" if none is known.
func variant(data []byte, right, sum uint16) string {
	switch sum {
	case right<<8 | right>>8:
		return variantSwapped
	case crc16(data, 0):
		return variantARC
	}
	return ""
}
