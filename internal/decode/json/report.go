package json

import (
	"errors"
	"fmt"
	"strings"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
)

// object is what the members t, lon and lat of the object being read have said so far.
type object struct {
	start          int // index in out of its first reading
	rank           uint8
	time           int64
	timeErr        error
	timeAt         int
	timeName       string
	position       geo.LonLat
	hasLon, hasLat bool
	placeErr       error
	placeAt        int
	placeName      string
}

// Refusals that a hostile payload could ask for a hundred thousand times are made once.
var (
	errTwice      = errors.New("named twice in one object")
	errTimeTwice  = fmt.Errorf("%w: %w", errTwice, decode.ErrTime)
	errPlaceTwice = fmt.Errorf("%w: %w", errTwice, decode.ErrPosition)
	errValueTwice = fmt.Errorf("%w: %w", errTwice, decode.ErrMalformed)
	errMoment     = fmt.Errorf("want a number or text: %w", decode.ErrTime)
	errQuoted     = fmt.Errorf("a number in quotes: %w", decode.ErrMalformed)
	errQuotedTime = fmt.Errorf("a number in quotes: %w", decode.ErrTime)
	errDegrees    = fmt.Errorf("want a number of degrees: %w", decode.ErrPosition)
)

// report reads one object and gives its time and position to its values. n is its place in an array, -1 outside one.
func (d *Decoder) report(n int) bool {
	d.object = object{start: len(d.out)}
	d.keys.begin()
	at := d.i
	if !d.members(1) {
		return false
	}
	d.keys.last = &d.keys.head // what comes now is no longer about the last member
	o := &d.object
	if o.placeErr == nil && (o.hasLon || o.hasLat) {
		o.placeAt, o.placeName, o.placeErr = at, "lon,lat", o.place()
	}
	if err := o.err(); err != nil {
		clear(d.out[o.start:])
		d.out = d.out[:o.start]
		return d.refuse(n, err)
	}
	if len(d.out) == o.start && o.hasLon && !d.push(fix(o.position)) { // it tells only where it is
		return false
	}
	for i := o.start; i < len(d.out); i++ {
		r := &d.out[i]
		r.Time = o.time
		r.Position, r.HasPosition = o.position, o.hasLon
	}
	return true
}

// fix is the value of a report without values. 0, 0 is a receiver without a fix.
func fix(p geo.LonLat) decode.Reading {
	r := decode.Reading{Key: decode.PositionFix, Property: decode.PositionFix}
	if p != (geo.LonLat{}) {
		r.Number = 1
	}
	return r
}

// place judges the position once both of its numbers are known.
func (o *object) place() error {
	swapped := geo.LonLat{Lon: o.position.Lat, Lat: o.position.Lon}
	switch {
	case !o.hasLon:
		return fmt.Errorf("lat without lon: %w", decode.ErrPosition)
	case !o.hasLat:
		return fmt.Errorf("lon without lat: %w", decode.ErrPosition)
	case o.position.Valid():
		return nil
	case swapped.Valid():
		return fmt.Errorf("lon %v lat %v look swapped: %w", o.position.Lon, o.position.Lat, decode.ErrPosition)
	}
	return fmt.Errorf("lon %v lat %v: %w", o.position.Lon, o.position.Lat, decode.ErrPosition)
}

func (o *object) err() *decode.Error {
	switch {
	case o.timeErr != nil:
		return &decode.Error{Offset: o.timeAt, Field: o.timeName, Err: o.timeErr}
	case o.placeErr != nil:
		return &decode.Error{Offset: o.placeAt, Field: o.placeName, Err: o.placeErr}
	}
	return nil
}

// refuse leaves one Reading with Err for an object that cannot be used.
func (d *Decoder) refuse(n int, err *decode.Error) bool {
	err.Protocol = protocol
	if n >= 0 {
		err.Field = strings.TrimSuffix(fmt.Sprintf("[%d].%s", n, err.Field), ".")
	}
	d.refused++
	return d.push(decode.Reading{Err: err})
}

// add appends the value of member k, or the reason why it has none.
func (d *Decoder) add(k *key, at int, r decode.Reading, err error) bool {
	if err == nil {
		err = k.bad
	}
	if k.seen == d.keys.object { // the refusal takes the place of the first value
		if d.out[k.at].Err != nil { // one is enough, however often it comes
			return true
		}
		d.out[k.at] = badValue(k, at, errValueTwice)
		return true
	}
	k.seen, k.at = d.keys.object, len(d.out)
	if err != nil {
		return d.push(badValue(k, at, err))
	}
	r.Key, r.Property = k.name, k.name
	return d.push(r)
}

