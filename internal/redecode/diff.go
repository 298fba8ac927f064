package redecode

import (
	"math"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// Reading is what a payload becomes today.
type Reading struct {
	Observations []sensor.Observation // in the order of their idx
	Refused      []sensor.DeadLetter  // of the payload, or of values in it
	Declarations []sensor.Declaration
}

// Kind says how a message speaks otherwise.
type Kind string

// The kinds of a Change.
const (
	Added     Kind = "added"     // a value where the message had none
	Changed   Kind = "changed"   // another value, place, time of result or quality
	Retracted Kind = "retracted" // none where it had one
)

// Change is one instant of which a message speaks otherwise than before.
type Change struct {
	Kind    Kind
	Message store.Message
	Was     sensor.Observation // of Changed and Retracted
	Now     store.Standing     // to be stored
}

// judged are the flags that a value gets from those around it.
const judged = sensor.RateOfChange | sensor.Stuck | sensor.ClockSkew

// instant is what a message says one thing of.
type instant struct {
	id sensor.DatastreamID
	at int64
}

// differ compares messages one after the other, in order of arrival.
type differ struct {
	// touched are Datastreams of which something came out otherwise so far, in this run or in one before: from there on the
	// flags that values get from those around them are compared, too. Before, nothing around them has changed, and what was
	// around them before the first payload that is read is known to those who judged them then. nil: they are never compared.
	touched map[sensor.DatastreamID]struct{}
}

func (d *differ) touch(id sensor.DatastreamID) {
	if d.touched != nil {
		d.touched[id] = struct{}{}
	}
}

// compare appends how message m speaks otherwise now. retract: what it does not say any more is taken back.
func (d *differ) compare(dst []Change, m store.Message, stands []store.Standing, now []sensor.Observation, retract bool) []Change {
	was := make(map[instant]*store.Standing, len(stands))
	for i := range stands {
		was[instant{stands[i].Datastream, stands[i].PhenomenonTime}] = &stands[i]
	}
	best := make(map[instant]int, len(now)) // of several values of one instant the newest result, then the last, as in history
	for i := range now {
		at := instant{now[i].Datastream, now[i].PhenomenonTime}
		if j, twice := best[at]; !twice || now[i].ResultTime >= now[j].ResultTime {
			best[at] = i
		}
	}
	for i := range now {
		at := instant{now[i].Datastream, now[i].PhenomenonTime}
		if best[at] != i {
			continue
		}
		c := Change{Kind: Added, Message: m, Now: store.Standing{Observation: now[i], Idx: uint16(i), Revision: 1}}
		if s := was[at]; s != nil {
			if s.Revision > 0 {
				d.touch(at.id)
			}
			if _, strict := d.touched[at.id]; !s.Retracted && same(&s.Observation, &now[i], strict) {
				continue
			}
			c.Now.Revision = s.Revision + 1
			if !s.Retracted {
				c.Kind, c.Was = Changed, s.Observation
			}
		}
		d.touch(at.id)
		dst = append(dst, c)
	}
	if !retract {
		return dst
	}
	for i := range stands {
		s := &stands[i]
		if _, said := best[instant{s.Datastream, s.PhenomenonTime}]; said || s.Retracted {
			if s.Revision > 0 {
				d.touch(s.Datastream)
			}
			continue
		}
		d.touch(s.Datastream)
		gone := store.Standing{Observation: s.Observation, Idx: s.Idx, Revision: s.Revision + 1, Retracted: true}
		dst = append(dst, Change{Kind: Retracted, Message: m, Was: s.Observation, Now: gone})
	}
	return dst
}

// same: neither value nor place, result's time or quality differ; the flags that come from values around it only if strict.
// Cells follow from places, registry versions say nothing of it.
func same(a, b *sensor.Observation, strict bool) bool {
	x, y := *a, *b
	if !strict {
		x.Quality, y.Quality = x.Quality&^judged, y.Quality&^judged
	}
	x.Result, y.Result, x.Cell, y.Cell, x.Registry, y.Registry = 0, 0, 0, 0, 0, 0
	return x == y && (a.Result == b.Result || math.IsNaN(a.Result) && math.IsNaN(b.Result))
}

// missing are the changes by which their messages do not speak yet.
func missing(changes []Change, stands map[store.Message][]store.Standing) (left []Change) {
	there := make(map[store.Message]map[instant]*store.Standing)
	for m, list := range stands {
		there[m] = make(map[instant]*store.Standing, len(list))
		for i := range list {
			there[m][instant{list[i].Datastream, list[i].PhenomenonTime}] = &list[i]
		}
	}
	for _, c := range changes {
		s := there[c.Message][instant{c.Now.Datastream, c.Now.PhenomenonTime}]
		if s == nil || s.Revision < c.Now.Revision {
			left = append(left, c)
		}
	}
	return left
}
