package ngsild

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
	"github.com/situ-city/situ/pkg/geo"
)

const protocol = "ngsi-ld"

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return New(s) }}
}

// Decoder turns entities into Readings; one a connection, from one goroutine.
type Decoder struct {
	doc.Walk
}

// New makes a Decoder.
func New(s decode.Settings) (*Decoder, error) {
	w, err := doc.NewWalk(protocol, s)
	return &Decoder{w}, err
}

var errEntity = fmt.Errorf("want an entity, with an id: %w", decode.ErrUnsupported)

// Decode implements decode.Decoder.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	root, err := d.Begin(dst, payload)
	if err != nil {
		return dst, err
	}
	list := root
	if entities := root.Get("data"); entities.IsArray() && (root.Get("type").Str == "Notification" || root.Get("subscriptionId").Exists()) {
		list = entities
	}
	if !list.IsArray() {
		if !list.Get("id").Exists() {
			d.Fail("id", root, errEntity)
		} else {
			d.entity(list)
		}
		return d.End()
	}
	list.ForEach(func(_, e gjson.Result) bool {
		if d.Base = (decode.Reading{}); e.IsObject() && e.Get("id").Exists() {
			d.entity(e)
		} else {
			d.Refuse("", e, errEntity)
		}
		return !d.Failed()
	})
	return d.End()
}

// entity adds the values of one entity.
func (d *Decoder) entity(e gjson.Result) {
	d.Base = decode.Reading{Serial: d.serial(e)}
	if err := d.placeAndTime(e); err != nil {
		d.Refuse("", e, err)
		return
	}
	base := d.Base
	e.ForEach(func(name, v gjson.Result) bool {
		if d.Base = base; !skipped(name.Str) {
			d.attribute(name.Str, v)
		}
		return !d.Failed()
	})
	d.Base = base
}

// skipped: what an attribute's name alone tells to be no value.
func skipped(name string) bool {
	for _, t := range times {
		if name == t {
			return true
		}
	}
	return descriptions[name] || strings.HasPrefix(name, "ref") && len(name) > 3 && name[3] >= 'A' && name[3] <= 'Z'
}

// serial names the device.
func (d *Decoder) serial(e gjson.Result) string {
	s := valueOf(e.Get("refDevice"))
	if s.IsArray() {
		s = s.Get("0")
	}
	if s.Str != "" && len(s.Str) <= doc.MaxKey {
		return d.Keep(s.Str)
	}
	id := withoutDate(e.Get("id").Str)
	return d.Keep(strings.ToValidUTF8(id[:min(len(id), doc.MaxKey)], ""))
}

// withoutDate cuts an id before the first date in it, with what separates the two.
func withoutDate(id string) string {
	for i := 1; i+len("2006-01-02T") <= len(id); i++ {
		t := id[i:]
		if t[4] == '-' && t[7] == '-' && t[10] == 'T' && decode.Digits([]byte(t[:4])) > 0 &&
			decode.Digits([]byte(t[5:7])) > 0 && decode.Digits([]byte(t[8:10])) > 0 {
			return strings.TrimRight(id[:i], "-_:.")
		}
	}
	return id
}

// valueOf is what an attribute holds, whatever its form: also of a Relationship, and of a typed value.
func valueOf(v gjson.Result) gjson.Result {
	if !v.IsObject() {
		return v
	}
	for _, name := range [...]string{"value", "object", "valueList"} {
		if x := v.Get(name); x.Exists() {
			v = x
			break
		}
	}
	if x := v.Get("@value"); x.Exists() { // gjson reads a leading @ as a modifier only where it knows its name
		return x
	}
	v.ForEach(func(k, x gjson.Result) bool {
		if v.IsObject() && k.Str == "@value" {
			v = x
			return false
		}
		return true
	})
	return v
}

// placeAndTime sets what holds for all values of an entity.
func (d *Decoder) placeAndTime(e gjson.Result) error {
	for _, name := range times {
		v := valueOf(e.Get(name))
		if v.Type != gjson.String && v.Type != gjson.Number || v.Str == "" && v.Type == gjson.String {
			continue
		}
		var err error
		if d.Base.Time, err = d.moment(v); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		break
	}
	place := valueOf(e.Get("location"))
	at := place.Get("coordinates")
	if place.Get("type").Str != "Point" || !at.IsArray() {
		return nil
	}
	lon, lat := at.Get("0"), at.Get("1")
	p, ok, err := doc.Position(lon, lat)
	if err != nil && (geo.LonLat{Lon: lat.Num, Lat: lon.Num}).Valid() {
		err = fmt.Errorf("location: longitude and latitude look swapped: %w", err)
	}
	d.Base.Position, d.Base.HasPosition = p, ok
	return err
}

// moment reads a time; of an interval its end.
func (d *Decoder) moment(v gjson.Result) (int64, error) {
	if from, to, ok := strings.Cut(v.Str, "/"); ok {
		if to == "" {
			to = from
		}
		return doc.ParseTime(to, d.Zone)
	}
	return doc.Time(v, d.Zone)
}

// attribute adds one attribute, or each of its instances.
func (d *Decoder) attribute(name string, v gjson.Result) {
	if v.IsArray() && v.Get("0").IsObject() {
		base := d.Base
		v.ForEach(func(_, instance gjson.Result) bool {
			key := name
			if set := instance.Get("datasetId").Str; set != "" {
				key += "." + set
			}
			d.Base = base
			d.attribute(key, instance)
			return !d.Failed()
		})
		return
	}
	if !v.IsObject() {
		d.Value(name, v, "")
		return
	}
	switch v.Get("type").Str {
	case "Relationship", "ListRelationship", "GeoProperty", "LanguageProperty", "VocabProperty", "JsonProperty", "geo:json",
		"geo:point", "Point", "Polygon", "LineString", "MultiPolygon":
		return
	}
	if v.Get("object").Exists() || v.Get("languageMap").Exists() || v.Get("vocab").Exists() {
		return // concise forms of the same
	}
	at := first(v, "observedAt", "metadata.TimeInstant.value", "metadata.observedAt.value", "metadata.dateObserved.value")
	if at.Exists() {
		ms, err := d.moment(at)
		if err != nil {
			d.Refuse(name, at, err)
			return
		}
		d.Base.Time = ms
	}
	unit := d.code(first(v, "unitCode", "metadata.unitCode.value").Str)
	if history := v.Get("values"); history.IsArray() && !v.Get("value").Exists() {
		d.history(name, history, unit)
		return
	}
	d.Value(name, valueOf(v), unit)
}

// history adds [value, time] pairs: the simplified temporal representation (4.5.9).
func (d *Decoder) history(name string, pairs gjson.Result, unit string) {
	pairs.ForEach(func(_, pair gjson.Result) bool {
		at := pair.Get("1")
		ms, err := d.moment(at)
		if err != nil {
			d.Refuse(name, at, err)
			return true
		}
		d.Base.Time = ms
		d.Value(name, pair.Get("0"), unit)
		return !d.Failed()
	})
}

func first(v gjson.Result, paths ...string) (x gjson.Result) {
	for _, p := range paths {
		if x = v.Get(p); x.Exists() {
			return x
		}
	}
	return x
}

func (d *Decoder) code(unitCode string) string {
	if u, ok := unitCodes[unitCode]; ok {
		return u
	}
	return d.Unit(unitCode)
}
