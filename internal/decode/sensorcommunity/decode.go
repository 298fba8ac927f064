package sensorcommunity

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
)

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol { return doc.Protocol("sensor-community", walk) }

var errKind = fmt.Errorf("want sensordatavalues: %w", decode.ErrUnsupported)

func walk(w *doc.Walk, root gjson.Result) {
	if !root.IsArray() {
		if !node(w, root) {
			w.Fail("sensordatavalues", root, errKind)
		}
		return
	}
	root.ForEach(func(_, v gjson.Result) bool {
		w.Base = decode.Reading{}
		if !node(w, v) {
			w.Refuse("sensordatavalues", v, errKind)
		}
		return !w.Failed()
	})
}

// ids are the members that name a node, and what the network puts before the number.
var ids = [...]struct{ member, prefix string }{{"esp8266id", "esp8266-"}, {"esp32id", "esp32-"}, {"raspiid", "raspi-"}, {"chipid", "esp8266-"}}

// node reads one report; false means that it is none.
func node(w *doc.Walk, v gjson.Result) bool {
	values := v.Get("sensordatavalues")
	if !values.IsArray() {
		return hackair(w, v)
	}
	for _, id := range ids {
		if n := v.Get(id.member).String(); n != "" && len(n) <= 32 {
			w.Base.Serial = w.Keep(id.prefix + n)
		}
	}
	if n := v.Get("sensor.id").String(); n != "" && len(n) <= 32 {
		w.Base.Serial = w.Keep(n)
	}
	if at := v.Get("timestamp"); at.Exists() {
		ms, err := doc.Time(at, time.UTC)
		if err != nil {
			w.Refuse("timestamp", at, err)
			return true
		}
		w.Base.Time = ms
	}
	if at := v.Get("location"); at.IsObject() {
		w.Place(at)
	} else {
		gps(w, values)
	}
	values.ForEach(func(_, v gjson.Result) bool {
		value(w, v)
		return !w.Failed()
	})
	return true
}

// gps takes the place from the values of a node with a receiver.
func gps(w *doc.Walk, values gjson.Result) {
	var lon, lat gjson.Result
	values.ForEach(func(_, v gjson.Result) bool {
		switch v.Get("value_type").Str {
		case "GPS_lon":
			lon = v.Get("value")
		case "GPS_lat":
			lat = v.Get("value")
		}
		return true
	})
	if strings.TrimSpace(lon.Str) != "" && strings.TrimSpace(lat.Str) != "" {
		w.At(lon, lat)
	}
}

// value reads {value_type, value}.
func value(w *doc.Walk, v gjson.Result) {
	name, x := v.Get("value_type").Str, v.Get("value")
	if name == "GPS_lat" || name == "GPS_lon" {
		return
	}
	if number, unit, ok := strings.Cut(x.Str, " "); ok && unit != "" {
		if f, err := doc.ParseNumber(number); err == nil {
			w.Number(name, f, w.Unit(unit))
			return
		}
	}
	w.Value(name, x, unitOf(name))
}

// hackair reads the form of hackAIR nodes.
func hackair(w *doc.Walk, v gjson.Result) bool {
	reading := v.Get("reading")
	if !reading.IsObject() {
		return false
	}
	w.Flatten("", reading, unitOf)
	for _, name := range [...]string{"battery", "tamper", "error"} {
		if x := v.Get(name); x.Exists() {
			w.Value(name, x, unitOf(name))
		}
	}
	return true
}
