package ttn

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode/doc"
)

// normalizedUnits are those of The Things Stack's schema of measurements.
var normalizedUnits = map[string]string{
	"air.temperature": "Cel", "air.relativeHumidity": "%", "air.pressure": "hPa", "air.co2": "[ppm]", "air.lightIntensity": "lx",
	"soil.temperature": "Cel", "soil.depth": "cm", "soil.moisture": "%", "soil.ec": "dS/m", "soil.pH": "[pH]",
	"soil.n": "[ppm]", "soil.p": "[ppm]", "soil.k": "[ppm]",
	"wind.speed": "m/s", "wind.direction": "deg", "rain.intensity": "mm/h", "rain.cumulative": "mm", "battery": "V",
}

func normalizedUnit(name string) string {
	name = strings.TrimLeft(name, "0123456789.") // its place in the array
	if name == "time" {
		return doc.Skip
	}
	return normalizedUnits[name]
}

// normalized adds measurements: an array of objects, each perhaps with a time of its own. Those of the same time keep
// their place in the array before their names, from the second on.
func (d *Decoder) normalized(list gjson.Result) {
	frame, n := d.Base.Time, 0
	list.ForEach(func(_, m gjson.Result) bool {
		d.Base.Time = frame
		prefix := ""
		if at := m.Get("time"); at.Exists() {
			ms, err := doc.Time(at, nil)
			if err != nil {
				d.Refuse("time", at, err)
				return true
			}
			d.Base.Time = ms
		} else {
			if n > 0 {
				prefix = strconv.Itoa(n)
			}
			n++
		}
		if m.IsObject() {
			d.Flatten(prefix, m, normalizedUnit)
		}
		return !d.Failed()
	})
}
