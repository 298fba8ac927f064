package livestate

import (
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// Latest is the newest value of a Datastream. Times are Unix ms UTC.
type Latest struct {
	Datastream     sensor.DatastreamID
	Property       sensor.PropertyNumber // 0: not in the catalogue, or Datastream not known to the registry
	Statistic      sensor.Statistic
	PhenomenonTime int64
	ResultTime     int64
	ArrivalTime    int64
	Result         float64 // NaN when Text is set
	Text           string
	Quality        sensor.Quality
	Fresh          bool // not older than twice the expected interval
	Mapped         bool // it stands for its Thing and property on the map
}

// ThingSummary is a Thing as the live state knows it.
type ThingSummary struct {
	ID      sensor.ThingID // "" until the registry knows it
	Key     sensor.ThingKey
	Class   sensor.OwnerClass
	Stratum sensor.Stratum
	Placed  bool
	Place   geo.LonLat
	Cell    geo.Cell // resolution 12, 0 when not placed
	Latest  Latest   // the newest, of the property asked for if one was; Datastream is 0 when there is none
}

// Latest gives a Datastream's newest value.
func (s *State) Latest(id sensor.DatastreamID) (Latest, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	si, ok := s.streamOf[id]
	if !ok || s.streams[si].phenomenon == never {
		return Latest{}, false
	}
	return s.latest(si), true
}

func (s *State) latest(si uint32) Latest {
	st := &s.streams[si]
	return Latest{Datastream: s.links[si].id, Property: st.property, Statistic: st.statistic,
		PhenomenonTime: st.phenomenon, ResultTime: st.resultTime, ArrivalTime: st.arrival,
		Result: st.result, Text: s.texts[si], Quality: st.quality, Fresh: st.has(fresh), Mapped: st.leaf != nothing}
}

// LatestOf gives the newest values of all Datastreams of a Thing, the last declared first.
func (s *State) LatestOf(k sensor.ThingKey) []Latest {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ti, ok := s.thingOf[k]
	if !ok {
		return nil
	}
	var out []Latest
	for si := s.things[ti].first; si != nothing; si = s.links[si].next {
		if s.streams[si].phenomenon != never {
			out = append(out, s.latest(si))
		}
	}
	return out
}

// Thing tells where a Thing stands and the newest it said, of property p unless that is 0.
func (s *State) Thing(k sensor.ThingKey, p sensor.PropertyNumber) (ThingSummary, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ti, ok := s.thingOf[k]
	if !ok {
		return ThingSummary{}, false
	}
	return s.summaryOf(ti, p), true
}

func (s *State) summaryOf(ti uint32, p sensor.PropertyNumber) ThingSummary {
	th := &s.things[ti]
	t := ThingSummary{ID: s.names[ti].id, Key: s.names[ti].key, Class: th.class, Stratum: th.stratum, Cell: th.cell, Placed: th.cell != 0}
	if t.Placed {
		t.Place = geo.FromE7(th.lon, th.lat)
	}
	best := nothing
	for si := th.first; si != nothing; si = s.links[si].next {
		st := &s.streams[si]
		if st.phenomenon == never || p != 0 && st.property != p {
			continue
		}
		if best == nothing || s.tells(si, best) {
			best = si
		}
	}
	if best != nothing {
		t.Latest = s.latest(best)
	}
	return t
}

// tells says whether stream a stands for its Thing rather than b: what is on the map first, then what is newer.
func (s *State) tells(a, b uint32) bool {
	sa, sb := &s.streams[a], &s.streams[b]
	if onMap := sa.leaf != nothing; onMap != (sb.leaf != nothing) {
		return onMap
	}
	return sb.key().less(sa.key()) || sa.key() == sb.key() && s.links[a].id < s.links[b].id
}

// Things appends the Things that stand in a cell of any resolution from 0 to 12, at most limit of them; with p not
// 0 only those that have a value of that property on the map. more says that the limit cut some off.
func (s *State) Things(dst []ThingSummary, c geo.Cell, scope sensor.Scope, p sensor.PropertyNumber, limit int) (things []ThingSummary, more bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !c.Valid() {
		return dst, false
	}
	limit += len(dst)
	s.within(c, func(ti uint32) bool {
		th := &s.things[ti]
		if !scope.Has(th.stratum) || p != 0 && s.member(th, p) == nil {
			return true
		}
		if more = len(dst) >= limit; more {
			return false
		}
		dst = append(dst, s.summaryOf(ti, p))
		return true
	})
	return dst, more
}
