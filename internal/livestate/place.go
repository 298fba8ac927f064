package livestate

import (
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// thing is where a Thing stands, and its streams.
type thing struct {
	phenomenon, resultTime, arrival int64 // key of the observation that placed it: the newest with a position
	seq                             uint64
	cell                            geo.Cell // resolution 12; 0 = no position is known
	lon, lat                        int32    // 1e-7 degrees
	first                           uint32   // stream
	berth                           uint32   // index in its bucket of State.ground
	idx                             uint16
	class                           sensor.OwnerClass
	stratum                         sensor.Stratum
}

func (th *thing) placed() key { return key{th.phenomenon, th.resultTime, th.arrival, th.seq, th.idx} }

// name is the rest of a thing.
type name struct {
	key sensor.ThingKey
	id  sensor.ThingID
}

// thing finds a Thing or makes room for it.
func (s *State) thing(k sensor.ThingKey) uint32 {
	ti, ok := s.thingOf[k]
	if !ok {
		ti = uint32(len(s.things))
		s.things = append(s.things, thing{first: nothing, phenomenon: never})
		s.names = append(s.names, name{key: k})
		s.thingOf[k] = ti
	}
	return ti
}

// place puts a Thing where an observation says it stood, unless a newer one has placed it already. A fixed Thing
// says the same every time, and then nothing is computed.
func (s *State) place(ti uint32, lon, lat int32, cell geo.Cell, k key) {
	th := &s.things[ti]
	if !th.placed().less(k) {
		return
	}
	th.phenomenon, th.resultTime, th.arrival, th.seq, th.idx = k.phenomenon, k.result, k.arrival, k.seq, k.idx
	if th.cell != 0 && th.lon == lon && th.lat == lat {
		return
	}
	if cell.Resolution() != h3.StoredResolution || !h3.Valid(cell) {
		if cell = h3.CellAt(geo.FromE7(lon, lat), h3.StoredResolution); cell == 0 {
			s.counters.unplaced++
			return
		}
	}
	if th.cell == 0 {
		s.stand(ti, lon, lat, cell)
		for si := th.first; si != nothing; si = s.links[si].next {
			s.settle(si, s.streams[si].contribution())
		}
		return
	}
	s.counters.moves++
	if th.cell.Parent(Finest) == cell.Parent(Finest) {
		s.stand(ti, lon, lat, cell)
		s.touchLeaves(ti) // the points of the cell have changed, its numbers have not
		return
	}
	s.reenter(ti, func() { s.stand(ti, lon, lat, cell) })
}

// stand writes a Thing's position and files it in the ground's grid.
func (s *State) stand(ti uint32, lon, lat int32, cell geo.Cell) {
	th := &s.things[ti]
	from, wasPlaced := s.ground.keyAt(geo.FromE7(th.lon, th.lat)), th.cell != 0
	to := s.ground.keyAt(geo.FromE7(lon, lat))
	th.lon, th.lat, th.cell = lon, lat, cell
	if wasPlaced && from == to {
		return
	}
	if wasPlaced {
		b := s.ground.buckets[from]
		last := b.items[len(b.items)-1]
		b.items[th.berth] = last
		s.things[last].berth = th.berth
		b.items = b.items[:len(b.items)-1]
		if len(b.items) == 0 {
			delete(s.ground.buckets, from)
		}
	} else {
		s.counters.placed++
	}
	b := s.ground.bucket(to)
	th.berth = uint32(len(b.items))
	b.items = append(b.items, ti)
}

func (s *State) touchLeaves(ti uint32) {
	for si := s.things[ti].first; si != nothing; si = s.links[si].next {
		if leaf := s.streams[si].leaf; leaf != nothing {
			s.nodes[leaf].version = s.version + 1
			s.touched = true
		}
	}
}
