// Package schema holds what is data rather than code: the ClickHouse DDL and the observed-property catalogue.
//
// clickhouse/*.sql are numbered files, applied in order by internal/store, one text for the embedded engine and for a
// cluster. properties.csv is the catalogue; pkg/sensor parses it (LoadCatalogue, LoadModels). The package does no parsing itself.
//
// properties.csv, a line a property: number (stable for ever: logs and tables carry it, a retired one is never used
// again), code, name_zh, name_en, unit (canonical, UCUM), resolution, min, max (plausible range in that unit), rate
// (plausible change a second, in that unit, over at least a minute; empty: not judged), still (hours it may stay the
// same; empty: not judged, as for counters, states and what is naturally zero), worse (high, low or both), sector, breaks
// (rising legend thresholds), hj212 (`code:unit`, the unit as HJ 212-2017 appendix B gives it; a code ending in xx stands
// for any two digits), aliases. Lists are separated by blanks.
//
// An alias is `[protocol/]name[:unit]`: a name that means something only in one protocol ("P1" of a sensor-community
// station, "00060" of the USGS) stands behind the protocol's; a name that says its unit ("tempf") has it behind itself. A
// name without protocol is one that cannot mean anything else in another sensor's payload: speed, volume, no, do and door
// are none; an owner maps them by declaring the Datastream. pkg/sensor's Lookup tells how names are compared.
//
// models.csv, the sensor models, a line a Datastream: model (maker/model; empty: one more Datastream of the model above),
// maker, name, protocol (of situ, as the sensor's readings usually arrive), height (metres above ground), mounting_zh,
// mounting_en, key (the payload's own name; empty: whatever the payload calls the property), property, statistic, unit
// (as the payload sends; empty: what protocol or name imply), resolution, min, max (measuring range, in the property's
// unit, as resolution; empty: the data sheet gives none, or several), interval (seconds, as delivered). Figures are those
// of the makers' data sheets.
//
// judgements.csv, the figures of the rules that judge readings afterwards (docs/quality.md), a line a figure: rule, property
// (code; empty: of the rule itself), name, value, reason.
//
// Breaks follow HJ 633-2012 (air, hourly), GB 3838-2002 (water), GB 3096-2008 (noise), GB/T 28591-2012 (wind),
// GB/T 28592-2012 (rain, 24 h), GB 18483-2001 (oil fume), GB/T 50493-2019 (combustible gas), GB 3095-2012 with HJ 633 (means of 8 and 24 hours),
// GB 5749-2022 (drinking water: turbidity, iron, manganese, nitrate), GBZ 2.1-2019 (hazardous gases, ppm); the others are round
// numbers that split the usual range.
package schema

import (
	"embed"
	_ "embed"
)

// FS holds clickhouse/*.sql, properties.csv, models.csv and judgements.csv.
//
//go:embed clickhouse/*.sql properties.csv models.csv judgements.csv
var FS embed.FS

//go:embed properties.csv
var properties string

// Properties is the text of properties.csv.
func Properties() string { return properties }

//go:embed models.csv
var models string

// Models is the text of models.csv.
func Models() string { return models }

//go:embed judgements.csv
var judgements string

// Judgements is the text of judgements.csv.
func Judgements() string { return judgements }
