package sensor

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/situ-city/situ/pkg/geo"
)

// ErrRecord: bytes that are not an encoded Message of a version this build knows.
var ErrRecord = errors.New("not a message record")

// Versions of the record. One with its payload is 4, one with a delivery is 3, one of an empty message that knows its Thing
// is 2, all others are 1, as they always were.
const (
	recordVersion         = 1
	recordVersionThing    = 2
	recordVersionDelivery = 3
	recordVersionPayload  = 4
)

// withDelivery is the bit in version 4's second byte that says that a delivery follows.
const withDelivery = 1

// HasDelivery reports whether an encoded message bears a delivery.
func HasDelivery(record []byte) bool {
	return len(record) > 0 && record[0] == recordVersionDelivery ||
		len(record) > 1 && record[0] == recordVersionPayload && record[1]&withDelivery != 0
}

// Flags before each observation: what differs from the observation before it in the same message.
const (
	hasThing = 1 << iota
	hasText
	hasPosition
	hasResultTime
	hasQuality
	hasCell
	hasRegistry
)

// AppendMessage encodes m (docs/formats/spool.md, "message body"). Two encodings of equal messages are equal.
func AppendMessage(dst []byte, m *Message) []byte {
	version := byte(recordVersion)
	if m.Empty != "" && m.Thing != "" {
		version = recordVersionThing
	}
	if m.Delivery.Number != 0 {
		version = recordVersionDelivery
	}
	var parts byte
	if m.Delivery.Number != 0 {
		parts = withDelivery
	}
	if m.Kept != nil {
		dst = append(dst, recordVersionPayload, parts)
		version = max(version, recordVersionThing)
	} else {
		dst = append(dst, version)
	}
	dst = binary.AppendVarint(dst, m.Arrival)
	dst = appendBytes(dst, string(m.Empty))
	if version >= recordVersionThing {
		dst = appendBytes(dst, string(m.Thing))
	}
	if version == recordVersionDelivery {
		dst = appendBytes(dst, m.Delivery.Session)
		dst = binary.AppendUvarint(dst, uint64(m.Delivery.Packet))
		dst = binary.AppendUvarint(dst, m.Delivery.Number)
		dst = append(dst, m.Delivery.Lanes)
	}
	dst = binary.AppendUvarint(dst, uint64(len(m.Observations)))
	prev := Observation{Lon: NoPosition, Lat: NoPosition}
	for i := range m.Observations {
		dst = appendObservation(dst, m.Arrival, &m.Observations[i], &prev)
		prev = m.Observations[i]
	}
	dst = binary.AppendUvarint(dst, uint64(len(m.DeadLetters)))
	for i := range m.DeadLetters {
		dst = appendJSON(dst, &m.DeadLetters[i])
	}
	dst = binary.AppendUvarint(dst, uint64(len(m.Declarations)))
	for i := range m.Declarations {
		dst = appendJSON(dst, &m.Declarations[i])
	}
	if m.Kept != nil {
		dst = appendKept(dst, m.Kept)
	}
	return dst
}

// PeekMessage reads of an encoded message when it arrived and whose it is: the Thing of its first observation, or else
// the owner of its first dead letter, or else who sent an empty one. It reads no further, so it does not find what is
// broken behind.
func PeekMessage(b []byte) (arrival int64, thing ThingKey, owner string) {
	r := recordReader{b: b}
	var m Message
	r.head(&m)
	if r.err != nil {
		return 0, 0, ""
	}
	if r.count(19) > 0 {
		var o Observation
		r.observation(m.Arrival, &o)
		return m.Arrival, o.Thing, ""
	}
	if r.count(1) > 0 {
		var d DeadLetter
		r.json(&d)
		return m.Arrival, 0, d.Owner
	}
	if m.Thing == "" || m.Thing.Name() == "-" {
		return m.Arrival, 0, m.Thing.Owner()
	}
	return m.Arrival, m.Thing.Key(), ""
}

// head reads what stands before the observations.
func (r *recordReader) head(m *Message) {
	version := r.byte()
	if (version < recordVersion || version > recordVersionPayload) && r.err == nil {
		r.err = fmt.Errorf("version %d: %w", version, ErrRecord)
		return
	}
	delivery := version == recordVersionDelivery
	if version == recordVersionPayload {
		parts := r.byte()
		if parts&^withDelivery != 0 && r.err == nil {
			r.err = fmt.Errorf("version %d with parts %#x: %w", version, parts, ErrRecord)
			return
		}
		delivery, m.Kept = parts&withDelivery != 0, new(KeptPayload)
	}
	m.Arrival = r.varint()
	m.Empty = Reason(r.text())
	if version >= recordVersionThing {
		m.Thing = ThingID(r.text())
	}
	if delivery {
		m.Delivery = Delivery{Session: r.text(), Packet: uint16(r.uvarint()), Number: r.uvarint(), Lanes: r.byte()}
	}
}

