package tile

import (
	"encoding/binary"
	"math"
)

// Tags of the Protocol Buffers messages of MVT 2.1 (vector_tile.proto): field number << 3 | wire type.
const (
	tileLayer = 3<<3 | 2

	layerName    = 1<<3 | 2
	layerFeature = 2<<3 | 2
	layerKey     = 3<<3 | 2
	layerValue   = 4<<3 | 2
	layerExtent  = 5 << 3
	layerVersion = 15 << 3

	featureIDTag = 1 << 3
	featureTags  = 2<<3 | 2
	featureType  = 3 << 3
	featureGeom  = 4<<3 | 2

	valueString = 1<<3 | 2
	valueDouble = 3<<3 | 1
	valueUint   = 5 << 3

	pointType   = 1
	polygonType = 3

	moveTo    = 1 // [MVT 2.1 4.3.1] command id, count << 3
	lineTo    = 2
	closePath = 7
)

// xy is a point in units of the tile, y downwards.
type xy struct{ x, y int32 }

// layerWriter writes one layer of features. It is reused: what it wrote is copied out by appendLayer.
type layerWriter struct {
	features []byte
	values   []byte
	count    uint32 // values written
	seen     [seenSlots]seenValue
	texts    map[string]uint32

	tags     []uint32 // of the feature being written: key, value, key, value
	part     []byte   // packed geometry or tags
	ring     []xy
	clipped  []xy
	outlines []*outline
}

// seenValue remembers where a number was written. Two numbers that share a slot forget each other, and one of them
// is written twice; that is allowed, and cheaper than a map.
type seenValue struct {
	bits  uint64
	index uint32 // + 1, 0 = empty
	tag   byte
}

const seenSlots = 512

func (w *layerWriter) reset() {
	w.features, w.values, w.count = w.features[:0], w.values[:0], 0
	clear(w.seen[:])
	clear(w.texts)
	clear(w.outlines)
}

func (w *layerWriter) tag(key, value uint32) { w.tags = append(w.tags, key, value) }

func (w *layerWriter) next() uint32 {
	w.count++
	return w.count - 1
}

func (w *layerWriter) bytesValue(s []byte) uint32 {
	w.values = append(w.values, layerValue, byte(2+len(s)), valueString, byte(len(s))) // always short: a cell
	w.values = append(w.values, s...)
	return w.next()
}

// textValue writes a text once.
func (w *layerWriter) textValue(s string) uint32 {
	if i, ok := w.texts[s]; ok {
		return i
	}
	if w.texts == nil {
		w.texts = make(map[string]uint32)
	}
	w.values = append(w.values, layerValue)
	w.values = binary.AppendUvarint(w.values, uint64(1+uvarintLen(uint64(len(s)))+len(s)))
	w.values = append(w.values, valueString)
	w.values = binary.AppendUvarint(w.values, uint64(len(s)))
	w.values = append(w.values, s...)
	w.texts[s] = w.count
	return w.next()
}

func (w *layerWriter) uintValue(v uint64) uint32 {
	slot := w.slot(v, valueUint)
	if slot.index == 0 {
		w.values = append(w.values, layerValue, byte(1+uvarintLen(v)), valueUint)
		w.values = binary.AppendUvarint(w.values, v)
		slot.index = w.next() + 1
	}
	return slot.index - 1
}

func (w *layerWriter) floatValue(v float64) uint32 {
	bits := math.Float64bits(v)
	slot := w.slot(bits, valueDouble)
	if slot.index == 0 {
		w.values = append(w.values, layerValue, 9, valueDouble)
		w.values = binary.LittleEndian.AppendUint64(w.values, bits)
		slot.index = w.next() + 1
	}
	return slot.index - 1
}

// slot finds where a number was written, or an empty slot (index 0) to note it in.
func (w *layerWriter) slot(bits uint64, tag byte) *seenValue {
	s := &w.seen[(bits^uint64(tag))*0x9e3779b97f4a7c15>>55] // 2^9 slots
	if s.index == 0 || s.bits != bits || s.tag != tag {
		*s = seenValue{bits: bits, tag: tag}
	}
	return s
}

// feature writes one feature with the tags set before. A point is a ring of one; a polygon's ring is not closed.
func (w *layerWriter) feature(id uint64, kind byte, ring []xy) {
	w.part = w.part[:0]
	for _, t := range w.tags {
		w.part = binary.AppendUvarint(w.part, uint64(t))
	}
	tags := len(w.part)
	w.part = appendGeometry(w.part, kind, ring)
	geometry := len(w.part) - tags
	size := 1 + uvarintLen(id) + 1 + uvarintLen(uint64(tags)) + tags + 2 + 1 + uvarintLen(uint64(geometry)) + geometry
	f := append(w.features, layerFeature)
	f = binary.AppendUvarint(f, uint64(size))
	f = append(f, featureIDTag)
	f = binary.AppendUvarint(f, id)
	f = append(f, featureTags)
	f = binary.AppendUvarint(f, uint64(tags))
	f = append(f, w.part[:tags]...)
	f = append(f, featureType, kind, featureGeom)
	f = binary.AppendUvarint(f, uint64(geometry))
	w.features = append(f, w.part[tags:]...)
}

func appendGeometry(dst []byte, kind byte, ring []xy) []byte {
	var at xy
	for i, p := range ring {
		switch i {
		case 0:
			dst = append(dst, moveTo|1<<3)
		case 1:
			dst = binary.AppendUvarint(dst, uint64(lineTo|(len(ring)-1)<<3))
		}
		dst = binary.AppendVarint(dst, int64(p.x-at.x)) // zigzag, as MVT wants it
		dst = binary.AppendVarint(dst, int64(p.y-at.y))
		at = p
	}
	if kind == polygonType {
		dst = append(dst, closePath|1<<3)
	}
	return dst
}

// appendLayer appends the layer, as a tile of its own (layers one behind the other are one tile). A layer without
// features is none.
func (w *layerWriter) appendLayer(dst []byte, name string, keys []string) []byte {
	if len(w.features) == 0 {
		return dst
	}
	size := 1 + 1 + 2 + len(name) + len(w.features) + len(w.values) + 1 + uvarintLen(extent)
	for _, k := range keys {
		size += 2 + len(k)
	}
	dst = append(dst, tileLayer)
	dst = binary.AppendUvarint(dst, uint64(size))
	dst = append(dst, layerVersion, 2, layerName, byte(len(name)))
	dst = append(dst, name...)
	dst = append(dst, w.features...)
	for _, k := range keys {
		dst = append(dst, layerKey, byte(len(k)))
		dst = append(dst, k...)
	}
	dst = append(dst, w.values...)
	dst = append(dst, layerExtent)
	return binary.AppendUvarint(dst, extent)
}

func uvarintLen(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
