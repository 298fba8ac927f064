package ecowitt

import (
	"strings"

	"github.com/situ-city/situ/internal/decode/doc"
)

// units go by name without the digits that count channels, hours and minutes.
var units = map[string]string{
	"tempinf": "[degF]", "tempf": "[degF]", "indoortempf": "[degF]", "dewptf": "[degF]", "windchillf": "[degF]", "feelslikef": "[degF]",
	"tf_ch": "[degF]", "tf_co": "[degF]", "soiltempf": "[degF]",
	"humidityin": "%", "humidity": "%", "indoorhumidity": "%", "humi_co": "%", "soilmoisture": "%", "leafwetness_ch": "%",
	"baromrelin": "[in_i'Hg]", "baromabsin": "[in_i'Hg]", "baromin": "[in_i'Hg]", "vpd": "[in_i'Hg]",
	"winddir": "deg", "winddir_avgm": "deg", "windspeedmph": "[mi_i]/h", "windgustmph": "[mi_i]/h", "maxdailygust": "[mi_i]/h",
	"windspdmph_avgm": "[mi_i]/h", "solarradiation": "W/m2", "uv": "1", "UV": "1",
	"rainratein": "[in_i]/h", "rrain_piezo": "[in_i]/h", "rainin": "[in_i]", "eventrainin": "[in_i]", "hourlyrainin": "[in_i]",
	"dailyrainin": "[in_i]", "weeklyrainin": "[in_i]", "monthlyrainin": "[in_i]", "yearlyrainin": "[in_i]", "totalrainin": "[in_i]",
	"hourrainin": "[in_i]", "erain_piezo": "[in_i]", "hrain_piezo": "[in_i]", "drain_piezo": "[in_i]", "wrain_piezo": "[in_i]",
	"mrain_piezo": "[in_i]", "yrain_piezo": "[in_i]", "last_hrain_piezo": "[in_i]",
	"pm_ch": "ug/m3", "pm_avg_h_ch": "ug/m3", "pm_co": "ug/m3", "pm_h_co": "ug/m3", "co": "[ppm]", "co_h": "[ppm]",
	"lasthrain_piezo": "[in_i]", "visibility": "[nmi_i]", "AqPM.": "ug/m3", "coin": "[ppm]", "coin_h": "[ppm]",
	"wscap_volt": "V", "tf_batt": "V", "lightning": "km", "lightning_num": "1", "soilbatt": "V", "runtime": "s", "interval": "s",
	"PASSKEY": doc.Skip, "ID": doc.Skip, "PASSWORD": doc.Skip, "dateutc": doc.Skip, "action": doc.Skip, "realtime": doc.Skip,
	"rtfreq": doc.Skip, "softwaretype": doc.Skip, "stationtype": doc.Skip, "model": doc.Skip, "freq": doc.Skip, "MAC": doc.Skip,
	"lightning_time": doc.Skip,
}

func unitOf(name string) string {
	return units[strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, name)]
}
