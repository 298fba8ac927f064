package sensor

import (
	"fmt"
	"strings"
)

// maxUnit bounds the text of a unit.
const maxUnit = 64

// ParseUnit reads a UCUM code, or one of the usual other spellings ("°C", "μg/m³", "mph", "毫克/升").
func ParseUnit(s string) (Unit, error) {
	if s == "" || len(s) > maxUnit {
		return Unit{}, fmt.Errorf("%w: %.80q: want 1 to %d bytes of UCUM, such as ug/m3", ErrUnit, s, maxUnit)
	}
	code := spelling(s)
	if u, ok := special(code); ok {
		return u, nil
	}
	p := unitParser{rest: code}
	u := p.term(0)
	if p.wrong == "" && p.rest != "" {
		p.wrong = p.rest
	}
	if p.wrong != "" {
		return Unit{}, fmt.Errorf("%w: %q: %q is not a unit situ knows (UCUM is case-sensitive: mg/L, ug/m3, Cel, hPa, m/s, %%)",
			ErrUnit, s, p.wrong)
	}
	u.code = code
	return u, nil
}

// spelling turns other spellings into UCUM's.
func spelling(s string) string {
	s = strings.TrimSpace(s)
	if code, ok := unitSpellings[s]; ok {
		return code
	}
	s = unitReplacer().Replace(s)
	if code, ok := unitSpellings[s]; ok {
		return code
	}
	if code, ok := unitSpellings[strings.ToLower(s)]; ok {
		return code
	}
	return s
}

// unitParser walks a UCUM term: components joined by '.' and '/', each an atom with prefix, exponent and annotation.
type unitParser struct {
	rest  string
	wrong string // the first piece that was not understood
}

func (p *unitParser) term(depth int) Unit {
	u := Unit{num: 1, den: 1}
	divide := p.take('/')
	for {
		v := p.component(depth)
		if p.wrong != "" {
			return u
		}
		u = u.times(v, divide)
		switch {
		case p.take('.'):
			divide = false
		case p.take('/'):
			divide = true
		default:
			return u
		}
	}
}

func (p *unitParser) take(b byte) bool {
	if p.rest != "" && p.rest[0] == b {
		p.rest = p.rest[1:]
		return true
	}
	return false
}

func (p *unitParser) component(depth int) Unit {
	if p.take('(') {
		if depth > 3 {
			p.wrong = "(((("
			return Unit{}
		}
		u := p.term(depth + 1)
		if p.wrong == "" && !p.take(')') {
			p.wrong = "("
		}
		return u
	}
	if strings.HasPrefix(p.rest, "{") { // an annotation alone is the unit 1
		p.annotation()
		return Unit{num: 1, den: 1}
	}
	end := strings.IndexAny(p.rest, "./(){}")
	if end < 0 {
		end = len(p.rest)
	}
	text := p.rest[:end]
	p.rest = p.rest[end:]
	u, ok := simpleUnit(text)
	if !ok {
		p.wrong = text
		if text == "" {
			p.wrong = "an empty place"
		}
	}
	if strings.HasPrefix(p.rest, "{") {
		p.annotation()
	}
	return u
}

func (p *unitParser) annotation() {
	end := strings.IndexByte(p.rest, '}')
	if end < 0 {
		p.wrong = p.rest
		return
	}
	p.rest = p.rest[end+1:]
}

// simpleUnit reads an atom with its prefix and exponent ("mm", "m3", "s-2"), or the number 1.
func simpleUnit(text string) (Unit, bool) {
	if text == "1" {
		return Unit{num: 1, den: 1}, true
	}
	power := 1
	if n := len(text); n > 1 && text[n-1] >= '1' && text[n-1] <= '9' {
		power = int(text[n-1] - '0')
		text = text[:n-1]
		if n > 2 && text[n-2] == '-' {
			power, text = -power, text[:n-2]
		}
	}
	u, ok := prefixed(text)
	if !ok {
		return Unit{}, false
	}
	out := Unit{num: 1, den: 1}
	for range max(power, -power) {
		out = out.times(u, power < 0)
	}
	return out, true
}

func prefixed(text string) (Unit, bool) {
	if a, ok := unitAtoms[text]; ok {
		return a.unit, true
	}
	for _, p := range unitPrefixes {
		rest, ok := strings.CutPrefix(text, p.text)
		if !ok {
			continue
		}
		if a, ok := unitAtoms[rest]; ok && a.metric {
			a.unit.exp += p.exp
			return a.unit, true
		}
	}
	return Unit{}, false
}

func (u Unit) times(v Unit, divide bool) Unit {
	sign := int16(1)
	if divide {
		sign = -1
		v.num, v.den, v.exp = v.den, v.num, -v.exp
	}
	u.num, u.den, u.exp = u.num*v.num, u.den*v.den, u.exp+v.exp
	u.dim.length += sign * v.dim.length
	u.dim.mass += sign * v.dim.mass
	u.dim.time += sign * v.dim.time
	u.dim.current += sign * v.dim.current
	u.dim.temperature += sign * v.dim.temperature
	u.dim.luminous += sign * v.dim.luminous
	u.dim.angle += sign * v.dim.angle
	return u
}
