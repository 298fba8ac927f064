package chirpstack

import (
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
	"github.com/situ-city/situ/internal/decode/lorawan"
	"github.com/situ-city/situ/internal/decode/wasm"
	"github.com/situ-city/situ/pkg/sensor"
)

const protocol = "chirpstack"

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	plugins := wasm.Protocol()
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return newDecoder(s, plugins.New) }}
}

// Decoder turns payloads into Readings; one a connection, from one goroutine.
type Decoder struct {
	doc.Walk
	*lorawan.Profiles
	eui [16]byte
}

// New makes a Decoder.
func New(s decode.Settings) (*Decoder, error) { return newDecoder(s, wasm.Protocol().New) }

func newDecoder(s decode.Settings, plugin func(decode.Settings) (decode.Decoder, error)) (*Decoder, error) {
	w, err := doc.NewWalk(protocol, s)
	if err != nil {
		return nil, err
	}
	w.NoProbe = true
	profiles, err := lorawan.New(s.Profiles, plugin)
	return &Decoder{Walk: w, Profiles: profiles}, err
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
	eui, time, published, port, data, object gjson.Result
	gateway, server                          int64         // the first time in rxInfo of each; 0 = none has one
	up                                       bool          // has what only uplinks have
	status, located                          bool          // has what a status has, a location
	other                                    sensor.Reason // has what another event has; of a join it is devAddr alone
}

func (d *Decoder) event(root gjson.Result) {
	var e event
	for m := d.Members(root); m.Next(); {
		e.member(&m)
	}
	switch {
	case !e.eui.Exists():
		d.Fail("devEui", root, fmt.Errorf("no event of ChirpStack: %w", decode.ErrUnsupported))
	case e.status && !e.up:
		d.status(root, &e)
	case e.located && !e.up:
		d.located(root.Get("location"), &e)
	case e.other != "" && e.other != sensor.ReasonBirth || e.other != "" && !e.up:
		d.Nothing(e.other)
	case !e.up:
		d.Fail("object", root, fmt.Errorf("none of ChirpStack's events: %w", decode.ErrUnsupported))
	default:
		d.uplink(root, &e)
	}
}

func (e *event) member(m *doc.Members) {
	switch m.Name() {
	case "deviceInfo":
		for m := m.Members(); m.Next(); {
			if m.Name() == "devEui" {
				e.eui = m.Value()
			}
		}
	case "devEUI", "devEui":
		e.eui = m.Value()
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
		e.status = true
	case "location":
		e.located = true
	case "acknowledged", "queueItemId", "gatewayId", "gatewayID":
		e.other = sensor.ReasonCommand
	case "level", "code", "error", "integrationName":
		e.other = sensor.ReasonNoValues
	}
}

// status is what a device answers to the network's DevStatusReq (LoRaWAN 1.0.4, 5.5).
func (d *Decoder) status(root gjson.Result, e *event) {
	d.serial(e.eui)
	d.time(e)
	d.Nothing(sensor.ReasonHeartbeat)
	if margin := root.Get("margin"); margin.Exists() {
		d.Value("margin", margin, "dB{snr}")
	}
	powered := root.Get("externalPowerSource")
	if battery := root.Get("batteryLevel"); battery.Exists() && !powered.Bool() && !root.Get("batteryLevelUnavailable").Bool() {
		d.Value("batteryLevel", battery, "%")
	}
	if powered.Exists() {
		d.Value("externalPowerSource", powered, "")
	}
}

// located is a location that the network has worked out.
func (d *Decoder) located(location gjson.Result, e *event) {
	d.serial(e.eui)
	d.time(e)
	d.At(location.Get("longitude"), location.Get("latitude"))
	if !d.Base.HasPosition {
		return
	}
	d.Fix()
	d.Value("accuracy", location.Get("accuracy"), "m")
	d.Value("altitude", location.Get("altitude"), "m")
}

func (d *Decoder) uplink(root gjson.Result, e *event) {
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
		d.raw(root, e)
	}
}

// raw reads the frame by a profile.
func (d *Decoder) raw(root gjson.Result, e *event) {
	named := func(v4, v3 string) string {
		if v := root.Get("deviceInfo." + v4); v.Exists() {
			return v.String()
		}
		return root.Get(v3).String()
	}
	up := lorawan.Uplink{Port: int(e.port.Int()), Data: e.data,
		Profile:     [2]string{named("deviceProfileName", "deviceProfileName"), named("deviceProfileId", "deviceProfileID")},
		Application: [2]string{named("applicationName", "applicationName"), named("applicationId", "applicationID")}}
	if !d.Read(&d.Walk, &up) {
		d.Fail("object", e.data, lorawan.Missing(fmt.Sprintf("give the device profile %.80q a codec (device %s)", up.Profile[0], d.Base.Serial), &up))
	}
}

func (d *Decoder) object(object gjson.Result) {
	if !d.PlaceWithin(object) {
		d.Flatten("", object, nil)
		return
	}
	d.Flatten("", object, func(name string) string {
		if doc.InPlace(name) {
			return doc.Skip
		}
		return ""
	})
	if d.Added() == 0 && d.Base.HasPosition {
		d.Fix() // a tracker that tells only where it is
	}
}
