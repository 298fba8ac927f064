package sensor

import "github.com/situ-city/situ/pkg/geo"

// Batch is many messages of a log in columns, the form that bus, store and livestate share.
// All row columns have the same length. A Batch has one owner at a time and is reused by Reset.
type Batch struct {
	Producers []Producer // dictionary of the Producer column

	Producer       []uint16
	Seq            []uint64
	Idx            []uint16
	Datastream     []DatastreamID
	Thing          []ThingKey
	Property       []PropertyNumber
	Registry       []uint32
	PhenomenonTime []int64
	ResultTime     []int64
	ArrivalTime    []int64
	Result         []float64
	Text           []string
	Lon, Lat       []int32
	Cell           []geo.Cell
	Quality        []Quality

	// What is not a row.
	DeadLetters  []LoggedDeadLetter
	Declarations []Declaration
	Empties      []LoggedEmpty
	Gaps         []Gap
	GapShares    []LoggedGapShare
	Payloads     []LoggedPayload

	Removed    int // messages among those added that policy had removed from the middle of the log
	Messages   int // messages added
	Duplicates int // messages dropped because their seq had been seen

	// Watermarks holds, per producer, the highest seq ever added. Reset keeps it: it belongs to the reader's
	// position in the log, not to one batch. A message with a seq not above it is a repeat (DESIGN §5 rule 1).
	Watermarks Watermarks
}

// LoggedDeadLetter is a DeadLetter with its identity and arrival.
type LoggedDeadLetter struct {
	Identity
	Arrival int64
	DeadLetter
}

// LoggedEmpty counts a message that rightly has no row.
type LoggedEmpty struct {
	Identity
	Arrival int64
	Reason  Reason
	Thing   ThingID // "owner/-" where only a frame would say, "" = not known
}

// Gap says that messages From..To (both included) of a producer were removed by policy.
type Gap struct {
	Producer
	From, To uint64
	At       int64 // Unix ms UTC
	Reason   string
	Class    OwnerClass // whose they were, if only one class was removed
}

// GapShare is what one Thing lost to a policy in one hour.
type GapShare struct {
	Thing    ThingKey // 0: the messages named none (a dead letter, a heartbeat)
	Owner    string   // only where Thing is 0 and an owner is known
	Hour     int64    // begin of the hour of arrival, Unix ms UTC
	Messages uint64
}

// LoggedGapShare is a GapShare with the identity of the last message of those it counts.
type LoggedGapShare struct {
	Producer
	Seq    uint64
	At     int64 // when they were removed, Unix ms UTC
	Reason string
	Class  OwnerClass
	GapShare
}

// Len is the number of rows.
func (b *Batch) Len() int { return len(b.Seq) }

// Reset empties the rows and the rest, keeping memory and Watermarks.
func (b *Batch) Reset() {
	clear(b.Text)     // let go of the strings
	clear(b.Payloads) // and of these
	*b = Batch{
		Producers: b.Producers[:0], Producer: b.Producer[:0], Seq: b.Seq[:0], Idx: b.Idx[:0],
		Datastream: b.Datastream[:0], Thing: b.Thing[:0], Property: b.Property[:0], Registry: b.Registry[:0],
		PhenomenonTime: b.PhenomenonTime[:0], ResultTime: b.ResultTime[:0], ArrivalTime: b.ArrivalTime[:0],
		Result: b.Result[:0], Text: b.Text[:0], Lon: b.Lon[:0], Lat: b.Lat[:0], Cell: b.Cell[:0], Quality: b.Quality[:0],
		DeadLetters: b.DeadLetters[:0], Declarations: b.Declarations[:0], Empties: b.Empties[:0], Gaps: b.Gaps[:0], GapShares: b.GapShares[:0],
		Payloads:   b.Payloads[:0],
		Watermarks: b.Watermarks,
	}
}

// Add appends message seq of producer p, unless it is a repeat. It reports whether it was added.
func (b *Batch) Add(p Producer, seq uint64, m *Message) bool {
	if !b.See(p, seq, seq) {
		return false
	}
	pi := b.ProducerIndex(p)
	for i := range m.Observations {
		b.AppendRow(pi, seq, uint16(i), m.Arrival, &m.Observations[i])
	}
	n := len(m.Observations)
	for i := range m.DeadLetters {
		b.DeadLetters = append(b.DeadLetters, LoggedDeadLetter{Identity{p, seq, uint16(n + i)}, m.Arrival, m.DeadLetters[i]})
	}
	b.Declarations = append(b.Declarations, m.Declarations...)
	if m.Kept != nil {
		k := LoggedPayload{Producer: p, Seq: seq, Arrival: m.Arrival, KeptPayload: *m.Kept}
		if n > 0 {
			k.Thing = m.Observations[0].Thing
		}
		b.Payloads = append(b.Payloads, k)
	}
	if n == 0 && len(m.DeadLetters) == 0 {
		b.Empties = append(b.Empties, m.empty(p, seq))
	}
	return true
}

