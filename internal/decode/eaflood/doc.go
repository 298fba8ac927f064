// Package eaflood decodes stations, measures and readings of the Environment Agency's real-time flood-monitoring API
// (environment.data.gov.uk/flood-monitoring, reference 0.9; step 2 of 8).
//
//	{"items": {"stationReference": ..., "lat": ..., "long": ..., "measures": [{"parameter": ..., "latestReading": {...}}]}}
//	{"items": [{"measure": ".../690142-level-stage-i-15_min-m", "dateTime": ..., "value": 0.233}]}
//
// What they become:
//
//   - Key is parameter/qualifier ("level/Stage"); in a reading by itself both are read out of the measure's address.
//   - Unit is unitName; metres above a datum (mASD, mAOD) are metres. Time is dateTime, in UTC.
//   - Serial is stationReference. Position is lat and long, where the station has one of each.
//   - valueType mean, max and min are statistics; totals of rain stay as they are.
//   - A measure without a latest reading, or with its address only, is missing.
//
// Strict refuses a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3).
package eaflood
