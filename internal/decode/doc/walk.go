package doc

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// Walk collects the Readings of one payload after the other; a JSON protocol's Decoder holds one. Between Begin and
// End everything that is added begins as a copy of Base: its Serial, Time, Position, Quality, and its Property, if the
// name to look up is not the value's whole name. Not for concurrent use.
type Walk struct {
	Protocol string
	Strict   bool           // as the settings say
	Zone     *time.Location // as the settings say; China's where they say nothing, or nil if they are strict
	ZoneSet  bool           // the settings name a zone
	Topic    string         // that the payload came on, "" = not known
	Base     decode.Reading
	NoProbe  bool            // Flatten leaves out what NoProbe recognises
	names    decode.Interner // names and words
	encoding decode.Text
	units    map[string]string
	path     []byte
	document
	payload []byte // until End: of a foreign encoding
	out     []decode.Reading
	first   int
	empty   sensor.Reason
	err     error
}

// NewWalk takes what the settings say about every JSON payload: encoding, zone, strict.
func NewWalk(protocol string, s decode.Settings) (w Walk, err error) {
	w = Walk{Protocol: protocol, Strict: s.Strict, ZoneSet: s.Zone != ""}
	if w.encoding, err = decode.NewText(s.Encoding); err != nil {
		return w, err
	}
	if w.Zone, err = s.Location(); w.Strict && !w.ZoneSet {
		w.Zone = nil // who is strict does not guess
	}
	return w, err
}

// Begin checks a payload and gives its root. On error End is not called.
func (w *Walk) Begin(dst []decode.Reading, payload []byte) (gjson.Result, error) {
	w.start(dst)
	text, at, err := lead(w.Protocol, payload, w.encoding)
	if err != nil {
		return gjson.Result{}, err
	}
	w.payload = payload
	root, bad, err := w.read(text, at)
	if err != nil {
		err = &decode.Error{Protocol: w.Protocol, Offset: at + bad, Err: err}
		w.locate(err)
		return root, err
	}
	if w.Strict {
		err = w.letter(payload, text, at)
	}
	return root, err
}

func (w *Walk) start(dst []decode.Reading) {
	w.forget()
	w.out, w.first, w.err = dst, len(dst), nil
	w.empty = sensor.ReasonNoValues
	w.Base = decode.Reading{}
}

// End gives what was added, or dst and the first error that refuses the payload.
func (w *Walk) End() ([]decode.Reading, error) {
	out := w.out
	w.locate(w.err)
	w.out = nil // keep nothing of the caller's
	w.forget()
	if w.err != nil {
		clear(out[w.first:])
		return out[:w.first], w.err
	}
	return out, nil
}

// locate gives errors their places in the payload, if that is in another encoding.
func (w *Walk) locate(err error) {
	if w.encoding != (decode.Text{}) && w.payload != nil {
		text, _ := w.encoding.UTF8(w.payload)
		w.encoding.Locate(w.payload, text, w.out[w.first:], err)
	}
	w.payload = nil
}

// Fail refuses the whole payload, unless it has been refused already.
func (w *Walk) Fail(field string, v gjson.Result, cause error) {
	if w.err == nil {
		w.err = Fail(w.Protocol, field, w.place(v), cause)
	}
}

// Failed reports whether Fail was called: nothing more need be added.
func (w *Walk) Failed() bool { return w.err != nil }

// Nothing notes why the payload holds no values; without it the reason is ReasonNoValues.
func (w *Walk) Nothing(why sensor.Reason) { w.empty = why }

// Empty implements decode.Emptier.
func (w *Walk) Empty() sensor.Reason { return w.empty }

// Keep interns a piece of the payload.
func (w *Walk) Keep(s string) string { return w.names.Keep(s) }

// Has reports whether the payload has given this Serial a value of this name already.
func (w *Walk) Has(name string) bool {
	for i := w.first; i < len(w.out); i++ {
		if w.out[i].Key == name && w.out[i].Serial == w.Base.Serial {
			return true
		}
	}
	return false
}

// Added is how many Readings the payload has given so far.
func (w *Walk) Added() int { return len(w.out) - w.first }

// KeepBytes interns what is about to change.
func (w *Walk) KeepBytes(b []byte) string { return w.names.String(b) }

// Unit turns a unit as the payload spells it into UCUM; what the unit parser does not know stays as it is, for
// normalize to refuse where the owner sees it.
func (w *Walk) Unit(spelled string) string {
	if spelled == "" {
		return ""
	}
	if code, ok := w.units[spelled]; ok {
		return code
	}
	if len(spelled) > 64 {
		return strings.ToValidUTF8(spelled[:64], "")
	}
	code := strings.Clone(spelled)
	if u, err := sensor.ParseUnit(spelled); err == nil {
		code = u.String()
	}
	if w.units == nil || len(w.units) >= 256 {
		w.units = make(map[string]string, 16)
	}
	w.units[strings.Clone(spelled)] = code
	return code
}

