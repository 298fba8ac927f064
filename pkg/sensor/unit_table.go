package sensor

import (
	"math"
	"strings"
	"sync"
)

// The tables below are constants: nothing writes to them.

type unitAtom struct {
	unit   Unit
	metric bool // takes prefixes
}

type unitPrefix struct {
	text string
	exp  int
}

// Two-letter prefix first: "da" must not be read as "d".
var unitPrefixes = [...]unitPrefix{{"da", 1}, {"n", -9}, {"u", -6}, {"m", -3}, {"c", -2}, {"d", -1}, {"h", 2}, {"k", 3}, {"M", 6}, {"G", 9}}

func atom(metric bool, num, den float64, exp int, d dimension) unitAtom {
	return unitAtom{Unit{num: num, den: den, exp: exp, dim: d}, metric}
}

var (
	dimLength   = dimension{length: 1}
	dimMass     = dimension{mass: 1}
	dimTime     = dimension{time: 1}
	dimVolume   = dimension{length: 3}
	dimSpeed    = dimension{length: 1, time: -1}
	dimPressure = dimension{length: -1, mass: 1, time: -2}
	dimPower    = dimension{length: 2, mass: 1, time: -3}
	dimVoltage  = dimension{length: 2, mass: 1, time: -3, current: -1}
	dimAngle    = dimension{angle: 1}
	dimRate     = dimension{time: -1}
	dimDose     = dimension{length: 2, time: -2}
)

// unitAtoms are UCUM's. Coulomb and farad are left out on purpose: "C" and "F" in a payload are temperatures.
var unitAtoms = map[string]unitAtom{
	"m": atom(true, 1, 1, 0, dimLength), "[in_i]": atom(false, 254, 1, -4, dimLength), "[ft_i]": atom(false, 3048, 1, -4, dimLength),
	"[yd_i]": atom(false, 9144, 1, -4, dimLength), "[mi_i]": atom(false, 1609344, 1, -3, dimLength), "[nmi_i]": atom(false, 1852, 1, 0, dimLength),
	"g": atom(true, 1, 1, 0, dimMass), "t": atom(true, 1, 1, 6, dimMass), "[lb_av]": atom(false, 45359237, 1, -5, dimMass),
	"s": atom(true, 1, 1, 0, dimTime), "min": atom(false, 60, 1, 0, dimTime), "h": atom(false, 3600, 1, 0, dimTime), "d": atom(false, 86400, 1, 0, dimTime),
	"L": atom(true, 1, 1, -3, dimVolume), "l": atom(true, 1, 1, -3, dimVolume), "[gal_us]": atom(false, 3785411784, 1, -12, dimVolume),
	"ar": atom(true, 1, 1, 2, dimension{length: 2}), "[kn_i]": atom(false, 1852, 3600, 0, dimSpeed),
	"K": atom(true, 1, 1, 0, dimension{temperature: 1}), "A": atom(true, 1, 1, 0, dimension{current: 1}),
	"N":  atom(true, 1, 1, 3, dimension{length: 1, mass: 1, time: -2}),
	"Pa": atom(true, 1, 1, 3, dimPressure), "bar": atom(true, 1, 1, 8, dimPressure), "atm": atom(false, 101325, 1, 3, dimPressure),
	"m[Hg]": atom(true, 133322, 1, 3, dimPressure), "m[H2O]": atom(true, 980665, 1, 1, dimPressure),
	"[in_i'Hg]": atom(false, 133322*254, 1, -1, dimPressure), "[psi]": atom(false, 6894757293168361, 1, -9, dimPressure),
	"J": atom(true, 1, 1, 3, dimension{length: 2, mass: 1, time: -2}), "W": atom(true, 1, 1, 3, dimPower),
	"V": atom(true, 1, 1, 3, dimVoltage), "Ohm": atom(true, 1, 1, 3, dimension{length: 2, mass: 1, time: -3, current: -2}),
	"S":  atom(true, 1, 1, -3, dimension{length: -2, mass: -1, time: 3, current: 2}),
	"Hz": atom(true, 1, 1, 0, dimRate), "Bq": atom(true, 1, 1, 0, dimRate), "Gy": atom(true, 1, 1, 0, dimDose), "Sv": atom(true, 1, 1, 0, dimDose),
	"cd": atom(true, 1, 1, 0, dimension{luminous: 1}), "lm": atom(true, 1, 1, 0, dimension{luminous: 1}),
	"lx":  atom(true, 1, 1, 0, dimension{luminous: 1, length: -2}),
	"deg": atom(false, 1, 1, 0, dimAngle), "'": atom(false, 1, 60, 0, dimAngle), "''": atom(false, 1, 3600, 0, dimAngle),
	"rad": atom(true, 180/math.Pi, 1, 0, dimAngle),
	"%":   atom(false, 1, 1, -2, dimension{}), "[ppth]": atom(false, 1, 1, -3, dimension{}), "[ppm]": atom(false, 1, 1, -6, dimension{}),
	"[ppb]":    atom(false, 1, 1, -9, dimension{}),
	"[g]":      atom(true, 980665, 1, -5, dimension{length: 1, time: -2}), // standard acceleration of free fall
	"mol":      atom(true, 60221367, 1, 16, dimension{}),                  // UCUM counts: 6.0221367 10*23
	"[car_Au]": atom(false, 1, 24, 0, dimension{}),
}

