package ngsild

// unitCodes maps codes of UN/CEFACT Recommendation 20 to UCUM.
var unitCodes = map[string]string{
	"CEL": "Cel", "FAH": "[degF]", "KEL": "K", "P1": "%", "59": "[ppm]", "61": "[ppb]", "C62": "1",
	"GP": "mg/m3", "GQ": "ug/m3", "M1": "mg/L", "H29": "ug/L", "KMQ": "kg/m3", "GRM": "g", "KGM": "kg", "MGM": "mg", "TNE": "t",
	"MTR": "m", "CMT": "cm", "MMT": "mm", "4H": "um", "KMT": "km", "FOT": "[ft_i]", "INH": "[in_i]", "SMI": "[mi_i]",
	"MTS": "m/s", "KMH": "km/h", "KNT": "[kn_i]", "HM": "[mi_i]/h", "H67": "mm/h", "MSK": "m/s2",
	"PAL": "Pa", "A97": "hPa", "KPA": "kPa", "MPA": "MPa", "BAR": "bar", "MBR": "mbar", "HN": "mm[Hg]", "PS": "[psi]",
	"2N": "dB[SPL]", "DD": "deg", "C81": "rad", "LUX": "lx", "LUM": "lm", "CDL": "cd",
	"VLT": "V", "2Z": "mV", "KVT": "kV", "AMP": "A", "4K": "mA", "OHM": "Ohm", "WTT": "W", "KWT": "kW", "MAW": "MW", "D46": "V.A",
	"WHR": "W.h", "KWH": "kW.h", "MWH": "MW.h", "JOU": "J", "HTZ": "Hz", "KHZ": "kHz", "MHZ": "MHz",
	"SEC": "s", "C26": "ms", "MIN": "min", "HUR": "h", "DAY": "d",
	"LTR": "L", "MLT": "mL", "MTQ": "m3", "MQS": "m3/s", "MQH": "m3/h", "L2": "L/min", "G51": "L/s", "MTK": "m2", "D54": "W/m2",
	"D10": "S/m", "H61": "mS/cm", "G42": "uS/cm", "Q30": "[pH]", "EA": "1", "A24": "cd/m2", "GL": "g/L", "23": "g/cm3", "CMQ": "cm3", "KVA": "kV.A", "KVR": "kV.A{reactive}", "D44": "V.A{reactive}", "PA": "Pa",
	"BQL": "Bq", "A19": "Bq/m3", "D13": "Sv", "NEW": "N",
}

// descriptions are attributes of the smart data models that say what an entity is, not what it measured.
var descriptions = map[string]bool{"id": true, "type": true, "@context": true, "@id": true, "@type": true, "address": true,
	"alternateName": true, "areaServed": true, "dataProvider": true, "dateCreated": true, "dateModified": true, "createdAt": true,
	"modifiedAt": true, "deletedAt": true, "description": true, "name": true, "owner": true, "seeAlso": true, "source": true,
	"location": true, "observationSpace": true, "operationSpace": true, "scope": true, "typeOfLocation": true, "stationID": true,
	"stationName": true, "stationCode": true, "entityVersion": true}

// times are the names of an entity's own time, the best first.
var times = [...]string{"dateObserved", "dateObservedTo", "observationDateTime", "observedAt", "TimeInstant", "timestamp", "dateObservedFrom"}
