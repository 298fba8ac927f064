package sl651

// use is how the bytes of an element are read.
type use uint8

const (
	asUnknown  use = iota // decimal digits, named by the identifier
	asNumber              // decimal digits
	asSpecial             // decimal digits, some of which stand for words
	asDuration            // HH.mm
	asPoint               // 1 to 16, north and on through east
	asGate                // number of the gate that the next values are of
	asNothing             // says what kind of gate: no value
	asStep                // distance of the values of an even-interval report
	asState               // 32 bits
	asBytes               // one binary byte each 5 minutes
	asWordsOf2            // two binary bytes each 5 minutes
)

// element is a row of table C.1 of SL 651-2014.
type element struct {
	name string // identifier in characters, which is the reading's key
	unit string // UCUM
	use  use
	gate bool // one of several gates, if GN stands before it
	ten  int8 // power of ten between the table's unit and UCUM's
	d    int8 // decimals of the table, for Append
}

// elements is table C.1 without its four leading signs F0H to F3H and DATA.
var elements = [256]element{
	0x01: {name: "AC", unit: "m2", use: asNumber, d: 2},
	0x02: {name: "AI", unit: "Cel", use: asNumber, d: 1},
	0x03: {name: "C", unit: "Cel", use: asNumber, d: 1},
	0x04: {name: "DR", use: asStep},
	0x05: {name: "DT", unit: "min", use: asDuration, d: 2},
	0x06: {name: "ED", unit: "mm", use: asNumber, d: 1},
	0x07: {name: "EJ", unit: "mm", use: asNumber, d: 1},
	0x08: {name: "FL", unit: "hPa", use: asNumber},
	0x09: {name: "GH", unit: "m", use: asSpecial, gate: true, d: 2},
	0x0A: {name: "GN", use: asGate},
	0x0B: {name: "GS", use: asNothing},
	0x0C: {name: "GT", unit: "1", use: asNumber, gate: true},
	0x0D: {name: "GTP", unit: "Cel", use: asNumber, d: 1},
	0x0E: {name: "H", unit: "m", use: asSpecial, d: 2},
	0x0F: {name: "HW", unit: "m", use: asNumber, d: 2},
	0x10: {name: "M10", unit: "%", use: asNumber, d: 1},
	0x11: {name: "M20", unit: "%", use: asNumber, d: 1},
	0x12: {name: "M30", unit: "%", use: asNumber, d: 1},
	0x13: {name: "M40", unit: "%", use: asNumber, d: 1},
	0x14: {name: "M50", unit: "%", use: asNumber, d: 1},
	0x15: {name: "M60", unit: "%", use: asNumber, d: 1},
	0x16: {name: "M80", unit: "%", use: asNumber, d: 1},
	0x17: {name: "M100", unit: "%", use: asNumber, d: 1},
	0x18: {name: "MST", unit: "%", use: asNumber, d: 1},
	0x19: {name: "NS", unit: "1", use: asNumber},
	0x1A: {name: "P1", unit: "mm", use: asNumber, d: 1},
	0x1B: {name: "P2", unit: "mm", use: asNumber, d: 1},
	0x1C: {name: "P3", unit: "mm", use: asNumber, d: 1},
	0x1D: {name: "P6", unit: "mm", use: asNumber, d: 1},
	0x1E: {name: "P12", unit: "mm", use: asNumber, d: 1},
	0x1F: {name: "PD", unit: "mm", use: asNumber, d: 1},
	0x20: {name: "PJ", unit: "mm", use: asNumber, d: 1},
	0x21: {name: "PN01", unit: "mm", use: asNumber, d: 1},
	0x22: {name: "PN05", unit: "mm", use: asNumber, d: 1},
	0x23: {name: "PN10", unit: "mm", use: asNumber, d: 1},
	0x24: {name: "PN30", unit: "mm", use: asNumber, d: 1},
	0x25: {name: "PR", unit: "mm", use: asNumber, d: 1},
	0x26: {name: "PT", unit: "mm", use: asNumber, d: 1},
	0x27: {name: "Q", unit: "m3/s", use: asNumber, d: 3},
	0x28: {name: "Q1", unit: "m3/s", use: asNumber, d: 3},
	0x29: {name: "Q2", unit: "m3/s", use: asNumber, d: 3},
	0x2A: {name: "Q3", unit: "m3/s", use: asNumber, d: 3},
	0x2B: {name: "Q4", unit: "m3/s", use: asNumber, d: 3},
	0x2C: {name: "Q5", unit: "m3/s", use: asNumber, d: 3},
	0x2D: {name: "Q6", unit: "m3/s", use: asNumber, d: 3},
	0x2E: {name: "Q7", unit: "m3/s", use: asNumber, d: 3},
	0x2F: {name: "Q8", unit: "m3/s", use: asNumber, d: 3},
	0x30: {name: "QA", unit: "m3/s", use: asNumber, d: 3},
	0x31: {name: "QZ", unit: "m3/s", use: asNumber, gate: true, d: 3},
	0x32: {name: "SW", unit: "t", use: asNumber, ten: 4, d: 3},
	0x33: {name: "UC", unit: "deg", use: asPoint},
	0x34: {name: "UE", use: asNumber},
	0x35: {name: "US", unit: "m/s", use: asNumber, d: 1},
	0x36: {name: "VA", unit: "m/s", use: asNumber, d: 3},
	0x37: {name: "VJ", unit: "m/s", use: asNumber, d: 3},
	0x38: {name: "VT", unit: "V", use: asNumber, d: 2},
	0x39: {name: "Z", unit: "m", use: asNumber, d: 3},
	0x3A: {name: "ZB", unit: "m", use: asNumber, d: 3},
	0x3B: {name: "ZU", unit: "m", use: asNumber, d: 3},
	0x3C: {name: "Z1", unit: "m", use: asNumber, d: 3},
	0x3D: {name: "Z2", unit: "m", use: asNumber, d: 3},
	0x3E: {name: "Z3", unit: "m", use: asNumber, d: 3},
	0x3F: {name: "Z4", unit: "m", use: asNumber, d: 3},
	0x40: {name: "Z5", unit: "m", use: asNumber, d: 3},
	0x41: {name: "Z6", unit: "m", use: asNumber, d: 3},
	0x42: {name: "Z7", unit: "m", use: asNumber, d: 3},
	0x43: {name: "Z8", unit: "m", use: asNumber, d: 3},
	0x44: {name: "SQ", unit: "kg/m3", use: asNumber, d: 3},
	0x45: {name: "ZT", use: asState},
	0x46: {name: "pH", unit: "[pH]", use: asNumber, d: 2},
	0x47: {name: "DO", unit: "mg/L", use: asNumber, d: 1},
	0x48: {name: "COND", unit: "uS/cm", use: asNumber},
	0x49: {name: "TURB", unit: "{NTU}", use: asNumber},
	0x4A: {name: "CODMN", unit: "mg/L", use: asNumber, d: 1},
	0x4B: {name: "REDOX", unit: "mV", use: asNumber, d: 1},
	0x4C: {name: "NH4N", unit: "mg/L", use: asNumber, d: 2},
	0x4D: {name: "TP", unit: "mg/L", use: asNumber, d: 3},
	0x4E: {name: "TN", unit: "mg/L", use: asNumber, d: 2},
	0x4F: {name: "TOC", unit: "mg/L", use: asNumber, d: 2},
	0x50: {name: "CU", unit: "mg/L", use: asNumber, d: 4},
	0x51: {name: "ZN", unit: "mg/L", use: asNumber, d: 4},
	0x52: {name: "SE", unit: "mg/L", use: asNumber, d: 5},
	0x53: {name: "AS", unit: "mg/L", use: asNumber, d: 5},
	0x54: {name: "THG", unit: "mg/L", use: asNumber, d: 5},
	0x55: {name: "CD", unit: "mg/L", use: asNumber, d: 5},
	0x56: {name: "PB", unit: "mg/L", use: asNumber, d: 5},
	0x57: {name: "CHLA", unit: "mg/L", use: asNumber, d: 2},
	0x58: {name: "WP1", unit: "kPa", use: asNumber, d: 2},
	0x59: {name: "WP2", unit: "kPa", use: asNumber, d: 2},
	0x5A: {name: "WP3", unit: "kPa", use: asNumber, d: 2},
	0x5B: {name: "WP4", unit: "kPa", use: asNumber, d: 2},
	0x5C: {name: "WP5", unit: "kPa", use: asNumber, d: 2},
	0x5D: {name: "WP6", unit: "kPa", use: asNumber, d: 2},
	0x5E: {name: "WP7", unit: "kPa", use: asNumber, d: 2},
	0x5F: {name: "WP8", unit: "kPa", use: asNumber, d: 2},
	0x60: {name: "SYL1", unit: "m3", use: asNumber, d: 3},
	0x61: {name: "SYL2", unit: "m3", use: asNumber, d: 3},
	0x62: {name: "SYL3", unit: "m3", use: asNumber, d: 3},
	0x63: {name: "SYL4", unit: "m3", use: asNumber, d: 3},
	0x64: {name: "SYL5", unit: "m3", use: asNumber, d: 3},
	0x65: {name: "SYL6", unit: "m3", use: asNumber, d: 3},
	0x66: {name: "SYL7", unit: "m3", use: asNumber, d: 3},
	0x67: {name: "SYL8", unit: "m3", use: asNumber, d: 3},
	0x68: {name: "SBL1", unit: "m3/h", use: asNumber, d: 2},
	0x69: {name: "SBL2", unit: "m3/h", use: asNumber, d: 2},
	0x6A: {name: "SBL3", unit: "m3/h", use: asNumber, d: 2},
	0x6B: {name: "SBL4", unit: "m3/h", use: asNumber, d: 2},
	0x6C: {name: "SBL5", unit: "m3/h", use: asNumber, d: 2},
	0x6D: {name: "SBL6", unit: "m3/h", use: asNumber, d: 2},
	0x6E: {name: "SBL7", unit: "m3/h", use: asNumber, d: 2},
	0x6F: {name: "SBL8", unit: "m3/h", use: asNumber, d: 2},
	0x70: {name: "VTA", unit: "V", use: asNumber, d: 1},
	0x71: {name: "VTB", unit: "V", use: asNumber, d: 1},
	0x72: {name: "VTC", unit: "V", use: asNumber, d: 1},
	0x73: {name: "VIA", unit: "A", use: asNumber, d: 1},
	0x74: {name: "VIB", unit: "A", use: asNumber, d: 1},
	0x75: {name: "VIC", unit: "A", use: asNumber, d: 1},
	0xF4: {name: "DRP", unit: "mm", use: asBytes, ten: -1},
	0xF5: {name: "DRZ1", unit: "m", use: asWordsOf2, ten: -2},
	0xF6: {name: "DRZ2", unit: "m", use: asWordsOf2, ten: -2},
	0xF7: {name: "DRZ3", unit: "m", use: asWordsOf2, ten: -2},
	0xF8: {name: "DRZ4", unit: "m", use: asWordsOf2, ten: -2},
	0xF9: {name: "DRZ5", unit: "m", use: asWordsOf2, ten: -2},
	0xFA: {name: "DRZ6", unit: "m", use: asWordsOf2, ten: -2},
	0xFB: {name: "DRZ7", unit: "m", use: asWordsOf2, ten: -2},
	0xFC: {name: "DRZ8", unit: "m", use: asWordsOf2, ten: -2},
}

