package sensor

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
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
	byName   map[string]Meaning // folded code, alias, Chinese name, HJ 212-2017 code
	scoped   map[string]Meaning // "protocol/name", folded
	hj212    map[string]Meaning // folded code of HJ 212-2017 or -2005
}

// Meaning says what a payload's name means, and the unit that the name itself implies: a code of HJ 212 that of the
// standard, "tempf" Fahrenheit. "" = the name says nothing of a unit.
type Meaning struct {
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
	const want = "number,code,name_zh,name_en,unit,resolution,min,max,rate,still,worse,sector,breaks,hj212,aliases"
	if got := strings.Join(head, ","); got != want {
		return nil, fmt.Errorf("%w: columns %s, want %s", ErrCatalogue, got, want)
	}
	c := &Catalogue{
		byCode: make(map[PropertyCode]*ObservedProperty),
		byName: make(map[string]Meaning),
		scoped: make(map[string]Meaning),
		hj212:  make(map[string]Meaning),
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
// HJ 212-2017 (a letter and five digits). Case does not count, '.', '-' and blank count as '_', and '_' between letters
// does not count, so that "PM2.5", "pm2-5" and "PM2_5" are one name, and "windSpeed" and "wind_speed" too. The two- and
// three-character codes of HJ 212-2005 are not found here, because "02" means something only inside an HJ 212 frame; see
// HJ212. It does not allocate.
func (c *Catalogue) Lookup(name string) (*ObservedProperty, bool) {
	m, ok := c.Mean("", name)
	return m.Property, ok
}

// Mean is Lookup for a name in a payload of a protocol: names that mean something only there ("P1" of a
// sensor-community station, "00060" of the USGS) are found first. Of a name that is not known as a whole, what only says
// where it stands is left out: members that hold others in front (env.temperature, data.pm2_5, 1.soil.moisture), a
// number behind (temperature_1). It does not allocate.
func (c *Catalogue) Mean(protocol, name string) (Meaning, bool) {
	for {
		if m, ok := c.mean(protocol, name); ok {
			return m, true
		}
		if base := unnumbered(name); base != name {
			if m, ok := c.mean(protocol, base); ok {
				return m, true
			}
		}
		head, rest, nested := strings.Cut(name, ".")
		if !nested {
			return Meaning{}, false
		}
		if kind := unaddressed(head); kind != head { // a probe of this kind may mean something of its own
			if m, ok := c.mean(protocol, kind+"."+rest); ok {
				return m, true
			}
		}
		if !container(head) {
			return Meaning{}, false
		}
		name = rest
	}
}

func (c *Catalogue) mean(protocol, name string) (Meaning, bool) {
	var room [2 * maxPropertyName]byte
	if protocol != "" && len(protocol) < maxPropertyName {
		b := append(append(room[:0], protocol...), '/')
		if key, ok := fold(b, name); ok {
			if m, ok := c.scoped[string(key)]; ok {
				return m, true
			}
		}
	}
	key, ok := fold(room[:0], name)
	if !ok {
		return Meaning{}, false
	}
	m, ok := c.byName[string(key)]
	return m, ok
}

// HJ212 finds a code of HJ 212-2017 or HJ/T 212-2005, and the unit the standard sends it in. Case does not count.
// Codes of treatment plants, whose last two digits count the devices (e20201), are found too. It does not allocate.
func (c *Catalogue) HJ212(code string) (Meaning, bool) {
	var room [maxPropertyName]byte
	key, ok := fold(room[:0], code)
	if !ok {
		return Meaning{}, false
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
