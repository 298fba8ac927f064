package senml

import (
	"encoding/base64"
	"encoding/binary"
	stdjson "encoding/json"
	"math"
	"strconv"
)

// Pack is what Append writes: records that share a base name and a base time.
type Pack struct {
	Name    string  // base name; "" = none
	Time    float64 // base time, seconds; 0 = none
	Records []Record
}

// Record is one value. Of the values the first that is set counts: Text, Data, Truth, else Value.
type Record struct {
	Name  string
	Unit  string  // symbol of the SenML registry
	Time  float64 // added to the pack's
	Value float64
	Text  string
	Data  []byte
	Truth *bool
	Sum   *float64
}

// AppendJSON writes p in the JSON form.
func AppendJSON(dst []byte, p Pack) []byte {
	dst = append(dst, '[')
	for i, r := range p.Records {
		if i > 0 {
			dst = append(dst, ',')
		}
		j := jsonMembers{append(dst, '{')}
		p.members(i, r, &j)
		dst = append(j.b, '}')
	}
	return append(dst, ']')
}

// AppendCBOR writes p in the CBOR form, with numbers for labels.
func AppendCBOR(dst []byte, p Pack) []byte {
	dst = appendHead(dst, array, uint64(len(p.Records)))
	for i, r := range p.Records {
		var n counter
		p.members(i, r, &n)
		c := cborMembers{appendHead(dst, object, uint64(n))}
		p.members(i, r, &c)
		dst = c.b
	}
	return dst
}

// members is what both forms share: which fields a record has.
type members interface {
	text(f field, s string)
	number(f field, v float64)
	truth(v bool)
	data(b []byte)
}

func (p *Pack) members(i int, r Record, to members) {
	if i == 0 && p.Name != "" {
		to.text(baseName, p.Name)
	}
	if i == 0 && p.Time != 0 {
		to.number(baseTime, p.Time)
	}
	if r.Name != "" {
		to.text(name, r.Name)
	}
	if r.Unit != "" {
		to.text(unitOf, r.Unit)
	}
	if r.Time != 0 {
		to.number(timeOf, r.Time)
	}
	switch {
	case r.Text != "":
		to.text(textValue, r.Text)
	case r.Data != nil:
		to.data(r.Data)
	case r.Truth != nil:
		to.truth(*r.Truth)
	default:
		to.number(value, r.Value)
	}
	if r.Sum != nil {
		to.number(sum, *r.Sum)
	}
}

type jsonMembers struct{ b []byte }

func (j *jsonMembers) label(f field) {
	if j.b[len(j.b)-1] != '{' {
		j.b = append(j.b, ',')
	}
	j.b = append(append(append(j.b, '"'), labels[f]...), '"', ':')
}

func (j *jsonMembers) text(f field, s string) {
	j.label(f)
	quoted, _ := stdjson.Marshal(s) // a string always has a JSON form
	j.b = append(j.b, quoted...)
}

func (j *jsonMembers) number(f field, v float64) {
	j.label(f)
	j.b = strconv.AppendFloat(j.b, v, 'g', -1, 64)
}

func (j *jsonMembers) truth(v bool) {
	j.label(boolValue)
	j.b = strconv.AppendBool(j.b, v)
}

func (j *jsonMembers) data(b []byte) {
	j.label(dataValue)
	j.b = append(base64.RawURLEncoding.AppendEncode(append(j.b, '"'), b), '"')
}

type cborMembers struct{ b []byte }

func (c *cborMembers) label(f field) {
	if f >= version {
		c.b = appendHead(c.b, negative, uint64(f-version))
	} else {
		c.b = appendHead(c.b, unsigned, uint64(f))
	}
}

func (c *cborMembers) text(f field, s string) {
	c.label(f)
	c.b = append(appendHead(c.b, textString, uint64(len(s))), s...)
}

// number takes the shortest form that holds v exactly.
func (c *cborMembers) number(f field, v float64) {
	c.label(f)
	switch {
	case v == math.Trunc(v) && v >= 0 && v < 1<<53 && !math.Signbit(v):
		c.b = appendHead(c.b, unsigned, uint64(v))
	case v == math.Trunc(v) && v < 0 && v > -1<<53:
		c.b = appendHead(c.b, negative, uint64(-1-v))
	case float64(float32(v)) == v:
		c.b = binary.BigEndian.AppendUint32(append(c.b, simple<<5|26), math.Float32bits(float32(v)))
	default:
		c.b = binary.BigEndian.AppendUint64(append(c.b, simple<<5|27), math.Float64bits(v))
	}
}

func (c *cborMembers) truth(v bool) {
	c.label(boolValue)
	b := byte(simple<<5 | 20)
	if v {
		b++
	}
	c.b = append(c.b, b)
}

func (c *cborMembers) data(b []byte) {
	c.label(dataValue)
	c.b = append(appendHead(c.b, byteString, uint64(len(b))), b...)
}

// counter counts the fields of a record, for the head of its map.
type counter uint64

func (c *counter) text(field, string)    { *c++ }
func (c *counter) number(field, float64) { *c++ }
func (c *counter) truth(bool)            { *c++ }
func (c *counter) data([]byte)           { *c++ }

func appendHead(dst []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n < 1<<8:
		return append(dst, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), n)
}
