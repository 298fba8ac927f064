package homeassistant

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
	"github.com/situ-city/situ/pkg/sensor"
)

const protocol = "homeassistant"

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return New(s) }}
}

// Decoder turns payloads into Readings; one a connection, from one goroutine.
type Decoder struct {
	doc.Walk
}

// New makes a Decoder.
func New(s decode.Settings) (*Decoder, error) {
	w, err := doc.NewWalk(protocol, s)
	return &Decoder{w}, err
}

// Decode implements decode.Decoder.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	return d.DecodeOn(dst, "", payload)
}

// DecodeOn implements decode.Topical.
func (d *Decoder) DecodeOn(dst []decode.Reading, topic string, payload []byte) ([]decode.Reading, error) {
	text, err := d.BeginText(dst, payload)
	if err != nil {
		return dst, err
	}
	text = strings.TrimSpace(text)
	key, why := about(topic)
	switch {
	case why != "":
		d.Nothing(why)
		return d.End()
	case text[0] != '{' && text[0] != '[' && text[0] != '"':
		d.state(key, gjson.Result{Type: gjson.String, Str: text}, "")
		return d.End()
	}
	root, err := d.Begin(dst, payload)
	if err != nil {
		return dst, err
	}
	switch {
	case root.Type == gjson.String:
		d.state(key, root, "")
	case !root.IsObject():
		d.Fail("", root, fmt.Errorf("want a state: %w", decode.ErrUnsupported))
	default:
		d.object(root)
	}
	return d.End()
}

// about tells from the topic what a state is called, or why the payload holds none.
func about(topic string) (key string, why sensor.Reason) {
	levels := strings.Split(topic, "/")
	last := levels[len(levels)-1]
	switch last {
	case "config":
		return "", sensor.ReasonBirth
	case "unit_of_measurement", "friendly_name", "icon", "device_class", "state_class", "last_changed", "last_updated", "attributes",
		"attribution", "entity_picture", "supported_features":
		return "", sensor.ReasonNoValues
	case "availability", "status":
		return "", sensor.ReasonHeartbeat
	case "", protocol:
		return "state", ""
	case "state":
		if len(levels) > 1 && levels[len(levels)-2] != "" {
			return levels[len(levels)-2], ""
		}
	}
	return last, ""
}

// state adds one state by itself.
func (d *Decoder) state(key string, v gjson.Result, unit string) {
	switch strings.ToLower(strings.TrimSpace(v.Str)) {
	case "unavailable", "unknown", "none", "null":
	case "online", "offline":
		d.Nothing(sensor.ReasonHeartbeat)
	case "true":
		d.Value(key, gjson.Result{Type: gjson.True}, "")
	case "false":
		d.Value(key, gjson.Result{Type: gjson.False}, "")
	default:
		d.Value(key, v, unit)
	}
}

func (d *Decoder) object(root gjson.Result) {
	fired := root.Get("time_fired")
	if event := root.Get("event_data"); event.IsObject() {
		state := event.Get("new_state")
		if !state.IsObject() { // removed, or another kind of event
			return
		}
		root = state
	}
	id, state := root.Get("entity_id").Str, root.Get("state")
	if id == "" || !state.Exists() {
		d.Flatten("", root, nil)
		return
	}
	for _, at := range [...]gjson.Result{fired, root.Get("last_changed"), root.Get("last_updated")} {
		if at.Type == gjson.Null {
			continue
		}
		ms, err := doc.Time(at, nil)
		if err != nil {
			d.Fail("last_updated", at, err)
			return
		}
		d.Base.Time = ms
	}
	attributes := root.Get("attributes")
	d.Place(attributes)
	_, object, ok := strings.Cut(id, ".")
	if !ok {
		object = id
	}
	d.state(object, state, d.Unit(attributes.Get("unit_of_measurement").Str))
}
