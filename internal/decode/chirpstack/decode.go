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
	eui, profile, time, published, port, data, object gjson.Result
	gateway, server                                   int64         // the first time in rxInfo of each; 0 = none has one
	up                                                bool          // has what only uplinks have
	other                                             sensor.Reason // has what another event has; of a join it is devAddr alone
}

func (d *Decoder) event(root gjson.Result) {
	var e event
	for m := d.Members(root); m.Next(); {
		e.member(&m)
	}
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

func (e *event) member(m *doc.Members) {
	switch m.Name() {
	case "deviceInfo":
		for m := m.Members(); m.Next(); {
			switch m.Name() {
			case "devEui":
				e.eui = m.Value()
			case "deviceProfileName":
				e.profile = m.Value()
			}
		}
	case "devEUI", "devEui":
		e.eui = m.Value()
	case "deviceProfileName":
		e.profile = m.Value()
	case "time":
		e.time = m.Value()
	case "publishedAt":
		e.published = m.Value()
	case "rxInfo":
		e.heard(m.Members())
	case "fPort":
		e.port, e.up = m.Value(), true
	case "data":
		e.data, e.up = m.Value(), true
	case "object", "objectJSON":
		if v := m.Value(); v.Type != gjson.Null {
			e.object, e.up = v, true
		}
	case "confirmed", "confirmedUplink":
		e.up = true
	case "devAddr":
		if e.other == "" {
			e.other = sensor.ReasonBirth
		}
	case "margin", "batteryLevel", "batteryLevelUnavailable", "externalPowerSource":
		e.other = sensor.ReasonHeartbeat
	case "acknowledged", "queueItemId", "gatewayId", "gatewayID":
		e.other = sensor.ReasonCommand
	case "level", "code", "error", "location", "integrationName":
		e.other = sensor.ReasonNoValues
	}
}

func (d *Decoder) uplink(e *event) {
	d.serial(e.eui)
	d.time(e)
	object := e.object
	if object.Type == gjson.String && object.Str != "" { // objectJSON: a document of its own
		inner, err := d.Inner(object)
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