// named indexes elements by their identifiers in characters.
var named = func() map[string]*element {
	m := make(map[string]*element)
	for i := range elements {
		if e := &elements[i]; e.use != asUnknown && e.use != asStep {
			m[e.name] = e
		}
	}
	return m
}()

// byName finds an element by its identifier in characters; case counts only where nothing fits exactly.
func byName(name []byte) *element {
	if e := named[string(name)]; e != nil {
		return e
	}
	for i := range elements {
		if e := &elements[i]; len(e.name) == len(name) && named[e.name] == e && equalFold(e.name, name) {
			return e
		}
	}
	return nil
}

func equalFold(a string, b []byte) bool {
	for i := range len(a) {
		if a[i]|0x20 != b[i]|0x20 {
			return false
		}
	}
	return true
}

// special are the numbers that stand for words (E.3.2.2, E.8.2.2).
var special = []struct {
	name   string
	number float64
	words  string
}{
	{"H", 444, "dry"},
	{"GH", 444, "closed"}, {"GH", 999, "open"}, {"GH", 888, "clear of the water"}, {"GH", 555, "no gate"},
}

// states is table 58: the bits of ZT from the lowest.
var states = [...]string{
	"ZT-ac_off", "ZT-battery_low", "ZT-level_alarm", "ZT-flow_alarm", "ZT-quality_alarm", "ZT-flowmeter_fault",
	"ZT-level_gauge_fault", "ZT-door_closed", "ZT-storage_fault", "ZT-ic_card", "ZT-pump_stopped", "ZT-water_exceeded",
}

// task is what situ makes of a function.
type task uint8

const (
	unsupported task = iota
	heartbeat
	report  // groups of elements
	series  // the same after a step: values at even intervals
	manual  // words of a person
	version // of the station's software
	state   // ZT
	control // states of pumps, valves or gates
	events  // counts of what happened
	picture
	command // asks, sets, or answers with settings
)

// functions is table B.1; what it reserves is unsupported.
var functions = func() (t [256]task) {
	t[0x2F] = heartbeat
	for _, f := range [...]byte{0x30, 0x32, 0x33, 0x34, 0x37, 0x3A, 0x44} {
		t[f] = report
	}
	t[0x31], t[0x38] = series, series
	t[0x35], t[0x39] = manual, manual
	t[0x36] = picture
	for f := 0x40; f <= 0x51; f++ {
		if t[f] == unsupported {
			t[f] = command
		}
	}
	t[0x45], t[0x46] = version, state
	t[0x4C], t[0x4D], t[0x4E], t[0x50] = control, control, control, events
	return t
}()
