package doc

import (
	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// Protocol makes a protocol of a name and the function that walks its payloads. Most JSON formats need no more.
// alive are payloads that are no JSON but a word: they are empty as heartbeats.
func Protocol(name string, walk func(w *Walk, root gjson.Result), alive ...string) decode.Protocol {
	return decode.Protocol{Name: name, New: func(s decode.Settings) (decode.Decoder, error) {
		w, err := NewWalk(name, s)
		return &decoder{Walk: w, walk: walk, alive: alive}, err
	}}
}

// decoder is the decode.Decoder of such a protocol.
type decoder struct {
	Walk
	walk  func(w *Walk, root gjson.Result)
	alive []string
}

// Decode implements decode.Decoder.
func (d *decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	return d.DecodeOn(dst, "", payload)
}

// DecodeOn implements decode.Topical.
func (d *decoder) DecodeOn(dst []decode.Reading, topic string, payload []byte) ([]decode.Reading, error) {
	for _, word := range d.alive {
		if string(payload) == word {
			d.Nothing(sensor.ReasonHeartbeat)
			return dst, nil
		}
	}
	root, err := d.Begin(dst, payload)
	if err != nil {
		return dst, err
	}
	d.Topic = topic
	d.walk(&d.Walk, root)
	d.Topic = ""
	return d.End()
}
