// Package livestate holds the situation in memory (step 7 of 8): the latest value of every Datastream, and on it
// one pyramid of H3 cells, resolution 5 to 9.
//
// In: batches of the bus, or of the store's `latest` at start, through Apply. Out: cells, points, Things and latest
// values for tiles, the live page and the API. A latest value is the greatest under (phenomenonTime, resultTime,
// arrivalTime, seq, idx), so applying a batch twice, or in any order, ends in the same state. The backfill lane
// is never live. A row is refused, and counted in situ_livestate_refused_total, when it is older than what is held,
// or in the backfill lane; a Datastream that the registry does not know yet is held off the map until it does
// (situ_livestate_unresolved_datastreams).
//
// On the map a Thing counts once for a property: of its Datastreams that hold a number of statistic Instant or
// Average, a fresh one before a stale one, then Instant before Average, then the newest, then the smallest id.
// A value is fresh while its age is at most twice the expected interval, to the second. Things without position are never on it.
//
// State is a pure core: no goroutine, no clock, no I/O. One mutex guards it all; Apply and Tick take it for a few
// hundred rows at a time, so that readers (who share it) wait for microseconds while a city reports. What a
// query returns is one moment's state; nothing it returns is shared with the State.
package livestate

import (
	"math"
	"sync"
	"time"

	"github.com/situ-city/situ/pkg/sensor"
)

// DefaultInterval stands in where a Datastream's owner declared no interval; its values are fresh for twice this.
const DefaultInterval = 10 * time.Minute

// The pyramid's resolutions. Coarser cells are folded from Coarsest when asked for, finer ones read from the Things.
const (
	Coarsest = 5
	Finest   = 9
	levels   = Finest - Coarsest + 1
)

const (
	chunkRows   = 256        // rows (or values grown stale, or cells freed) between two releases of the mutex
	keepEmpty   = 5 * 60_000 // ms an emptied cell is remembered, so that live clients hear of it
	resolveSome = 1024       // of them looked up again at a time
	nothing     = ^uint32(0) // no index
	never       = math.MinInt64
)

// Info is what the registry says of a Datastream and its Thing.
type Info struct {
	Thing     sensor.ThingID
	Property  sensor.PropertyNumber // 0: not in the catalogue, off the map
	Statistic sensor.Statistic
	Class     sensor.OwnerClass
	Grade     sensor.AccessGrade
	Interval  time.Duration // expected between results; 0 = not declared
	Retired   bool          // off the map
}

// Lookup is what livestate needs of the registry. Meta is called with the State locked: it must not call back.
type Lookup interface {
	Meta(sensor.DatastreamID) (Info, bool)
}

// catalogue is what livestate needs of the property catalogue.
type catalogue interface {
	ByNumber(sensor.PropertyNumber) (*sensor.ObservedProperty, bool)
}

// State is the situation. Make it with New.
type State struct {
	mu sync.RWMutex // guards everything below down to changeMu

	lookup    Lookup
	catalogue catalogue

	maxUnresolved int // Datastreams held that the registry does not know; more are refused

	now     int64  // Unix ms, never goes back
	version uint64 // of the last change; rises by one with every chunk that changes a cell
	floor   uint64 // changes up to here can no longer be told completely

	streams    []stream
	links      []link
	streamOf   map[sensor.DatastreamID]uint32
	texts      map[uint32]string // results that are words, by stream
	unresolved []uint32          // streams the registry did not know

	things   []thing
	names    []name
	thingOf  map[sensor.ThingKey]uint32
	ground   grid // where the placed Things stand
	nodes    []node
	spots    []spot
	freed    []uint32
	layers   []*layer         // by property number
	dirty    [levels][]uint32 // nodes to recompute from what is below them
	empties  []emptied        // oldest first
	wheel    wheel
	ahead    [chunkRows]uint32 // streams of the rows being applied
	sink     uint32            // see warm
	touched  bool              // a node has changed since the last version
	revised  bool              // the rows in hand are those of Revise
	counters counters
	rate     rate

	changeMu sync.Mutex    // guards changed
	changed  chan struct{} // closed at the next change; nil = nobody waits
}

// New makes an empty State. Versions begin at a number that rises with now, so that a client of an earlier process
// is told that its version is too old. lookup and catalogue are read at any time.
func New(lookup Lookup, catalogue catalogue, now time.Time) *State {
	first := uint64(max(now.UnixMilli(), 1)) * 1000 // below 2^53 until the year 2255: JavaScript counts exactly
	return &State{
		lookup: lookup, catalogue: catalogue, maxUnresolved: 1 << 18,
		now: now.UnixMilli(), version: first, floor: first,
		streamOf: make(map[sensor.DatastreamID]uint32),
		texts:    make(map[uint32]string),
		thingOf:  make(map[sensor.ThingKey]uint32),
		ground:   newGrid(groundZoom),
		wheel:    newWheel(now.UnixMilli()),
	}
}