// empty counts m, which has no observations and no dead letters.
func (m *Message) empty(p Producer, seq uint64) LoggedEmpty {
	e := LoggedEmpty{Identity{p, seq, 0}, m.Arrival, m.Empty, m.Thing}
	if e.Reason == "" {
		e.Reason = ReasonDeclaration
	}
	for i := 0; e.Thing == "" && i < len(m.Declarations); i++ {
		if d := &m.Declarations[i]; d.Thing != nil {
			e.Thing = d.Thing.ID
		} else if d.Datastream != nil {
			e.Thing = d.Datastream.Thing
		}
	}
	return e
}

// Skip notes that policy removed one message, the one that g is from and to. Neighbours removed together become one Gap.
func (b *Batch) Skip(g Gap) {
	if !b.See(g.Producer, g.From, g.To) {
		return
	}
	b.Removed++
	if n := len(b.Gaps); n > 0 {
		last := b.Gaps[n-1]
		if last.To+1 == g.From && last == (Gap{g.Producer, last.From, last.To, g.At, g.Reason, g.Class}) {
			b.Gaps[n-1].To = g.To
			return
		}
	}
	b.Gaps = append(b.Gaps, g)
}

// See raises the producer's watermark to `to` and counts the messages from..to, unless they were all seen before.
// It is for readers that add rows by themselves (a Kafka message holds a whole range of messages).
func (b *Batch) See(p Producer, from, to uint64) bool { return b.SeeFrom(p, from, to) < to }

// SeeFrom is See for a range of which the beginning may have been seen: what stands at or below the seq it gives is a
// repeat.
func (b *Batch) SeeFrom(p Producer, from, to uint64) (seen uint64) {
	if b.Watermarks == nil {
		b.Watermarks = make(Watermarks)
	}
	seen = b.Watermarks.Raise(p, to)
	repeats := max(seen+1, from) - from
	b.Duplicates += int(repeats)
	b.Messages += int(to - from + 1 - repeats)
	return seen
}

// ProducerIndex finds or adds p in the dictionary; a batch has a handful of producers.
func (b *Batch) ProducerIndex(p Producer) uint16 {
	for i := len(b.Producers) - 1; i >= 0; i-- {
		if b.Producers[i] == p {
			return uint16(i)
		}
	}
	b.Producers = append(b.Producers, p)
	return uint16(len(b.Producers) - 1)
}

// AppendRow appends one row.
func (b *Batch) AppendRow(producer uint16, seq uint64, idx uint16, arrival int64, o *Observation) {
	b.Producer = append(b.Producer, producer)
	b.Seq = append(b.Seq, seq)
	b.Idx = append(b.Idx, idx)
	b.Datastream = append(b.Datastream, o.Datastream)
	b.Thing = append(b.Thing, o.Thing)
	b.Property = append(b.Property, o.Property)
	b.Registry = append(b.Registry, o.Registry)
	b.PhenomenonTime = append(b.PhenomenonTime, o.PhenomenonTime)
	b.ResultTime = append(b.ResultTime, o.ResultTime)
	b.ArrivalTime = append(b.ArrivalTime, arrival)
	b.Result = append(b.Result, o.Result)
	b.Text = append(b.Text, o.Text)
	b.Lon = append(b.Lon, o.Lon)
	b.Lat = append(b.Lat, o.Lat)
	b.Cell = append(b.Cell, o.Cell)
	b.Quality = append(b.Quality, o.Quality)
}

// Row gathers row i.
func (b *Batch) Row(i int) (Identity, int64, Observation) {
	return Identity{b.Producers[b.Producer[i]], b.Seq[i], b.Idx[i]}, b.ArrivalTime[i], Observation{
		Datastream: b.Datastream[i], Thing: b.Thing[i], Property: b.Property[i], Registry: b.Registry[i],
		PhenomenonTime: b.PhenomenonTime[i], ResultTime: b.ResultTime[i], Result: b.Result[i], Text: b.Text[i],
		Lon: b.Lon[i], Lat: b.Lat[i], Cell: b.Cell[i], Quality: b.Quality[i],
	}
}
