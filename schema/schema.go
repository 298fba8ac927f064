// Package schema holds what is data rather than code: the ClickHouse DDL and the observed-property catalogue.
//
// clickhouse/*.sql are numbered files, applied in order by internal/store, one text for the embedded engine and for a
// cluster. properties.csv is the catalogue; pkg/sensor parses it (LoadCatalogue). The package does no parsing itself.
//
// properties.csv, a line a property: number (stable for ever: logs and tables carry it, a retired one is never used
// again), code, name_zh, name_en, unit (canonical, UCUM), resolution, min, max (plausible range in that unit), worse
// (high, low or both), sector, breaks (rising legend thresholds), hj212 (`code:unit`, the unit as HJ 212-2017
// appendix B gives it; a code ending in xx stands for any two digits), aliases. Lists are separated by blanks. A word that may mean something else in
// another sensor's payload (speed, volume, no, do, door) is no alias: an owner maps it by declaring the Datastream.
//
// Breaks follow HJ 633-2012 (air, hourly), GB 3838-2002 (water), GB 3096-2008 (noise), GB/T 28591-2012 (wind),
// GB/T 28592-2012 (rain, 24 h), GB 18483-2001 (oil fume), GB/T 50493-2019 (combustible gas); the others are round
// numbers that split the usual range.
package schema

import (
	"embed"
	_ "embed"
)

// FS holds clickhouse/*.sql and properties.csv.
//
//go:embed clickhouse/*.sql properties.csv
var FS embed.FS

//go:embed properties.csv
var properties string

// Properties is the text of properties.csv.
func Properties() string { return properties }
