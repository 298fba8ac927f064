package sensorthings

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
)

const protocol = "sensorthings"

// MaxStreams bounds the Datastreams whose documents are remembered.
const MaxStreams = 4096

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return New(s) }}
}

// stream is what is known of the Datastream that Observations belong to.
type stream struct {
	id     string // as in Datastreams(id); "" = not known
	name   string // of the observed property
	unit   string
	serial string
	multi  string // of a MultiDatastream: name, unit, name, unit, ..., each with a line end behind it
}

func (s *stream) key() string {
	switch {
	case s.name != "":
		return s.name
	case s.id != "":
		return "Datastreams(" + s.id + ")"
	}
	return "result"
}

// Decoder turns payloads into Readings; one a connection, from one goroutine.
type Decoder struct {
	doc.Walk
	streams map[string]stream // by id
}

// New makes a Decoder.
func New(s decode.Settings) (*Decoder, error) {
	w, err := doc.NewWalk(protocol, s)
	return &Decoder{Walk: w}, err
}

// Decode implements decode.Decoder.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	return d.DecodeOn(dst, "", payload)
}

var errKind = fmt.Errorf("want an Observation, a page or Data Array of them, a Datastream or a Thing: %w", decode.ErrUnsupported)

// DecodeOn implements decode.Topical: the topic may name the Datastream.
func (d *Decoder) DecodeOn(dst []decode.Reading, topic string, payload []byte) ([]decode.Reading, error) {
	root, err := d.Begin(dst, payload)
	if err != nil {
		return dst, err
	}
	if !root.IsObject() && !root.IsArray() {
		d.Fail("", root, errKind)
	}
	d.document(root, d.look(streamIn(topic)), 0)
	return d.End()
}

// maxColumns bounds the properties of one MultiDatastream.
const maxColumns = 64

// maxNested bounds documents expanded inside one another: page, Thing, Datastream, Observation.
const maxNested = 8

// document adds the Observations in v, whatever it is.
func (d *Decoder) document(v gjson.Result, s stream, depth int) {
	base := d.Base
	defer func() { d.Base = base }()
	list := v.Get("value")
	switch {
	case d.Failed():
	case depth == maxNested:
		d.Refuse("", v, fmt.Errorf("documents deeper than %d: %w", maxNested, decode.ErrBound))
	case v.IsArray():
		d.each(v, s, depth)
	case !v.IsObject():
		d.Refuse("", v, errKind)
	case v.Get("result").Exists():
		d.observation(v, s)
	case v.Get("dataArray").IsArray():
		d.dataArray(v, s)
	case list.IsArray():
		if id := streamIn(member(v, "@iot.nextLink").Str); id != "" {
			s = d.look(id)
		}
		d.each(list, s, depth)
	case v.Get("unitOfMeasurement").Exists(), v.Get("unitOfMeasurements").Exists(), v.Get("observedArea").Exists(), v.Get("Observations").Exists():
		s = d.learn(v, s)
		d.each(v.Get("Observations"), s, depth)
	default: // a Thing, or another document without values
		s.serial = d.thing(v)
		d.locate(v.Get("Locations.0.location"))
		d.each(v.Get("Datastreams"), s, depth)
	}
}

func (d *Decoder) each(list gjson.Result, s stream, depth int) {
	list.ForEach(func(_, v gjson.Result) bool {
		d.document(v, s, depth+1)
		return !d.Failed()
	})
}

// member finds a member whose name gjson would read as a path.
func member(v gjson.Result, name string) (found gjson.Result) {
	if !v.IsObject() {
		return found
	}
	v.ForEach(func(k, x gjson.Result) bool {
		if k.Str == name {
			found = x
			return false
		}
		return true
	})
	return found
}

// id reads an @iot.id, a number or a text.
func id(v gjson.Result) string {
	x := member(v, "@iot.id")
	if !x.Exists() {
		x = v.Get("id")
	}
	switch {
	case x.Type == gjson.Number && len(x.Raw) <= 64:
		return x.Raw
	case x.Type == gjson.String && len(x.Str) <= 64:
		return x.Str
	}
	return ""
}

// streamIn finds the id in a link or topic that names a Datastream.
func streamIn(link string) string {
	_, rest, ok := strings.Cut(link, "atastreams(") // also MultiDatastreams
	if !ok {
		return ""
	}
	name, _, ok := strings.Cut(rest, ")")
	if name = strings.Trim(name, "'"); !ok || name == "" || len(name) > 64 {
		return ""
	}
	return name
}

func (d *Decoder) thing(v gjson.Result) string {
	if t := id(v); t != "" {
		return d.Keep(t)
	}
	return ""
}

// look gives what is known of a Datastream.
func (d *Decoder) look(id string) stream {
	if s, ok := d.streams[id]; ok {
		return s
	}
	return stream{id: d.Keep(id)}
}

// learn reads a Datastream document, or the part of one that an Observation brings.
func (d *Decoder) learn(v gjson.Result, around stream) stream {
	s := around
	if i := id(v); i != "" {
		s = d.look(i)
	}
	if s.serial == "" {
		s.serial = around.serial
	}
	if t := d.thing(v.Get("Thing")); t != "" {
		s.serial = t
	}
	if name := v.Get("ObservedProperty.name").Str; name != "" && len(name) <= doc.MaxKey {
		s.name = d.Keep(name)
	}
	if u := first(v.Get("unitOfMeasurement"), "symbol", "name").Str; u != "" {
		s.unit = d.Unit(u)
	}
	if names := v.Get("ObservedProperties"); names.IsArray() {
		s.multi = d.Keep(columns(d, names, v.Get("unitOfMeasurements")))
	}
	d.locate(first(v, "Thing.Locations.0.location", "observedArea"))
	if s.id != "" && (len(d.streams) < MaxStreams || d.streams[s.id] != stream{}) {
		if d.streams == nil {
			d.streams = map[string]stream{}
		}
		d.streams[s.id] = s
	}
	return s
}

