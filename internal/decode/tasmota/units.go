package tasmota

import "github.com/situ-city/situ/internal/decode/doc"

// declared are the spellings of TempUnit, PressureUnit and SpeedUnit.
var declared = map[string]string{
	"C": "Cel", "F": "[degF]", "hPa": "hPa", "mmHg": "mm[Hg]", "inHg": "[in_i'Hg]",
	"m/s": "m/s", "km/h": "km/h", "kn": "[kn_i]", "mph": "[mi_i]/h", "ft/s": "[ft_i]/s", "yd/s": "",
}

// units are Tasmota's by the last part of a name. Those in braces are declared by the payload.
var units = map[string]string{
	"Temperature": "{temperature}", "DewPoint": "{temperature}", "HeatIndex": "{temperature}", "Temp": "{temperature}",
	"Pressure": "{pressure}", "SeaPressure": "{pressure}", "WindAvg": "{speed}", "WindMax": "{speed}", "WindMin": "{speed}", "Speed": "{speed}",
	"Humidity": "%", "Total": "kW.h", "Yesterday": "kW.h", "Today": "kW.h", "ExportActive": "kW.h", "ExportTotal": "kW.h", "Period": "W.h",
	"Power": "W", "ApparentPower": "", "ReactivePower": "", "Factor": "1", "Voltage": "V", "Current": "A", "Frequency": "Hz",
	"ImportActive": "kW.h", "PhaseAngle": "deg", "UvIndex": "1", "Weight": "kg", "Gas": "kOhm", "aHumidity": "g/m3",
	"CF1": "ug/m3", "CF10": "ug/m3", "PM1": "ug/m3", "PM4": "ug/m3", "PM10": "ug/m3", "Moisture": "%", "Fertility": "uS/cm", "Battery": "%",
	"OBJTMP": "{temperature}", "AMBTMP": "{temperature}", "ProbeTemperature": "{temperature}", "ReferenceTemperature": "{temperature}",
	"Illuminance": "lx", "CarbonDioxide": "[ppm]", "eCO2": "[ppm]", "TVOC": "[ppb]", "Distance": "cm", "BatteryPercentage": "%",
	"BatteryVoltage": "V", "Vcc": "V", "LinkQuality": "1", "UptimeSec": "s", "Signal": "dB{mW}", "RSSI": "dB{mW}", "Channel": "1",
	"TempUnit": doc.Skip, "PressureUnit": doc.Skip, "SpeedUnit": doc.Skip, "Time": doc.Skip, "TotalStartTime": doc.Skip, "Id": doc.Skip,
	"Device": doc.Skip, "Name": doc.Skip, "Endpoint": doc.Skip, "Group": doc.Skip, "IEEEAddr": doc.Skip, "ModelId": doc.Skip, "mac": doc.Skip, "MAC": doc.Skip, "Model": doc.Skip, "Firmware": doc.Skip,
	"Uptime": doc.Skip, "SleepMode": doc.Skip, "Hostname": doc.Skip, "IPAddress": doc.Skip,
}
