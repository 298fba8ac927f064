package sensor

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/situ-city/situ/schema"
)

// ErrModels: the text of the sensor models breaks its own rules (schema/schema.go states them).
var ErrModels = errors.New("not a list of sensor models")

// Model is a template: what a sensor on the market observes and how it says so, by its maker's data sheet. It fills in
// what a registration leaves empty.
type Model struct {
	ID          string            `json:"id"` // maker/model
	Maker       string            `json:"maker"`
	Name        string            `json:"name"`
	Protocol    string            `json:"protocol"`         // of situ, as it usually arrives
	Height      *float64          `json:"height,omitempty"` // metres above ground, where one is usual
	MountingZH  string            `json:"mounting_zh,omitempty"`
	MountingEN  string            `json:"mounting_en,omitempty"`
	Datastreams []ModelDatastream `json:"datastreams"`
}

// ModelDatastream is one of the quantities a Model sends.
type ModelDatastream struct {
	SourceKey  string        `json:"source_key,omitempty"` // "" = whatever its payload calls the property
	Property   PropertyCode  `json:"property"`
	Statistic  Statistic     `json:"statistic"`
	Unit       string        `json:"unit,omitempty"` // UCUM, as sent; "" = as the protocol or the name says, else the property's
	Resolution float64       `json:"resolution"`     // in the property's unit, as the range
	Min        *float64      `json:"min,omitempty"`  // measuring range
	Max        *float64      `json:"max,omitempty"`
	Interval   time.Duration `json:"interval_ns"` // between results, as delivered
}

// Models is the list of templates. It never changes after loading.
type Models struct {
	all    []Model
	byName map[string]int // folded id, model part alone, full name; -1: several
}

// LoadModels parses the models this build carries.
func LoadModels(c *Catalogue) (*Models, error) {
	return ParseModels(strings.NewReader(schema.Models()), c)
}

// ParseModels reads models in the form that schema/schema.go describes; their properties must be in c.
func ParseModels(r io.Reader, c *Catalogue) (*Models, error) {
	rows := csv.NewReader(r)
	head, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModels, err)
	}
	const want = "model,maker,name,protocol,height,mounting_zh,mounting_en,key,property,statistic,unit,resolution,min,max,interval"
	if got := strings.Join(head, ","); got != want {
		return nil, fmt.Errorf("%w: columns %s, want %s", ErrModels, got, want)
	}
	m := &Models{byName: make(map[string]int)}
	for {
		row, err := rows.Read()
		if err == io.EOF {
			return m, nil
		}
		if err == nil {
			err = m.add(row, c)
		}
		if err != nil {
			line, _ := rows.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w: %w", line, ErrModels, err)
		}
	}
}

// add takes a line: a model with its first Datastream, or one more of the model before.
func (m *Models) add(row []string, c *Catalogue) error {
	if row[0] != "" {
		if err := m.begin(row); err != nil {
			return err
		}
	} else if strings.Join(row[:7], "") != "" || len(m.all) == 0 {
		return errors.New("a line without model adds a Datastream to the one before; it says nothing of the model")
	}
	d, err := modelDatastream(row[7:], c)
	if err != nil {
		return err
	}
	last := &m.all[len(m.all)-1]
	for _, other := range last.Datastreams {
		if other.SourceKey == d.SourceKey && other.Statistic == d.Statistic && (d.SourceKey != "" || other.Property == d.Property) {
			return fmt.Errorf("%s says %s twice", last.ID, d.Property)
		}
	}
	last.Datastreams = append(last.Datastreams, d)
	return nil
}

func (m *Models) begin(row []string) error {
	next := Model{ID: row[0], Maker: row[1], Name: row[2], Protocol: row[3], MountingZH: row[5], MountingEN: row[6]}
	maker, model, ok := strings.Cut(next.ID, "/")
	if !ok || maker == "" || model == "" || next.Maker == "" || next.Name == "" || next.Protocol == "" {
		return fmt.Errorf("%q: want maker/model, a maker, a name and a protocol", next.ID)
	}
	var err error
	if next.Height, err = optionalNumber(row[4]); err != nil {
		return err
	}
	if i, taken := m.byName[folded(next.ID)]; taken && i >= 0 {
		return fmt.Errorf("%s is there twice", next.ID)
	}
	for _, name := range []string{next.ID, model, next.Maker + " " + model} {
		key := folded(name)
		if i, taken := m.byName[key]; taken && i != len(m.all) {
			m.byName[key] = -1 // two makers call theirs so: it takes the id
			continue
		}
		m.byName[key] = len(m.all)
	}
	m.all = append(m.all, next)
	return nil
}

func modelDatastream(row []string, c *Catalogue) (d ModelDatastream, err error) {
	p, known := c.ByCode(PropertyCode(row[1]))
	if !known {
		return d, fmt.Errorf("property %q is not in the catalogue", row[1])
	}
	d = ModelDatastream{SourceKey: row[0], Property: p.Code, Unit: row[3]}
	if d.Statistic, err = ParseStatistic(row[2]); err != nil {
		return d, err
	}
	if d.Unit != "" {
		if _, err := NewConversion(d.Unit, p.Unit); err != nil {
			return d, err
		}
	}
	if d.Resolution, err = strconv.ParseFloat(row[4], 64); err != nil || !(d.Resolution > 0) {
		return d, fmt.Errorf("resolution %q", row[4])
	}
	if d.Min, err = optionalNumber(row[5]); err != nil {
		return d, err
	}
	if d.Max, err = optionalNumber(row[6]); err != nil {
		return d, err
	}
	if d.Min != nil && d.Max != nil && !(*d.Min < *d.Max) {
		return d, fmt.Errorf("min %v is not below max %v", *d.Min, *d.Max)
	}
	seconds, err := strconv.ParseFloat(row[7], 64)
	if err != nil || !(seconds > 0) {
		return d, fmt.Errorf("interval %q, want seconds", row[7])
	}
	d.Interval = time.Duration(seconds * float64(time.Second))
	return d, nil
}

func optionalNumber(s string) (*float64, error) {
	if s == "" {
		return nil, nil
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || x-x != 0 {
		return nil, fmt.Errorf("%q is not a number", s)
	}
	return &x, nil
}

// All lists the models in the list's order.
func (m *Models) All() []Model { return m.all }

// Find finds a model by its id ("dragino/lht65"), by its maker's name for it ("LHT65") where only one maker has one
// of that name, or by both ("Dragino LHT65"). Case does not count.
func (m *Models) Find(name string) (*Model, bool) {
	i, ok := m.byName[folded(name)]
	if !ok || i < 0 {
		return nil, false
	}
	return &m.all[i], true
}
