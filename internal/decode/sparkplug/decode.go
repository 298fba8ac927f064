package sparkplug

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// Bounds of a metric, besides decode.MaxReadings.
const (
	MaxName = 256  // bytes
	MaxText = 1024 // bytes of a value in words
)

const protocol = "sparkplug"

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) {
		d := New()
		d.strict = s.Strict
		return d, nil
	}}
}

// Decoder turns payloads into Readings and keeps the births they refer to. Use one a connection, from one goroutine.
type Decoder struct {
	births
	names  decode.Interner
	units  map[string]string
	last   *node // whose payload was decoded last
	named  bool  // it has a Sparkplug topic
	topic  string
	strict bool
	empty  sensor.Reason
	out    []decode.Reading
	first  int
	err    error
	serial string
	sent   uint64 // the payload's timestamp
}

// New makes a Decoder.
func New() *Decoder { return &Decoder{} }

// Empty implements decode.Emptier.
func (d *Decoder) Empty() sensor.Reason { return d.empty }

// Decode implements decode.Decoder, for payloads whose topic nobody knows.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	return d.DecodeOn(dst, "", payload)
}

// DecodeOn implements decode.Topical.
func (d *Decoder) DecodeOn(dst []decode.Reading, topic string, payload []byte) ([]decode.Reading, error) {
	d.last, d.empty = nil, sensor.ReasonNoValues
	a := parse(topic)
	if a.kind == state || a.kind == command {
		d.empty = emptyOf[a.kind]
		return dst, nil
	}
	if len(payload) == 0 {
		return dst, &decode.Error{Protocol: protocol, Offset: 0, Err: decode.ErrEmpty}
	}
	s, err := survey(payload)
	if err != nil {
		return dst, err
	}
	if d.strict {
		if err := s.letter(&a); err != nil {
			return dst, err
		}
	}
	if a.kind == undecided {
		a.kind = s.kind()
	}
	d.empty = emptyOf[a.kind]
	n := d.node(&a)
	d.last, d.named, d.topic = n, a.named, topic
	if a.kind == death {
		d.die(n, &a, &s)
		return dst, nil
	}
	t := d.begin(n, &a, &s)
	d.out, d.first, d.err, d.serial, d.sent = dst, len(dst), nil, t.serial, s.time
	d.metrics(n, t, payload, a.kind == birth)
	out := d.out
	d.out = nil
	if d.err != nil {
		clear(out[len(dst):])
		return dst, d.err
	}
	return out, nil
}

// kind guesses what a payload without a Sparkplug topic is.
func (s *summary) kind() kind {
	switch {
	case s.hasBdSeq && s.others:
		return birth
	case s.hasBdSeq:
		return death
	}
	return data
}

// begin applies the session rules of a birth or of data, and gives the table for its aliases.
func (d *Decoder) begin(n *node, a *address, s *summary) *table {
	if a.kind == birth && a.device == "" {
		d.reset(n)
		n.born, n.bdSeq, n.hasBdSeq = true, s.bdSeq, s.hasBdSeq
		n.seq, n.counting = uint8(s.seq), s.hasSeq
		n.own.born = true
		return &n.own
	}
	n.follows(s)
	t := d.table(n, a)
	if a.kind == birth {
		t.born, t.aliases, t.names = true, nil, nil
	}
	if !n.born || !t.born {
		n.want = true
	}
	return t
}

// die ends a session, unless the death is that of an older one; or a device's.
func (d *Decoder) die(n *node, a *address, s *summary) {
	if a.device != "" {
		n.follows(s)
		delete(n.devices, a.device)
		return
	}
	if !s.hasBdSeq || !n.hasBdSeq || s.bdSeq == n.bdSeq {
		d.reset(n)
	}
}

// metrics reads the metrics of a payload that survey has walked.
func (d *Decoder) metrics(n *node, t *table, payload []byte, learn bool) {
	for i := 0; i < len(payload) && d.err == nil; {
		num, _, body, size := cut(payload[i:])
		if num == 2 {
			m, _, _ := readMetric(body)
			d.metric(n, t, &m, i, learn)
		}
		i += size
	}
}

