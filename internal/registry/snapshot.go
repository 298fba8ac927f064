package registry

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/situ-city/situ/pkg/sensor"
)

// Snapshot is the ledger as of one version. It never changes, needs no lock, and may be kept as long as wanted.
// What its methods return is shared: callers must not modify it.
type Snapshot struct {
	id         string // of the ledger, see Registry.ID
	version    uint64
	things     index[thingEntry]
	streams    index[sensor.Datastream]
	serials    index[serialEntry]
	superseded chan struct{}
}

// thingEntry is a Thing with its Datastreams, ordered by property, statistic and source key. The Thing is held by
// value because a look-up by name then touches one cache line less.
type thingEntry struct {
	thing   sensor.Thing
	streams []*sensor.Datastream
}

type serialEntry struct {
	serial string
	thing  sensor.ThingID
}

func emptySnapshot(id string) *Snapshot {
	return &Snapshot{id: id, superseded: make(chan struct{})}
}

// Version is the number of the newest change in the snapshot; 0 for an empty ledger.
func (s *Snapshot) Version() uint64 { return s.version }

// Superseded is closed when a newer snapshot has taken this one's place: read what is new, then take the next one.
// No change can fall between.
func (s *Snapshot) Superseded() <-chan struct{} { return s.superseded }

// Things is the number of Things, retired ones included; Datastreams that of Datastreams.
func (s *Snapshot) Things() int { return s.things.n }

// Datastreams is the number of Datastreams, templates included.
func (s *Snapshot) Datastreams() int { return s.streams.n }

// Thing finds a Thing by its id.
func (s *Snapshot) Thing(id sensor.ThingID) (*sensor.Thing, bool) {
	e := s.things.get(uint64(id.Key()))
	if e == nil || e.thing.ID != id {
		return nil, false
	}
	return &e.thing, true
}

// ThingByKey finds a Thing by the hash of its id.
func (s *Snapshot) ThingByKey(key sensor.ThingKey) (*sensor.Thing, bool) {
	e := s.things.get(uint64(key))
	if e == nil {
		return nil, false
	}
	return &e.thing, true
}

// Serial finds the Thing of an owner that carries a serial number in its frames (MN of HJ 212, devEUI).
// Retired Things are not found: their successor may carry the same number.
func (s *Snapshot) Serial(owner, serial string) (sensor.ThingID, bool) {
	e := s.serials.get(serialKey(owner, serial))
	if e == nil || e.serial != serial || e.thing.Owner() != owner {
		return "", false
	}
	return e.thing, true
}

// Datastream finds a Datastream by its id.
func (s *Snapshot) Datastream(id sensor.DatastreamID) (*sensor.Datastream, bool) {
	d := s.streams.get(uint64(id))
	return d, d != nil
}

// covers reports whether templates hold for a statistic: sums and counts have units of their own.
func covers(st sensor.Statistic) bool { return st != sensor.Sum && st != sensor.Count }

// DatastreamsOf lists a Thing's Datastreams, ordered by property, statistic and source key. The slice is shared.
func (s *Snapshot) DatastreamsOf(thing sensor.ThingID) []*sensor.Datastream {
	e := s.things.get(uint64(thing.Key()))
	if e == nil || e.thing.ID != thing {
		return nil
	}
	return e.streams
}

// ThingsFrom yields the Things in rising order of ThingKey, from the first key that is not below `from`.
func (s *Snapshot) ThingsFrom(from sensor.ThingKey) iter.Seq[*sensor.Thing] {
	return func(yield func(*sensor.Thing) bool) {
		s.things.walk(uint64(from), func(_ uint64, e *thingEntry) bool { return yield(&e.thing) })
	}
}

// DatastreamsFrom yields the Datastreams in rising order of id, from the first that is not below `from`.
func (s *Snapshot) DatastreamsFrom(from sensor.DatastreamID) iter.Seq[*sensor.Datastream] {
	return func(yield func(*sensor.Datastream) bool) {
		s.streams.walk(uint64(from), func(_ uint64, d *sensor.Datastream) bool { return yield(d) })
	}
}

// TemplateID is the id of the Datastream that is declared by its property alone (see the package documentation).
func TemplateID(thing sensor.ThingID, property sensor.PropertyCode) sensor.DatastreamID {
	return sensor.NewDatastreamID(thing, property, sensor.Instant, "")
}

