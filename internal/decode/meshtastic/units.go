package meshtastic

import "github.com/situ-city/situ/internal/decode/doc"

// units are those of telemetry.proto and mesh.proto. pm10_ is the protobuf's name of PM1.0, pm100_ of PM10.
var units = map[string]string{
	"battery_level": "%", "voltage": "V", "channel_utilization": "%", "air_util_tx": "%", "uptime_seconds": "s",
	"temperature": "Cel", "relative_humidity": "%", "barometric_pressure": "hPa", "current": "mA", "lux": "lx", "white_lux": "lx",
	"distance": "mm", "wind_speed": "m/s", "wind_gust": "m/s", "wind_lull": "m/s", "wind_direction": "deg", "weight": "kg",
	"rainfall_1h": "mm", "rainfall_24h": "mm", "soil_moisture": "%", "soil_temperature": "Cel",
	"pm10_standard": "ug/m3", "pm25_standard": "ug/m3", "pm100_standard": "ug/m3", "co2": "[ppm]",
	"pm10_environmental": "ug/m3", "pm25_environmental": "ug/m3", "pm100_environmental": "ug/m3",
	"voltage_ch1": "V", "voltage_ch2": "V", "voltage_ch3": "V", "current_ch1": "mA", "current_ch2": "mA", "current_ch3": "mA",
	"gas_resistance": "MOhm", "radiation": "uR/h", "iaq": "1", "uv_lux": "lx", "ir_lux": "lx",
	"altitude": "m", "ground_speed": "km/h", "ground_track": doc.Skip, "PDOP": doc.Skip, "HDOP": doc.Skip, "VDOP": doc.Skip, "time": doc.Skip, "latitude_i": doc.Skip, "longitude_i": doc.Skip,
}

// scaled are the members of a position that the firmware sends as whole numbers of a small part.
var scaled = [...]struct {
	name string
	by   float64
	unit string
}{{"ground_track", 1e5, "deg"}, {"PDOP", 100, ""}, {"HDOP", 100, ""}, {"VDOP", 100, ""}}
