package normalize

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

const (
	// maxStreams bounds the names of one Thing: what the registry would refuse is not taken.
	maxStreams = 4096
	// maxKey bounds a source key, in bytes.
	maxKey = 512
	// scanned is up to how many names are found by looking at each.
	scanned = 16
)

// streamName is what tells the values of a Thing apart: the Datastream's identity as the source says it, and the unit.
type streamName struct {
	key, property, unit string
	statistic           sensor.Statistic
}

// stream is what is prepared for one name: all that a value needs to become an Observation.
type stream struct {
	streamName
	generation int // of its thing
	id         sensor.DatastreamID
	number     sensor.PropertyNumber
	conversion sensor.Conversion
	min, max   float64
	quality    sensor.Quality
	registry   uint32
	undeclared *sensor.Datastream // not in the ledger: to be declared
	declared   int64              // arrival of the message that last declared it, 0 = none
	*limits                       // nil: not judged
	series
}

func (s *stream) is(r *decode.Reading) bool {
	return s.key == r.Key && s.statistic == r.Statistic && s.unit == r.Unit && s.property == r.Property
}

// streamOf finds what is prepared for a reading's name, or prepares it.
func (n *Normalizer) streamOf(t *thing, r *decode.Reading) (*stream, *refusal) {
	i := t.find(r)
	if i < 0 {
		if why := checkName(t, r); why != nil {
			return nil, why
		}
		s, why := n.prepare(t, r)
		if why != nil {
			return nil, why // not remembered: names that are refused are without number
		}
		t.recall(&s)
		i = t.add(s)
		if n.things[t.id] == t {
			n.keep(int64(streamBytes + len(s.key) + len(s.property) + len(s.unit)))
		}
	} else if t.streams[i].generation != t.generation {
		s, why := n.prepare(t, r)
		if why != nil {
			return nil, why
		}
		old := &t.streams[i]
		s.declared = old.declared
		if s.id == old.id && s.conversion == old.conversion { // else the values before were of something else
			s.series = old.series
		}
		t.streams[i] = s
	}
	t.next = i + 1
	return &t.streams[i], nil
}

func (t *thing) find(r *decode.Reading) int {
	if t.next >= len(t.streams) {
		t.next = 0
	}
	if t.next < len(t.streams) && t.streams[t.next].is(r) {
		return t.next
	}
	if t.byName != nil {
		if i, ok := t.byName[streamName{r.Key, r.Property, r.Unit, r.Statistic}]; ok {
			return i
		}
		return -1
	}
	for i := range t.streams {
		if t.streams[i].is(r) {
			return i
		}
	}
	return -1
}

func (t *thing) add(s stream) int {
	t.streams = append(t.streams, s)
	i := len(t.streams) - 1
	switch {
	case t.byName != nil:
		t.byName[s.streamName] = i
	case len(t.streams) > scanned:
		t.byName = make(map[streamName]int, 2*scanned)
		for j := range t.streams {
			t.byName[t.streams[j].streamName] = j
		}
	}
	return i
}

func checkName(t *thing, r *decode.Reading) *refusal {
	switch {
	case r.Key == "" || len(r.Key) > maxKey || !utf8.ValidString(r.Key) || strings.IndexByte(r.Key, 0) >= 0:
		return &refusal{sensor.ReasonProperty, fmt.Sprintf("a value needs a name of 1 to %d bytes of UTF-8 without NUL", maxKey)}
	case len(t.streams) >= maxStreams:
		return &refusal{sensor.ReasonBound, fmt.Sprintf("%s already has %d values of different names; put what varies into a value, not into its name", t.id, maxStreams)}
	}
	return nil
}

// meaning is what a reading's name was found to mean.
type meaning struct {
	known    bool                     // the catalogue knows the name
	property *sensor.ObservedProperty // whose unit the value is stored in; nil: none of the catalogue
	code     sensor.PropertyCode      // what the Datastream's id is made of; "" = none of the catalogue
	exact    *sensor.Datastream       // the very Datastream in the ledger
	general  *sensor.Datastream       // one that holds for every statistic of the name, or every name of the property
	unit     string                   // the one the name implies: the standard's, of HJ 212; Fahrenheit, of "tempf"
}

// prepare works out everything about a name that does not change from value to value.
func (n *Normalizer) prepare(t *thing, r *decode.Reading) (stream, *refusal) {
	m := n.mean(t, r)
	if !m.known && m.exact == nil && m.general == nil && !n.opt.AutoRegister {
		return stream{}, &refusal{sensor.ReasonProperty, fmt.Sprintf(
			"%q is no property of the catalogue (/v1/properties) and %s declares no Datastream with this source key; declare one (situ register), or let situ take unknown names (--auto-register)",
			r.Property, t.id)}
	}
	s := stream{streamName: streamName{r.Key, r.Property, r.Unit, r.Statistic}, generation: t.generation,
		min: math.Inf(-1), max: math.Inf(1), id: sensor.NewDatastreamID(t.id, m.code, r.Statistic, r.Key)}
	from, to, assumed := m.units(r.Unit)
	if to == "" {
		to = from
		if twin := t.twin(s.id); twin != nil && twin.undeclared.Unit != "" {
			to = twin.undeclared.Unit // the first one met; later ones are converted to it
		}
	}
	var err error
	if s.conversion, err = conversion(from, to); err != nil {
		return stream{}, &refusal{sensor.ReasonUnit, fmt.Sprintf(
			"%v; send it in %s, or declare the unit the source really uses (situ register, column unit)", err, to)}
	}
	if assumed {
		s.quality = sensor.UnitAssumed
	}
	if m.property != nil {
		s.number, s.min, s.max = m.property.Number, m.property.Min, m.property.Max
	}
	s.limits = n.limitsOf(m.property, m.general, m.exact)
	s.narrow(m.general, m.exact)
	s.registry = uint32(version(t.entry, m.exact, m.general))
	if m.exact == nil {
		switch {
		case assumed:
			from = "" // not known is not the same as canonical
		case m.property == nil:
			from = to // the unit its results are in
		}
		s.undeclared = &sensor.Datastream{ID: s.id, Thing: t.id, Property: m.code, Statistic: r.Statistic, SourceKey: r.Key, Unit: from, Auto: true}
		if twin := t.twin(s.id); twin != nil {
			s.declared = twin.declared
		}
	}
	return s, nil
}

