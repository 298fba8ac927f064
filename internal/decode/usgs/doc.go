// Package usgs decodes WaterML 1.1 in JSON, as the instantaneous values service of the U.S. Geological Survey gives it
// (waterservices.usgs.gov/nwis/iv?format=json; daily values have the same form; step 2 of 8).
//
// What a timeSeries becomes:
//
//   - Serial is the site's number, Key the parameter code ("00060"); of a series measured by several methods, from the
//     second on with '#' and the method's number behind.
//   - Unit is unitCode in UCUM. Statistic goes by optionCode: 00000 instant, 00001 maximum, 00002 minimum, 00003 mean.
//   - Time is dateTime with its zone; one without is refused, unless the source's settings name a zone.
//   - Position is geogLocation. Values stand in quotes; noDataValue (-999999 where none is said) is missing.
//   - Qualifiers: e is the quality bit estimated; Eqp, Ice, Bkw, Dis, Fld, Rat, Ssn, ZFl and *** are
//     source_fault; Mnt and Tst source_calibration; < and > are source_over_range. A and P (approved, provisional) say nothing against a value.
//
// Strict refuses a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3).
package usgs
