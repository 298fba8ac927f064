package registry

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// FieldError names the field that a Thing, a Datastream or a row of a register was refused for, and how to fix it.
type FieldError struct {
	Field string
	Text  string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Text }

// noFix is said of the position that receivers without a fix report.
const noFix = "0, 0 is a place in the Gulf of Guinea; leave both empty if the position is not known"

// Bounds on texts, in bytes of UTF-8.
const (
	maxName      = 256
	maxAddress   = 512
	maxSerial    = 128
	maxScenes    = 16
	maxScene     = 64
	maxUnit      = 64
	maxSourceKey = 512
	maxProperty  = 64
	maxInterval  = 366 * 24 * time.Hour
	maxLimit     = 1e12 // of change, and of seconds
)

// CheckThing refuses a Thing the ledger must not hold. The error is a *FieldError or wraps sensor.ErrThingID.
func CheckThing(t *sensor.Thing) error {
	if _, err := sensor.ParseThingID(string(t.ID)); err != nil {
		return err
	}
	if t.ID.Key() == 0 {
		return fmt.Errorf("%s hashes to zero: %w", t.ID, ErrCollision)
	}
	if len(t.Scenes) > maxScenes {
		return &FieldError{"scenes", fmt.Sprintf("%d tags; at most %d", len(t.Scenes), maxScenes)}
	}
	nowhere := geo.LonLat{}
	if t.Placed && t.Original == nowhere && t.Location == nowhere {
		return &FieldError{"lon", noFix}
	}
	if t.Original != nowhere {
		if err := checkPosition(t.Original); err != nil {
			return err
		}
	} else if err := checkPosition(t.Location); err != nil {
		return err
	}
	err := errors.Join(checkText("name", t.Name, maxName), checkText("address", t.Address, maxAddress),
		checkText("serial", t.Serial, maxSerial))
	for _, s := range t.Scenes {
		err = errors.Join(err, checkText("scenes", s, maxScene))
	}
	return err
}

// checkPosition refuses what is not on the Earth, and says so when the two numbers look swapped.
func checkPosition(p geo.LonLat) error {
	switch {
	case p.Valid():
		return nil
	case geo.LonLat{Lon: p.Lat, Lat: p.Lon}.Valid():
		return &FieldError{"lat", fmt.Sprintf("%v is beyond 90 degrees: longitude and latitude look swapped; write lon %v, lat %v", p.Lat, p.Lat, p.Lon)}
	case !(math.Abs(p.Lat) <= 90):
		return &FieldError{"lat", fmt.Sprintf("%v is outside the world; want degrees from -90 to 90", p.Lat)}
	}
	return &FieldError{"lon", fmt.Sprintf("%v is outside the world; want degrees from -180 to 180", p.Lon)}
}

// CheckDatastream refuses a Datastream the ledger must not hold; it fills in a zero ID.
func CheckDatastream(d *sensor.Datastream) error {
	if _, err := sensor.ParseThingID(string(d.Thing)); err != nil {
		return err
	}
	if d.Property == "" && d.SourceKey == "" {
		return &FieldError{"property", "neither property nor source key; give at least one"}
	}
	if d.Interval < 0 || d.Interval > maxInterval {
		return &FieldError{"interval", fmt.Sprintf("%v is not between 0 and a year", d.Interval)}
	}
	for _, p := range []*float64{d.Min, d.Max} {
		if p != nil && (math.IsNaN(*p) || math.IsInf(*p, 0)) {
			return &FieldError{"range", "not a finite number"}
		}
	}
	for name, p := range map[string]*float64{"rate": d.Rate, "still": d.StillS} {
		if p != nil && !(*p >= 0 && *p <= maxLimit) {
			return &FieldError{name, fmt.Sprintf("%v is no limit; want 0 (not judged) or more", *p)}
		}
	}
	if d.Min != nil && d.Max != nil && *d.Min > *d.Max {
		return &FieldError{"range", fmt.Sprintf("min %v is above max %v", *d.Min, *d.Max)}
	}
	// A source key is whatever the payload says; only what would break the id's own form is refused.
	if len(d.SourceKey) > maxSourceKey || !utf8.ValidString(d.SourceKey) || strings.ContainsRune(d.SourceKey, 0) {
		return &FieldError{"source_key", fmt.Sprintf("want UTF-8 without NUL, at most %d bytes", maxSourceKey)}
	}
	if err := errors.Join(checkText("property", string(d.Property), maxProperty), checkText("unit", d.Unit, maxUnit)); err != nil {
		return err
	}
	id := sensor.NewDatastreamID(d.Thing, d.Property, d.Statistic, d.SourceKey)
	if d.ID != 0 && d.ID != id {
		return &FieldError{"id", fmt.Sprintf("%s; thing, property, statistic and source key make it %s", d.ID, id)}
	}
	d.ID = id
	return nil
}

// checkDeclared is CheckDatastream for an owner's word: the property must be in the catalogue, and the unit must be
// one that its results can be converted from. The unit is put into its UCUM form.
func checkDeclared(d *sensor.Datastream, catalogue *sensor.Catalogue) error {
	if err := CheckDatastream(d); err != nil || catalogue == nil {
		return err
	}
	if d.Unit != "" {
		unit, err := sensor.ParseUnit(d.Unit)
		if err != nil {
			return &FieldError{"unit", fmt.Sprintf("%q is not a unit situ knows; write UCUM, which is case-sensitive: ug/m3, mg/L, Cel, hPa, m/s, %%", d.Unit)}
		}
		d.Unit = unit.String()
	}
	if d.Property == "" {
		return nil
	}
	p, known := catalogue.ByCode(d.Property)
	if !known {
		return &FieldError{"property", fmt.Sprintf("%q is not in the catalogue; see /v1/properties, or leave it empty and give the source key", d.Property)}
	}
	if d.Unit != "" {
		if _, err := sensor.NewConversion(d.Unit, p.Unit); err != nil {
			return &FieldError{"unit", fmt.Sprintf("%s cannot be converted to %s, the unit of %s: they measure different things", d.Unit, p.Unit, p.Code)}
		}
	}
	return nil
}

func checkText(field, s string, most int) error {
	switch {
	case len(s) > most:
		return &FieldError{field, fmt.Sprintf("%d bytes long; at most %d", len(s), most)}
	case !utf8.ValidString(s):
		return &FieldError{field, "not UTF-8"}
	case strings.IndexFunc(s, unicode.IsControl) >= 0:
		return &FieldError{field, "holds a control character (a line break or a tab?)"}
	}
	return nil
}
