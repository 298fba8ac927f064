package senml

import (
	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// Bounds of a record, besides decode.MaxReadings.
const (
	MaxName = 256  // bytes of base name and name
	MaxText = 1024 // bytes of a value in words
)

// JSON is the protocol of the JSON representation, application/senml+json.
func JSON() decode.Protocol { return protocol("senml", (*pack).readJSON) }

// CBOR is the protocol of the CBOR representation, application/senml+cbor.
func CBOR() decode.Protocol { return protocol("senml-cbor", (*pack).readCBOR) }

func protocol(name string, read func(*pack, []byte) bool) decode.Protocol {
	return decode.Protocol{Name: name, New: func(s decode.Settings) (decode.Decoder, error) {
		d := &Decoder{read: read}
		d.protocol, d.strict = name, s.Strict
		return d, nil
	}}
}

// Decoder turns packs into Readings. It keeps the names it has seen; use one a connection, from one goroutine.
type Decoder struct {
	pack
	read func(*pack, []byte) bool
}

// Empty implements decode.Emptier: a pack without values has base fields only, or none at all.
func (d *Decoder) Empty() sensor.Reason { return sensor.ReasonNoValues }

// Decode implements decode.Decoder.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	d.begin(dst)
	ok := d.read(&d.pack, payload) && d.locate()
	out := d.out
	d.out, d.rec = nil, record{} // keep nothing of the caller's
	if !ok {
		clear(out[len(dst):])
		return dst, d.err
	}
	return out, nil
}