// control tells metrics that are no values: the session's number, and what a host may write.
func control(name string) bool {
	return name == "bdSeq" || strings.HasPrefix(name, "Node Control/") || strings.HasPrefix(name, "Device Control/")
}

// metric resolves one metric and adds what it says.
func (d *Decoder) metric(n *node, t *table, m *metric, at int, learn bool) {
	k, err := d.identify(n, t, m, learn)
	switch {
	case err != nil:
		d.bad(k.name, at, err)
		return
	case d.strict && learn && m.typ == Unknown:
		d.bad(k.name, at, fmt.Errorf("a metric of a birth without data type: %w", decode.ErrMalformed))
		return
	case m.transient || m.null || k.name == "" || control(k.name):
		return
	}
	if m.typ == Unknown {
		m.typ = k.typ
	} else if k.typ != Unknown && m.typ != k.typ && m.typ != Text && k.typ != Text {
		n.want = true
		d.bad(k.name, at, fmt.Errorf("data type %d, %d in its birth; a new birth is awaited: %w", m.typ, k.typ, decode.ErrUnsupported))
		return
	}
	r := decode.Reading{Serial: d.serial, Key: k.name, Property: k.name, Unit: k.unit}
	ms := m.time
	if ms == 0 {
		ms = d.sent
	}
	if ms >= 1<<62 {
		d.bad(k.name, at, fmt.Errorf("timestamp %d: %w", ms, decode.ErrTime))
		return
	}
	if r.Time = int64(ms); m.badQuality {
		r.Quality = sensor.SourceFault
	}
	d.value(r, m, at)
}

// identify gives a metric's name and what its birth said of it.
func (d *Decoder) identify(n *node, t *table, m *metric, learn bool) (k known, err error) {
	if len(m.name) == 0 {
		if !m.hasAlias {
			return k, fmt.Errorf("a metric without name and alias: %w", decode.ErrMalformed)
		}
		k, ok := t.aliases[m.alias]
		if !ok {
			n.want = true
			return k, fmt.Errorf("alias %d is in no birth received yet; a birth is awaited: %w", m.alias, decode.ErrUnsupported)
		}
		return d.withUnit(k, m), nil
	}
	if len(m.name) > MaxName || !utf8.Valid(m.name) {
		return k, fmt.Errorf("a name of %d bytes, at most %d of UTF-8: %w", len(m.name), MaxName, decode.ErrEncoding)
	}
	if !learn {
		if k, ok := t.names[string(m.name)]; ok {
			return d.withUnit(k, m), nil
		}
		return known{name: d.names.String(m.name), unit: d.unit(m.unit)}, nil
	}
	k = known{name: d.names.String(m.name), unit: d.unit(m.unit)}
	if d.full() {
		return k, fmt.Errorf("births keep at most %d bytes of names: %w", MaxBytes, decode.ErrBound)
	}
	d.learn(n, t, m, k.name, k.unit)
	return k, nil
}

func (d *Decoder) withUnit(k known, m *metric) known {
	if len(m.unit) > 0 {
		k.unit = d.unit(m.unit)
	}
	return k
}

// unit turns a spelling into UCUM; what the unit parser does not know passes as it is.
func (d *Decoder) unit(spelled []byte) string {
	if len(spelled) == 0 || len(spelled) > 64 || !utf8.Valid(spelled) {
		return ""
	}
	if code, ok := d.units[string(spelled)]; ok {
		return code
	}
	code := string(spelled)
	if u, err := sensor.ParseUnit(code); err == nil {
		code = u.String()
	}
	if d.units == nil || len(d.units) >= 256 {
		d.units = map[string]string{}
	}
	d.units[string(spelled)] = code
	return code
}

func (d *Decoder) bad(name string, at int, err error) {
	d.add(decode.Reading{Serial: d.serial, Key: name, Property: name,
		Err: &decode.Error{Protocol: protocol, Offset: at, Field: name, Err: err}})
}

func (d *Decoder) add(r decode.Reading) {
	if d.err != nil {
		return
	}
	if len(d.out)-d.first == decode.MaxReadings {
		d.err = &decode.Error{Protocol: protocol, Offset: -1, Err: fmt.Errorf("more than %d values: %w", decode.MaxReadings, decode.ErrBound)}
		return
	}
	d.out = append(d.out, r)
}
