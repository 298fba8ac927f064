package thingsboard

import (
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
)

const protocol = "thingsboard"

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

var errObject = fmt.Errorf("want an object of telemetry: %w", decode.ErrUnsupported)

// Decode implements decode.Decoder.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	root, err := d.Begin(dst, payload)
	if err != nil {
		return dst, err
	}
	switch {
	case root.IsArray():
		d.list(root)
	case !root.IsObject():
		d.Fail("", root, errObject)
	case isGateway(root):
		root.ForEach(func(device, list gjson.Result) bool {
			if len(device.Str) > doc.MaxKey {
				d.Refuse("device", device, fmt.Errorf("name of more than %d bytes: %w", doc.MaxKey, decode.ErrBound))
				return true
			}
			d.Base.Serial = d.Keep(device.Str)
			d.list(list)
			return !d.Failed()
		})
	default:
		d.telemetry(root)
	}
	return d.End()
}

// isGateway reports whether all members are arrays of objects, and there are some.
func isGateway(root gjson.Result) bool {
	some, all := false, true
	root.ForEach(func(_, list gjson.Result) bool {
		all = list.IsArray()
		list.ForEach(func(_, v gjson.Result) bool {
			some, all = true, all && v.IsObject()
			return all
		})
		return all
	})
	return some && all
}

func (d *Decoder) list(list gjson.Result) {
	list.ForEach(func(_, v gjson.Result) bool {
		if v.IsObject() {
			d.telemetry(v)
		} else if v.Type != gjson.Null {
			d.Base = decode.Reading{Serial: d.Base.Serial}
			d.Refuse("", v, errObject)
		}
		return !d.Failed()
	})
}

// telemetry reads {ts, values}, or the values by themselves.
func (d *Decoder) telemetry(v gjson.Result) {
	d.Base = decode.Reading{Serial: d.Base.Serial}
	var ts, values gjson.Result
	v.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "ts":
			ts = v
		case "values":
			values = v
		}
		return true
	})
	if !ts.Exists() || !values.IsObject() {
		d.values(v)
		return
	}
	ms, err := d.time(ts)
	if err != nil {
		d.Refuse("ts", ts, err)
		return
	}
	d.Base.Time = ms
	d.values(values)
}

func (d *Decoder) values(object gjson.Result) {
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
}

// time reads milliseconds; the seconds that many devices send instead are never taken for a moment of 1970.
func (d *Decoder) time(v gjson.Result) (int64, error) {
	x, err := doc.Number(v)
	if err != nil || x < -1e15 || x > 1e15 {
		return 0, fmt.Errorf("ts %.40s is no count of milliseconds since 1970: %w", v.Raw, decode.ErrTime)
	}
	if !d.Strict && x >= 1e9 && x < 1e10 {
		x *= 1000
	}
	return int64(x), nil
}
