package sensor

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parseProperty reads one line of the catalogue, and the units of its HJ 212 codes.
func parseProperty(row []string) (p ObservedProperty, hjUnits []string, err error) {
	number, err := strconv.ParseUint(row[0], 10, 16)
	if err != nil || number == 0 {
		return p, nil, fmt.Errorf("number %q, want 1 to 65535", row[0])
	}
	p = ObservedProperty{
		Number: PropertyNumber(number), Code: PropertyCode(row[1]), NameZH: row[2], NameEN: row[3], Unit: row[4],
		Worse: row[10], Sector: row[11], Breaks: []float64{}, Aliases: strings.Fields(row[14]),
	}
	var still float64
	for i, to := range []*float64{&p.Resolution, &p.Min, &p.Max, &p.Rate, &still} {
		text := row[5+i]
		if text == "" && i >= 3 { // rate and still may be left out
			continue
		}
		if *to, err = strconv.ParseFloat(text, 64); err != nil {
			return p, nil, err
		}
	}
	if !(p.Rate >= 0) || !(still >= 0 && still <= 24*366) {
		return p, nil, fmt.Errorf("rate %v, still %v: want numbers from 0, hours up to a year", p.Rate, still)
	}
	p.Still = time.Duration(still * float64(time.Hour))
	for _, s := range strings.Fields(row[12]) {
		b, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return p, nil, err
		}
		p.Breaks = append(p.Breaks, b)
	}
	for _, s := range strings.Fields(row[13]) {
		code, unit, ok := strings.Cut(s, ":")
		if !ok || unit == "" {
			return p, nil, fmt.Errorf("HJ 212 code %q without unit", s)
		}
		p.HJ212, hjUnits = append(p.HJ212, code), append(hjUnits, unit)
	}
	return p, hjUnits, checkProperty(&p)
}

func checkProperty(p *ObservedProperty) error {
	switch {
	case p.Code == "" || p.NameZH == "" || p.NameEN == "" || p.Unit == "" || p.Sector == "":
		return errors.New("code, names, unit and sector are needed")
	case p.Worse != "high" && p.Worse != "low" && p.Worse != "both":
		return fmt.Errorf("worse %q, want high, low or both", p.Worse)
	case !(p.Resolution > 0) || !(p.Min < p.Max):
		return errors.New("resolution must be above 0 and min below max")
	case !slices.IsSorted(p.Breaks):
		return errors.New("breaks must rise")
	}
	return nil
}

// index makes p findable by everything its line names.
func (c *Catalogue) index(p *ObservedProperty, hjUnits []string) error {
	for len(c.byNumber) <= int(p.Number) {
		c.byNumber = append(c.byNumber, nil)
	}
	if old := c.byNumber[p.Number]; old != nil {
		return fmt.Errorf("number %d is taken by %q", p.Number, old.Code)
	}
	c.byNumber[p.Number], c.byCode[p.Code] = p, p
	for _, name := range []string{string(p.Code), p.NameZH} {
		if err := c.name("", name, Meaning{Property: p}); err != nil {
			return err
		}
	}
	for _, alias := range p.Aliases {
		if err := c.alias(alias, p); err != nil {
			return err
		}
	}
	for i, code := range p.HJ212 {
		m, key := Meaning{p, hjUnits[i]}, folded(code)
		if _, err := NewConversion(m.Unit, p.Unit); err != nil {
			return err
		}
		if old, taken := c.hj212[key]; taken {
			return fmt.Errorf("HJ 212 code %q is taken by %q", code, old.Property.Code)
		}
		c.hj212[key] = m
		if len(code) == 6 && !strings.HasSuffix(code, "xx") { // only these cannot mean anything else
			if err := c.name("", code, Meaning{Property: p}); err != nil {
				return err
			}
		}
	}
	return nil
}

// alias indexes [protocol/]name[:unit].
func (c *Catalogue) alias(alias string, p *ObservedProperty) error {
	name, unit, named := strings.Cut(alias, ":")
	if named {
		if _, err := NewConversion(unit, p.Unit); err != nil {
			return fmt.Errorf("alias %q: %w", alias, err)
		}
	}
	protocol, rest, scoped := strings.Cut(name, "/")
	if !scoped {
		protocol, rest = "", name
	}
	return c.name(protocol, rest, Meaning{p, unit})
}

func (c *Catalogue) name(protocol, name string, m Meaning) error {
	index, prefix := c.byName, ""
	if protocol != "" {
		index, prefix = c.scoped, protocol+"/"
	}
	key := folded(name)
	if key == "" || len(protocol) >= maxPropertyName {
		return fmt.Errorf("name %q: want 1 to %d bytes", name, maxPropertyName)
	}
	for _, key := range []string{key, squeezed(key)} {
		if old, taken := index[prefix+key]; taken && old != m {
			return fmt.Errorf("name %q is taken by %q", prefix+name, old.Property.Code)
		}
		index[prefix+key] = m
	}
	return nil
}

// squeezed leaves out each '_' that does not stand beside a digit: windSpeed is wind_speed, but pm10 is not pm1_0.
func squeezed(key string) string {
	var b []byte
	for i := range len(key) {
		digit := i > 0 && isDigit(key[i-1]) || i+1 < len(key) && isDigit(key[i+1])
		if key[i] != '_' || digit {
			b = append(b, key[i])
		}
	}
	if len(b) == 0 {
		return key
	}
	return string(b)
}