// columns writes the names and units of a MultiDatastream (15-078r6, 9.2) as stream.multi has them; "" = they do not fit.
func columns(d *Decoder, names, units gjson.Result) string {
	var b strings.Builder
	i, fit := 0, true
	names.ForEach(func(_, name gjson.Result) bool {
		n := name.Get("name").Str
		fit = fit && n != "" && len(n) <= doc.MaxKey && !strings.Contains(n, "\n") && i < maxColumns
		u := first(units.Get(strconv.Itoa(i)), "symbol", "name").Str
		b.WriteString(n + "\n" + strings.ReplaceAll(d.Unit(u), "\n", " ") + "\n")
		i++
		return fit
	})
	if !fit {
		return ""
	}
	return b.String()
}

// result adds a result; that of a MultiDatastream is an array, each element under the name of its own property.
func (d *Decoder) result(s *stream, v gjson.Result) {
	if !v.IsArray() || s.multi == "" || len(v.Array()) != strings.Count(s.multi, "\n")/2 {
		d.Value(s.key(), v, s.unit)
		return
	}
	rest := s.multi
	v.ForEach(func(_, x gjson.Result) bool {
		var name, unit string
		name, rest, _ = strings.Cut(rest, "\n")
		unit, rest, _ = strings.Cut(rest, "\n")
		d.Value(name, x, d.Keep(unit))
		return !d.Failed()
	})
}

func first(v gjson.Result, names ...string) (x gjson.Result) {
	for _, n := range names {
		if x = v.Get(n); x.Exists() && (x.Type != gjson.String || x.Str != "") {
			return x
		}
	}
	return x
}

// locate takes a GeoJSON Point, also one inside a Feature, as the place of what follows. It gives why not.
func (d *Decoder) locate(v gjson.Result) error {
	if g := v.Get("geometry"); g.Exists() {
		v = g
	}
	at := v.Get("coordinates")
	if v.Get("type").Str != "Point" || !at.IsArray() {
		return nil
	}
	p, ok, err := doc.Position(at.Get("0"), at.Get("1"))
	if err == nil && ok {
		d.Base.Position, d.Base.HasPosition = p, true
	}
	return err
}

// observation adds one Observation.
func (d *Decoder) observation(v gjson.Result, s stream) {
	for _, name := range [...]string{"Datastream", "MultiDatastream"} {
		if x := v.Get(name); x.IsObject() {
			s = d.learn(x, s)
		} else if i := streamIn(member(v, name+"@iot.navigationLink").Str); i != "" {
			s = d.look(i)
		}
	}
	d.Base.Serial = s.serial
	err := d.locate(v.Get("FeatureOfInterest.feature"))
	if err == nil {
		err = d.times(v.Get("phenomenonTime"), v.Get("resultTime"))
	}
	if err != nil {
		d.Refuse(s.key(), v, err)
		return
	}
	d.result(&s, v.Get("result"))
}

// times sets Time and ResultTime.
func (d *Decoder) times(phenomenon, result gjson.Result) (err error) {
	d.Base.Time, d.Base.ResultTime = 0, 0
	if has(result) {
		if d.Base.ResultTime, err = d.moment(result); err != nil {
			return fmt.Errorf("resultTime: %w", err)
		}
		d.Base.Time = d.Base.ResultTime
	}
	if has(phenomenon) {
		if d.Base.Time, err = d.moment(phenomenon); err != nil {
			return fmt.Errorf("phenomenonTime: %w", err)
		}
	}
	return nil
}

func has(v gjson.Result) bool { return v.Exists() && v.Type != gjson.Null && v.Raw != `""` }

// moment reads a time; of an interval its end.
func (d *Decoder) moment(v gjson.Result) (int64, error) {
	if from, to, ok := strings.Cut(v.Str, "/"); ok {
		if to == "" || to == ".." {
			to = from
		}
		return doc.ParseTime(to, d.Zone)
	}
	return doc.Time(v, d.Zone)
}

// dataArray adds the rows of a Data Array; components name the columns.
func (d *Decoder) dataArray(v gjson.Result, s stream) {
	if x := first(v, "Datastream", "MultiDatastream"); x.IsObject() {
		s = d.learn(x, s)
	} else if i := streamIn(member(v, "Datastream@iot.navigationLink").Str); i != "" {
		s = d.look(i)
	}
	phenomenon, produced, result, n := -1, -1, -1, 0
	v.Get("components").ForEach(func(_, c gjson.Result) bool {
		switch c.Str {
		case "phenomenonTime":
			phenomenon = n
		case "resultTime":
			produced = n
		case "result":
			result = n
		}
		n++
		return true
	})
	if result < 0 {
		d.Refuse(s.key(), v, fmt.Errorf("components name no result: %w", decode.ErrMalformed))
		return
	}
	d.Base.Serial = s.serial
	v.Get("dataArray").ForEach(func(_, row gjson.Result) bool {
		var at, made, value gjson.Result
		i := 0
		row.ForEach(func(_, cell gjson.Result) bool {
			switch i {
			case phenomenon:
				at = cell
			case produced:
				made = cell
			case result:
				value = cell
			}
			i++
			return true
		})
		if err := d.times(at, made); err != nil || !row.IsArray() || i < n {
			if err == nil {
				err = fmt.Errorf("a row of %d cells, %d components: %w", i, n, decode.ErrMalformed)
			}
			d.Base.Time, d.Base.ResultTime = 0, 0
			d.Refuse(s.key(), row, err)
		} else {
			d.result(&s, value)
		}
		return !d.Failed()
	})
}
