package hj212

// checksum is the CRC of HJ 212-2017 appendix A: like CRC-16/MODBUS, but each byte is XORed to the register's high
// byte moved down, and the low byte is thrown away. Only that high byte therefore lives on from byte to byte, and the
// step is linear in it, so that eight bytes can be taken at once by eight tables instead of one after the other.
func checksum(data []byte) uint16 {
	if len(data) == 0 {
		return 0xffff
	}
	h := byte(0xff)
	last := len(data) - 1
	b := data[:last]
	for len(b) >= 8 {
		h = high[7][h^b[0]] ^ high[6][b[1]] ^ high[5][b[2]] ^ high[4][b[3]] ^
			high[3][b[4]] ^ high[2][b[5]] ^ high[1][b[6]] ^ high[0][b[7]]
		b = b[8:]
	}
	for _, c := range b {
		h = high[0][h^c]
	}
	return a001[h^data[last]]
}

var (
	a001  = reflected(0xa001) // the step of one byte, polynomial x^16+x^15+x^2+1, low bit first
	x1021 = straight(0x1021)
	high  = highs()
)

func reflected(poly uint16) (t [256]uint16) {
	for i := range t {
		r := uint16(i)
		for range 8 {
			carry := r & 1
			r = r>>1 ^ carry*poly
		}
		t[i] = r
	}
	return t
}

func straight(poly uint16) (t [256]uint16) {
	for i := range t {
		r := uint16(i) << 8
		for range 8 {
			carry := r >> 15
			r = r<<1 ^ carry*poly
		}
		t[i] = r
	}
	return t
}

// highs: table k is the register's high byte after k+1 steps.
func highs() (t [8][256]byte) {
	for i := range 256 {
		t[0][i] = byte(a001[i] >> 8)
	}
	for k := 1; k < len(t); k++ {
		for i := range 256 {
			t[k][i] = t[0][t[k-1][i]]
		}
	}
	return t
}

// crc16 is the usual byte-wise CRC with polynomial 0x8005 reflected: ARC from 0, MODBUS from 0xffff.
func crc16(data []byte, r uint16) uint16 {
	for _, c := range data {
		r = r>>8 ^ a001[byte(r)^c]
	}
	return r
}

// ccittFalse is CRC-16/CCITT-FALSE.
func ccittFalse(data []byte) uint16 {
	r := uint16(0xffff)
	for _, c := range data {
		r = r<<8 ^ x1021[byte(r>>8)^c]
	}
	return r
}

// Names of the wrong ways of counting that Checksum.Variant tells.
const (
	variantARC        = "crc16-arc"
	variantModbus     = "crc16-modbus"
	variantCCITTFalse = "crc16-ccitt-false-without-trailing-&&"
)

// variant names the wrong way of counting that gives sum, "" if none is known. The first and the last were met in
// captured frames; MODBUS is what the appendix is most easily mistaken for. Each one more would let pass one more
// broken frame in 65,536.
func variant(data []byte, sum uint16) string {
	switch sum {
	case crc16(data, 0):
		return variantARC
	case crc16(data, 0xffff):
		return variantModbus
	case ccittFalse(data[:max(0, len(data)-2)]):
		return variantCCITTFalse
	}
	return ""
}
