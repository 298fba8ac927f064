package sensorcommunity

import "strings"

// units are those of the firmware, by what stands behind the sensor's name. N05 to N10 are particles in a cubic
// centimetre, TS their typical size.
var units = map[string]string{
	"P0": "ug/m3", "P1": "ug/m3", "P2": "ug/m3", "P4": "ug/m3", "AirPollutantValue": "ug/m3",
	"N05": "cm-3", "N1": "cm-3", "N10": "cm-3", "N25": "cm-3", "N4": "cm-3", "TS": "um",
	"temperature": "Cel", "humidity": "%", "pressure": "Pa", "sealevel": "Pa", "signal": "dB{mW}", "height": "m",
	"LAeq": "dB[SPL]", "min": "", "max": "", "ppm": "[ppm]", "battery": "V", "micro": "us", "interval": "ms", "samples": "1",
}

func unitOf(name string) string {
	switch name {
	case "noise_LA_min", "noise_LA_max":
		return "dB[SPL]"
	}
	return units[name[strings.LastIndexByte(name, '_')+1:]]
}
