// Package normalize turns a decoded Reading into an Observation (step 3 of 8).
//
// In: the Readings of one message, what is known of its source, the registry. Out: Observations appended to the live
// and the backfill message, dead letters and declarations appended to the live one. Results leave in the property's
// canonical UCUM unit (schema/properties.csv), positions in WGS 84, times in Unix milliseconds UTC. The gateway is
// the caller; the package does no I/O, needs no cgo, and never looks at a clock.
//
// Nothing is guessed silently. The rules, in the order they are asked:
//
//   - Thing: the one that the source's identity template made of the payload, else the one the topic names. If it names none ("owner/-"), or one that is not registered, the serial inside the
//     frame is looked up among the owner's Things. A retired Thing is refused. An unknown one is refused (reason thing),
//     or with AutoRegister used at once and declared.
//   - Time, judged against arrival: none gives arrival (or so long before it as the payload says) and NoTime; before 2000 or more than 10 minutes ahead is
//     quarantined (reason time); more than a minute ahead is ClockSkew; older than two days goes to backfill and is Late.
//   - Number: NaN and infinities are refused (reason number). Words are kept as text, with NaN as result.
//   - Property: the one the owner declared for the source key; else by the catalogue (code, alias, HJ 212 code). An
//     unknown one is refused (reason property), or with AutoRegister stored under its source key, off the map. Sums and
//     counts of an interval are not in the property's unit (mg/m3 add up to kg): they are stored under their source key
//     too, unless the owner declared them.
//   - Unit: what the payload names; else what the Datastream declares; else the one that the name itself implies (the
//     standard's, of an HJ 212 code; Fahrenheit, of "tempf"; the catalogue knows); else the property's own with
//     UnitAssumed (not where there is only one, as for pH). What cannot be converted is refused (reason unit).
//   - Position: the payload's, in the source's CRS or else the Thing's; more than 50 m from the registered place sets
//     Moving. Outside the world, or with longitude and latitude swapped, is refused (reason position). Exactly 0, 0 is a
//     receiver without a fix and counts as no position. Without one in the payload the registered place holds.
//   - Range: outside the Datastream's or the property's plausible range sets OutOfRange; the value is kept. Where a
//     thousandth or a thousandfold of it would be inside, UnitSuspect too.
//   - Series: a value further from the one before than the property changes sets RateOfChange, one that stays the same for
//     longer than is natural Stuck, a Thing whose clock is behind for several messages ClockSkew (docs/quality.md).
package normalize

