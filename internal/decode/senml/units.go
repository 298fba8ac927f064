package senml

// units maps the unit symbols of the SenML units registry to UCUM: RFC 8428 section 12.1 (those marked there as not
// recommended are in use), and the primary and secondary units of RFC 8798. Where UCUM's own atom is one that
// situ's unit parser leaves out (coulomb, farad, tesla, weber, henry), the same unit stands in volts, amperes and seconds.
var units = map[string]string{
	"m": "m", "kg": "kg", "g": "g", "s": "s", "A": "A", "K": "K", "cd": "cd", "mol": "mol", "Hz": "Hz", "rad": "rad", "sr": "sr",
	"N": "N", "Pa": "Pa", "J": "J", "W": "W", "C": "A.s", "V": "V", "F": "A.s/V", "Ohm": "Ohm", "S": "S", "Wb": "V.s", "T": "V.s/m2",
	"H": "V.s/A", "Cel": "Cel", "lm": "lm", "lx": "lx", "Bq": "Bq", "Gy": "Gy", "Sv": "Sv", "kat": "kat", "m2": "m2", "m3": "m3",
	"l": "L", "m/s": "m/s", "m/s2": "m/s2", "m3/s": "m3/s", "l/s": "L/s", "W/m2": "W/m2", "cd/m2": "cd/m2", "bit": "bit",
	"bit/s": "bit/s", "lat": "deg", "lon": "deg", "pH": "[pH]", "dB": "dB", "dBW": "dB[W]", "Bspl": "B[SPL]", "count": "1",
	"/": "1", "%": "%", "%RH": "%", "%EL": "%", "EL": "s", "1/s": "/s", "1/min": "/min", "beat/min": "{beats}/min",
	"beats": "{beats}", "S/m": "S/m",

	// RFC 8798 section 2: primary
	"B": "By", "VA": "V.A", "VAs": "V.A.s", "var": "V.A", "vars": "V.A.s", "J/m": "J/m", "kg/m3": "kg/m3", "deg": "deg", "NTU": "{NTU}",

	// RFC 8798 section 3: secondary
	"ms": "ms", "min": "min", "h": "h", "MHz": "MHz", "kW": "kW", "kVA": "kV.A", "kvar": "kV.A", "Ah": "A.h", "Wh": "W.h",
	"kWh": "kW.h", "varh": "V.A.h", "kvarh": "kV.A.h", "kVAh": "kV.A.h", "Wh/km": "W.h/km", "KiB": "KiBy", "GB": "GBy",
	"Mbit/s": "Mbit/s", "B/s": "By/s", "MB/s": "MBy/s", "mV": "mV", "mA": "mA", "dBm": "dB{mW}", "ug/m3": "ug/m3", "mm/h": "mm/h",
	"m/h": "m/h", "ppm": "[ppm]", "/100": "%", "/1000": "[ppth]", "hPa": "hPa", "mm": "mm", "cm": "cm", "km": "km", "km/h": "km/h",
}

// slips are symbols of the registry that devices use for something else: nobody measures a city in coulombs.
var slips = map[string]string{"C": "Cel", "F": "[degF]", "dB": "dB[SPL]"}

// alone are the units that cannot be multiplied by seconds: scales with an origin or of their own.
var alone = map[string]bool{"Cel": true, "[degF]": true, "[pH]": true, "{NTU}": true, "dB": true, "dB[W]": true,
	"dB[SPL]": true, "B[SPL]": true, "dB{mW}": true}

// unit gives the UCUM code of a symbol; one that the registry does not have passes as it is, for normalize to judge.
func (p *pack) unit(symbol []byte) string {
	if len(symbol) == 0 {
		return ""
	}
	if code, ok := slips[string(symbol)]; ok && !p.strict {
		return code
	}
	if code, ok := units[string(symbol)]; ok {
		return code
	}
	return p.names.String(symbol)
}

// unitSeconds is the unit of a sum: the unit multiplied by seconds (RFC 8428 section 4.2).
func (p *pack) unitSeconds(symbol []byte) string {
	u := p.unit(symbol)
	if u == "" || alone[u] {
		return ""
	}
	p.scratch = append(append(p.scratch[:0], u...), ".s"...)
	return p.names.String(p.scratch)
}