// IsTemplate reports whether d was declared by its property alone.
func IsTemplate(d *sensor.Datastream) bool {
	return d.SourceKey == "" && d.Statistic == sensor.Instant && d.Property != ""
}

func serialKey(owner, serial string) uint64 {
	var room [192]byte
	b := append(room[:0], owner...)
	b = append(b, 0)
	b = append(b, serial...)
	return xxhash.Sum64(b)
}

// draft is the next snapshot being made. It is used by one goroutine; the snapshot it began from stays as it is.
type draft struct {
	Snapshot
	edit *edit
}

func (s *Snapshot) draft() *draft {
	d := &draft{Snapshot: *s, edit: &edit{}}
	d.superseded = make(chan struct{})
	return d
}

// putThing adds or replaces a Thing and returns the draft's own copy. On error the draft is unchanged.
func (d *draft) putThing(t *sensor.Thing) (*sensor.Thing, error) {
	key := uint64(t.ID.Key())
	next, old := &thingEntry{thing: *t}, d.things.get(key)
	if old != nil {
		if old.thing.ID != t.ID {
			return nil, fmt.Errorf("%s and %s: %w", old.thing.ID, t.ID, ErrCollision)
		}
		next.streams = old.streams
	}
	if err := d.checkSerial(t); err != nil {
		return nil, err
	}
	if old != nil && bearsSerial(&old.thing) {
		d.serials.remove(d.edit, serialKey(t.ID.Owner(), old.thing.Serial))
	}
	if bearsSerial(t) {
		d.serials.put(d.edit, serialKey(t.ID.Owner(), t.Serial), &serialEntry{t.Serial, t.ID})
	}
	d.things.put(d.edit, key, next)
	return &next.thing, nil
}

func bearsSerial(t *sensor.Thing) bool { return t.Serial != "" && !t.Retired }

func (d *draft) checkSerial(t *sensor.Thing) error {
	if !bearsSerial(t) {
		return nil
	}
	other := d.serials.get(serialKey(t.ID.Owner(), t.Serial))
	if other != nil && other.thing != t.ID {
		return fmt.Errorf("serial %q is borne by %s, correct one of the two or retire that Thing: %w", t.Serial, other.thing, ErrSerialTaken)
	}
	return nil
}

// putDatastream adds or replaces a Datastream of a Thing that is in the draft. On error the draft is unchanged.
func (d *draft) putDatastream(ds *sensor.Datastream) error {
	e := d.things.get(uint64(ds.Thing.Key()))
	if e == nil || e.thing.ID != ds.Thing {
		return fmt.Errorf("datastream %s of %s: %w", ds.ID, ds.Thing, ErrThing)
	}
	if old := d.streams.get(uint64(ds.ID)); old != nil && !sameStream(old, ds) {
		return fmt.Errorf("datastreams %s %s and %s %s: %w", old.Thing, old.SourceKey, ds.Thing, ds.SourceKey, ErrCollision)
	}
	d.streams.put(d.edit, uint64(ds.ID), ds)
	d.things.put(d.edit, uint64(ds.Thing.Key()), &thingEntry{e.thing, withStream(e.streams, ds)})
	return nil
}

func sameStream(a, b *sensor.Datastream) bool {
	return a.Thing == b.Thing && a.Property == b.Property && a.Statistic == b.Statistic && a.SourceKey == b.SourceKey
}

// withStream gives a copy of streams that holds ds at its place.
func withStream(streams []*sensor.Datastream, ds *sensor.Datastream) []*sensor.Datastream {
	i, found := slices.BinarySearchFunc(streams, ds, compareStreams)
	next := make([]*sensor.Datastream, 0, len(streams)+1)
	next = append(append(next, streams[:i]...), ds)
	if found {
		i++
	}
	return append(next, streams[i:]...)
}

func compareStreams(a, b *sensor.Datastream) int {
	return cmp.Or(cmp.Compare(a.Property, b.Property), cmp.Compare(a.Statistic, b.Statistic),
		cmp.Compare(a.SourceKey, b.SourceKey))
}

// finish gives the snapshot of the draft, which must not be used any more.
func (d *draft) finish(version uint64) *Snapshot {
	s := d.Snapshot
	s.version = version
	return &s
}