// special gives the units that stand alone: scales with an origin of their own, or of no dimension but their own.
func special(code string) (Unit, bool) {
	u := Unit{code: code, num: 1, den: 1}
	switch code {
	case "Cel":
		u.dim.temperature, u.add = 1, 273.15
	case "[degF]":
		u.dim.temperature, u.num, u.den, u.add = 1, 5, 9, 459.67*5/9
	case "[pH]":
		u.dim.kind = acidity
	case "{NTU}":
		u.dim.kind = nephelometric
	case "%{LEL}":
		u.dim.kind, u.exp = explosiveLimit, -2
	case "dB[SPL]", "dB{snr}": // payloads call both dB
		u.dim.kind = decibel
	case "dB{mW}":
		u.dim.kind = milliwattLevel
	default:
		return Unit{}, false
	}
	return u, true
}

// unitSpellings are whole units as payloads write them; looked up as they are, then in lower case.
var unitSpellings = map[string]string{
	"C": "Cel", "c": "Cel", "°C": "Cel", "℃": "Cel", "ºC": "Cel", "degC": "Cel", "degc": "Cel", "deg C": "Cel", "°c": "Cel", "cel": "Cel", "celsius": "Cel", "摄氏度": "Cel",
	"F": "[degF]", "f": "[degF]", "°F": "[degF]", "℉": "[degF]", "degF": "[degF]", "degf": "[degF]", "°f": "[degF]", "fahrenheit": "[degF]", "华氏度": "[degF]",
	"kelvin": "K", "%RH": "%", "%rh": "%", "percent": "%", "pct": "%", "百分比": "%",
	"%LEL": "%{LEL}", "%lel": "%{LEL}", "LEL": "%{LEL}", "lel": "%{LEL}", "ppm": "[ppm]", "ppb": "[ppb]",
	"mph": "[mi_i]/h", "mile/h": "[mi_i]/h", "miles/h": "[mi_i]/h", "mi/h": "[mi_i]/h", "kn": "[kn_i]", "kt": "[kn_i]", "knot": "[kn_i]", "knots": "[kn_i]",
	"kmh": "km/h", "kph": "km/h", "mps": "m/s", "ft": "[ft_i]", "feet": "[ft_i]", "foot": "[ft_i]", "in": "[in_i]", "inch": "[in_i]", "inches": "[in_i]",
	"mi": "[mi_i]", "mile": "[mi_i]", "inHg": "[in_i'Hg]", "inhg": "[in_i'Hg]", "mmHg": "mm[Hg]", "mmhg": "mm[Hg]", "torr": "mm[Hg]", "psi": "[psi]", "mb": "mbar",
	"dB": "dB[SPL]", "db": "dB[SPL]", "dBA": "dB[SPL]", "dB(A)": "dB[SPL]", "dba": "dB[SPL]", "db(a)": "dB[SPL]", "分贝": "dB[SPL]", "分贝(A)": "dB[SPL]",
	"dBm": "dB{mW}", "dbm": "dB{mW}", "dB[mW]": "dB{mW}",
	"ph": "[pH]", "pH": "[pH]", "无量纲": "1", "NTU": "{NTU}", "ntu": "{NTU}", "FNU": "{NTU}", "fnu": "{NTU}", "FTU": "{NTU}", "[NTU]": "{NTU}",
	"lux": "lx", "volt": "V", "volts": "V", "amp": "A", "watt": "W", "kWh": "kW.h", "kwh": "kW.h", "Wh": "W.h", "wh": "W.h", "MWh": "MW.h",
	"°": "deg", "º": "deg", "degree": "deg", "degrees": "deg", "角度": "deg", "[角]度": "deg", "g0": "[g]",
	"ug/m3": "ug/m3", "mg/m3": "mg/m3", "mg/l": "mg/L", "ug/l": "ug/L", "hpa": "hPa", "kpa": "kPa", "km/h": "km/h", "m/s": "m/s",
	"m3/h": "m3/h", "m3/s": "m3/s", "l/s": "L/s", "l/min": "L/min", "us/cm": "uS/cm", "ms/cm": "mS/cm", "usv/h": "uSv/h", "bq/m3": "Bq/m3",
	"w/m2": "W/m2", "mm/h": "mm/h", "metre": "m", "meter": "m", "meters": "m", "hz": "Hz", "count": "1", "counts": "1", "bool": "1",
	"kN": "kN", "VA": "V.A", "kVA": "kV.A", "var": "V.A{reactive}", "kvar": "kV.A{reactive}", "%EL": "%", "rpm": "/min", "cpm": "/min",
	"千瓦时": "kW.h", "转/分钟": "/min", "[色]度": "{Hazen}", "辆/小时": "{veh}/h", "veh/h": "{veh}/h",
}

// unitReplacer rewrites characters and Chinese unit words piece by piece; longer words stand before shorter ones.
var unitReplacer = sync.OnceValue(func() *strings.Replacer {
	return strings.NewReplacer(
		"μ", "u", "µ", "u", "³", "3", "²", "2", "^", "", "·", ".", "⋅", ".", "*", ".", "／", "/", "％", "%", "℃", "Cel", "每", "/", " ", "",
		"立方米", "m3", "平方米", "m2", "平方千米", "km2", "毫克", "mg", "微克", "ug", "纳克", "ng", "千克", "kg", "公斤", "kg", "克", "g", "吨", "t",
		"毫升", "mL", "升", "L", "千米", "km", "公里", "km", "厘米", "cm", "毫米", "mm", "微米", "um", "米", "m",
		"小时", "h", "分钟", "min", "毫秒", "ms", "秒", "s", "天", "d", "日", "d",
		"千帕", "kPa", "百帕", "hPa", "兆帕", "MPa", "帕", "Pa", "毫巴", "mbar",
		"毫伏[特]", "mV", "毫伏", "mV", "伏[特]", "V", "伏", "V", "毫安", "mA", "安[培]", "A", "安", "A", "千瓦", "kW", "瓦", "W",
		"微西[门子]", "uS", "微西", "uS", "贝可[勒尔]", "Bq", "贝可", "Bq", "勒克斯", "lx", "赫兹", "Hz", "个", "1")
})
