// Package city is a seeded simulated city: Things of the three owner classes over Chongqing that speak real
// protocols over real MQTT connections (situ sim, situ run --demo).
//
// Everything is invented but the administrative divisions: town centres lie at seeded random places inside their
// district, since no outlines of towns are to be had, and the page says so. A city is a pure function of its seed:
// the payload of Thing i at instant t is always the same. Units are those of the catalogue, or of HJ 212 in
// frames; positions WGS 84, and GCJ-02 from some owners, as in life. Faults come in known number (Faults).
package city

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// Config of a city. Zero values mean the defaults.
type Config struct {
	Seed     uint64
	Things   int           // default 2000
	Interval time.Duration // between two messages of a Thing, default 30 s
	NoFaults bool
}

// Defaults of Config.
const (
	DefaultThings   = 2000
	DefaultInterval = 30 * time.Second
)

// Thing is one simulated Thing: what the registry should know of it, and how it behaves.
type Thing struct {
	sensor.Thing
	Protocol string
	Values   []Value
	Fault    Fault
	Interval time.Duration

	phase time.Duration
	own   uint64 // its own stream of randomness
	base  float64
}

// Value is one Datastream of a Thing.
type Value struct {
	Property sensor.PropertyCode
	Key      string // name in the payload: the code, or the HJ 212 code
	Decimals int
	at       func(t *Thing, s state, step uint64) float64
}

// Fault is what is wrong with a Thing.
type Fault uint8

// The faults.
const (
	Healthy   Fault = iota
	Stuck           // repeats one value
	Drifting        // wanders away from the truth
	Silent          // stops sending for hours
	MadClock        // clock years or days off
	BadCRC          // every third frame arrives broken (HJ 212 only)
	Odd             // far from what is true around it (Things with a temperature)
	Repeating       // sends what it said last with each message again (plain JSON only)
)

var faultNames = [...]string{"healthy", "stuck", "drifting", "silent", "mad_clock", "bad_crc", "odd", "repeating"}

func (f Fault) String() string { return faultNames[f] }

// City is the whole of it. It is read-only after New and safe for concurrent use.
type City struct {
	Config
	air    climate
	things []Thing
}

// New invents a city.
func New(cfg Config, div *geo.Divisions) (*City, error) {
	if cfg.Things == 0 {
		cfg.Things = DefaultThings
	}
	if cfg.Interval == 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.Things < 1 || cfg.Things > 2_000_000 || cfg.Interval < time.Millisecond {
		return nil, fmt.Errorf("city of %d Things every %s: want 1 to 2,000,000 Things, at least 1 ms apart", cfg.Things, cfg.Interval)
	}
	c := &City{Config: cfg, air: climate{seed: cfg.Seed, center: geo.LonLat{Lon: 106.55, Lat: 29.56}}}
	places, err := newPlaces(cfg.Seed, div)
	if err != nil {
		return nil, err
	}
	c.things = make([]Thing, cfg.Things)
	for i := range c.things {
		c.invent(i, places)
	}
	if !cfg.NoFaults {
		c.breakSome()
	}
	return c, nil
}

// Things lists them; the slice is the city's own.
func (c *City) Things() []Thing { return c.things }

// Faults counts the broken Things by kind.
func (c *City) Faults() map[string]int {
	n := map[string]int{}
	for i := range c.things {
		if f := c.things[i].Fault; f != Healthy {
			n[f.String()]++
		}
	}
	return n
}

// invent makes Thing i: its kind, owner, place and habits follow from the seed alone.
func (c *City) invent(i int, places *places) {
	own := mix(c.Seed ^ mix(uint64(i)+1))
	k := kindFor(unit(own, 10, 0))
	t := &c.things[i]
	owner := k.owners[int(unit(own, 11, 0)*float64(len(k.owners)))]
	t.Thing = sensor.Thing{
		ID:    sensor.ThingID(fmt.Sprintf("%s/%s-%05d", owner.id, k.name, i)),
		Name:  fmt.Sprintf("%s %05d", k.title, i),
		Class: k.class, Grade: k.grade, CRS: owner.crs, Scenes: k.scenes,
	}
	t.Protocol, t.Values, t.own = k.protocol, k.values, own
	t.Interval = c.Interval * time.Duration(k.slower)
	t.phase = time.Duration(unit(own, 12, 0) * float64(t.Interval))
	t.base = unit(own, 13, 0)
	if t.Protocol == "hj212" {
		t.Serial = fmt.Sprintf("SITU%s%08d", strings.ToUpper(k.name[:2]), i)
	}
	if unit(own, 14, 0) < 0.012 {
		return // nobody has said where it stands
	}
	p, town := places.pick(own, k.spread)
	t.Placed, t.Location, t.Division = true, p, town
	t.Original = geo.FromWGS84(p, owner.crs)
	t.Original.Lon, t.Original.Lat = round(t.Original.Lon, 6), round(t.Original.Lat, 6)
	if d, ok := places.div.Lookup(town); ok {
		t.Address = d.Name
	}
}

// breakSome gives one Thing in a hundred a fault, the kinds in turn.
func (c *City) breakSome() {
	for n, step := 0, 97; n*step < len(c.things); n++ {
		fault := Fault(1 + n%(len(faultNames)-1))
		for i := n * step; i < len(c.things); i++ {
			t := &c.things[i]
			if t.Fault == Healthy && t.CanHave(fault) {
				t.Fault = fault
				break
			}
		}
	}
}

