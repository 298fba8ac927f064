package zigbee2mqtt

import (
	"strings"

	"github.com/situ-city/situ/internal/decode/doc"
)

// units are those of Zigbee2MQTT's exposes for the names that mean the same in every device.
var units = map[string]string{
	"temperature": "Cel", "device_temperature": "Cel", "local_temperature": "Cel", "soil_temperature": "Cel",
	"current_heating_setpoint": "Cel", "occupied_heating_setpoint": "Cel", "unoccupied_heating_setpoint": "Cel",
	"occupied_cooling_setpoint": "Cel", "unoccupied_cooling_setpoint": "Cel", "local_temperature_calibration": "Cel",
	"humidity": "%", "soil_moisture": "%", "battery": "%", "pi_heating_demand": "%", "pi_cooling_demand": "%", "pressure": "hPa",
	"voltage": "V", "current": "A", "power": "W", "power_apparent": "V.A", "energy": "kW.h", "produced_energy": "kW.h", "ac_frequency": "Hz",
	"illuminance": "lx", "illuminance_lux": "lx", "co2": "[ppm]", "eco2": "[ppm]", "co": "[ppm]",
	"pm1": "ug/m3", "pm25": "ug/m3", "pm10": "ug/m3", "voc": "ug/m3", "hcho": "mg/m3", "formaldehyd": "mg/m3", "noise": "dB[SPL]",
	"angle": "deg", "angle_x": "deg", "angle_y": "deg", "angle_z": "deg", "angle_x_absolute": "deg", "angle_y_absolute": "deg",
	"target_distance": "m", "linkquality": "1", "power_factor": "1",
	"last_seen": doc.Skip, "elapsed": doc.Skip, "device": doc.Skip, "update": doc.Skip, "update_available": doc.Skip,
}

// unitOf gives the unit of a name; the second and third phase of a meter are named as the first, and their letter.
func unitOf(name string) string {
	if unit, ok := units[name]; ok {
		return unit
	}
	for _, phase := range [...]string{"_phase_b", "_phase_c"} {
		if first, ok := strings.CutSuffix(name, phase); ok {
			return units[first]
		}
	}
	return ""
}
