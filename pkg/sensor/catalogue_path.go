package sensor

import "strings"

// containers are the members that payloads put around their values without meaning anything else by it. A word that
// tells whose value it is (water, cpu, fridge) is none: fridge.temperature is no air temperature.
var containers = map[string]struct{}{
	"air": {}, "env": {}, "environment": {}, "weather": {}, "ambient": {}, "outdoor": {}, "data": {}, "values": {}, "value": {}, "sensor": {},
	"sensors": {}, "measurement": {}, "measurements": {}, "telemetry": {}, "reading": {}, "readings": {}, "payload": {}, "decoded": {},
	"object": {}, "state": {}, "status": {}, "params": {}, "properties": {}, "metrics": {}, "fields": {},
	"bme280": {}, "bmp280": {}, "bme680": {}, "sht30": {}, "sht31": {}, "sht3x": {}, "sht4x": {}, "am2301": {}, "dht22": {}, "dht11": {}, "si7021": {},
	"htu21": {}, "aht2x": {}, "scd30": {}, "scd40": {}, "pms5003": {}, "sds0x1": {}, "sps30": {}, "bh1750": {}, "tsl2561": {},
	"scd41": {}, "scd4x": {}, "mhz19b": {}, "sgp30": {}, "ccs811": {}, "ens160": {}, "vindriktning": {}, "hm330x": {},
	"shtc3": {}, "sht1x": {}, "hdc1080": {}, "htu31d": {}, "am2320": {}, "dht12": {}, "aht10": {}, "aht20": {}, "bmp3xx": {}, "dps310": {}, "ms5611": {},
	"veml7700": {}, "max44009": {},
}

// container tells whether a member in front of a name says nothing of what the value is: a word of those, or a number.
func container(head string) bool {
	head = unaddressed(head)
	if strings.Trim(head, "0123456789") == "" {
		return true
	}
	var room [16]byte
	if len(head) > len(room) {
		return false
	}
	key, _ := fold(room[:0], head)
	_, ok := containers[string(key)]
	return ok
}

// unaddressed cuts off what tells one sensor of a kind from the others: its number, or its address on the bus, in
// hexadecimal digits (DS18B20-1, BME280-77, SHT3X-0x44).
func unaddressed(head string) string {
	kind, address, ok := strings.Cut(head, "-")
	if address = strings.TrimPrefix(address, "0x"); !ok || kind == "" || len(address) < 1 || len(address) > 2 ||
		strings.Trim(address, "0123456789abcdefABCDEF") != "" {
		return head
	}
	return kind
}

// leastNumbered is how many letters a name has at least before a number behind it is only its number: co_2 is not the
// second co.
const leastNumbered = 4

// unnumbered cuts "_1" or ".1" off the end of a name.
func unnumbered(name string) string {
	base := strings.TrimRight(name, "0123456789")
	if len(base) == len(name) || len(base) < leastNumbered+1 {
		return name
	}
	if sep := base[len(base)-1]; sep != '_' && sep != '.' && sep != '-' {
		return name
	}
	if base = base[:len(base)-1]; len(base) < leastNumbered || isDigit(base[len(base)-1]) {
		return name
	}
	return base
}
