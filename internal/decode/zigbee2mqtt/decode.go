package zigbee2mqtt

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
	"github.com/situ-city/situ/pkg/sensor"
)

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol { return doc.Protocol("zigbee2mqtt", walk, "online", "offline") }

func walk(w *doc.Walk, root gjson.Result) {
	switch {
	case strings.HasSuffix(w.Topic, "/availability"):
		w.Nothing(sensor.ReasonHeartbeat)
		return
	case strings.HasPrefix(w.Topic, "zigbee2mqtt/bridge/"):
		return
	case !root.IsObject():
		w.Fail("", root, fmt.Errorf("want an object (Zigbee2MQTT's setting output: json): %w", decode.ErrUnsupported))
		return
	}
	lux := false
	root.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "last_seen":
			moment(w, v)
		case "illuminance_lux":
			lux = true
		case "device":
			if id := v.Get("ieeeAddr").Str; len(id) <= 32 {
				w.Base.Serial = w.Keep(id)
			}
		}
		return true
	})
	root.ForEach(func(key, v gjson.Result) bool {
		unit := unitOf(key.Str)
		switch {
		case unit == doc.Skip:
			return true
		case key.Str == "voltage" && v.Num >= 1000:
			unit = "mV"
		case key.Str == "illuminance" && lux:
			unit = ""
		}
		w.Value(key.Str, v, unit)
		return !w.Failed()
	})
}

func moment(w *doc.Walk, v gjson.Result) {
	if v.Type == gjson.Null {
		return
	}
	ms, err := doc.Time(v, w.Zone)
	if err != nil {
		w.Fail("last_seen", v, err)
	}
	w.Base.Time = ms
}
