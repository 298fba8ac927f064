package sparkplug

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/situ-city/situ/internal/decode"
)

// DataType is a Sparkplug data type (3.0, section 6.4.16).
type DataType uint32

// The data types.
const (
	Unknown DataType = iota
	Int8
	Int16
	Int32
	Int64
	UInt8
	UInt16
	UInt32
	UInt64
	Float
	Double
	Boolean
	String
	DateTime
	Text
	UUID
	DataSet
	Bytes
	File
	Template
	PropertySet
	PropertySetList
	Int8Array
	Int16Array
	Int32Array
	Int64Array
	UInt8Array
	UInt16Array
	UInt32Array
	UInt64Array
	FloatArray
	DoubleArray
	BooleanArray
	StringArray
	DateTimeArray
)

// carrier tells in which of the fields 10 to 19 a value came.
type carrier uint8

const (
	none   carrier = iota
	whole          // int_value, long_value
	single         // float_value
	double         // double_value
	truth          // boolean_value
	words          // string_value
	octets         // bytes_value
	other          // dataset, template, extension
)

// metric is one metric as it was read. Its bytes lie in the payload.
type metric struct {
	name       []byte
	alias      uint64
	time       uint64
	typ        DataType
	hasAlias   bool
	transient  bool
	null       bool
	carrier    carrier
	bits       uint64
	bytes      []byte
	unit       []byte
	badQuality bool
}

// summary is what the fields beside the metrics say.
type summary struct {
	time     uint64
	seq      uint64
	hasSeq   bool
	bdSeq    uint64
	hasBdSeq bool
	others   bool // metrics beside bdSeq
}

// cut reads one field: its number, its scalar or its bytes. n is negative when it is broken.
func cut(b []byte) (num protowire.Number, scalar uint64, bytes []byte, n int) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return 0, 0, nil, n
	}
	m := 0
	switch typ {
	case protowire.VarintType:
		scalar, m = protowire.ConsumeVarint(b[n:])
	case protowire.Fixed32Type:
		var v uint32
		v, m = protowire.ConsumeFixed32(b[n:])
		scalar = uint64(v)
	case protowire.Fixed64Type:
		scalar, m = protowire.ConsumeFixed64(b[n:])
	case protowire.BytesType:
		bytes, m = protowire.ConsumeBytes(b[n:])
		if bytes == nil {
			bytes = []byte{}
		}
	default: // groups: no field of Sparkplug is one, and they nest
		return 0, 0, nil, -1
	}
	if m < 0 {
		return 0, 0, nil, m
	}
	return num, scalar, bytes, n + m
}

// broken tells a message that ends too early from one whose bytes are none.
func broken(at, n int) error {
	cause := decode.ErrMalformed
	if n == -1 {
		cause = decode.ErrTruncated
	}
	return &decode.Error{Protocol: protocol, Offset: at, Err: fmt.Errorf("protobuf: %w", cause)}
}

// survey walks the whole payload once, so that nothing is kept of one that is broken.
func survey(payload []byte) (s summary, err error) {
	for i := 0; i < len(payload); {
		num, scalar, body, n := cut(payload[i:])
		if n < 0 {
			return s, broken(i, n)
		}
		switch {
		case num == 1:
			s.time = scalar
		case num == 3:
			s.seq, s.hasSeq = scalar, true
		case num == 2 && body != nil:
			m, at, n := readMetric(body)
			if n < 0 {
				return s, broken(i+at, n)
			}
			if string(m.name) == "bdSeq" {
				s.bdSeq, s.hasBdSeq = m.bits, true
			} else {
				s.others = true
			}
		case num == 2:
			return s, broken(i, -2)
		}
		i += n
	}
	return s, nil
}

// readMetric reads one metric. n is negative when it is broken, at says where.
func readMetric(b []byte) (m metric, at, n int) {
	for i := 0; i < len(b); {
		num, scalar, body, n := cut(b[i:])
		if n < 0 {
			return m, i, n
		}
		m.set(num, scalar, body)
		i += n
	}
	return m, 0, 0
}

func (m *metric) set(num protowire.Number, scalar uint64, body []byte) {
	switch num {
	case 1:
		m.name = body
	case 2:
		m.alias, m.hasAlias = scalar, true
	case 3:
		m.time = scalar
	case 4:
		m.typ = DataType(scalar)
	case 6:
		m.transient = scalar != 0
	case 7:
		m.null = scalar != 0
	case 9:
		m.properties(body)
	case 10:
		m.carrier, m.bits = whole, uint64(uint32(scalar))
	case 11:
		m.carrier, m.bits = whole, scalar
	case 12:
		m.carrier, m.bits = single, scalar
	case 13:
		m.carrier, m.bits = double, scalar
	case 14:
		m.carrier, m.bits = truth, scalar
	case 15:
		m.carrier, m.bytes = words, body
	case 16:
		m.carrier, m.bytes = octets, body
	case 17, 18, 19:
		m.carrier = other
	}
}

// properties looks for the unit and the quality in a PropertySet: keys and values are two lists in step.
func (m *metric) properties(b []byte) {
	unit, quality := -1, -1
	keys, values := 0, 0
	for pass := range 2 {
		for i := 0; i < len(b); {
			num, _, body, n := cut(b[i:])
			if n < 0 {
				return // the values stand without their properties
			}
			i += n
			switch {
			case num == 1 && pass == 0:
				switch string(body) {
				case "engUnit", "EngUnit", "Engineering Units", "engineeringUnits", "unit", "units":
					unit = keys
				case "Quality", "quality":
					quality = keys
				}
				keys++
			case num == 2 && pass == 1:
				switch values {
				case unit:
					m.unit = propertyText(body)
				case quality:
					m.badQuality = propertyNumber(body) != 192
				}
				values++
			}
		}
	}
}

func propertyText(b []byte) (text []byte) {
	for i := 0; i < len(b); {
		num, _, body, n := cut(b[i:])
		if n < 0 {
			return nil
		}
		if num == 8 {
			text = body
		}
		i += n
	}
	return text
}

func propertyNumber(b []byte) uint64 {
	for i := 0; i < len(b); {
		num, scalar, _, n := cut(b[i:])
		if n < 0 {
			break
		}
		if num == 3 || num == 4 {
			return scalar
		}
		i += n
	}
	return 192 // it says nothing
}

// integer reads bits as typ says.
func integer(typ DataType, bits uint64) float64 {
	switch typ {
	case Int8:
		return float64(int8(bits))
	case Int16:
		return float64(int16(bits))
	case Int32:
		return float64(int32(bits))
	case Int64:
		return float64(int64(bits))
	case UInt8:
		return float64(uint8(bits))
	case UInt16:
		return float64(uint16(bits))
	case UInt32:
		return float64(uint32(bits))
	}
	return float64(bits)
}

// shortest is the decimal of fewest digits that is this float32: 21.3, not 21.299999237060547.
func shortest(f float32) float64 {
	x := float64(f)
	if f != f || math.IsInf(x, 0) || math.Abs(x) >= 1e7 {
		return x
	}
	for p := 1.0; p <= 1e7; p *= 10 {
		if y := math.Round(x*p) / p; float32(y) == f {
			return y
		}
	}
	return x
}