func appendObservation(dst []byte, arrival int64, o, prev *Observation) []byte {
	at := len(dst)
	dst = append(dst, 0)
	var flags byte
	if o.Thing != prev.Thing {
		flags |= hasThing
		dst = binary.LittleEndian.AppendUint64(dst, uint64(o.Thing))
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(o.Datastream))
	dst = binary.AppendUvarint(dst, uint64(o.Property))
	dst = binary.AppendVarint(dst, o.PhenomenonTime-arrival)
	if o.ResultTime != o.PhenomenonTime {
		flags |= hasResultTime
		dst = binary.AppendVarint(dst, o.ResultTime-o.PhenomenonTime)
	}
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(o.Result))
	if o.Text != "" {
		flags |= hasText
		dst = appendBytes(dst, o.Text)
	}
	if o.Lon != prev.Lon || o.Lat != prev.Lat {
		flags |= hasPosition
		dst = binary.LittleEndian.AppendUint32(dst, uint32(o.Lon))
		dst = binary.LittleEndian.AppendUint32(dst, uint32(o.Lat))
	}
	if o.Cell != prev.Cell {
		flags |= hasCell
		dst = binary.LittleEndian.AppendUint64(dst, uint64(o.Cell))
	}
	if o.Quality != 0 {
		flags |= hasQuality
		dst = binary.AppendUvarint(dst, uint64(o.Quality))
	}
	if o.Registry != prev.Registry {
		flags |= hasRegistry
		dst = binary.AppendUvarint(dst, uint64(o.Registry))
	}
	dst[at] = flags
	return dst
}

// DecodeMessage is the inverse of AppendMessage. It reuses m's memory; texts are copied, never aliased.
func DecodeMessage(m *Message, b []byte) error {
	m.Reset()
	r := recordReader{b: b}
	if r.head(m); r.err != nil {
		return r.err
	}
	prev := Observation{Lon: NoPosition, Lat: NoPosition}
	for n := r.count(19); n > 0; n-- { // 19: the fewest bytes an observation takes
		r.observation(m.Arrival, &prev)
		m.Observations = append(m.Observations, prev)
	}
	for n := r.count(1); n > 0 && r.err == nil; n-- {
		var d DeadLetter
		r.json(&d)
		m.DeadLetters = append(m.DeadLetters, d)
	}
	for n := r.count(1); n > 0 && r.err == nil; n-- {
		var d Declaration
		r.json(&d)
		m.Declarations = append(m.Declarations, d)
	}
	if m.Kept != nil {
		r.kept(m.Kept)
	}
	if r.err == nil && len(r.b) != 0 {
		r.err = fmt.Errorf("%d bytes left over: %w", len(r.b), ErrRecord)
	}
	return r.err
}

// recordReader walks the bytes; the first error sticks and every later read gives zero.
type recordReader struct {
	b   []byte
	err error
}

func (r *recordReader) observation(arrival int64, o *Observation) {
	flags := r.byte()
	if flags&hasThing != 0 {
		o.Thing = ThingKey(r.uint64())
	}
	o.Datastream = DatastreamID(r.uint64())
	o.Property = PropertyNumber(r.uvarint())
	o.PhenomenonTime = arrival + r.varint()
	o.ResultTime = o.PhenomenonTime
	if flags&hasResultTime != 0 {
		o.ResultTime += r.varint()
	}
	o.Result = math.Float64frombits(r.uint64())
	o.Text, o.Quality = "", 0
	if flags&hasText != 0 {
		o.Text = r.text()
	}
	if flags&hasPosition != 0 {
		o.Lon, o.Lat = int32(r.uint32()), int32(r.uint32())
	}
	if flags&hasCell != 0 {
		o.Cell = geo.Cell(r.uint64())
	}
	if flags&hasQuality != 0 {
		o.Quality = Quality(r.uvarint())
	}
	if flags&hasRegistry != 0 {
		o.Registry = uint32(r.uvarint())
	}
}

func (r *recordReader) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("truncated: %w", ErrRecord)
	}
	r.b = nil
}

func (r *recordReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *recordReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *recordReader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *recordReader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *recordReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *recordReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a number of items, refusing one that the bytes left could not hold.
func (r *recordReader) count(atLeast int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/atLeast) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *recordReader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	return r.take(int(n))
}

func (r *recordReader) text() string { return string(r.bytes()) }

func (r *recordReader) json(v any) {
	b := r.bytes()
	if r.err == nil {
		if err := json.Unmarshal(b, v); err != nil {
			r.err = fmt.Errorf("%w: %w", ErrRecord, err)
		}
	}
}

func appendBytes(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// appendJSON is for the rare parts of a message, where being able to read and extend them counts more than bytes.
func appendJSON(dst []byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // our own plain structs: cannot fail
		b = []byte("{}")
	}
	return appendBytes(dst, string(b))
}
