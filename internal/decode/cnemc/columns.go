package cnemc

import "github.com/situ-city/situ/pkg/sensor"

// use is what a column is for.
type use uint8

const (
	asOther use = iota // a number of no known name
	asTime
	asCode
	asLon
	asLat
	asNumber
	asWords
	asLabel // of the place, not of the air
)

// column is one that the publication has, or that is met in its place.
type column struct {
	name      string // folded: lower case, '.' and ' ' as '_'
	use       use
	unit      string // UCUM
	statistic sensor.Statistic
}

const (
	micro = "ug/m3"
	milli = "mg/m3"
)

var columns = [...]column{
	{name: "timepoint", use: asTime}, {name: "time_point", use: asTime}, {name: "time", use: asTime}, {name: "datetime", use: asTime},
	{name: "stationcode", use: asCode}, {name: "station_code", use: asCode}, {name: "code", use: asCode},
	{name: "longitude", use: asLon}, {name: "lon", use: asLon}, {name: "lng", use: asLon},
	{name: "latitude", use: asLat}, {name: "lat", use: asLat},
	{name: "primarypollutant", use: asWords}, {name: "primary_pollutant", use: asWords},
	{name: "aqi", use: asNumber, unit: "1"},
	{name: "pm10", use: asNumber, unit: micro}, {name: "pm10_24h", use: asNumber, unit: micro},
	{name: "pm2_5", use: asNumber, unit: micro}, {name: "pm2_5_24h", use: asNumber, unit: micro},
	{name: "pm25", use: asNumber, unit: micro}, {name: "pm25_24h", use: asNumber, unit: micro},
	{name: "o3", use: asNumber, unit: micro}, {name: "o3_24h", use: asNumber, unit: micro, statistic: sensor.Maximum},
	{name: "o3_8h", use: asNumber, unit: micro}, {name: "o3_8h_24h", use: asNumber, unit: micro, statistic: sensor.Maximum},
	{name: "no2", use: asNumber, unit: micro}, {name: "no2_24h", use: asNumber, unit: micro},
	{name: "so2", use: asNumber, unit: micro}, {name: "so2_24h", use: asNumber, unit: micro},
	{name: "co", use: asNumber, unit: milli}, {name: "co_24h", use: asNumber, unit: milli},
	{name: "area", use: asLabel}, {name: "city", use: asLabel}, {name: "province", use: asLabel}, {name: "positionname", use: asLabel},
	{name: "position_name", use: asLabel}, {name: "citycode", use: asLabel}, {name: "provinceid", use: asLabel}, {name: "id", use: asLabel},
	{name: "orderid", use: asLabel}, {name: "ispublish", use: asLabel}, {name: "quality", use: asLabel}, {name: "level", use: asLabel},
	{name: "measure", use: asLabel}, {name: "unheathful", use: asLabel}, {name: "unhealthful", use: asLabel},
}

// known finds a column by its name as it stands in a first line.
func known(name []byte) column {
	if len(name) > 32 {
		return column{}
	}
	var room [32]byte
	key := room[:0]
	for _, c := range name {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c == '.' || c == ' ':
			c = '_'
		}
		key = append(key, c)
	}
	for i := range columns {
		if columns[i].name == string(key) {
			return columns[i]
		}
	}
	return column{}
}
