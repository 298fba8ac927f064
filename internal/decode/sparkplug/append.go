package sparkplug

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Payload is what Append writes.
type Payload struct {
	Time    time.Time // zero = none
	Seq     uint8
	HasSeq  bool // NDEATH and NCMD have none
	Metrics []Metric
}

// Metric is one metric. Number is the value of numbers and Booleans, milliseconds for DateTime; Text that of words; Bytes
// that of bytes and packed arrays.
type Metric struct {
	Name       string // "" in data that uses the alias
	Alias      uint64 // 0 = none
	Time       time.Time
	Type       DataType
	Number     float64
	Text       string
	Bytes      []byte
	Unit       string // property engUnit
	Historical bool
	Transient  bool
	Null       bool
}

// Append appends the protobuf form of p.
func Append(dst []byte, p Payload) []byte {
	if !p.Time.IsZero() {
		dst = appendVarint(dst, 1, uint64(p.Time.UnixMilli()))
	}
	var body []byte
	for i := range p.Metrics {
		body = appendMetric(body[:0], &p.Metrics[i])
		dst = protowire.AppendBytes(protowire.AppendTag(dst, 2, protowire.BytesType), body)
	}
	if p.HasSeq {
		dst = appendVarint(dst, 3, uint64(p.Seq))
	}
	return dst
}

func appendVarint(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendText(b []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

func appendMetric(b []byte, m *Metric) []byte {
	if m.Name != "" {
		b = appendText(b, 1, m.Name)
	}
	if m.Alias != 0 {
		b = appendVarint(b, 2, m.Alias)
	}
	if !m.Time.IsZero() {
		b = appendVarint(b, 3, uint64(m.Time.UnixMilli()))
	}
	if m.Type != Unknown {
		b = appendVarint(b, 4, uint64(m.Type))
	}
	for num, set := range [...]bool{5: m.Historical, 6: m.Transient, 7: m.Null} {
		if set {
			b = appendVarint(b, protowire.Number(num), 1)
		}
	}
	if m.Unit != "" {
		value := appendText(appendVarint(nil, 1, uint64(String)), 8, m.Unit)
		set := appendText(nil, 1, "engUnit")
		set = protowire.AppendBytes(protowire.AppendTag(set, 2, protowire.BytesType), value)
		b = protowire.AppendBytes(protowire.AppendTag(b, 9, protowire.BytesType), set)
	}
	if m.Null {
		return b
	}
	return appendValue(b, m)
}

func appendValue(b []byte, m *Metric) []byte {
	switch m.Type {
	case Int8, Int16, Int32:
		return appendVarint(b, 10, uint64(uint32(int32(m.Number))))
	case UInt8, UInt16, UInt32:
		return appendVarint(b, 10, uint64(uint32(m.Number)))
	case Int64, DateTime:
		return appendVarint(b, 11, uint64(int64(m.Number)))
	case UInt64:
		return appendVarint(b, 11, uint64(m.Number))
	case Float:
		return protowire.AppendFixed32(protowire.AppendTag(b, 12, protowire.Fixed32Type), math.Float32bits(float32(m.Number)))
	case Boolean:
		return appendVarint(b, 14, protowire.EncodeBool(m.Number != 0))
	case String, Text, UUID:
		return appendText(b, 15, m.Text)
	case Bytes, File:
		return protowire.AppendBytes(protowire.AppendTag(b, 16, protowire.BytesType), m.Bytes)
	}
	if m.Type >= Int8Array && m.Type <= DateTimeArray {
		return protowire.AppendBytes(protowire.AppendTag(b, 16, protowire.BytesType), m.Bytes)
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, 13, protowire.Fixed64Type), math.Float64bits(m.Number))
}