// Put adds a Reading as it is. Its texts must not be pieces of the payload (Keep).
func (w *Walk) Put(r decode.Reading) {
	if w.err != nil {
		return
	}
	if len(w.out)-w.first == decode.MaxReadings {
		w.err = &decode.Error{Protocol: w.Protocol, Offset: -1,
			Err: fmt.Errorf("more than %d values: %w", decode.MaxReadings, decode.ErrBound)}
		return
	}
	w.out = append(w.out, r)
}

// Number adds a number under a name, in a unit of UCUM or "".
func (w *Walk) Number(name string, x float64, unit string) {
	r := w.Base
	r.Number, r.Unit = x, unit
	w.named(r, name, false, gjson.Result{Index: -1})
}

// Refuse adds a Reading with Err: the value under this name, or what v holds if name is "", cannot be used.
func (w *Walk) Refuse(name string, v gjson.Result, cause error) {
	r := w.Base
	name, _ = cut(name)
	r.Key = w.names.Keep(name)
	r.Property = r.Key
	r.Err = Fail(w.Protocol, r.Key, w.place(v), cause)
	w.Put(r)
}

// Value adds one value, of any JSON type, by the rules of the package documentation.
func (w *Walk) Value(name string, v gjson.Result, unit string) { w.value(name, false, v, unit) }

// value is Value; kept says that name has been interned already.
func (w *Walk) value(name string, kept bool, v gjson.Result, unit string) {
	r := w.Base
	r.Unit = unit
	switch v.Type {
	case gjson.True:
		r.Number = 1
	case gjson.False:
	case gjson.Number:
		x, err := Number(v)
		if err != nil {
			w.Refuse(name, v, err)
			return
		}
		r.Number = x
	case gjson.String:
		if strings.TrimSpace(v.Str) == "" {
			return
		}
		x, text, err := words(v.Str)
		if err != nil {
			w.Refuse(name, v, err)
			return
		}
		r.Number, r.Text = x, w.names.Keep(text)
	case gjson.JSON:
		w.Flatten(name, v, nil)
		return
	default:
		return
	}
	w.named(r, name, kept, v)
}

// words tells a number in quotes from words.
func words(s string) (x float64, text string, err error) {
	x, is, err := number(s)
	switch {
	case is:
		return x, "", err
	case len(s) > MaxText:
		return 0, "", errTooLong
	case notFinite(s):
		return 0, "", fmt.Errorf("%q: %w", s, decode.ErrNumber)
	}
	return 0, s, nil
}

// Skip is what unit gives Flatten for a member that is no value.
const Skip = "-"

// Flatten adds every value inside an object or array, with the names around it and '.' before its own. unit names the
// unit by flattened name, or Skip; nil names none.
func (w *Walk) Flatten(name string, v gjson.Result, unit func(name string) string) {
	outer := len(w.path)
	if name != "" {
		w.path = append(append(w.path, name...), '.')
	}
	w.members(w.Members(v), v.IsArray(), unit)
	w.path = w.path[:outer]
	if outer == 0 && cap(w.path) > 4096 {
		w.path = nil
	}
}

func (w *Walk) members(m Members, array bool, unit func(name string) string) {
	outer := len(w.path)
	for i := int64(0); w.err == nil && m.Next(); i++ {
		if array {
			w.path = strconv.AppendInt(w.path, i, 10)
		} else {
			w.path = append(w.path, m.Name()...)
		}
		if member := m.Value(); member.Type == gjson.JSON {
			w.path = append(w.path, '.')
			w.members(m.Members(), member.IsArray(), unit)
		} else {
			w.leaf(member, unit)
		}
		w.path = w.path[:outer]
	}
}

// NoProbe recognises a temperature that no probe measured: makers of LoRaWAN sensors send the ends of a 16-bit number, in
// tenths or hundredths of a degree, where none is connected.
func NoProbe(name string, x float64) bool {
	switch x {
	case 327.67, -327.68, 3276.7, -3276.8:
	default:
		return false
	}
	return strings.Contains(strings.ToLower(name), "temp")
}

// leaf adds the value whose flattened name stands in path.
func (w *Walk) leaf(v gjson.Result, unit func(name string) string) {
	if len(w.path) > MaxKey { // not worth a copy
		w.named(w.Base, string(w.path[:MaxKey+1]), false, v)
		return
	}
	name, u := w.names.String(w.path), ""
	if unit != nil {
		u = unit(name)
	}
	if u == Skip || w.NoProbe && v.Type == gjson.Number && NoProbe(name, v.Num) {
		return
	}
	w.value(name, true, v, u)
}

// named completes a Reading, unless its name is none.
func (w *Walk) named(r decode.Reading, name string, kept bool, v gjson.Result) {
	if _, ok := cut(name); !ok {
		w.Refuse(name, v, errName)
		return
	}
	if !kept {
		name = w.names.Keep(name)
	}
	r.Key = name
	if r.Property == "" {
		r.Property = r.Key
	}
	w.Put(r)
}

// cut makes a name fit for an error message; ok says that it was one already.
func cut(name string) (short string, ok bool) {
	ok = name != ""
	for i := range len(name) {
		if name[i] < ' ' || name[i] == 0x7f {
			ok = false
		}
	}
	if len(name) > MaxKey {
		return strings.ToValidUTF8(name[:MaxKey], ""), false
	}
	return name, ok
}
