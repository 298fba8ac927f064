// Package cnemc decodes the hourly air quality of China's national stations as CSV (step 2 of 8): the form in which the
// hourly publication of the China National Environmental Monitoring Centre is archived and passed on. There is no
// standard of the file; the columns are those of the publication, found by the names in the first line.
//
//	timepoint,stationcode,longitude,latitude,area,positionname,primarypollutant,aqi,pm10,pm10_24h,pm2_5,...
//	2026-01-01T08:00:00,1414A,106.3787,29.8279,...
//
// What a cell becomes:
//
//   - Key and Property are the column's name as it stands there. Unit: CO in mg/m3, the other pollutants in ug/m3, an AQI
//     "1" (columns.go). Statistic is the instant for the hour's values and the moving means of 8 and 24 hours, which are
//     properties of their own; the greatest hour and the greatest 8-hour mean of the day (o3_24h, o3_8h_24h) are maxima.
//   - Serial is the station's code: publish to situ/v1/{owner}/-/cnemc, so that each station is a Thing of its own and not all
//     are the one that the topic names. Time is the time in its row, in the source's zone (Asia/Shanghai if it
//     says none) unless it bears one. Position is the row's longitude and latitude, in the source's datum.
//   - The primary pollutant is a text. Names and numbers of places, and other columns that hold no number, are no
//     values; a number under a name not known is one, without a unit.
//   - An empty cell is missing; so is "—", "-", "NA", "NaN" or "null", unless the source is strict.
//
// Rules of CSV are those of RFC 4180: cells in quotes may hold commas, quotes (doubled) and line ends; CRLF and LF are
// both taken, blank lines skipped. Tolerated: a byte order mark; ';' or a tab instead of commas; text that is not
// UTF-8 is read as GB 18030, unless the source says which of the two it is or is strict.
//
// A cell that is no number, a position outside the world, and a row without code or readable time, or with more or
// fewer cells than the first line, leave as a Reading with Err; the others stand. Refused are a payload without a first
// line that names time and code, text in neither encoding, and more than decode.MaxReadings values (about 270 stations:
// a file of the whole country has to be sent in parts, each with the first line).
//
// # In code
//
// Append encodes. The package never looks at a clock or the registry.
package cnemc
