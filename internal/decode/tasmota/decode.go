package tasmota

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
)

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol { return doc.Protocol("tasmota", walk, "Online", "Offline") }

func walk(w *doc.Walk, root gjson.Result) {
	if !root.IsObject() {
		w.Fail("", root, fmt.Errorf("want an object: %w", decode.ErrUnsupported))
		return
	}
	if at := root.Get("Time"); at.Exists() && !moment(w, at) {
		return
	}
	for _, around := range [...]string{"StatusSNS", "StatusSTS"} {
		if inner := root.Get(around); inner.IsObject() {
			if at := inner.Get("Time"); at.Exists() && !moment(w, at) {
				return
			}
			root = inner
		}
	}
	if bridge := root.Get("ZbReceived"); bridge.IsObject() {
		zigbee(w, bridge)
		return
	}
	w.Flatten("", root, unitsOf(root))
}

func moment(w *doc.Walk, v gjson.Result) bool {
	ms, err := doc.Time(v, w.Zone)
	if err != nil {
		w.Fail("Time", v, err)
		return false
	}
	w.Base.Time = ms
	return true
}

// zigbee reads the devices behind a bridge, each under its address or name.
func zigbee(w *doc.Walk, bridge gjson.Result) {
	bridge.ForEach(func(key, device gjson.Result) bool {
		serial := device.Get("Device").Str
		if serial == "" {
			serial = key.Str
		}
		if len(serial) > doc.MaxKey {
			w.Refuse("Device", device, fmt.Errorf("name of more than %d bytes: %w", doc.MaxKey, decode.ErrBound))
			return true
		}
		w.Base.Serial = w.Keep(serial)
		w.Flatten("", device, unitsOf(device))
		return !w.Failed()
	})
}

// unitsOf gives the unit of each name, as far as this payload decides it.
func unitsOf(root gjson.Result) func(name string) string {
	temperature, pressure, speed := "", "", ""
	root.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "TempUnit":
			temperature = declared[v.Str]
		case "PressureUnit":
			pressure = declared[v.Str]
		case "SpeedUnit":
			speed = declared[v.Str]
		}
		return true
	})
	return func(name string) string {
		switch {
		case strings.HasSuffix(name, ".PM2.5"), strings.HasSuffix(name, ".CF2.5"), name == "PM2.5":
			return "ug/m3" // the name's own dot would hide it
		case name == "Wifi.RSSI":
			return "%"
		case name == "AS3935.Distance":
			return "km" // of the storm
		}
		if unit, known := units[name[strings.LastIndexByte(name, '.')+1:]]; known && unit == "ug/m3" {
			return unit // its number is no index
		}
		last := strings.TrimRight(name, "0123456789")
		if cut, ok := strings.CutSuffix(last, "."); ok && len(last) < len(name) {
			name = cut // an index: one of several phases
		}
		last = name[strings.LastIndexByte(name, '.')+1:]
		unit, known := units[last]
		switch {
		case unit == "{temperature}":
			return temperature
		case unit == "{pressure}":
			return pressure
		case unit == "{speed}":
			return speed
		case !known && strings.HasPrefix(name, "Wifi."):
			return doc.Skip
		}
		return unit
	}
}
