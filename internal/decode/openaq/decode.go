package openaq

import (
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
	"github.com/situ-city/situ/pkg/sensor"
)

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol { return doc.Protocol("openaq", walk) }

var errKind = fmt.Errorf("no measurement: %w", decode.ErrUnsupported)

func walk(w *doc.Walk, root gjson.Result) {
	list := root
	if results := root.Get("results"); results.IsArray() {
		list = results
	}
	if !list.IsArray() {
		if !item(w, root) {
			w.Fail("parameter", root, errKind)
		}
		return
	}
	list.ForEach(func(_, v gjson.Result) bool {
		w.Base = decode.Reading{}
		if !item(w, v) {
			w.Refuse("parameter", v, errKind)
		}
		return !w.Failed()
	})
}

// item reads one measurement, or one location's latest ones; false means that it is neither.
func item(w *doc.Walk, v gjson.Result) bool {
	for _, name := range [...]string{"locationId", "locationsId", "location", "id"} {
		if id := v.Get(name).String(); id != "" && len(id) <= doc.MaxKey {
			w.Base.Serial = w.Keep(id)
			break
		}
	}
	if at := v.Get("coordinates"); at.IsObject() {
		w.Place(at)
	}
	if latest := v.Get("measurements"); latest.IsArray() {
		base := w.Base
		latest.ForEach(func(_, m gjson.Result) bool {
			w.Base = base
			if !measurement(w, m) {
				w.Refuse("parameter", m, errKind)
			}
			return !w.Failed()
		})
		return true
	}
	return measurement(w, v)
}

// times are where the moment stands, by version.
var times = [...]string{"date.utc", "lastUpdated", "period.datetimeTo.utc", "datetime.utc"}

func measurement(w *doc.Walk, v gjson.Result) bool {
	parameter := v.Get("parameter")
	key, unit := parameter.Str, v.Get("unit").Str
	if parameter.IsObject() {
		key, unit = parameter.Get("name").Str, parameter.Get("units").Str
	}
	if id := v.Get("sensorsId"); key == "" && id.Type == gjson.Number {
		key = "sensor-" + id.Raw
	}
	if latest := v.Get("latest"); parameter.IsObject() && latest.IsObject() { // a sensor, not a measurement
		v = latest
		if at := v.Get("coordinates"); at.IsObject() {
			w.Place(at)
		}
	}
	x := v.Get("value")
	if key == "" || !x.Exists() {
		return false
	}
	if label := v.Get("period.label").Str; label != "" && label != "raw" {
		w.Base.Statistic = sensor.Average
	}
	for _, name := range times {
		at := v.Get(name)
		if !at.Exists() {
			continue
		}
		ms, err := doc.Time(at, nil)
		if err != nil {
			w.Refuse(key, at, err)
			return true
		}
		w.Base.Time = ms
		break
	}
	if f, err := doc.Number(x); err == nil && (f == -999 || f == -9999) {
		return true
	}
	if unit == "particles/cm³" {
		unit = "/cm3"
	}
	w.Value(key, x, w.Unit(unit))
	return true
}
