package geohazard

// kind is what the letters of a code say.
type kind struct {
	letters string
	unit    string   // UCUM, of a single value; "" = not known here, the catalogue's is taken
	array   []string // names of values that stand in an array; assumed
}

var kinds = [...]kind{
	{"LF", "mm", nil}, // crack
	{"GP", "mm", []string{"gpsTotalX", "gpsTotalY", "gpsTotalZ"}},
	{"SW", "mm", []string{"dispsX", "dispsY"}}, // displacement inside the slope
	{"QJ", "deg", []string{"X", "Y", "Z", "angle", "AZI"}},
	{"JS", "", []string{"gX", "gY", "gZ"}},
	{"YL", "mm", nil},  // rain
	{"HS", "%", nil},   // water content of the soil; assumed
	{"TW", "Cel", nil}, // temperature of the soil; assumed
	{"NW", "m", nil},   // level of a debris flow; assumed
	{"WY", "mm", nil},
	{"CJ", "mm", nil},
}

// units of named values.
var units = map[string]string{
	"gpsTotalX": "mm", "gpsTotalY": "mm", "gpsTotalZ": "mm", "dispsX": "mm", "dispsY": "mm",
	"X": "deg", "Y": "deg", "Z": "deg", "angle": "deg", "AZI": "deg", "trend": "deg",
	"totalValue":     "mm",
	"ext_power_volt": "V", "solar_volt": "V", "battery_volt": "V", "battery_voltage": "V", "battery_dump_energy": "%",
	"temp": "Cel", "temp_out": "Cel", "humidity": "%", "humidity_out": "%", "signal_4g": "dB{mW}",
}

// kindOf splits a code: one class letter and digit, letters, a number. ok is false for what is none.
func kindOf(code string) (k kind, ok bool) {
	if len(code) < len("L1_LF_1") || len(code) > 16 || code[0] < 'A' || code[0] > 'Z' || code[1]-'0' > 9 || code[2] != '_' {
		return k, false
	}
	i := 3
	for i < len(code) && code[i] >= 'A' && code[i] <= 'Z' {
		i++
	}
	if i < 5 || i > 7 || i+1 >= len(code) || code[i] != '_' {
		return k, false
	}
	for _, c := range []byte(code[i+1:]) {
		if c-'0' > 9 {
			return k, false
		}
	}
	letters := code[3:i]
	for _, k := range kinds {
		if k.letters == letters {
			return k, true
		}
	}
	return kind{letters: letters}, true
}

// unitOf gives the unit of a value by its name, or its number in an array; Z of a tilt is an angle, of anything else nobody knows what.
func (k kind) unitOf(name string) string {
	if name == "value" || name != "" && name[0]-'0' <= 9 {
		return k.unit
	}
	if len(name) == 1 && k.letters != "QJ" {
		return ""
	}
	return units[name]
}

// role is what a member is for that is no code.
type role uint8

const (
	none role = iota
	device
	moment
	channel
	values // holds codes or records
	value
)

var roles = map[string]role{
	"deviceId": device, "deviceID": device, "device_id": device, "deviceCode": device, "deviceNo": device, "deviceSn": device,
	"deviceSN": device, "sn": device, "SN": device, "equipmentId": device,
	"time": moment, "timestamp": moment, "ts": moment, "dataTime": moment, "collectTime": moment, "monitorTime": moment, "date": moment,
	"sensorCode": channel, "sensorId": channel, "sensorNo": channel, "sensorType": channel, "code": channel,
	"data": values, "datas": values, "dataList": values, "list": values, "records": values, "params": values, "sensors": values,
	"value": value, "values": value, "monitorValue": value,
}
