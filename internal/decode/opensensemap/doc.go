// Package opensensemap decodes senseBoxes as the openSenseMap API gives and takes them (API of opensensemap.org, routes
// /boxes, /boxes/{id} and /boxes/{id}/data; step 2 of 8).
//
//	{"_id": box, "sensors": [{"title": "PM10", "unit": "µg/m³", "lastMeasurement": {"value": "3.30", "createdAt": ...}}]}
//	[{"sensor": id, "value": "3.30", "createdAt": ..., "location": [lon, lat]}]
//	{"sensor id": "3.30", "other sensor id": ["53.8", "2026-01-01T04:00:00Z", [lon, lat, height]]}
//	sensor id,3.30,2026-01-01T04:00:00Z,lon,lat,height
//
// What they become:
//
//   - Key is a sensor's title, free text in any language; where a box has two of the same title, from the second on with
//     '#' and the sensor's id behind. In the forms of measurements alone, which hold no titles, it is the sensor's id.
//   - Unit is the sensor's, in UCUM where situ knows the spelling ("µg/m³", "°C"); another one stays as it is, and is
//     then refused at normalize, where its owner sees it.
//   - Time is createdAt. Serial is the box's _id. Position is the measurement's location, else the box's currentLocation,
//     else its loc.
//   - Numbers stand in quotes. A sensor without a measurement (null, or an id only) is missing.
//
// Strict refuses a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3).
//
// A list of boxes is taken, as far as decode.MaxReadings goes.
package opensensemap
