package doc

import (
	"bytes"

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

// BeginText is Begin for a payload that need not be JSON: it checks size and encoding and gives a copy.
func (w *Walk) BeginText(dst []decode.Reading, payload []byte) (string, error) {
	w.start(dst)
	at, cause := -1, error(nil)
	text, bad := w.encoding.UTF8(payload)
	switch {
	case len(payload) > MaxSize:
		at, cause = MaxSize, decode.ErrBound
	case bad >= 0:
		at, cause = bad, decode.ErrEncoding
	case len(bytes.TrimSpace(text)) == 0:
		at, cause = 0, decode.ErrEmpty
	case w.Strict && bytes.HasPrefix(payload, mark):
		return "", w.marked()
	default:
		return string(text), nil
	}
	return "", &decode.Error{Protocol: w.Protocol, Offset: at, Err: cause}
}
