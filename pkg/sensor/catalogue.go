package sensor

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/situ-city/situ/schema"
)

// ErrCatalogue: the catalogue's text breaks its own rules (schema/schema.go states them).
var ErrCatalogue = errors.New("not a property catalogue")

// maxPropertyName bounds the names a look-up considers; longer ones are in no catalogue.
const maxPropertyName = 64

// Catalogue is the list of observed properties. It never changes after loading, so any number of goroutines may
// read it, and the properties it hands out are shared: nobody writes to them.
type Catalogue struct {
	all      []ObservedProperty
	byNumber []*ObservedProperty
	byCode   map[PropertyCode]*ObservedProperty
	byName   map[string]*ObservedProperty // folded code, alias, Chinese name, HJ 212-2017 code
	hj212    map[string]HJ212Code         // folded code of HJ 212-2017 or -2005
}

// HJ212Code says what a code of HJ 212 means and in which unit the standard sends it.
type HJ212Code struct {
	Property *ObservedProperty
	Unit     string // UCUM
}

// LoadCatalogue parses the catalogue this build carries.
func LoadCatalogue() (*Catalogue, error) {
	return ParseCatalogue(strings.NewReader(schema.Properties()))
}

// ParseCatalogue reads a catalogue of the form that schema/schema.go describes.
func ParseCatalogue(r io.Reader) (*Catalogue, error) {
	rows := csv.NewReader(r)
	head, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCatalogue, err)
	}
	const want = "number,code,name_zh,name_en,unit,resolution,min,max,worse,sector,breaks,hj212,aliases"
	if got := strings.Join(head, ","); got != want {
		return nil, fmt.Errorf("%w: columns %s, want %s", ErrCatalogue, got, want)
	}
	c := &Catalogue{
		byCode: make(map[PropertyCode]*ObservedProperty),
		byName: make(map[string]*ObservedProperty),
		hj212:  make(map[string]HJ212Code),
	}
	var units [][]string // of the HJ 212 codes, a slice a property
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCatalogue, err)
		}
		p, u, err := parseProperty(row)
		if err != nil {
			line, _ := rows.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w: %w", line, ErrCatalogue, err)
		}
		c.all, units = append(c.all, p), append(units, u)
	}
	for i := range c.all { // only now: c.all no longer moves
		if err := c.index(&c.all[i], units[i]); err != nil {
			return nil, fmt.Errorf("property %q: %w: %w", c.all[i].Code, ErrCatalogue, err)
		}
	}
	return c, nil
}

func parseProperty(row []string) (p ObservedProperty, hjUnits []string, err error) {
	number, err := strconv.ParseUint(row[0], 10, 16)
	if err != nil || number == 0 {
		return p, nil, fmt.Errorf("number %q, want 1 to 65535", row[0])
	}
	p = ObservedProperty{
		Number: PropertyNumber(number), Code: PropertyCode(row[1]), NameZH: row[2], NameEN: row[3], Unit: row[4],
		Worse: row[8], Sector: row[9], Breaks: []float64{}, Aliases: strings.Fields(row[12]),
	}
	for i, to := range []*float64{&p.Resolution, &p.Min, &p.Max} {
		if *to, err = strconv.ParseFloat(row[5+i], 64); err != nil {
			return p, nil, err
		}
	}
	for _, s := range strings.Fields(row[10]) {
		b, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return p, nil, err
		}
		p.Breaks = append(p.Breaks, b)
	}
	for _, s := range strings.Fields(row[11]) {
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

func (c *Catalogue) index(p *ObservedProperty, hjUnits []string) error {
	for len(c.byNumber) <= int(p.Number) {
		c.byNumber = append(c.byNumber, nil)
	}
	if c.byNumber[p.Number] != nil {
		return fmt.Errorf("number %d is taken by %q", p.Number, c.byNumber[p.Number].Code)
	}
	c.byNumber[p.Number], c.byCode[p.Code] = p, p
	for _, name := range append([]string{string(p.Code), p.NameZH}, p.Aliases...) {
		if err := c.name(name, p); err != nil {
			return err
		}
	}
	for i, code := range p.HJ212 {
		key := folded(code)
		if old, taken := c.hj212[key]; taken {
			return fmt.Errorf("HJ 212 code %q is taken by %q", code, old.Property.Code)
		}
		c.hj212[key] = HJ212Code{Property: p, Unit: hjUnits[i]}
		if len(code) == 6 && !strings.HasSuffix(code, "xx") { // only these cannot mean anything else
			if err := c.name(code, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Catalogue) name(name string, p *ObservedProperty) error {
	key := folded(name)
	if old, taken := c.byName[key]; taken && old != p {
		return fmt.Errorf("name %q is taken by %q", name, old.Code)
	}
	c.byName[key] = p
	return nil
}

// All lists the properties in the catalogue's order.
func (c *Catalogue) All() []ObservedProperty { return c.all }

// ByNumber finds a property by its number.
func (c *Catalogue) ByNumber(n PropertyNumber) (*ObservedProperty, bool) {
	if int(n) >= len(c.byNumber) || c.byNumber[n] == nil {
		return nil, false
	}
	return c.byNumber[n], true
}

// ByCode finds a property by its exact code.
func (c *Catalogue) ByCode(code PropertyCode) (*ObservedProperty, bool) {
	p, ok := c.byCode[code]
	return p, ok
}

// Lookup finds a property by any name a payload may use: its code, an alias, its Chinese name, or its code in
// HJ 212-2017 (a letter and five digits). Case does not count, and '.', '-' and blank count as '_', so that
// "PM2.5", "pm2-5" and "PM2_5" are one name. The two- and three-character codes of HJ 212-2005 are not found
// here, because "02" means something only inside an HJ 212 frame; see HJ212. It does not allocate.
func (c *Catalogue) Lookup(name string) (*ObservedProperty, bool) {
	var room [maxPropertyName]byte
	key, ok := fold(room[:0], name)
	if !ok {
		return nil, false
	}
	p, ok := c.byName[string(key)]
	return p, ok
}

// HJ212 finds a code of HJ 212-2017 or HJ/T 212-2005, and the unit the standard sends it in. Case does not count.
// Codes of treatment plants, whose last two digits count the devices (e20201), are found too. It does not allocate.
func (c *Catalogue) HJ212(code string) (HJ212Code, bool) {
	var room [maxPropertyName]byte
	key, ok := fold(room[:0], code)
	if !ok {
		return HJ212Code{}, false
	}
	h, ok := c.hj212[string(key)]
	if !ok && len(key) == 6 && isDigit(key[4]) && isDigit(key[5]) {
		key[4], key[5] = 'x', 'x'
		h, ok = c.hj212[string(key)]
	}
	return h, ok
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// fold appends name in the form the indexes use; it refuses names that are empty or too long.
func fold(dst []byte, name string) ([]byte, bool) {
	if name == "" || len(name) > maxPropertyName {
		return dst, false
	}
	for i := range len(name) {
		b := name[i]
		switch {
		case b >= 'A' && b <= 'Z':
			b += 'a' - 'A'
		case b == '.' || b == '-' || b == ' ':
			b = '_'
		}
		dst = append(dst, b)
	}
	return dst, true
}

func folded(name string) string {
	b, _ := fold(nil, name)
	return string(b)
}