// Apply takes the rows of b as they are at now. It keeps nothing of b but its texts.
func (s *State) Apply(b *sensor.Batch, now time.Time) { s.apply(b, now, false) }

// Revise is Apply for what a newer decoder made of messages: where such a message stands with the same instant, the new value
// takes the old one's place, whatever its idx and time of result.
func (s *State) Revise(b *sensor.Batch, now time.Time) { s.apply(b, now, true) }

func (s *State) apply(b *sensor.Batch, now time.Time, revised bool) {
	s.advance(now.UnixMilli())
	if len(b.Declarations) > 0 {
		s.locked(func() { s.resolve(resolveSome) })
	}
	for from := 0; from < b.Len(); from += chunkRows {
		s.locked(func() {
			s.revised = revised
			s.applyRows(b, from, min(from+chunkRows, b.Len()))
			s.revised = false
		})
	}
}

// Tick moves the clock: values grow stale, emptied cells are forgotten, unknown Datastreams looked up again.
// Once a second is right.
func (s *State) Tick(now time.Time) {
	s.advance(now.UnixMilli())
	for more := true; more; {
		s.locked(func() { more = s.forget(chunkRows) })
	}
	s.locked(func() {
		s.resolve(resolveSome)
		s.rate.sample(s.now, s.counters.rows)
	})
}

// Refresh looks up again all Datastreams of the Things named: their entry in the registry has changed.
func (s *State) Refresh(things ...sensor.ThingKey) {
	for _, key := range things {
		s.locked(func() {
			if ti, ok := s.thingOf[key]; ok {
				s.refresh(ti)
			}
		})
	}
}

// locked runs change with the mutex held and gives what it changed a version.
func (s *State) locked(change func()) {
	s.mu.Lock()
	change()
	s.recompute()
	moved := s.touched
	if moved {
		s.version++
		s.touched = false
	}
	s.mu.Unlock()
	if moved {
		s.announce()
	}
}

func (s *State) applyRows(b *sensor.Batch, from, to int) {
	s.warm(b.Datastream[from:to])
	for i := from; i < to; i++ {
		s.counters.rows++
		s.counters.arrival = max(s.counters.arrival, b.ArrivalTime[i])
		if b.Producers[b.Producer[i]].Lane == sensor.Backfill {
			s.counters.backfill++
			continue
		}
		si := s.ahead[i-from]
		if si == nothing {
			var ok bool
			if si, ok = s.stream(b.Datastream[i], b.Thing[i]); !ok {
				s.counters.unheld++
				continue
			}
		}
		s.applyRow(b, i, si)
	}
}

// warm finds the streams of the rows to come and reads what they will touch. One row alone waits for memory at
// every step, stream, Thing, leaf, leaf's parent; the same step of many rows waits once, because none depends on
// the other. What is read is thrown away, but for the streams found.
func (s *State) warm(ids []sensor.DatastreamID) {
	for i, id := range ids {
		si, ok := s.streamOf[id]
		if !ok {
			si = nothing
		}
		s.ahead[i] = si
	}
	var things, nodes [chunkRows]uint32
	for i, si := range s.ahead[:len(ids)] {
		if nodes[i] = nothing; si != nothing {
			things[i], nodes[i] = s.streams[si].thing, s.streams[si].leaf
		}
	}
	for i, si := range s.ahead[:len(ids)] {
		if si != nothing {
			s.sink += s.things[things[i]].first
		}
	}
	for range levels {
		for i, ni := range nodes[:len(ids)] {
			if ni != nothing {
				nodes[i] = s.nodes[ni].parent
			}
		}
	}
}

func (s *State) applyRow(b *sensor.Batch, i int, si uint32) {
	st := &s.streams[si]
	k := key{b.PhenomenonTime[i], b.ResultTime[i], b.ArrivalTime[i], b.Seq[i], b.Idx[i]}
	if b.Lon[i] != sensor.NoPosition {
		s.place(st.thing, b.Lon[i], b.Lat[i], b.Cell[i], k)
	}
	inPlace := s.revised && st.phenomenon == k.phenomenon && st.arrival == k.arrival && st.seq == k.seq
	if !inPlace && !st.key().less(k) {
		s.counters.older++
		return
	}
	old := st.contribution()
	st.setKey(k)
	st.result, st.quality = b.Result[i], b.Quality[i]
	if b.Text[i] != "" || st.has(hasText) {
		s.setText(si, b.Text[i])
	}
	s.refreshen(si)
	s.settle(si, old)
}

// advance moves the clock to now and lets what has become too old grow stale.
func (s *State) advance(now int64) {
	for more := true; more; {
		s.locked(func() {
			s.now = max(s.now, now)
			more = s.expire(chunkRows)
		})
	}
}

// announce wakes who waits on Changed.
func (s *State) announce() {
	s.changeMu.Lock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	s.changeMu.Unlock()
}

// Changed gives a channel that is closed at the next change of any cell.
func (s *State) Changed() <-chan struct{} {
	s.changeMu.Lock()
	defer s.changeMu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// Version is the version of the last change.
func (s *State) Version() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.version
}