// mean asks the ledger and the catalogue what a name means. An owner's word goes before what was declared by itself.
func (n *Normalizer) mean(t *thing, r *decode.Reading) meaning {
	m := n.look(r)
	interval := r.Statistic == sensor.Sum || r.Statistic == sensor.Count
	for _, d := range t.list {
		switch {
		case d.SourceKey == r.Key && d.Statistic == r.Statistic:
			m.exact = better(m.exact, d)
		case interval || d.Statistic != sensor.Instant:
		case d.SourceKey == r.Property && !d.Auto: // declared by the name without its statistic
			m.general = d
		case d.SourceKey == "" && m.property != nil && d.Property == m.property.Code && m.general == nil: // by property alone
			m.general = d
		}
	}
	if m.exact != nil && m.exact.Auto { // it gives way to a meaning that was found since
		since := m.general != nil && m.general.Property != m.exact.Property
		since = since || m.exact.Property == "" && m.property != nil && !interval
		if since {
			m.exact = nil
		}
	}
	switch {
	case m.exact != nil:
		m.code = m.exact.Property
	case m.general != nil:
		m.code = m.general.Property
	case m.property != nil && !interval:
		m.code = m.property.Code
	}
	if m.known = m.property != nil; m.known && m.property.Code == m.code {
		return m
	}
	m.unit = "" // the name's unit is that of its own property
	m.property, _ = n.opt.Catalogue.ByCode(m.code)
	return m
}

// look asks the catalogue alone.
func (n *Normalizer) look(r *decode.Reading) (m meaning) {
	if n.src.Protocol == "hj212" {
		if h, ok := n.opt.Catalogue.HJ212(r.Property); ok {
			m.property, m.unit = h.Property, h.Unit
			return m
		}
	}
	found, _ := n.opt.Catalogue.Mean(n.src.Protocol, r.Property)
	m.property, m.unit = found.Property, found.Unit
	if other := n.byUnit(found.Property, r.Unit); other != nil {
		m.property, m.unit = other, ""
	}
	return m
}

// byUnit finds what a name means where its unit measures something else than the catalogue's: NO2 in ppb is no2_ppb, a
// battery in V its voltage. nil = the name's own meaning stands.
func (n *Normalizer) byUnit(p *sensor.ObservedProperty, unit string) *sensor.ObservedProperty {
	if p == nil || unit == "" {
		return nil
	}
	if _, err := conversion(unit, p.Unit); err == nil {
		return nil
	}
	for _, kind := range [...]sensor.PropertyCode{"_ppb", "_ppm", "_voltage", "_percent"} {
		if other, ok := n.opt.Catalogue.ByCode(p.Code + kind); ok {
			if _, err := conversion(unit, other.Unit); err == nil {
				return other
			}
		}
	}
	return nil
}

// better prefers what an owner declared, then what has a property.
func better(a, b *sensor.Datastream) *sensor.Datastream {
	if a == nil || a.Auto && !b.Auto || a.Auto == b.Auto && a.Property == "" {
		return b
	}
	return a
}

// units gives the unit a value comes in and the one it is stored in; to = "" when nothing says the latter.
func (m *meaning) units(payload string) (from, to string, assumed bool) {
	owner := false // somebody declared the Datastream, so that no unit means the property's own
	from = payload
	for _, d := range [...]*sensor.Datastream{m.exact, m.general} {
		if d == nil {
			continue
		}
		owner = owner || !d.Auto
		if from == "" && (!d.Auto || m.general == nil || m.general == d) {
			from = d.Unit
		}
	}
	if m.property == nil {
		if m.exact != nil {
			to = m.exact.Unit
		} else if m.general != nil {
			to = m.general.Unit
		}
		return from, to, false
	}
	to = m.property.Unit
	if from == "" && m.unit != "" {
		from = m.unit
	}
	if from == "" {
		from = to
		u, err := sensor.ParseUnit(to)
		assumed = !owner && (err != nil || !u.Sole())
	}
	return from, to, assumed
}

// twin finds the same undeclared Datastream, met in another unit.
func (t *thing) twin(id sensor.DatastreamID) *stream {
	for i := range t.streams {
		if s := &t.streams[i]; s.id == id && s.undeclared != nil {
			return s
		}
	}
	return nil
}

// conversion prepares from -> to; a unit that is not known on one side is not converted.
func conversion(from, to string) (sensor.Conversion, error) {
	if from == "" || to == "" {
		return sensor.Conversion{}, nil
	}
	return sensor.NewConversion(from, to)
}

// narrow takes over the ranges of the Datastreams; the later ones win.
func (s *stream) narrow(ds ...*sensor.Datastream) {
	for _, d := range ds {
		if d == nil {
			continue
		}
		if d.Min != nil {
			s.min = *d.Min
		}
		if d.Max != nil {
			s.max = *d.Max
		}
	}
}

// version is the newest change among what placed and named a value.
func version(t *sensor.Thing, ds ...*sensor.Datastream) (v uint64) {
	if t != nil {
		v = t.Version
	}
	for _, d := range ds {
		if d != nil {
			v = max(v, d.Version)
		}
	}
	return v
}
