package registry

import (
	"errors"
	"fmt"
	"strings"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// statement is what one row of a register says. An empty cell says nothing: what is registered stays. A cell of one
// hyphen says "none".
type statement struct {
	row     *Row
	id      sensor.ThingID
	given   [columns]bool
	thing   sensor.Thing // the fields whose column is given
	streams []sensor.Datastream
	notes   []string

	template []sensor.Datastream // of the sensor's model
}

// reader turns rows into statements. It reads no ledger.
type reader struct {
	catalogue *sensor.Catalogue
	divisions *geo.Divisions
	models    *sensor.Models
}

// none is the text of a cell that takes away what is registered.
const none = "-"

func (rd reader) read(row *Row) (*statement, error) {
	st := &statement{row: row, notes: append([]string(nil), row.Notes...)}
	if row.Err != nil {
		return st, row.Err
	}
	for c := range columns {
		st.given[c] = row.cells[c] != ""
	}
	var err error
	if st.id, err = readID(row); err != nil {
		return st, err
	}
	st.thing.ID = st.id
	st.template = rd.template(st)
	if err := errors.Join(rd.readThing(st), st.readPosition(), rd.readStreams(st)); err != nil {
		return st, err
	}
	return st, nil
}

// text is a cell's text, "" if it says none.
func (st *statement) text(c Column) string {
	if s := st.row.cells[c]; s != none {
		return s
	}
	return ""
}

func readID(row *Row) (sensor.ThingID, error) {
	id, owner := row.cells[ColID], row.cells[ColOwner]
	column := ColID
	switch {
	case id == "" && owner == "" && row.cells[ColName] == "":
		return "", &FieldError{ColID.String(), "empty; every row names its Thing as owner/name"}
	case id == "":
		id, column = owner+"/"+row.cells[ColName], ColName
	case !strings.Contains(id, "/") && owner != "":
		id = owner + "/" + id
	case owner != "" && !strings.HasPrefix(id, owner+"/"):
		return "", &FieldError{ColOwner.String(), fmt.Sprintf("%q is not the owner in id %q", owner, id)}
	}
	parsed, err := sensor.ParseThingID(id)
	if err != nil {
		return "", &FieldError{column.String(), err.Error()}
	}
	return parsed, nil
}

func (rd reader) readThing(st *statement) (err error) {
	t := &st.thing
	t.Name, t.Address, t.Serial = st.text(ColTitle), st.text(ColAddress), st.text(ColSerial)
	t.Scenes = parseList(st.text(ColScenes), ";；,，、|")
	set := func(c Column, read func(string) error) {
		if s := st.text(c); s != "" {
			if e := read(s); e != nil {
				err = errors.Join(err, &FieldError{c.String(), e.Error()})
			}
		}
	}
	set(ColClass, func(s string) (err error) { t.Class, err = parseClass(s); return err })
	set(ColGrade, func(s string) (err error) { t.Grade, err = parseGrade(s); return err })
	set(ColCRS, func(s string) (err error) { t.CRS, err = parseCRS(s); return err })
	set(ColDivision, func(s string) (err error) {
		var note string
		t.Division, note, err = parseDivision(s, rd.divisions)
		st.note(note)
		return err
	})
	return err
}

func (st *statement) note(text string) {
	if text != "" {
		st.notes = append(st.notes, text)
	}
}

// readPosition reads lon and lat, which only make sense together.
func (st *statement) readPosition() error {
	lon, lat := st.text(ColLon), st.text(ColLat)
	switch {
	case lon == "" && lat == "":
		return nil // says nothing, or none
	case lon == "":
		return &FieldError{ColLon.String(), "empty, but lat is given; a position needs both"}
	case lat == "":
		return &FieldError{ColLat.String(), "empty, but lon is given; a position needs both"}
	}
	p := &st.thing.Original
	var err error
	for _, c := range []struct {
		column Column
		text   string
		to     *float64
	}{{ColLon, lon, &p.Lon}, {ColLat, lat, &p.Lat}} {
		degrees, note, e := parseDegrees(c.text)
		if e != nil {
			err = errors.Join(err, &FieldError{c.column.String(), e.Error()})
		}
		*c.to = degrees
		st.note(note)
	}
	if err != nil {
		return err
	}
	if *p == (geo.LonLat{}) {
		return &FieldError{ColLon.String(), noFix}
	}
	st.thing.Placed = true
	return checkPosition(*p)
}

// readStreams reads the Datastreams of the properties column, or the one that property and source_key name.
func (rd reader) readStreams(st *statement) error {
	list, property, key := st.text(ColProperties), st.text(ColProperty), st.text(ColSourceKey)
	if list != "" {
		for _, c := range []Column{ColProperty, ColUnit, ColStatistic, ColSourceKey, ColMin, ColMax, ColRate, ColStill} {
			if st.given[c] {
				return &FieldError{c.String(), "does not go with the properties column: write a unit as pm10=mg/m3 there, or one property a row"}
			}
		}
		return rd.readList(st, list)
	}
	if property == "" && key == "" && len(st.template) == 0 {
		for _, c := range []Column{ColUnit, ColStatistic, ColInterval, ColMin, ColMax, ColRate, ColStill} {
			if st.given[c] {
				return &FieldError{c.String(), "says nothing without a property or a source_key in the same row"}
			}
		}
		return nil
	}
	if property == "" && key == "" {
		return st.readTemplate()
	}
	d, err := rd.readOne(st, property, key)
	if err != nil {
		return err
	}
	st.streams = append(st.streams, d)
	return nil
}

func (rd reader) readList(st *statement, list string) error {
	base, err := st.readNumbers()
	if err != nil {
		return err
	}
	seen := make(map[sensor.DatastreamID]string)
	for _, item := range parseList(list, ";；|、") {
		name, unit, _ := strings.Cut(item, "=")
		name, unit = strings.TrimSpace(name), strings.TrimSpace(unit)
		d, err := propertyOf(rd.catalogue, name)
		if err != nil {
			return &FieldError{ColProperties.String(), err.Error()}
		}
		d.Interval, d.Unit, d.Thing = base.Interval, unit, st.id
		st.nameAs(&d)
		st.ofSum(rd.catalogue, &d, false)
		if err := checkDeclared(&d, rd.catalogue); err != nil {
			return &FieldError{ColProperties.String(), fmt.Sprintf("%s: %v", item, err)}
		}
		if other, twice := seen[d.ID]; twice {
			return &FieldError{ColProperties.String(), fmt.Sprintf("%q and %q are the same property; keep one", other, item)}
		}
		seen[d.ID] = item
		st.streams = append(st.streams, d)
	}
	return nil
}

// readOne reads the columns property, source_key, statistic, unit, interval, min, max, rate and still of one row.
func (rd reader) readOne(st *statement, property, key string) (sensor.Datastream, error) {
	d, err := st.readNumbers()
	if err != nil {
		return d, err
	}
	if property != "" {
		known, err := propertyOf(rd.catalogue, property)
		if err != nil {
			return d, &FieldError{ColProperty.String(), err.Error()}
		}
		d.Property, d.Statistic, d.SourceKey = known.Property, known.Statistic, known.SourceKey
	}
	if key != "" {
		known, err := propertyOf(rd.catalogue, key)
		switch {
		case err == nil && property == "":
			d.Property, d.Statistic = known.Property, known.Statistic
			if covers(d.Statistic) {
				st.note(fmt.Sprintf("source_key %s taken as %s, %s", key, d.Property, d.Statistic))
			}
		case err == nil && known.Property == d.Property:
			d.Statistic = known.Statistic
		case err != nil && property == "":
			st.note(fmt.Sprintf("source_key %s means no property of the catalogue: its values are kept, but not on the map", key))
		}
		d.SourceKey = key
	}
	if s := st.text(ColStatistic); s != "" {
		if d.Statistic, err = sensor.ParseStatistic(strings.ToLower(s)); err != nil {
			return d, &FieldError{ColStatistic.String(), err.Error() + "; want instant, avg, min, max, sum or count"}
		}
		if d.SourceKey == "" && d.Statistic != sensor.Instant {
			return d, &FieldError{ColStatistic.String(), "without source_key a declaration holds for all statistics of the property; leave it empty, or give the source_key"}
		}
	}
	st.nameAs(&d)
	st.ofSum(rd.catalogue, &d, property != "")
	d.Thing = st.id
	return d, checkDeclared(&d, rd.catalogue)
}

// ofSum takes the property off a sum or a count that is not in one of the property's units: kilograms are no
// concentration. Such values are kept under their source key, as internal/normalize keeps them. A property that the
// owner names stays unless the unit speaks against it.
func (st *statement) ofSum(catalogue *sensor.Catalogue, d *sensor.Datastream, named bool) {
	if covers(d.Statistic) || d.Property == "" || named && d.Unit == "" {
		return
	}
	if p, known := catalogue.ByCode(d.Property); known && d.Unit != "" {
		if _, err := sensor.NewConversion(d.Unit, p.Unit); err == nil {
			return
		}
	}
	st.note(fmt.Sprintf("%s is a sum over time, not a %s: its values are kept under this name, in its own unit, but not on the map", d.SourceKey, d.Property))
	d.Property = ""
}

// readNumbers reads what goes with any Datastream of the row.
func (st *statement) readNumbers() (d sensor.Datastream, err error) {
	d.Unit = st.text(ColUnit)
	if s := st.text(ColInterval); s != "" {
		if d.Interval, err = parseInterval(s); err != nil {
			return d, &FieldError{ColInterval.String(), err.Error()}
		}
	}
	if s := st.text(ColStill); s != "" {
		still, err := parseStill(s)
		if err != nil {
			return d, &FieldError{ColStill.String(), err.Error()}
		}
		d.StillS = &still
	}
	for c, to := range map[Column]**float64{ColMin: &d.Min, ColMax: &d.Max, ColRate: &d.Rate} {
		if s := st.text(c); s != "" {
			if *to, err = parseNumber(s); err != nil {
				return d, &FieldError{c.String(), err.Error()}
			}
		}
	}
	return d, nil
}
