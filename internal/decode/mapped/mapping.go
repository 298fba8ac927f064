package mapped

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// Mapping is what a source's configuration says about payloads beside their protocol.
type Mapping struct {
	Thing  string            `yaml:"thing,omitempty"`  // name of the Thing, of parts: "{site}-{device}", "{serial}", "{payload.sn}", "{item.id}"
	Rename map[string]string `yaml:"rename,omitempty"` // source key -> property
	Units  map[string]string `yaml:"units,omitempty"`  // source key -> UCUM unit, where the payload names none

	// Expressions, for protocol json.
	Each   string  `yaml:"each,omitempty"`
	Time   string  `yaml:"time,omitempty"`
	Lon    string  `yaml:"lon,omitempty"`
	Lat    string  `yaml:"lat,omitempty"`
	Values []Value `yaml:"values,omitempty"`
}

// Value is one value of a report.
type Value struct {
	Property  string `yaml:"property,omitempty"`  // the catalogue's name, or the owner's; "" = the key
	Key       string `yaml:"key,omitempty"`       // expression for the value's own name; "" = the property
	Value     string `yaml:"value"`               // expression
	Unit      string `yaml:"unit,omitempty"`      // UCUM
	Statistic string `yaml:"statistic,omitempty"` // avg, min, max, sum, count; "" = instant
	When      string `yaml:"when,omitempty"`      // expression: only if it is true
}

// Bounds of a Mapping.
const (
	MaxValues = 256 // values of one report
	MaxTable  = 4096
)

// ErrMapping: a Mapping cannot work.
var ErrMapping = errors.New("mapping")

func wrong(field, form string, args ...any) error {
	return fmt.Errorf("%w: %s: %w", ErrMapping, field, fmt.Errorf(form, args...))
}

// Expressions reports whether payloads are read by expressions.
func (m *Mapping) Expressions() bool {
	return len(m.Values) > 0 || m.Each != "" || m.Time != "" || m.Lon != "" || m.Lat != ""
}

// Empty: the protocol's decoder has the last word.
func (m *Mapping) Empty() bool {
	return !m.Expressions() && m.Thing == "" && len(m.Rename) == 0 && len(m.Units) == 0
}

// Program is a Mapping that was found good. It is immutable: many State share it.
type Program struct {
	rename, units        map[string]string
	identity             *template // nil: the topic's {thing}, or the frame's serial
	protocol             string
	read                 bool // by expressions
	each, time, lon, lat *expression
	values               []value
	encoding             string
	zone                 *time.Location
}

type value struct {
	property         string
	statistic        sensor.Statistic
	unit             string
	key, value, when *expression
}

// Compile checks a Mapping for payloads of a protocol. parts are the names in the source's topics. The error names the
// setting, and the place in it.
func Compile(m *Mapping, protocol string, s decode.Settings, parts []string) (*Program, error) {
	p := &Program{rename: m.Rename, units: m.Units, protocol: protocol, encoding: s.Encoding, read: m.Expressions()}
	if err := tables(m); err != nil {
		return nil, err
	}
	var err error
	if p.identity, err = parseTemplate(m.Thing, parts, p.read); err != nil {
		return nil, err
	}
	if !p.read {
		return p, nil
	}
	switch {
	case protocol != "json":
		return nil, wrong("values", "expressions read protocol json, not %q; take rename and units for what %s decodes", protocol, protocol)
	case len(m.Values) == 0:
		return nil, wrong("values", "is empty: say what the values are, such as {property: temperature, value: item.temp}")
	case len(m.Values) > MaxValues:
		return nil, wrong("values", "%d of them, at most %d", len(m.Values), MaxValues)
	case (m.Lon == "") != (m.Lat == ""):
		return nil, wrong("lon", "lon and lat go together: one is set, the other is not")
	}
	if p.zone, err = s.Location(); err != nil {
		return nil, wrong("zone", "%w", err)
	}
	if _, err = decode.NewText(s.Encoding); err != nil {
		return nil, wrong("encoding", "%w", err)
	}
	c := compiler{parts: parts}
	p.each = c.expression("each", m.Each, false)
	p.time, p.lon, p.lat = c.expression("time", m.Time, true), c.expression("lon", m.Lon, true), c.expression("lat", m.Lat, true)
	for i := range m.Values {
		p.values = append(p.values, c.value(fmt.Sprintf("values[%d]", i), &m.Values[i]))
	}
	return p, c.err
}

func (c *compiler) value(field string, v *Value) value {
	out := value{property: v.Property, unit: v.Unit,
		key: c.expression(field+".key", v.Key, true), value: c.expression(field+".value", v.Value, true), when: c.expression(field+".when", v.When, true)}
	switch {
	case v.Value == "":
		c.fail(wrong(field+".value", "is empty: an expression such as item.temp is needed"))
	case v.Property == "" && v.Key == "":
		c.fail(wrong(field, "property and key are both empty: the value has no name"))
	}
	if v.Unit != "" {
		if _, err := sensor.ParseUnit(v.Unit); err != nil {
			c.fail(wrong(field+".unit", "%w", err))
		}
	}
	if v.Statistic != "" {
		if err := out.statistic.UnmarshalText([]byte(v.Statistic)); err != nil {
			c.fail(wrong(field+".statistic", "%w (want avg, min, max, sum or count)", err))
		}
	}
	return out
}

// tables checks what needs no compiling.
func tables(m *Mapping) error {
	if len(m.Rename) > MaxTable || len(m.Units) > MaxTable {
		return wrong("rename", "at most %d names", MaxTable)
	}
	for key, property := range m.Rename {
		if strings.TrimSpace(property) == "" {
			return wrong("rename", "%q has no property", key)
		}
	}
	for key, unit := range m.Units {
		if _, err := sensor.ParseUnit(unit); err != nil {
			return wrong("units", "%q: %w", key, err)
		}
	}
	return nil
}

func quoted(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return "{" + strings.Join(names, "}, {") + "}"
}
