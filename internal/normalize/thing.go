package normalize

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

const (
	// maxThings bounds the Things a Normalizer remembers; a pulled broker may bring a whole city's.
	maxThings = 1 << 18
	// redeclareAfter is when a declaration the registry did not answer is sent again, in milliseconds: its message may
	// have been lost before it was acknowledged.
	redeclareAfter = 10 * 60 * 1000
)

// thing is what is prepared for one Thing.
type thing struct {
	id    sensor.ThingID
	key   sensor.ThingKey
	asOf  uint64        // ledger version that the following was taken from
	entry *sensor.Thing // nil: not in the ledger
	list  []*sensor.Datastream
	class sensor.OwnerClass
	lon   int32 // registered place, or NoPosition
	lat   int32

	declared int64        // arrival of the message that last declared the Thing, 0 = none
	skew     skew         // of its clock
	brought  []pastStream // from Memory, until the stream is met

	protocol   string // in which its names were read
	generation int    // rises when entry, list or protocol changed: streams are prepared anew
	streams    []stream
	byName     map[streamName]int // only for Things of many names
	next       int                // where the next reading probably is: payloads keep their order
}

// thingOf finds the Thing of a reading, or leaves one dead letter for all readings of that serial and gives nil.
func (n *Normalizer) thingOf(r *decode.Reading) *thing {
	id, serial := n.src.Thing, r.Serial
	if r.Thing != "" {
		id = r.Thing
	}
	if id.Name() == "-" {
		var why *refusal
		if id, why = n.bySerial(serial); why != nil {
			n.letter("", "", why)
			return nil
		}
	}
	t := n.load(id)
	if t.entry == nil && serial != "" && id == n.src.Thing {
		if other, ok := n.ledger.Serial(id.Owner(), serial); ok {
			t = n.load(other)
		}
	}
	switch {
	case t.entry == nil && !n.opt.AutoRegister:
		n.letter(t.id, "", &refusal{sensor.ReasonThing, fmt.Sprintf(
			"%s is not registered; register it (situ register), or let situ take unknown Things (--auto-register)", t.id)})
		return nil
	case t.entry != nil && t.entry.Retired:
		n.letter(t.id, "", &refusal{sensor.ReasonThing, fmt.Sprintf(
			"%s is retired; register it again if it is back in service, or publish under its successor's name", t.id)})
		return nil
	}
	return t
}

// ClassOf is the class of the Thing's owner. A Thing that nobody registered is a citizen's; of one that is registered
// without a class, and of a frame that does not say which Thing it is of, nobody knows.
func (n *Normalizer) ClassOf(id sensor.ThingID) sensor.OwnerClass {
	if id.Name() == "-" {
		return sensor.ClassUnknown
	}
	entry, _ := n.opt.Ledger().Thing(id)
	return classOf(entry)
}

func classOf(entry *sensor.Thing) sensor.OwnerClass {
	if entry == nil || entry.Auto && entry.Class == sensor.ClassUnknown {
		return sensor.Social
	}
	return entry.Class
}

// keptLonger gives of two classes the one whose data is given up later, government's last, unless there is only b.
func keptLonger(a, b sensor.OwnerClass, only bool) sensor.OwnerClass {
	order := [...]uint8{sensor.Social: 0, sensor.Enterprise: 1, sensor.ClassUnknown: 2, sensor.Government: 3}
	if only || order[b] > order[a] {
		return b
	}
	return a
}

// bySerial finds the Thing that only its frames name.
func (n *Normalizer) bySerial(serial string) (sensor.ThingID, *refusal) {
	owner := n.src.Thing.Owner()
	if serial == "" {
		return "", &refusal{sensor.ReasonThing, "neither the topic nor the payload names a Thing; publish to situ/v1/{owner}/{thing}/{protocol}, or give the source a topic with {thing}"}
	}
	if id, ok := n.ledger.Serial(owner, serial); ok {
		return id, nil
	}
	if name, ok := sensor.NameFrom(serial); ok && n.opt.AutoRegister {
		return sensor.ThingID(owner + "/" + name), nil
	}
	return "", &refusal{sensor.ReasonThing, fmt.Sprintf("no Thing of %s has the serial %.80q; register one with it (situ register, column serial)", owner, serial)}
}

// load gives the prepared Thing, up to date with the ledger. Things that will be refused are not remembered.
func (n *Normalizer) load(id sensor.ThingID) *thing {
	t, ok := n.things[id]
	if ok && t.asOf == n.version {
		t.spoken(n.src.Protocol)
		return t
	}
	entry, known := n.ledger.Thing(id)
	if !ok {
		t = &thing{id: id, key: id.Key()}
		if known && !entry.Retired || !known && n.opt.AutoRegister {
			n.remember(t)
		}
		if n.things[id] == t { // else it would not come back
			if p := n.memory.take(id); p != nil && n.keep(p.bytes(id)) {
				t.skew, t.brought = p.skew, p.streams
			}
		}
	}
	list := n.ledger.DatastreamsOf(id)
	if t.entry != entry || !sameSlice(t.list, list) {
		t.entry, t.list = entry, list
		t.generation++
	}
	t.class = classOf(entry)
	t.lon, t.lat = sensor.NoPosition, sensor.NoPosition
	if known && entry.Placed {
		t.lon, t.lat = entry.Location.E7()
	}
	t.asOf = n.version
	t.spoken(n.src.Protocol)
	return t
}

// spoken has the names prepared anew for a Thing that speaks another protocol than before: a name may mean something
// else there.
func (t *thing) spoken(protocol string) {
	if t.protocol != protocol {
		t.protocol = protocol
		t.generation++
	}
}

func sameSlice(a, b []*sensor.Datastream) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// remember keeps t, if not even those that were forgotten for it leave room only for this message.
func (n *Normalizer) remember(t *thing) {
	if len(n.things) >= maxThings {
		n.Forget()
	}
	bytes := int64(thingBytes + len(t.id))
	if n.keep(bytes) || n.keep(bytes) {
		n.things[t.id] = t
	}
}

// due reports whether something unknown to the ledger is to be declared with this message.
func (n *Normalizer) due(last int64) bool {
	return last == 0 || n.live.Arrival-last > redeclareAfter
}

// declareThing declares an auto-registered Thing with the place of its first reading.
func (n *Normalizer) declareThing(t *thing, serial string, original geo.LonLat, crs geo.CRS, at geo.LonLat, placed bool) {
	t.declared = n.live.Arrival
	d := &sensor.Thing{ID: t.id, Class: n.opt.Class, Serial: serial, Auto: true}
	if placed {
		d.Placed, d.CRS, d.Original, d.Location = true, crs, original, at
		if n.opt.Divisions != nil {
			d.Division = n.opt.Divisions.At(at)
		}
	}
	n.declare(sensor.Declaration{Thing: d})
}

func (n *Normalizer) declareStream(s *stream) {
	if !n.due(s.declared) {
		return
	}
	s.declared = n.live.Arrival
	d := *s.undeclared // the message keeps it, the stream may change
	n.declare(sensor.Declaration{Datastream: &d})
}

func (n *Normalizer) declare(d sensor.Declaration) {
	n.live.Declarations = append(n.live.Declarations, d)
	n.outcome.Declared++
}
