// Package openaq decodes measurements of OpenAQ (API v1, v2 and v3, single ones or in results; step 2 of 8).
//
// What a measurement becomes:
//
//   - Key is the parameter ("pm25"; v3: its name); v3's latest values, which name a sensor only, have sensor- and its
//     number. Unit is in UCUM ("µg/m³").
//   - Serial is the location's number as text (v1: the location's name). Position is coordinates.
//   - Time is date.utc or lastUpdated, v3 the end of the period or datetime.utc; a v3 period longer than raw is an average.
//   - -999 and -9999, which providers send for no data, are missing.
//
// Strict refuses a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3).
package openaq
