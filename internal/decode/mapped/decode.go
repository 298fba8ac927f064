package mapped

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// State is what one connection needs of a Program: memory that is used again. It belongs to one goroutine.
type State struct {
	p       *Program
	inner   decode.Decoder // nil: payloads are read by expressions
	text    decode.Text
	tree    tree
	machine machine
	names   decode.Interner // of Things and keys
	scratch []byte
	empty   sensor.Reason
}

// NewState makes one. inner is the protocol's decoder; with expressions it is not asked.
func (p *Program) NewState(inner decode.Decoder) *State {
	s := &State{p: p, inner: inner}
	if p.read {
		s.inner = nil
		s.text, _ = decode.NewText(p.encoding) // Compile has made one
		s.machine.env = map[string]any{}
	}
	return s
}

// Decoder reads the payloads of one topic.
type Decoder struct {
	s     *State
	topic string
	owner string
	parts map[string]string // of the topic
	env   map[string]any    // the same, as expressions see them
}

// On gives the decoder for a topic with these parts, whose Things are owner's. All decoders of a State take turns.
func (s *State) On(topic, owner string, parts map[string]string) *Decoder {
	d := &Decoder{s: s, topic: topic, owner: owner, parts: parts}
	if s.p.read {
		d.env = make(map[string]any, len(parts))
		for k, v := range parts {
			d.env[k] = v
		}
	}
	return d
}

// Name gives the Thing's name where the topic alone says it; "" where the payload has a word in it, or nothing is said.
func (p *Program) Name(parts map[string]string) (string, error) {
	if p.identity == nil || !p.identity.fixed() {
		return "", nil
	}
	b, err := p.identity.append(nil, parts, nil)
	if err == nil {
		err = validName(b)
	}
	return string(b), err
}

// Named: there is an identity template, so that the topic's {thing} by itself is not the name.
func (p *Program) Named() bool { return p.identity != nil }

// Note implements decode.Noter.
func (d *Decoder) Note() string {
	if n, ok := d.s.inner.(decode.Noter); ok {
		return n.Note()
	}
	return ""
}

// Empty implements decode.Emptier.
func (d *Decoder) Empty() sensor.Reason { return d.s.empty }

// Decode implements decode.Decoder.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	if d.s.p.read {
		return d.read(dst, payload)
	}
	first := len(dst)
	dst, err := decode.DecodeOn(d.s.inner, dst, d.topic, payload)
	d.s.empty = sensor.ReasonNoValues
	if e, ok := d.s.inner.(decode.Emptier); ok {
		d.s.empty = e.Empty()
	}
	if err != nil {
		return dst, err
	}
	d.relabel(dst[first:], payload)
	return dst, nil
}

// relabel puts the configuration's words in the place of the payload's.
func (d *Decoder) relabel(readings []decode.Reading, payload []byte) {
	p := d.s.p
	serial, asked := "", false
	var thing sensor.ThingID
	var failed error
	for i := range readings {
		r := &readings[i]
		if r.Err != nil {
			continue
		}
		if r.Unit == "" {
			r.Unit = look(p.units, r)
		}
		if property := look(p.rename, r); property != "" {
			r.Property = property
		}
		if p.identity == nil || p.identity.fixed() {
			continue
		}
		if !asked || r.Serial != serial {
			asked, serial = true, r.Serial
			thing, failed = d.thing(func(part *templatePart) (any, error) {
				switch {
				case part.origin == fromPayload:
					return member(payload, part), nil
				case r.Serial == "":
					return nil, nil
				}
				return r.Serial, nil
			})
		}
		if r.Thing = thing; failed != nil {
			r.Err = d.wrong("thing", failed)
		}
	}
}

func look(table map[string]string, r *decode.Reading) string {
	if len(table) == 0 {
		return ""
	}
	if v, ok := table[r.Key]; ok {
		return v
	}
	return table[r.Property]
}

// thing names the Thing of a report.
func (d *Decoder) thing(of func(*templatePart) (any, error)) (sensor.ThingID, error) {
	b := append(append(d.s.scratch[:0], d.owner...), '/')
	b, err := d.s.p.identity.append(b, d.parts, of)
	d.s.scratch = b
	if err == nil {
		err = validName(b[len(d.owner)+1:])
	}
	if err != nil {
		return "", err
	}
	return sensor.ThingID(d.s.names.String(b)), nil
}

func (d *Decoder) wrong(field string, err error) error {
	return &decode.Error{Protocol: d.s.p.protocol, Offset: -1, Field: field, Err: err}
}

// read is Decode by expressions.
func (d *Decoder) read(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	s := d.s
	s.empty = sensor.ReasonNoValues
	b, bad := s.text.UTF8(payload)
	if bad >= 0 {
		return dst, &decode.Error{Protocol: s.p.protocol, Offset: bad, Err: decode.ErrEncoding}
	}
	doc, at, err := s.tree.read(b)
	if err != nil {
		return dst, &decode.Error{Protocol: s.p.protocol, Offset: at, Err: err}
	}
	m := &s.machine
	m.steps, m.longest = 0, s.tree.longest
	m.env["payload"], m.env["item"], m.env["topic"], m.env["part"], m.env["index"] = doc, doc, d.topic, d.env, 0
	out, err := d.reports(dst, doc)
	clear(m.env) // keep nothing of the payload
	if err != nil {
		return dst, d.wrong("", err)
	}
	return out, nil
}

