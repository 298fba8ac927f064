package opensensemap

import (
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
)

const protocol = "opensensemap"

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return New(s) }}
}

var errKind = fmt.Errorf("neither a box nor measurements: %w", decode.ErrUnsupported)

func walk(w *doc.Walk, root gjson.Result) {
	switch {
	case root.IsArray():
		root.ForEach(func(_, v gjson.Result) bool {
			w.Base = decode.Reading{}
			switch {
			case v.Get("sensors").IsArray():
				box(w, v)
			case v.Get("value").Exists():
				measurement(w, v)
			default:
				w.Refuse("", v, errKind)
			}
			return !w.Failed()
		})
	case root.Get("sensors").IsArray():
		box(w, root)
	case !byID(w, root):
		w.Fail("", root, errKind)
	}
}

func box(w *doc.Walk, v gjson.Result) {
	w.Base.Serial = id(w, v.Get("_id"))
	at := v.Get("currentLocation.coordinates")
	if !at.Exists() {
		at = v.Get("loc.0.geometry.coordinates")
	}
	place(w, at)
	box := w.Base
	v.Get("sensors").ForEach(func(_, s gjson.Result) bool {
		w.Base = box
		sensor(w, s)
		return !w.Failed()
	})
}

func sensor(w *doc.Walk, s gjson.Result) {
	last, title := s.Get("lastMeasurement"), s.Get("title").Str
	if !last.IsObject() {
		return
	}
	key := title
	if w.Has(title) {
		w.Base.Property = w.Keep(title)
		key = title + "#" + id(w, s.Get("_id"))
	}
	if at := last.Get("location"); at.Exists() {
		place(w, at)
	}
	if moment(w, key, last.Get("createdAt")) {
		w.Value(key, last.Get("value"), w.Unit(s.Get("unit").Str))
	}
}

// measurement reads {sensor, value, createdAt, location}, or a row of the download: {sensorId, boxId, lat, lon, ...}.
func measurement(w *doc.Walk, v gjson.Result) {
	key := v.Get("sensor").Str
	if key == "" {
		key = v.Get("sensorId").Str
	}
	if key == "" {
		key = "value"
	}
	w.Base.Serial = id(w, v.Get("boxId"))
	if phenomenon := v.Get("phenomenon").Str; phenomenon != "" && len(phenomenon) <= doc.MaxKey {
		key = phenomenon
	}
	if at := v.Get("location"); at.Exists() {
		place(w, at)
	} else {
		w.Place(v)
	}
	if moment(w, key, v.Get("createdAt")) {
		w.Value(key, v.Get("value"), w.Unit(v.Get("unit").Str))
	}
}

// byID reads an object of sensor ids, each 24 hexadecimal digits.
func byID(w *doc.Walk, root gjson.Result) (is bool) {
	root.ForEach(func(key, v gjson.Result) bool {
		is = len(key.Str) == 24
		if !is {
			return false
		}
		w.Base = decode.Reading{}
		if !v.IsArray() {
			w.Value(key.Str, v, "")
			return !w.Failed()
		}
		place(w, v.Get("2"))
		if moment(w, key.Str, v.Get("1")) {
			w.Value(key.Str, v.Get("0"), "")
		}
		return !w.Failed()
	})
	return is
}

func id(w *doc.Walk, v gjson.Result) string {
	if len(v.Str) > 64 {
		return ""
	}
	return w.Keep(v.Str)
}

// moment reads a time; none is no error.
func moment(w *doc.Walk, key string, v gjson.Result) bool {
	if v.Type == gjson.Null {
		return true
	}
	ms, err := doc.Time(v, nil)
	if err != nil {
		w.Refuse(key, v, err)
		return false
	}
	w.Base.Time = ms
	return true
}

// place reads GeoJSON's [lon, lat, height], or {lng, lat}.
func place(w *doc.Walk, v gjson.Result) {
	if v.IsArray() {
		w.At(v.Get("0"), v.Get("1"))
	} else if v.IsObject() {
		w.Place(v)
	}
}
