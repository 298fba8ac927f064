package chirpstack

import (
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
	"github.com/situ-city/situ/pkg/sensor"
)

const protocol = "chirpstack"

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return New(s) }}
}

// Decoder turns payloads into Readings; one a connection, from one goroutine.
type Decoder struct {
	doc.Walk
	eui [16]byte
}

// New makes a Decoder.
func New(s decode.Settings) (*Decoder, error) {
	w, err := doc.NewWalk(protocol, s)
	w.NoProbe = true
	return &Decoder{Walk: w}, err
}

// Decode implements decode.Decoder.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	root, err := d.Begin(dst, payload)
	if err != nil {
		return dst, err
	}
	d.event(root)
	return d.End()
}

// event is what the members of a payload say, of whichever kind it is.
type event struct {
	eui, profile, time, published, rx, port, data, object gjson.Result
	up                                                    bool          // has what only uplinks have
	other                                                 sensor.Reason // has what another event has
}

// others are members that tell which other event it is. A join has nothing of its own but devAddr.
var others = map[string]sensor.Reason{
	"margin": sensor.ReasonHeartbeat, "batteryLevel": sensor.ReasonHeartbeat, "batteryLevelUnavailable": sensor.ReasonHeartbeat,
	"externalPowerSource": sensor.ReasonHeartbeat, "acknowledged": sensor.ReasonCommand, "queueItemId": sensor.ReasonCommand,
	"gatewayId": sensor.ReasonCommand, "gatewayID": sensor.ReasonCommand, "level": sensor.ReasonNoValues, "code": sensor.ReasonNoValues,
	"error": sensor.ReasonNoValues, "location": sensor.ReasonNoValues, "integrationName": sensor.ReasonNoValues,
}

func (d *Decoder) event(root gjson.Result) {
	var e event
	root.ForEach(func(key, v gjson.Result) bool {
		e.member(key.Str, v)
		return true
	})
	switch {
	case !e.eui.Exists():
		d.Fail("devEui", root, fmt.Errorf("no event of ChirpStack: %w", decode.ErrUnsupported))
	case e.other != "" && e.other != sensor.ReasonBirth || e.other != "" && !e.up:
		d.Nothing(e.other)
	case !e.up:
		d.Fail("object", root, fmt.Errorf("none of ChirpStack's events: %w", decode.ErrUnsupported))
	default:
		d.uplink(&e)
	}
}

func (e *event) member(name string, v gjson.Result) {
	switch name {
	case "deviceInfo":
		v.ForEach(func(key, v gjson.Result) bool {
			switch key.Str {
			case "devEui":
				e.eui = v
			case "deviceProfileName":
				e.profile = v
			}
			return true
		})
	case "devEUI", "devEui":
		e.eui = v
	case "deviceProfileName":
		e.profile = v
	case "time":
		e.time = v
	case "publishedAt":
		e.published = v
	case "rxInfo":
		e.rx = v
	case "fPort":
		e.port, e.up = v, true
	case "data":
		e.data, e.up = v, true
	case "object", "objectJSON":
		if v.Type != gjson.Null {
			e.object, e.up = v, true
		}
	case "confirmed", "confirmedUplink":
		e.up = true
	case "devAddr":
		if e.other == "" {
			e.other = sensor.ReasonBirth
		}
	default:
		if why, ok := others[name]; ok {
			e.other = why
		}
	}
}

func (d *Decoder) uplink(e *event) {
	d.serial(e.eui)
	d.time(e)
	object := e.object
	if object.Type == gjson.String && object.Str != "" { // objectJSON: a document of its own
		inner, err := doc.Parse(protocol, []byte(object.Str))
		if err != nil {
			d.Fail("objectJSON", object, err)
			return
		}
		object = inner
	}
	switch {
	case object.IsObject():
		d.object(object)
	case e.data.Str == "":
		d.Nothing(sensor.ReasonHeartbeat)
	default:
		d.Fail("object", e.data, fmt.Errorf("no decoded object: give the device profile %.80q a codec (fPort %d, device %s): %w",
			e.profile.Str, e.port.Int(), d.Base.Serial, decode.ErrUnsupported))
	}
}

func (d *Decoder) object(object gjson.Result) {
	if !d.Place(object) {
		d.Flatten("", object, nil)
		return
	}
	d.Flatten("", object, func(name string) string {
		if doc.IsPlace(name) {
			return doc.Skip
		}
		return ""
	})
}
