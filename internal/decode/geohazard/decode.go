package geohazard

import (
	"fmt"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
)

const protocol = "geohazard"

// maxLevel bounds how deep devices, lists and records may stand in one another.
const maxLevel = 6

// maxSerial bounds the name of a device.
const maxSerial = 64

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return New(s) }}
}

// Decoder turns payloads into Readings. It keeps the names it has seen; use one a connection, from one goroutine.
type Decoder struct {
	doc.Walk
	found bool // a code
	key   []byte
}

// New makes a Decoder for a source with these settings.
func New(s decode.Settings) (*Decoder, error) {
	w, err := doc.NewWalk(protocol, s)
	if err != nil {
		return nil, err
	}
	return &Decoder{Walk: w}, nil
}

// Decode implements decode.Decoder.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	root, err := d.Begin(dst, payload)
	if err != nil {
		return dst, err
	}
	d.found = false
	switch {
	case !root.IsObject() && !root.IsArray():
		d.Fail("", root, fmt.Errorf("want an object: %w", decode.ErrMalformed))
	case root.Get("bodies").Exists() && root.Get("header").Exists():
		d.Fail("bodies", root.Get("bodies"), fmt.Errorf("encrypted: %w", decode.ErrUnsupported))
	default:
		d.report(root, 0)
		if !d.found {
			d.Fail("", root, fmt.Errorf("no code of a sensor (L1_LF_1): %w", decode.ErrUnsupported))
		}
	}
	return d.End()
}

// report reads an object or a list of objects that may hold devices, codes, records and lists of them.
func (d *Decoder) report(v gjson.Result, level int) {
	if level > maxLevel {
		d.Fail("", v, fmt.Errorf("devices and lists %d deep: %w", level, decode.ErrBound))
		return
	}
	outer := d.Base
	if v.IsArray() {
		v.ForEach(func(_, member gjson.Result) bool {
			if member.Type == gjson.JSON {
				d.report(member, level+1)
			}
			return !d.Failed()
		})
		return
	}
	code, held := d.about(v)
	switch {
	case code != "" && held.Exists():
		d.Place(v)
		d.series(code, held)
	case code != "": // a record whose value stands among its other members
		d.found = true
		k, _ := kindOf(code)
		d.fields(code, k, v)
	default:
		d.members(v, level)
	}
	d.Base = outer
}

// about reads the members that say of what an object is: device and time into Base, the code of a record and its value.
func (d *Decoder) about(v gjson.Result) (code string, held gjson.Result) {
	v.ForEach(func(key, member gjson.Result) bool {
		switch roles[key.Str] {
		case device:
			if member.Type == gjson.String || member.Type == gjson.Number {
				d.Base.Serial = d.serial(member.String(), member)
			}
		case moment:
			if member.Type == gjson.JSON || member.Type == gjson.Null {
				break
			}
			ms, err := doc.Time(member, d.Zone)
			if err != nil {
				d.Refuse(key.Str, member, err)
				break
			}
			d.Base.Time = ms
		case channel:
			if _, ok := kindOf(member.Str); ok {
				code = d.Keep(member.Str)
			}
		case value, values:
			if !held.Exists() || roles[key.Str] == value {
				held = member
			}
		}
		return true
	})
	return code, held
}

// serial keeps the name of a device.
func (d *Decoder) serial(s string, v gjson.Result) string {
	if len(s) > maxSerial {
		d.Fail("device", v, fmt.Errorf("a name of %d bytes, at most %d: %w", len(s), maxSerial, decode.ErrBound))
		return ""
	}
	return d.Keep(s)
}

// members reads the codes, devices and lists in an object.
func (d *Decoder) members(v gjson.Result, level int) {
	v.ForEach(func(key, member gjson.Result) bool {
		if _, ok := kindOf(key.Str); ok {
			d.series(d.Keep(key.Str), member)
			return !d.Failed()
		}
		if member.Type != gjson.JSON {
			return true
		}
		outer := d.Base
		if roles[key.Str] == none && member.IsObject() {
			d.Base.Serial = d.serial(key.Str, key)
		}
		d.report(member, level+1)
		d.Base = outer
		return !d.Failed()
	})
}

// series reads all that stands under a code: values by their times, or one point.
func (d *Decoder) series(code string, v gjson.Result) {
	d.found = true
	outer := d.Base
	defer func() { d.Base = outer }()
	if v.IsArray() && v.Get("0").IsObject() {
		v.ForEach(func(_, member gjson.Result) bool {
			d.Base = outer
			d.point(code, member)
			return !d.Failed()
		})
		return
	}
	if !v.IsObject() || !timed(v) {
		d.point(code, v)
		return
	}
	v.ForEach(func(key, member gjson.Result) bool {
		d.Base = outer
		ms, err := doc.ParseTime(key.Str, d.Zone)
		if err != nil {
			d.Refuse(code, key, err)
			return true
		}
		d.Base.Time = ms
		d.point(code, member)
		return !d.Failed()
	})
}

// timed: the first name is a time, or would be one.
func timed(v gjson.Result) (yes bool) {
	v.ForEach(func(key, _ gjson.Result) bool {
		yes = len(key.Str) > 3 && key.Str[0]-'0' <= 9
		return false
	})
	return yes
}

// point reads what a sensor measured at one time.
func (d *Decoder) point(code string, v gjson.Result) {
	k, _ := kindOf(code)
	switch {
	case v.IsArray():
		i := 0
		v.ForEach(func(_, member gjson.Result) bool {
			name := strconv.Itoa(i)
			if i < len(k.array) {
				name = k.array[i]
			}
			i++
			d.value(code, name, k, member)
			return !d.Failed()
		})
	case v.IsObject():
		outer := d.Base
		d.about(v)
		d.fields(code, k, v)
		d.Base = outer
	default:
		d.value(code, "", k, v)
	}
}

// fields reads the named values of a point.
func (d *Decoder) fields(code string, k kind, v gjson.Result) {
	here := d.Place(v)
	v.ForEach(func(key, member gjson.Result) bool {
		r := roles[key.Str]
		if (r == none || r == value || r == values) && !(here && doc.IsPlace(key.Str)) {
			d.value(code, key.Str, k, member)
		}
		return !d.Failed()
	})
}

// value reads one value. name "" is that of a sensor that has but one.
func (d *Decoder) value(code, name string, k kind, v gjson.Result) {
	if v.Type == gjson.JSON {
		d.key = append(append(append(d.key[:0], code...), '.'), name...)
		key := d.KeepBytes(d.key)
		if named(name) {
			d.Base.Property = key[len(code)+1:]
		}
		d.Flatten(key, v, nil)
		d.Base.Property = ""
		return
	}
	key, unit := code, k.unit
	d.Base.Property = k.letters
	if name != "" {
		d.key = append(append(append(d.key[:0], code...), '.'), name...)
		key, unit = d.KeepBytes(d.key), k.unitOf(name)
		if named(name) && name != "value" {
			d.Base.Property = key[len(code)+1:]
		}
	}
	d.Value(key, v, unit)
	d.Base.Property = ""
}

// named: a name that says what is measured, no number in an array.
func named(name string) bool { return name != "" && name[0] > '9' }