func badValue(k *key, at int, err error) decode.Reading {
	return decode.Reading{
		Key: k.name, Property: k.name,
		Err: &decode.Error{Protocol: protocol, Offset: at, Field: k.name, Err: err},
	}
}

func (d *Decoder) push(r decode.Reading) bool {
	if len(d.out)-d.first == decode.MaxReadings {
		return d.fail(fmt.Errorf("more than %d values: %w", decode.MaxReadings, decode.ErrBound))
	}
	d.out = append(d.out, r)
	return true
}

// number takes a number; err says that it is beyond float64.
func (d *Decoder) number(k *key, at int, v float64, err error) bool {
	if k.role == isValue {
		return d.add(k, at, decode.Reading{Number: v}, err)
	}
	if k.role != isTime {
		d.setPlace(k, at, v, err)
	} else if d.counts(k, at) {
		ms, ok := decode.Epoch(v)
		if err == nil && !ok {
			err = fmt.Errorf("%v is no epoch time in seconds, milliseconds or microseconds: %w", v, decode.ErrTime)
		}
		d.setTime(k, at, ms, err)
	}
	return true
}

func (d *Decoder) truth(k *key, at int, v float64) bool {
	if k.role == isValue {
		return d.add(k, at, decode.Reading{Number: v}, nil)
	}
	return d.misused(k, at)
}

// words takes a text: empty is missing, a number in quotes is a number, the rest stays words.
func (d *Decoder) words(k *key, at int, text []byte) bool {
	if len(text) == 0 {
		return true
	}
	if v, n, err := decode.Number(text); n == len(text) {
		if d.strict {
			return d.quoted(k, at)
		}
		return d.number(k, at, v, err)
	}
	switch {
	case k.role == isTime:
		if d.counts(k, at) {
			ms, err := decode.ParseTime(text, d.zone)
			d.setTime(k, at, ms, err)
		}
		return true
	case k.role != isValue:
		return d.misused(k, at)
	case len(text) > MaxText:
		return d.add(k, at, decode.Reading{}, fmt.Errorf("text of %d bytes, at most %d: %w", len(text), MaxText, decode.ErrBound))
	case notFinite(text):
		return d.add(k, at, decode.Reading{}, fmt.Errorf("%q: %w", text, decode.ErrNumber))
	}
	return d.add(k, at, decode.Reading{Text: d.texts.String(text)}, nil)
}

// quoted refuses a number in quotes: by its letter it is text (RFC 8259 7).
func (d *Decoder) quoted(k *key, at int) bool {
	switch {
	case k.role == isValue:
		return d.add(k, at, decode.Reading{}, errQuoted)
	case k.role != isTime:
		d.setPlace(k, at, 0, errDegrees)
	case d.counts(k, at):
		d.setTime(k, at, 0, errQuotedTime)
	}
	return true
}

// notFinite recognises what printf makes of NaN and the infinities.
func notFinite(text []byte) bool {
	if len(text) > len("-infinity") {
		return false
	}
	switch strings.ToLower(strings.TrimLeft(string(text), "+-")) {
	case "nan", "inf", "infinity":
		return true
	}
	return false
}

// misused: t, lon or lat holds something that is neither a number nor fitting text.
func (d *Decoder) misused(k *key, at int) bool {
	if k.role != isTime {
		d.setPlace(k, at, 0, errDegrees)
	} else if d.counts(k, at) {
		d.setTime(k, at, 0, errMoment)
	}
	return true
}

// counts reports whether a time is to be read: not if a better name or the same one has given one before.
func (d *Decoder) counts(k *key, at int) bool {
	o := &d.object
	if k.rank == o.rank && o.timeErr == nil {
		o.timeErr, o.timeAt = errTimeTwice, at
	}
	return k.rank > o.rank
}

func (d *Decoder) setTime(k *key, at int, ms int64, err error) {
	o := &d.object
	o.rank, o.time, o.timeErr, o.timeAt, o.timeName = k.rank, ms, err, at, k.name
}

func (d *Decoder) setPlace(k *key, at int, v float64, err error) {
	o := &d.object
	has, number := &o.hasLon, &o.position.Lon
	if k.role == isLat {
		has, number = &o.hasLat, &o.position.Lat
	}
	if *has {
		err = errPlaceTwice
	}
	*has, *number = true, v
	if err != nil && o.placeErr == nil {
		o.placeErr, o.placeAt, o.placeName = err, at, k.name
	}
}
