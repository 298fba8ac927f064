package ttn

import (
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
	"github.com/situ-city/situ/pkg/sensor"
)

const protocol = "ttn"

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
	w.NoProbe = true
	return &Decoder{w}, err
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
	{"downlink_queue_invalidated", sensor.ReasonCommand}, {"location_solved", sensor.ReasonNoValues}, {"service_data", sensor.ReasonNoValues},
}

// message finds out which kind it is.
func (d *Decoder) message(root gjson.Result) {
	var ids, up, received gjson.Result
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
	d.place(&u)
	switch {
	case u.decoded.IsObject():
		d.decoded(u.decoded)
	case u.normalized.IsArray():
		d.normalized(u.normalized)
	case u.normalized.IsObject(): // as uplink_normalized has it
		d.Flatten("", u.normalized, normalizedUnit)
	case u.bytes.Str == "":
		d.Nothing(sensor.ReasonHeartbeat)
	default:
		d.Fail("decoded_payload", up, missing(ids, &u))
	}
}

func (d *Decoder) decoded(object gjson.Result) {
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

// missing says which payload formatter would have to be set.
func missing(ids gjson.Result, u *uplink) error {
	profile := u.version.Get("brand_id").Str + "/" + u.version.Get("model_id").Str
	if profile == "/" {
		profile = "unknown model"
	}
	return fmt.Errorf("no decoded_payload: set an uplink payload formatter for %.80q (%.80s, f_port %d): %w",
		ids.Get("device_id").Str, profile, u.port.Int(), decode.ErrUnsupported)
}

// locationsInOrder are the keys of uplink_message.locations, the surest first.
var locationsInOrder = [...]string{"frm-payload", "lora-cloud-geolocation", "user"}

func (d *Decoder) place(u *uplink) {
	if !u.locations.IsObject() {
		return
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
}