func (d *Decoder) reports(dst []decode.Reading, doc any) ([]decode.Reading, error) {
	s := d.s
	if s.p.each == nil {
		return d.report(dst, len(dst))
	}
	v, err := s.machine.eval(s.p.each)
	if err != nil {
		return dst, fmt.Errorf("each: %w", err)
	}
	first := len(dst)
	switch v := v.(type) {
	case map[string]any:
		s.machine.env["item"] = v
		return d.report(dst, first)
	case []any:
		for i, item := range v {
			s.machine.env["item"], s.machine.env["index"] = item, i
			if dst, err = d.report(dst, first); err != nil {
				return dst, err
			}
		}
		return dst, nil
	case nil:
		return dst, fmt.Errorf("each: %q is not in this payload, so nothing says what its reports are: %w", s.p.each.text, decode.ErrUnsupported)
	}
	return dst, fmt.Errorf("each: %q gives %s, want an array or an object: %w", s.p.each.text, kind(v), decode.ErrUnsupported)
}

// report appends the values of the report in hand. An error is the payload's.
func (d *Decoder) report(dst []decode.Reading, first int) ([]decode.Reading, error) {
	p, m := d.s.p, &d.s.machine
	start := len(dst)
	about, err := d.about()
	if err == errSteps {
		return dst, err
	}
	for i := range p.values {
		v := &p.values[i]
		r, ok, why := d.value(v)
		switch {
		case why == errSteps:
			return dst, why
		case !ok && why == nil:
			continue
		case why == nil:
			why = err
		}
		if len(dst)-first == decode.MaxReadings {
			return dst, fmt.Errorf("more than %d values: %w", decode.MaxReadings, decode.ErrBound)
		}
		r.Time, r.Thing, r.Position, r.HasPosition = about.Time, about.Thing, about.Position, about.HasPosition
		if why != nil {
			r = decode.Reading{Thing: about.Thing, Key: r.Key, Property: r.Property, Err: d.at(m, why)}
		}
		dst = append(dst, r)
	}
	if err != nil && len(dst) == start { // nobody else would say it
		dst = append(dst, decode.Reading{Thing: about.Thing, Err: d.at(m, err)})
	}
	return dst, nil
}

// failure is an error of one expression.
type failure struct {
	field string
	err   error
}

func (f *failure) Error() string { return f.field + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// at says in which report, and by which expression.
func (d *Decoder) at(m *machine, err error) error {
	field := ""
	if f, ok := err.(*failure); ok {
		field, err = f.field, f.err
	}
	if d.s.p.each != nil {
		field = fmt.Sprintf("report %d, %s", m.env["index"], field)
	}
	return &decode.Error{Protocol: d.s.p.protocol, Offset: -1, Field: field, Err: err}
}

// about evaluates what all values of a report share.
func (d *Decoder) about() (r decode.Reading, err error) {
	p, m := d.s.p, &d.s.machine
	if p.identity != nil && !p.identity.fixed() {
		r.Thing, err = d.thing(func(part *templatePart) (any, error) { return part.path.fetch(m.env), nil })
		if err != nil {
			return r, &failure{"thing", err}
		}
	}
	v, err := m.eval(p.time)
	if err == nil {
		r.Time, err = p.moment(v)
	}
	if err != nil {
		return r, named(p.time, err)
	}
	if p.lon == nil {
		return r, nil
	}
	return r, d.place(&r)
}

func (d *Decoder) place(r *decode.Reading) error {
	p, m := d.s.p, &d.s.machine
	var at [2]float64
	var has [2]bool
	for i, e := range [...]*expression{p.lon, p.lat} {
		v, err := m.eval(e)
		if err != nil {
			return named(e, err)
		}
		if s, ok := v.(string); ok {
			if f, n, err := decode.Number([]byte(s)); n == len(s) && err == nil && n > 0 {
				v = f
			} else if s == "" {
				v = nil
			}
		}
		if v == nil {
			continue
		}
		if at[i], has[i] = number(v); !has[i] {
			return named(e, fmt.Errorf("%q gives %s, want degrees: %w", e.text, kind(v), decode.ErrPosition))
		}
	}
	r.Position = geo.LonLat{Lon: at[0], Lat: at[1]}
	swapped := geo.LonLat{Lon: at[1], Lat: at[0]}
	switch {
	case !has[0] && !has[1]:
		return nil
	case !has[0] || !has[1]:
		return &failure{"lon,lat", fmt.Errorf("one of lon and lat is missing: %w", decode.ErrPosition)}
	case r.Position.Valid():
		r.HasPosition = true
		return nil
	case swapped.Valid():
		return &failure{"lon,lat", fmt.Errorf("lon %v lat %v look swapped: %w", at[0], at[1], decode.ErrPosition)}
	}
	return &failure{"lon,lat", fmt.Errorf("lon %v lat %v: %w", at[0], at[1], decode.ErrPosition)}
}

func named(e *expression, err error) error {
	if err == errSteps || err == nil {
		return err
	}
	return &failure{e.field, err}
}
