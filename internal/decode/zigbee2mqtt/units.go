package zigbee2mqtt

import "github.com/situ-city/situ/internal/decode/doc"

// units are those of Zigbee2MQTT's exposes for the names that mean the same in every device.
var units = map[string]string{
	"temperature": "Cel", "device_temperature": "Cel", "local_temperature": "Cel", "soil_temperature": "Cel",
	"humidity": "%", "soil_moisture": "%", "battery": "%", "pressure": "hPa", "voltage": "V", "current": "A", "power": "W",
	"energy": "kW.h", "ac_frequency": "Hz", "illuminance": "lx", "illuminance_lux": "lx", "co2": "[ppm]",
	"pm25": "ug/m3", "pm10": "ug/m3", "linkquality": "1", "power_factor": "1",
	"last_seen": doc.Skip, "elapsed": doc.Skip, "device": doc.Skip, "update": doc.Skip, "update_available": doc.Skip,
}
