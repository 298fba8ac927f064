package normalize_test

import (
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/pkg/sensor"
)

// The real one fits.
var _ normalize.Ledger = (*registry.Snapshot)(nil)

// book is a ledger small enough to see through. A changed book is a new version of the same.
type book struct {
	version uint64
	things  map[sensor.ThingID]*sensor.Thing
	streams map[sensor.ThingID][]*sensor.Datastream
}

func (b *book) put(t *sensor.Thing, ds ...*sensor.Datastream) {
	if b.things == nil {
		b.things, b.streams = map[sensor.ThingID]*sensor.Thing{}, map[sensor.ThingID][]*sensor.Datastream{}
	}
	for _, d := range ds {
		d.Thing = t.ID
		d.ID = sensor.NewDatastreamID(t.ID, d.Property, d.Statistic, d.SourceKey)
	}
	b.things[t.ID] = t
	b.streams[t.ID] = append([]*sensor.Datastream(nil), ds...)
	b.version++
}

// take registers what a message declared, as the registry does.
func (b *book) take(m *sensor.Message) {
	for _, d := range m.Declarations {
		switch {
		case d.Thing != nil:
			b.put(d.Thing, b.streams[d.Thing.ID]...)
		case d.Datastream != nil:
			id := d.Datastream.Thing
			b.put(b.things[id], append(b.streams[id], d.Datastream)...)
		}
	}
}

func (b *book) Version() uint64 { return b.version }

func (b *book) Thing(id sensor.ThingID) (*sensor.Thing, bool) {
	t, ok := b.things[id]
	return t, ok
}

func (b *book) Serial(owner, serial string) (sensor.ThingID, bool) {
	for id, t := range b.things {
		if id.Owner() == owner && t.Serial == serial && !t.Retired {
			return id, true
		}
	}
	return "", false
}

func (b *book) DatastreamsOf(id sensor.ThingID) []*sensor.Datastream { return b.streams[id] }
