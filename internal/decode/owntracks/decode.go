package owntracks

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
	"github.com/situ-city/situ/pkg/sensor"
)

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol { return doc.Protocol("owntracks", walk) }

// values are the members that hold one, with their unit; -1 means unknown where none can be below zero.
var values = [...]struct {
	name, unit string
	positive   bool
}{
	{"acc", "m", true}, {"alt", "m", false}, {"vac", "m", true}, {"vel", "km/h", true}, {"cog", "deg", true},
	{"batt", "%", true}, {"p", "kPa", true},
}

func walk(w *doc.Walk, root gjson.Result) {
	kind := root.Get("_type")
	switch kind.Str {
	case "location", "transition":
	case "lwt":
		w.Nothing(sensor.ReasonHeartbeat)
		return
	case "cmd":
		w.Nothing(sensor.ReasonCommand)
		return
	case "waypoint", "waypoints", "card", "steps", "beacon", "status", "configuration", "dump", "request":
		return
	default:
		w.Fail("_type", root, fmt.Errorf("%.40q is none of the types with values: %w", kind.Str, decode.ErrUnsupported))
		return
	}
	serial(w, root)
	at := root.Get("tst")
	ms, err := doc.Time(at, nil)
	if err != nil {
		w.Fail("tst", root, err)
		return
	}
	w.Base.Time = ms
	w.At(root.Get("lon"), root.Get("lat"))
	if kind.Str == "transition" {
		w.Value("event", root.Get("event"), "")
	}
	for _, m := range values {
		v := root.Get(m.name)
		if x, err := doc.Number(v); err == nil && x == -1 && m.positive {
			continue
		}
		w.Value(m.name, v, m.unit)
	}
	if w.Added() == 0 && w.Base.HasPosition {
		w.Fix() // it tells only where it is
	}
}

func serial(w *doc.Walk, root gjson.Result) {
	topic := w.Topic
	if !strings.HasPrefix(topic, "owntracks/") {
		topic = root.Get("topic").Str
	}
	rest, ok := strings.CutPrefix(topic, "owntracks/")
	if parts := strings.Split(rest, "/"); ok && len(parts) >= 2 && len(rest) <= doc.MaxKey {
		w.Base.Serial = w.Keep(parts[0] + "/" + parts[1])
	}
}
