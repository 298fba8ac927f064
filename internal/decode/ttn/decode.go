package ttn

import (
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
	"github.com/situ-city/situ/internal/decode/lorawan"
	"github.com/situ-city/situ/internal/decode/wasm"
	"github.com/situ-city/situ/pkg/sensor"
)

const protocol = "ttn"

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	plugins := wasm.Protocol()
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return newDecoder(s, plugins.New) }}
}

// Decoder turns payloads into Readings; one a connection, from one goroutine.
type Decoder struct {
	doc.Walk
	*lorawan.Profiles
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
	return &Decoder{w, profiles}, err
}

// Decode implements decode.Decoder.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	root, err := d.Begin(dst, payload)
	if err != nil {
		return dst, err
	}
	d.message(root)
	return d.End()
}

// events are the messages without values, by the member that holds them.
var events = [...]struct {
	member string
	why    sensor.Reason
}{
	{"join_accept", sensor.ReasonBirth},
	{"downlink_ack", sensor.ReasonCommand}, {"downlink_nack", sensor.ReasonCommand}, {"downlink_sent", sensor.ReasonCommand},
	{"downlink_failed", sensor.ReasonCommand}, {"downlink_queued", sensor.ReasonCommand},
	{"downlink_queue_invalidated", sensor.ReasonCommand}, {"service_data", sensor.ReasonNoValues},
}

// message finds out which kind it is.
func (d *Decoder) message(root gjson.Result) {
	var ids, up, received, solved gjson.Result
	var why sensor.Reason
	root.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "result":
			if v.IsObject() && !root.Get("end_device_ids").Exists() {
				d.message(v)
				why = d.Empty()
				return false
			}
		case "end_device_ids":
			ids = v
		case "uplink_message", "uplink_normalized":
			up = v
		case "received_at":
			received = v
		case "location_solved":
			solved = v
		case "simulated":
			if v.Bool() {
				d.Base.Quality |= sensor.Estimated
			}
		}
		for _, e := range events {
			if key.Str == e.member {
				why = e.why
			}
		}
		return true
	})
	switch {
	case up.IsObject():
		d.serial(ids)
		d.uplink(ids, up, received)
	case solved.IsObject():
		d.serial(ids)
		d.solved(solved.Get("location"), received)
	case why != "":
		d.Nothing(why)
	default:
		d.Fail("uplink_message", root, fmt.Errorf("no message of The Things Stack v3: %w", decode.ErrUnsupported))
	}
}

func (d *Decoder) serial(ids gjson.Result) {
	id := ids.Get("dev_eui")
	if id.Str == "" && !d.Strict {
		id = ids.Get("device_id")
	}
	if id.Type != gjson.String || id.Str == "" || len(id.Str) > doc.MaxKey {
		d.Fail("end_device_ids", ids, fmt.Errorf("no device: %w", decode.ErrMalformed))
	}
	d.Base.Serial = d.Keep(id.Str)
}

// uplink is what uplink_message holds.
type uplink struct {
	port, bytes, decoded, normalized, metadata, settings, received, locations, version gjson.Result
}

func (d *Decoder) uplink(ids, up, received gjson.Result) {
	u := uplink{received: received}
	up.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "f_port":
			u.port = v
		case "frm_payload":
			u.bytes = v
		case "decoded_payload":
			u.decoded = v
		case "normalized_payload":
			u.normalized = v
		case "rx_metadata":
			u.metadata = v
		case "settings":
			u.settings = v
		case "received_at":
			u.received = v
		case "locations":
			u.locations = v
		case "version_ids":
			u.version = v
		}
		return true
	})
	d.time(&u)
	measured := d.place(&u)
	switch {
	case u.decoded.IsObject():
		d.decoded(u.decoded, measured)
	case u.normalized.IsArray():
		d.normalized(u.normalized)
	case u.normalized.IsObject(): // as uplink_normalized has it
		d.Flatten("", u.normalized, normalizedUnit)
	case u.bytes.Str == "":
		d.Nothing(sensor.ReasonHeartbeat)
	default:
		d.raw(ids, &u)
	}
}

// raw reads the frame by a profile.
func (d *Decoder) raw(ids gjson.Result, u *uplink) {
	up := lorawan.Uplink{Port: int(u.port.Int()), Data: u.bytes}
	up.Application[0] = ids.Get("application_ids.application_id").Str
	if brand, model := u.version.Get("brand_id").Str, u.version.Get("model_id").Str; brand != "" || model != "" {
		up.Profile[0] = brand + "/" + model
	}
	if !d.Read(&d.Walk, &up) {
		d.Fail("decoded_payload", u.bytes, lorawan.Missing(fmt.Sprintf("set an uplink payload formatter for %.80q", ids.Get("device_id").Str), &up))
	}
}

func (d *Decoder) decoded(object gjson.Result, measured bool) {
	if d.PlaceWithin(object) {
		measured = true
		d.Flatten("", object, func(name string) string {
			if doc.InPlace(name) {
				return doc.Skip
			}
			return ""
		})
	} else {
		d.Flatten("", object, nil)
	}
	if d.Added() == 0 && measured {
		d.Fix() // a tracker that tells only where it is
	}
}

// solved is a location that the network has worked out.
func (d *Decoder) solved(location gjson.Result, received gjson.Result) {
	if ms, err := doc.Time(received, nil); err == nil {
		d.Base.Time = ms
	}
	d.At(location.Get("longitude"), location.Get("latitude"))
	if !d.Base.HasPosition {
		return
	}
	d.Fix()
	d.Value("accuracy", location.Get("accuracy"), "m")
	d.Value("altitude", location.Get("altitude"), "m")
}

// locationsInOrder are the keys of uplink_message.locations, the surest first.
var locationsInOrder = [...]string{"frm-payload", "lora-cloud-geolocation", "user"}

// place takes the surest location; measured: it came with this very frame.
func (d *Decoder) place(u *uplink) (measured bool) {
	if !u.locations.IsObject() {
		return false
	}
	var found gjson.Result
	rank := len(locationsInOrder)
	u.locations.ForEach(func(key, v gjson.Result) bool {
		at := len(locationsInOrder) - 2 // a service of another name locates as well as LoRa Cloud
		for i, name := range locationsInOrder {
			if key.Str == name {
				at = i
			}
		}
		if at < rank {
			found, rank = v, at
		}
		return true
	})
	d.At(found.Get("longitude"), found.Get("latitude"))
	return rank == 0 && d.Base.HasPosition
}
