package spool

import (
	"encoding/binary"

	"github.com/situ-city/situ/pkg/sensor"
)

// A frame's first word is its length in the lower 28 bits and its kind in the upper four: the owner class of a record,
// or kindGone. The kind is in the checksum, in the upper four bits of the seq, which no log ever reaches.
const (
	kindShift = 28
	seqBits   = 60
	lengthMax = 1<<kindShift - 1

	kindGone = 0xE // in the place of messages that a Policy removed
)

// stamp is what stands in a frame's header while its checksum is computed.
func stamp(kind byte, seq uint64) uint64 { return seq | uint64(kind)<<seqBits }

// appendFrame appends a frame and seals it.
func appendFrame(dst []byte, kind byte, seq uint64, body []byte) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, stamp(kind, seq))
	dst = append(dst, body...)
	putHead(dst[at:], kind, len(body), checksum(dst[at:]))
	return dst
}

func putHead(b []byte, kind byte, length int, sum uint32) {
	binary.LittleEndian.PutUint32(b, uint32(kind)<<kindShift|uint32(length))
	binary.LittleEndian.PutUint32(b[4:], sum)
}

// gone is the body of a kindGone frame: n messages of one class, removed together.
type gone struct {
	n      uint64
	class  sensor.OwnerClass
	reason byte  // index of goneReasons
	at     int64 // Unix ms
	shares []byte
}

var goneReasons = [...]string{GapSpoolFull, GapHorizon}

func (g *gone) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, g.n)
	dst = append(dst, byte(g.class), g.reason)
	dst = binary.AppendVarint(dst, g.at)
	return append(dst, g.shares...)
}

// parseGone reads all but the shares, which it leaves in b.
func parseGone(b []byte) (g gone, ok bool) {
	r := goneReader{b: b}
	g.n, g.class, g.reason, g.at = r.uvarint(), sensor.OwnerClass(r.byte()), r.byte(), r.varint()
	g.shares = r.b
	return g, !r.bad && g.n > 0 && g.n < 1<<seqBits && int(g.reason) < len(goneReasons)
}

// appendShare encodes what one Thing lost. Shares stand one after the other to the body's end.
func appendShare(dst []byte, s *sensor.GapShare) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.Thing))
	dst = binary.AppendUvarint(dst, uint64(len(s.Owner)))
	dst = append(dst, s.Owner...)
	dst = binary.AppendVarint(dst, s.Hour/hourMs)
	return binary.AppendUvarint(dst, s.Messages)
}

// parseShares stops before what it does not understand: shares are for people, the frame has said what is gone.
func parseShares(b []byte) (shares []sensor.GapShare) {
	r := goneReader{b: b}
	for len(r.b) > 0 {
		s := sensor.GapShare{Thing: sensor.ThingKey(r.uint64()), Owner: r.text(), Hour: r.varint() * hourMs, Messages: r.uvarint()}
		if r.bad {
			break
		}
		shares = append(shares, s)
	}
	return shares
}

// goneReader walks bytes; the first error sticks.
type goneReader struct {
	b   []byte
	bad bool
}

func (r *goneReader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *goneReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *goneReader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *goneReader) text() string { return string(r.take(r.uvarint())) }

func (r *goneReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.pass(n)
	return v
}

func (r *goneReader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.pass(n)
	return v
}

func (r *goneReader) pass(n int) {
	if n <= 0 {
		r.b, r.bad = nil, true
		return
	}
	r.b = r.b[n:]
}
