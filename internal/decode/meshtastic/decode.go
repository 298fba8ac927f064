package meshtastic

import (
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol { return doc.Protocol("meshtastic", walk) }

func walk(w *doc.Walk, root gjson.Result) {
	from, payload := root.Get("from"), root.Get("payload")
	if from.Type != gjson.Number || from.Num < 1 || from.Num > 1<<32-1 {
		w.Fail("from", root, fmt.Errorf("want the number of a node: %w", decode.ErrUnsupported))
		return
	}
	var name [9]byte
	w.Base.Serial = w.KeepBytes(fmt.Appendf(name[:0], "!%08x", uint32(from.Num)))
	if !moment(w, payload.Get("time")) && !moment(w, root.Get("timestamp")) {
		w.Base.Time = 0
	}
	switch root.Get("type").Str {
	case "telemetry":
		w.Flatten("", payload, unitOf(payload))
	case "position":
		known := position(w, payload)
		for _, m := range scaled {
			if v := payload.Get(m.name); v.Type == gjson.Number {
				w.Number(m.name, v.Num/m.by, m.unit)
			}
		}
		w.Flatten("", payload, unitOf(payload))
		if known && w.Added() == 0 {
			w.Fix() // it tells only where it is
		}
	case "nodeinfo":
		w.Nothing(sensor.ReasonBirth)
	}
}

func moment(w *doc.Walk, v gjson.Result) bool {
	if v.Type != gjson.Number || v.Num == 0 {
		return false
	}
	ms, err := doc.Epoch(v.Num)
	if err != nil {
		w.Fail("timestamp", v, err)
	}
	w.Base.Time = ms
	return true
}

// position reports whether there is one; 0 and 0 is one too, of a node without a fix.
func position(w *doc.Walk, payload gjson.Result) bool {
	lon, lat := payload.Get("longitude_i"), payload.Get("latitude_i")
	if !lon.Exists() || !lat.Exists() {
		return false
	}
	p := geo.LonLat{Lon: lon.Num / 1e7, Lat: lat.Num / 1e7}
	if !p.Valid() {
		w.Refuse("longitude_i,latitude_i", lon, fmt.Errorf("%v %v: %w", lon.Num, lat.Num, decode.ErrPosition))
		return false
	}
	w.Base.Position, w.Base.HasPosition = p, p != geo.LonLat{}
	return true
}

// unitOf gives the firmware's units, and Skip for what is no value.
func unitOf(payload gjson.Result) func(name string) string {
	mains := payload.Get("battery_level").Num > 100
	return func(name string) string {
		if name == "battery_level" && mains {
			return doc.Skip
		}
		return units[name]
	}
}
