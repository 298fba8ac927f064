package sensor

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func loadCatalogue(t testing.TB) *Catalogue {
	t.Helper()
	c, err := LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCatalogueLookup(t *testing.T) {
	c := loadCatalogue(t)
	for _, tc := range []struct{ name, want string }{
		{"pm2_5", "pm2_5"}, {"PM2.5", "pm2_5"}, {"pm25", "pm2_5"}, {"PM25", "pm2_5"}, {"a34004", "pm2_5"}, {"A34004", "pm2_5"},
		{"细颗粒物", "pm2_5"}, {"TEM", "temperature"}, {"TEMP", "temperature"}, {"HUMI", "humidity"}, {"RH", "humidity"},
		{"WD", "wind_direction"}, {"WS", "wind_speed"}, {"LAMPBLACK", "oil_fume"}, {"LA", ""}, {"Leq", "noise_leq"}, {"no", ""}, {"do", ""}, {"speed", ""},
		{"wind-speed", "wind_speed"}, {"Dissolved Oxygen", "dissolved_oxygen"}, {"w01018", "cod"}, {"水位", "water_level"},
		{"02", ""}, {"011", ""}, {"B01", ""}, {"S01", ""}, {"e20201", ""}, {"", ""}, {"e202xx", ""},
		{"no such", ""}, {strings.Repeat("x", 65), ""}, {strings.Repeat("x", 1<<20), ""},
	} {
		p, ok := c.Lookup(tc.name)
		if ok != (tc.want != "") || ok && string(p.Code) != tc.want {
			t.Errorf("Lookup(%.20q) = %v, %v, want %q", tc.name, p, ok, tc.want)
		}
	}
}

func TestCatalogueHJ212(t *testing.T) {
	c := loadCatalogue(t)
	for _, tc := range []struct{ code, want, unit string }{
		{"a34004", "pm2_5", "ug/m3"}, {"a34002", "pm10", "ug/m3"}, {"a21026", "so2", "mg/m3"}, {"a21005", "co", "mg/m3"},
		{"a05024", "o3", "mg/m3"}, {"a01006", "pressure", "kPa"}, {"02", "so2", "mg/m3"}, {"B01", "flow", "L/s"},
		{"b01", "flow", "L/s"}, {"011", "cod", "mg/L"}, {"060", "ammonia_nitrogen", "mg/L"}, {"LA", "noise", "dB[SPL]"},
		{"S02", "flue_velocity", "m/s"}, {"e20201", "cod", "mg/L"}, {"e10199", "flow", "L/s"},
		{"e2020x", "", ""}, {"pm25", "", ""}, {"", "", ""},
	} {
		h, ok := c.HJ212(tc.code)
		if ok != (tc.want != "") || ok && (string(h.Property.Code) != tc.want || h.Unit != tc.unit) {
			t.Errorf("HJ212(%q) = %+v, %v, want %s in %s", tc.code, h, ok, tc.want, tc.unit)
		}
	}
}

// What a name means in one protocol, and the unit it implies.
func TestCatalogueMeansWhatTheProtocolSays(t *testing.T) {
	c := loadCatalogue(t)
	for _, tc := range []struct{ protocol, name, want, unit string }{
		{"sensor-community", "P1", "pm10", ""}, {"sensor-community", "P2", "pm2_5", ""}, {"json", "P1", "", ""}, {"", "SDS_P1", "pm10", ""},
		{"sensor-community", "BME280_pressure", "pressure", "Pa"}, {"tasmota", "BME280.Pressure", "pressure", "hPa"},
		{"sensor-community", "noise_LAeq", "noise_leq", ""}, {"opensensemap", "rel. Luftfeuchte", "humidity", ""}, {"opensensemap", "Luftdruck", "pressure", ""},
		{"ecowitt", "tempf", "temperature", "[degF]"}, {"json", "tempf", "temperature", "[degF]"}, {"ecowitt", "baromrelin", "sea_level_pressure", "[in_i'Hg]"},
		{"ecowitt", "windspeedmph", "wind_speed", "[mi_i]/h"}, {"ecowitt", "dailyrainin", "rainfall_day", "[in_i]"}, {"ecowitt", "temp3f", "probe_temperature", "[degF]"},
		{"tasmota", "ENERGY.Power", "power", "W"}, {"tasmota", "ENERGY.ApparentPower", "apparent_power", "V.A"}, {"tasmota", "POWER", "switch_state", ""}, {"zigbee2mqtt", "power", "power", "W"}, {"owntracks", "p", "pressure", "kPa"}, {"ngsi-ld", "LAeq_d", "noise_day", ""}, {"ea-flood", "level/Tidal Level", "water_level", "m"},
		{"json", "power", "power", ""}, {"zigbee2mqtt", "linkquality", "link_quality", ""}, {"zigbee2mqtt", "contact", "contact_closed", ""},
		{"meshtastic", "pm10_standard", "pm1", ""}, {"meshtastic", "voltage", "battery_voltage", "V"}, {"json", "voltage", "voltage", ""},
		{"meshtastic", "barometric_pressure", "pressure", ""}, {"meshtastic", "airUtilTx", "air_util_tx", ""},
		{"ttn", "BatV", "battery_voltage", ""}, {"ttn", "Bat_mV", "battery_voltage", "mV"}, {"chirpstack", "Distance", "distance", "mm"}, {"ttn", "TempC_SHT", "temperature", ""},
		{"ngsi-ld", "relativeHumidity", "humidity", "1"}, {"json", "relativeHumidity", "humidity", ""}, {"ngsi-ld", "no", "nitric_oxide", ""}, {"ngsi-ld", "NO2", "no2", ""},
		{"ngsi-ld", "LAeq", "noise_leq", ""}, {"ngsi-ld", "airQualityIndex", "aqi", ""}, {"ngsi-ld", "availableSpotNumber", "parking_free", ""},
		{"usgs", "00060", "flow", "[ft_i]3/s"}, {"usgs", "00010", "water_temperature", ""}, {"json", "00060", "", ""}, {"ea-flood", "level/Stage", "water_level", "m"},
		{"sl651", "Z", "water_level", ""}, {"sl651", "P1", "rainfall_hour", ""}, {"sl651", "SW", "sediment_mass", ""}, {"sl651", "ZT-battery_low", "battery_low", ""}, {"sl651", "H", "groundwater_depth", ""}, {"gb26875", "fault", "device_fault", ""}, {"json", "fault", "", ""},
		{"ttn", "env.temperature", "temperature", ""}, {"ttn", "1.soil.moisture", "soil_moisture", ""}, {"ttn", "1.soil.pH", "soil_ph", ""}, {"ttn", "water.temperature", "water_temperature", ""},
		{"ttn", "temperature_1", "temperature", ""}, {"ttn", "relative_humidity_2", "humidity", ""}, {"ttn", "barometric_pressure_3", "pressure", ""}, {"chirpstack", "temperatureSensor.1", "temperature", ""},
		{"thingsboard", "air.pm2_5", "pm2_5", ""}, {"tasmota", "BME280.Humidity", "humidity", ""}, {"json", "data.sensors.0.noise", "noise", ""}, {"meshtastic", "environment.voltage", "battery_voltage", "V"},
		{"json", "fridge.temperature", "", ""}, {"json", "co_2", "", ""}, {"json", "air.cells.0", "", ""}, {"json", "air.", "", ""}, {"json", ".", "", ""}, {"json", "...temperature", "temperature", ""}, {"json", "temperature_", "", ""}, {"json", "_1", "", ""}, {"sl651", "PJ", "rainfall", ""}, {"sl651", "VT", "supply_voltage", ""}, {"json", "Z", "", ""},
		{"geohazard", "gpsTotalX", "gnss_east", ""}, {"geohazard", "LF", "crack", ""}, {"geohazard", "gX", "acceleration_x", ""}, {"geohazard", "temp", "device_temperature", ""}, {"geohazard", "dispsX", "deep_displacement", ""},
		{"cnemc", "o3_8h_24h", "o3_8h", ""}, {"cnemc", "pm2_5_24h", "pm2_5_24h", ""}, {"cnemc", "aqi", "aqi", ""},
		{"", "windSpeed", "wind_speed", ""}, {"", "WindSpeed", "wind_speed", ""}, {"", "pm10", "pm10", ""}, {"", "pm1_0", "pm1", ""}, {"", "rssi", "signal", ""}, {"", "loRaSNR", "snr", ""},
		{"", "困人", "lift_trapped", ""}, {"", "内涝水深", "water_depth", ""}, {strings.Repeat("p", 1000), "P1", "", ""}, {"usgs", "", "", ""}, {"usgs", strings.Repeat("0", 200), "", ""},
	} {
		m, ok := c.Mean(tc.protocol, tc.name)
		if ok != (tc.want != "") || ok && (string(m.Property.Code) != tc.want || m.Unit != tc.unit) {
			t.Errorf("%.20s/%.20s = %+v, want %s in %q", tc.protocol, tc.name, m, tc.want, tc.unit)
		}
	}
}

func TestCatalogueIndexesAgree(t *testing.T) {
	c := loadCatalogue(t)
	if n := len(c.All()); n < 160 {
		t.Fatalf("only %d properties", n)
	}
	sectors, judged := map[string]int{}, 0
	for _, p := range c.All() {
		sectors[p.Sector]++
		if p.Rate > 0 && p.Still > 0 {
			judged++
		}
		if q, ok := c.ByNumber(p.Number); !ok || q.Code != p.Code {
			t.Errorf("ByNumber(%d) = %v, %v, want %s", p.Number, q, ok, p.Code)
		}
		if q, ok := c.ByCode(p.Code); !ok || q.Number != p.Number {
			t.Errorf("ByCode(%q) = %v, %v, want %d", p.Code, q, ok, p.Number)
		}
		for _, b := range p.Breaks {
			if b < p.Min || b > p.Max {
				t.Errorf("%s: break %v outside %v to %v", p.Code, b, p.Min, p.Max)
			}
		}
		if len(p.Breaks) == 0 {
			t.Errorf("%s: no breaks: its map has one colour", p.Code)
		}
		if p.Resolution > p.Max-p.Min {
			t.Errorf("%s: resolution %v in a range of %v to %v", p.Code, p.Resolution, p.Min, p.Max)
		}
		if p.Unit == "1" && p.Still > 0 {
			t.Errorf("%s: states and counts may stay as they are", p.Code)
		}
	}
	for _, s := range sectorNames {
		if sectors[s] < 2 {
			t.Errorf("sector %s has %d properties", s, sectors[s])
		}
		delete(sectors, s)
	}
	for s := range sectors {
		t.Errorf("sector %s is not among those the map has words for", s)
	}
	if judged < 30 {
		t.Errorf("only %d properties have both rate and still", judged)
	}
	if _, ok := c.ByNumber(0); ok {
		t.Error("number 0 means not in the catalogue")
	}
	if _, ok := c.ByNumber(65535); ok {
		t.Error("number 65535 found")
	}
}

// sectorNames are the words of web/src/lib/words.ts ("sector.").
var sectorNames = strings.Fields(`air weather rain water hydrology slope structure fire electricity energy gas hazard kitchens flue lifts traffic
	people noise light waste soil radiation indoor equipment`)

// Every scene that a city asks for has what its sensors observe.
func TestCatalogueCoversTheScenes(t *testing.T) {
	c := loadCatalogue(t)
	for scene, codes := range map[string]string{
		"air": "pm2_5 pm10 so2 no2 co o3 voc aqi", "water": "ph dissolved_oxygen cod ammonia_nitrogen total_phosphorus turbidity residual_chlorine",
		"hydrology": "water_level flow flow_velocity reservoir_level gate_opening water_depth sewer_level sediment", "rain": "rainfall rain_intensity rainfall_hour rainfall_day",
		"noise": "noise noise_leq noise_l10 noise_l90 noise_day", "traffic": "traffic_speed traffic_volume traffic_occupancy vehicle_queue parking_free",
		"slope":     "crack tilt displacement gnss_east gnss_north gnss_up soil_moisture infrasound pore_pressure mud_level",
		"structure": "strain vibration_velocity settlement deflection cable_force", "gas": "methane gas_pressure gas_flow gas_alarm valve_state",
		"fire water": "hydrant_pressure fire_pool_level sprinkler_pressure fire_pump_state", "electrical fire": "residual_current cable_temperature arc_fault",
		"lift": "lift_speed lift_floor lift_door lift_trapped", "kitchen fume": "oil_fume fume_particulate fan_state purifier_state",
		"hazardous gas": "h2s chlorine co_ppm nh3_ppm hydrogen_cyanide", "waste": "bin_level bin_overflow bin_temperature", "light": "illuminance lamp_state lamp_dimming",
		"energy": "power energy reactive_power load_factor", "people flow": "crowd people_in people_out people_density",
		"citizens' and LoRaWAN devices": "battery battery_voltage signal snr illuminance uv_index wind_speed pressure",
	} {
		for code := range strings.FieldsSeq(codes) {
			if _, ok := c.ByCode(PropertyCode(code)); !ok {
				t.Errorf("%s: no %s", scene, code)
			}
		}
	}
}

// The numbers are written in logs and tables: a change here is a change of format. New lines are added, none is taken.
func TestCatalogueNumbersAreStable(t *testing.T) {
	c := loadCatalogue(t)
	text, err := os.ReadFile("testdata/property-numbers.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(text)) {
		lines++
		var n PropertyNumber
		var code PropertyCode
		if _, err := fmt.Sscan(line, &n, &code); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if p, ok := c.ByNumber(n); !ok || p.Code != code {
			t.Errorf("number %d: %+v, want %s", n, p, code)
		}
	}
	if lines != len(c.All()) {
		t.Errorf("%d numbers are written down, the catalogue has %d properties: add the new ones", lines, len(c.All()))
	}
}

func TestCatalogueRefuses(t *testing.T) {
	const head = "number,code,name_zh,name_en,unit,resolution,min,max,rate,still,worse,sector,breaks,hj212,aliases\n"
	for name, text := range map[string]string{
		"empty":             "",
		"columns":           "number,code\n1,a\n",
		"number zero":       head + "0,a,甲,A,1,1,0,1,,,high,s,,,\n",
		"number twice":      head + "1,a,甲,A,1,1,0,1,,,high,s,,,\n1,b,乙,B,1,1,0,1,,,high,s,,,\n",
		"alias twice, _":    head + "1,a,甲,A,1,1,0,1,,,high,s,,,x_y\n2,b,乙,B,1,1,0,1,,,high,s,,,xY\n",
		"scoped twice":      head + "1,a,甲,A,1,1,0,1,,,high,s,,,p/x\n2,b,乙,B,1,1,0,1,,,high,s,,,p/X\n",
		"alias unit":        head + "1,a,甲,A,m,1,0,1,,,high,s,,,x:s\n",
		"alias no unit":     head + "1,a,甲,A,m,1,0,1,,,high,s,,,x:\n",
		"alias no name":     head + "1,a,甲,A,m,1,0,1,,,high,s,,,p/\n",
		"hj unit":           head + "1,a,甲,A,m,1,0,1,,,high,s,,02:s,\n",
		"rate":              head + "1,a,甲,A,m,1,0,1,-1,,high,s,,,\n",
		"still":             head + "1,a,甲,A,m,1,0,1,,x,high,s,,,\n",
		"alias twice":       head + "1,a,甲,A,1,1,0,1,,,high,s,,,x\n2,b,乙,B,1,1,0,1,,,high,s,,,X\n",
		"hj twice":          head + "1,a,甲,A,1,1,0,1,,,high,s,,02:1,\n2,b,乙,B,1,1,0,1,,,high,s,,02:1,\n",
		"hj no unit":        head + "1,a,甲,A,1,1,0,1,,,high,s,,02,\n",
		"worse":             head + "1,a,甲,A,1,1,0,1,,,up,s,,,\n",
		"range":             head + "1,a,甲,A,1,1,1,1,,,high,s,,,\n",
		"breaks fall":       head + "1,a,甲,A,1,1,0,9,,,high,s,2 1,,\n",
		"break a word":      head + "1,a,甲,A,1,1,0,9,,,high,s,x,,\n",
		"min a word":        head + "1,a,甲,A,1,1,x,9,,,high,s,,,\n",
		"no unit":           head + "1,a,甲,A,,1,0,1,,,high,s,,,\n",
		"fields":            head + "1,a\n",
		"nan in resolution": head + "1,a,甲,A,1,NaN,0,1,,,high,s,,,\n",
	} {
		if _, err := ParseCatalogue(strings.NewReader(text)); !errors.Is(err, ErrCatalogue) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCatalogueLookupDoesNotAllocate(t *testing.T) {
	c := loadCatalogue(t)
	if n := testing.AllocsPerRun(100, func() {
		c.Lookup("PM2.5")
		c.HJ212("e20201")
		c.ByCode("pm10")
		c.ByNumber(3)
		c.Mean("usgs", "00060")
		c.Mean("ttn", "data.env.temperature_1")
	}); n != 0 {
		t.Errorf("%v allocations a look-up", n)
	}
}

func BenchmarkCatalogueLookup(b *testing.B) {
	c := loadCatalogue(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Lookup("PM2.5"); !ok {
			b.Fatal("not found")
		}
	}
}

func TestMeanOfAddressedChips(t *testing.T) {
	c, err := LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]PropertyCode{
		"DS18B20-1.Temperature": "probe_temperature", "SHT3X-0x44.Humidity": "humidity", "BME280-77.Pressure": "pressure",
		"fridge-1.Temperature": "", "BME280-zz.Pressure": "",
	} {
		m, ok := c.Mean("tasmota", name)
		if ok != (want != "") || ok && m.Property.Code != want {
			t.Errorf("%s: %v, want %q", name, m.Property, want)
		}
	}
}
