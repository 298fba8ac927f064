package registry

import (
	"fmt"

	"github.com/situ-city/situ/pkg/sensor"
)

// A row's model (column model, several separated by ';') fills in what the row leaves empty: without any property, all
// Datastreams of the model; with some, their source key, unit, interval and range. What the row says, and what is
// registered, goes before it.

// template finds the Datastreams of the row's models. A model that is not known is no reason to refuse a Thing.
func (rd reader) template(st *statement) []sensor.Datastream {
	var all []sensor.Datastream
	for _, name := range parseList(st.text(ColModel), ";；|、") {
		if rd.models == nil {
			st.note("no sensor models here; column model was left out")
			return nil
		}
		m, ok := rd.models.Find(name)
		if !ok {
			st.note(fmt.Sprintf("model %q is not among those known here (/v1/models); it fills in nothing", name))
			continue
		}
		all = append(all, OfModel(m, st.id)...)
		st.note(advice(m))
	}
	return all
}

// OfModel gives the Datastreams that a Thing of a model has.
func OfModel(m *sensor.Model, thing sensor.ThingID) []sensor.Datastream {
	all := make([]sensor.Datastream, len(m.Datastreams))
	for i, d := range m.Datastreams {
		all[i] = sensor.Datastream{ID: sensor.NewDatastreamID(thing, d.Property, d.Statistic, d.SourceKey), Thing: thing, Property: d.Property,
			Statistic: d.Statistic, SourceKey: d.SourceKey, Unit: d.Unit, Interval: d.Interval, Min: d.Min, Max: d.Max}
	}
	return all
}

func advice(m *sensor.Model) string {
	text := fmt.Sprintf("model %s: %s", m.ID, m.Name)
	if m.Height != nil {
		text += fmt.Sprintf("; usually %v m above ground", *m.Height)
	}
	if m.MountingEN != "" {
		text += "; mount it " + m.MountingEN
	}
	return text
}

// readTemplate takes all Datastreams of the models; the row may say how often they report.
func (st *statement) readTemplate() error {
	for _, c := range []Column{ColUnit, ColStatistic, ColMin, ColMax} {
		if st.given[c] {
			return &FieldError{c.String(), "says nothing without a property or a source_key in the same row; the model has several"}
		}
	}
	base, err := st.readNumbers()
	if err != nil {
		return err
	}
	for _, t := range st.template { // the rest follows when it is known what is registered
		st.streams = append(st.streams, sensor.Datastream{ID: t.ID, Thing: t.Thing, Property: t.Property, Statistic: t.Statistic,
			SourceKey: t.SourceKey, Interval: base.Interval})
	}
	return nil
}

// nameAs gives d the source key that the template has for its property, if the row gave none and there is only one.
func (st *statement) nameAs(d *sensor.Datastream) {
	if d.SourceKey != "" {
		return
	}
	only := -1
	for i := range st.template {
		if t := &st.template[i]; t.Property == d.Property && (t.Statistic == d.Statistic || !st.given[ColStatistic]) {
			if only >= 0 {
				return
			}
			only = i
		}
	}
	if only >= 0 {
		d.SourceKey, d.Statistic = st.template[only].SourceKey, st.template[only].Statistic
	}
}

// fromTemplate fills in what neither the row nor the registry says of d.
func (st *statement) fromTemplate(d *sensor.Datastream) {
	for i := range st.template {
		t := &st.template[i]
		if t.ID != d.ID {
			continue
		}
		if d.Unit == "" && !st.given[ColUnit] {
			d.Unit = t.Unit
		}
		if d.Interval == 0 && !st.given[ColInterval] {
			d.Interval = t.Interval
		}
		if d.Min == nil && !st.given[ColMin] {
			d.Min = t.Min
		}
		if d.Max == nil && !st.given[ColMax] {
			d.Max = t.Max
		}
	}
}

// Default puts text into a cell that the row leaves empty.
func (r *Row) Default(c Column, text string) {
	if r.cells[c] == "" {
		r.cells[c] = text
	}
}
