package hj212

import (
	"fmt"
	"testing"
)

// The tables must agree with the loop that the appendix prescribes.
func TestChecksumIsTheAppendix(t *testing.T) {
	loop := func(data []byte) uint16 {
		r := uint16(0xffff)
		for _, c := range data {
			r = r>>8 ^ uint16(c)
			for range 8 {
				out := r & 1
				if r >>= 1; out == 1 {
					r ^= 0xa001
				}
			}
		}
		return r
	}
	data := []byte("QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&")
	same(t, "annex A", fmt.Sprintf("%04X", checksum(data)), "1C80")
	for n := range 60 {
		for i := range data {
			data[i] = data[i]*31 + byte(i+n)
		}
		if got, want := checksum(data[:n]), loop(data[:n]); got != want {
			t.Fatalf("%d bytes: %04X, want %04X", n, got, want)
		}
	}
}

// Check values of the catalogue of parametrised CRC algorithms, of "123456789".
func TestVariantChecksums(t *testing.T) {
	nine := []byte("123456789")
	same(t, "ARC", crc16(nine, 0), 0xbb3d)
	same(t, "MODBUS", crc16(nine, 0xffff), 0x4b37)
	same(t, "CCITT-FALSE", ccittFalse(nine), 0x29b1)
	same(t, "none", variant(nine, 0x1234), "")
}