// CanHave tells whether a fault makes sense of t: only frames have a checksum to break, only documents come as a list, only air is known well enough to be odd.
func (t *Thing) CanHave(f Fault) bool {
	switch f {
	case BadCRC:
		return t.Protocol == "hj212"
	case Repeating:
		return t.Protocol == "json"
	case Odd:
		return slices.ContainsFunc(t.Values, func(v Value) bool { return v.Property == "temperature" })
	}
	return true
}

// Due is the first instant not before at when Thing i sends.
func (c *City) Due(i int, at time.Time) time.Time {
	t := &c.things[i]
	n := (at.UnixNano() - int64(t.phase) + int64(t.Interval) - 1) / int64(t.Interval)
	return time.Unix(0, n*int64(t.Interval)+int64(t.phase))
}

// Topic is where Thing i publishes.
func (c *City) Topic(i int) string {
	return "situ/v1/" + string(c.things[i].ID) + "/" + c.things[i].Protocol
}

// Payload appends what Thing i sends at instant at; ok is false while it is silent.
func (c *City) Payload(dst []byte, i int, at time.Time) (payload []byte, ok bool) {
	t := &c.things[i]
	if t.Fault == Repeating {
		dst = append(dst, '[')
		dst, _ = c.say(dst, t, i, at.Add(-t.Interval))
		dst, ok = c.say(append(dst, ','), t, i, at)
		return append(dst, ']'), ok
	}
	return c.say(dst, t, i, at)
}

// say appends one message.
func (c *City) say(dst []byte, t *Thing, i int, at time.Time) (payload []byte, ok bool) {
	step := uint64(at.UnixNano() / int64(t.Interval))
	if t.Fault == Silent && (at.Unix()/14400+int64(i))%3 != 0 { // four hours in twelve it speaks
		return dst, false
	}
	// A sensor looks at its clock when it gets round to it: up to 0.9 s before it sends, in whole seconds or in ms.
	said := at.Add(-time.Duration(unit(t.own, 16, step) * float64(900*time.Millisecond)))
	if t.own%2 == 1 {
		said = said.Truncate(time.Millisecond)
	} else {
		said = said.Truncate(time.Second)
	}
	if t.Fault == MadClock {
		said = madClock(t.own, said)
	}
	s := c.air.at(t.Location, at)
	if t.Protocol == "hj212" {
		return c.frame(dst, t, s, said, at, step), true
	}
	return c.document(dst, t, s, said, at, step), true
}

func madClock(own uint64, said time.Time) time.Time {
	switch own % 3 {
	case 0:
		return said.AddDate(0, 0, -5) // back-filled: older than two days
	case 1:
		return time.Date(1999, 12, 31, 0, 0, int(own%60), 0, time.UTC) // never set
	}
	return said.Add(26 * time.Hour) // ahead
}

// result is the value of datastream v, with the Thing's fault.
func (c *City) result(t *Thing, v *Value, s state, at time.Time, step uint64) float64 {
	switch t.Fault {
	case Stuck:
		s, step = c.air.at(t.Location, time.Unix(1_700_000_000, 0)), 1
	case Drifting:
		days := float64(at.Unix()%(30*86400)) / 86400
		return round(v.at(t, s, step)*(1+0.04*days), v.Decimals)
	case Odd:
		if v.Property == "temperature" {
			return round(v.at(t, s, step)+16, v.Decimals) // in the sun, beside a chimney
		}
	}
	return round(v.at(t, s, step), v.Decimals)
}

// document is situ's plain JSON (docs/formats: {"t":..., "<property>":...}).
func (c *City) document(dst []byte, t *Thing, s state, said, at time.Time, step uint64) []byte {
	dst = append(dst, `{"t":`...)
	dst = strconv.AppendInt(dst, said.UnixMilli(), 10)
	for i := range t.Values {
		v := &t.Values[i]
		dst = append(dst, ',', '"')
		dst = append(dst, v.Key...)
		dst = append(dst, '"', ':')
		dst = strconv.AppendFloat(dst, c.result(t, v, s, at, step), 'f', v.Decimals, 64)
	}
	return append(dst, '}')
}

// CSV writes the registration file of the city (situ register).
func (c *City) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"id", "title", "class", "grade", "lon", "lat", "crs", "division", "address", "serial", "scenes", "interval", "properties"}); err != nil {
		return err
	}
	for i := range c.things {
		t := &c.things[i]
		row := []string{string(t.ID), t.Name, t.Class.String(), t.Grade.String(), "", "", "", "", t.Address, t.Serial,
			strings.Join(t.Scenes, ";"), strconv.FormatFloat(t.Interval.Seconds(), 'f', -1, 64), ""}
		if t.Placed {
			row[4], row[5] = strconv.FormatFloat(t.Original.Lon, 'f', -1, 64), strconv.FormatFloat(t.Original.Lat, 'f', -1, 64)
			row[6], row[7] = t.CRS.String(), t.Division.String()
		}
		codes := make([]string, len(t.Values))
		for j, v := range t.Values {
			codes[j] = string(v.Property)
		}
		row[12] = strings.Join(codes, ";")
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func round(v float64, decimals int) float64 {
	p := math.Pow10(decimals)
	return math.Round(v*p) / p
}