import (
	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// The time rule (DESIGN §5), in milliseconds.
const (
	maxAhead  = 10 * 60 * 1000
	skewAhead = 60 * 1000
	lateAfter = 48 * 3600 * 1000
	year2000  = 946684800000
)

// movingMetres is how far from its registered place a Thing counts as moving.
const movingMetres = 50

// Ledger is what normalize needs of the registry: one immutable version of it. What it returns is not modified.
type Ledger interface {
	// Version rises whenever anything in the ledger changed.
	Version() uint64
	Thing(sensor.ThingID) (*sensor.Thing, bool)
	// Serial finds the owner's Thing in service that bears the serial number.
	Serial(owner, serial string) (sensor.ThingID, bool)
	// DatastreamsOf lists a Thing's Datastreams. As long as none of them changed it returns the same slice.
	DatastreamsOf(sensor.ThingID) []*sensor.Datastream
}

// Options of a Normalizer.
type Options struct {
	Catalogue    *sensor.Catalogue // needed
	Ledger       func() Ledger     // needed; gives the newest version, asked once a message
	Divisions    *geo.Divisions    // gives auto-registered Things their district; nil = none
	AutoRegister bool              // take unknown Things and properties, and declare them
	Class        sensor.OwnerClass // of Things so declared; unknown but for situ's own
	Alone        bool              // each value is judged by itself, not by those before: for what does not come in order
}

// Source is what is known of a message beside its payload.
type Source struct {
	Name     string         // of the configured source, "" for situ's own topics
	Topic    string         //
	Protocol string         // "hj212" has units of its own
	Origin   sensor.Origin  // of the message in hand; for dead letters
	Thing    sensor.ThingID // from the topic; "owner/-" when only the frame's serial can name it
	CRS      geo.CRS        // of positions in payloads; WGS84 leaves the word to the Thing's own
	Zone     string         // of times without zone; for the text of a refusal only
}

// Normalizer keeps what it prepared for each Thing it has seen, so it belongs to one goroutine; a connection of one
// sensor costs a few hundred bytes. What the registry changes takes effect with the next message.
type Normalizer struct {
	opt    Options
	things map[sensor.ThingID]*thing
	room   *Room // nil: only the number of Things is bounded
	kept   int64 // bytes taken from it
	limits map[limits]*limits
	memory *Memory // nil: nothing is remembered beyond this Normalizer

	// Of the message in hand.
	src     *Source
	ledger  Ledger
	version uint64
	message uint32 // counts them
	payload []byte
	live    *sensor.Message
	back    *sensor.Message
	letters int // dead letters of this message
	at      int // ordinal of the reading in hand
	serial  int // dead letter of the serial in hand, in letters
	covered [maxLetters]sensor.Ordinals
	outcome Outcome
	place   placed
}

// Outcome counts what one message became.
type Outcome struct {
	Observations int
	Refused      int // values that became dead letters, also those merged into one
	Declared     int // declarations
	NoFix        int // values whose position was 0, 0

	// Clock is a Thing whose clock was found wrong with this message, or right again; "" = none. ClockBehind is how far
	// behind it is, in ms.
	Clock       sensor.ThingID
	ClockBehind int64
	ClockWrong  bool

	// Class is what the owner of the message's Thing is; of several, the one whose data is kept longest.
	Class sensor.OwnerClass
}

// New makes a Normalizer.
func New(o Options) *Normalizer {
	return &Normalizer{opt: o, things: make(map[sensor.ThingID]*thing), limits: make(map[limits]*limits)}
}

// Normalize appends what the readings of one message become. live.Arrival is the time of arrival, for both lanes.
// payload is kept (in part) by dead letters only, as a copy. It does not allocate once the Things and names of a
// message have been seen, unless something is refused or declared.
func (n *Normalizer) Normalize(src *Source, readings []decode.Reading, payload []byte, live, backfill *sensor.Message) Outcome {
	n.src, n.payload, n.live, n.back = src, payload, live, backfill
	n.ledger = n.opt.Ledger()
	n.version = n.ledger.Version()
	n.message++
	n.letters, n.outcome, n.place = 0, Outcome{}, placed{}
	first := len(live.DeadLetters)
	backfill.Arrival = live.Arrival

	var t *thing
	serial, named, asked, classed := "", sensor.ThingID(""), false, false
	for i := range readings {
		r := &readings[i]
		n.at = i
		if r.Err != nil { // before the Thing: a frame that could not be read has no serial
			n.refuse(t, r, &refusal{decode.ReasonOf(r.Err), r.Err.Error()})
			continue
		}
		if !asked || r.Serial != serial || r.Thing != named {
			t, serial, named, asked = n.thingOf(r), r.Serial, r.Thing, true
			n.place = placed{}
			if t != nil {
				n.outcome.Class = keptLonger(n.outcome.Class, t.class, !classed)
				classed = true
			}
			n.serial = max(min(n.letters, maxLetters)-1, 0)
		}
		if t == nil {
			n.outcome.Refused++
			n.covered[n.serial].Add(i) // thingOf left a dead letter
			continue
		}
		if why := n.reading(t, r); why != nil {
			n.refuse(t, r, why)
		}
	}
	for i := range min(n.letters, maxLetters) {
		live.DeadLetters[first+i].Readings = n.covered[i].String()
		n.covered[i] = n.covered[i][:0]
	}
	if !classed {
		n.outcome.Class = n.ClassOf(src.Thing)
	}
	out := n.outcome
	n.src, n.ledger, n.payload, n.live, n.back = nil, nil, nil, nil, nil // keep nothing of the caller's
	return out
}

// reading appends one observation, or says why not.
func (n *Normalizer) reading(t *thing, r *decode.Reading) *refusal {
	o := sensor.Observation{Thing: t.key, Quality: r.Quality}
	m, why := n.time(&o, r)
	if why != nil {
		return why
	}
	s, why := n.streamOf(t, r)
	if why != nil {
		return why
	}
	if why := result(&o, s, r); why != nil {
		return why
	}
	if why := n.position(&o, t, r); why != nil {
		return why
	}
	o.Datastream, o.Property, o.Registry = s.id, s.number, s.registry
	if !n.opt.Alone {
		n.clock(t, &o, r)
		if r.Text == "" {
			s.judge(&o)
		}
	}
	m.Observations = append(m.Observations, o)
	n.outcome.Observations++
	if s.undeclared != nil {
		n.declareStream(s)
	}
	return nil
}

// time applies the time rule and chooses the lane.
func (n *Normalizer) time(o *sensor.Observation, r *decode.Reading) (*sensor.Message, *refusal) {
	arrival := n.live.Arrival
	o.PhenomenonTime, o.ResultTime = r.Time, r.ResultTime
	if o.PhenomenonTime == 0 {
		o.PhenomenonTime = arrival + r.FromArrival
		o.Quality |= sensor.NoTime
	}
	if o.ResultTime == 0 {
		o.ResultTime = o.PhenomenonTime
	}
	latest, earliest := max(o.PhenomenonTime, o.ResultTime), min(o.PhenomenonTime, o.ResultTime)
	if latest > arrival+maxAhead || earliest < year2000 {
		return nil, n.badTime(r)
	}
	if o.PhenomenonTime > arrival+skewAhead {
		o.Quality |= sensor.ClockSkew
	}
	if o.PhenomenonTime < arrival-lateAfter {
		o.Quality |= sensor.Late
		return n.back, nil
	}
	return n.live, nil
}

// result converts and judges the value.
func result(o *sensor.Observation, s *stream, r *decode.Reading) *refusal {
	o.Quality |= s.quality
	if r.Text != "" {
		o.Text, o.Result = r.Text, nan
		o.Quality &^= sensor.UnitAssumed // words have none
		return nil
	}
	x := s.conversion.Apply(r.Number)
	if x-x != 0 { // NaN or infinite
		return badNumber(r, s)
	}
	o.Result = x
	if x < s.min || x > s.max {
		o.Quality |= sensor.OutOfRange
		if s.unitHint(x) {
			o.Quality |= sensor.UnitSuspect
		}
	}
	return nil
}
