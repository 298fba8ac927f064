package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/sensor"
)

// taken is a run of one producer's messages of one hour of arrival, as a block of the log held them: what the tables
// must have for it. Runs are a pure function of the log and of the watermarks before the block, as its rows are.
type taken struct {
	sensor.Producer
	hour     int64 // Unix seconds
	from, to uint64
	skipped  bool // the log went past these without them and without a gap record
	rows     uint64
	rowSum   uint64 // of intHash64(seq * 65536 + idx)
	letters  uint64
	repeats  uint64 // of the whole block
	last     int64  // latest arrival, Unix ms
}

// aside is what a block holds of a producer beside its rows: a message without them, or a gap.
type aside struct {
	from, to    uint64
	at          int64
	letter, gap bool
}

// line walks through one producer's part of a block, in the order of seq.
type line struct {
	producer sensor.Producer
	next     uint64 // the seq that must come now; 0 = nobody knows
	asides   []aside
	run      taken
	open     bool // run holds something
	last     int64
}

// tally makes the runs of a block.
func tally(b *Block) []taken {
	lines, byProducer := b.lines()
	var out []taken
	r := b.Batch
	for i, seq := range r.Seq {
		l := byProducer[r.Producer[i]]
		out = l.drain(out, seq)
		out = l.message(out, seq, r.ArrivalTime[i])
		l.run.rows++
		l.run.rowSum += intHash64(seq<<16 | uint64(r.Idx[i]))
	}
	for _, l := range lines {
		out = l.drain(out, ^uint64(0))
		if w := b.Watermarks[l.producer]; b.Before != nil && w >= l.next && l.last != 0 {
			out = l.skip(out, w+1, l.last)
		}
		out = l.close(out)
	}
	if len(out) > 0 {
		out[len(out)-1].repeats = uint64(r.Duplicates)
	}
	return out
}

// lines gives a line for every producer that the block has something of, and the same by the index of its rows.
func (b *Block) lines() (all, byIndex []*line) {
	known := map[sensor.Producer]*line{}
	find := func(p sensor.Producer) *line {
		if l := known[p]; l != nil {
			return l
		}
		l := &line{producer: p}
		known[p] = l
		if b.Before != nil {
			l.next = b.Before[p] + 1
		}
		all = append(all, l)
		return l
	}
	r := b.Batch
	for _, p := range r.Producers {
		byIndex = append(byIndex, find(p))
	}
	add := func(p sensor.Producer, a aside) { l := find(p); l.asides = append(l.asides, a) }
	for i := range r.DeadLetters {
		d := &r.DeadLetters[i]
		add(d.Producer, aside{from: d.Seq, to: d.Seq, at: d.Arrival, letter: true})
	}
	for _, e := range r.Empties {
		add(e.Producer, aside{from: e.Seq, to: e.Seq, at: e.Arrival})
	}
	for _, g := range r.Gaps {
		add(g.Producer, aside{from: g.From, to: g.To, at: g.At, gap: true})
	}
	for _, l := range all {
		slices.SortStableFunc(l.asides, func(a, b aside) int { return cmp.Compare(a.from, b.from) })
	}
	return all, byIndex
}

// drain takes what stands aside before the row of seq.
func (l *line) drain(out []taken, seq uint64) []taken {
	for len(l.asides) > 0 && l.asides[0].from < seq {
		a := l.asides[0]
		l.asides = l.asides[1:]
		if a.gap {
			out = l.close(l.skip(out, a.from, a.at))
			l.next, l.last = max(l.next, a.to+1), max(l.last, a.at)
			continue
		}
		out = l.message(out, a.from, a.at)
		if a.letter {
			l.run.letters++
		}
	}
	return out
}

// message makes seq the last of the open run, or of a new one.
func (l *line) message(out []taken, seq uint64, at int64) []taken {
	hour := at - (at%hourMS+hourMS)%hourMS
	same := l.open && l.run.hour == hour/1000
	switch {
	case same && l.run.to == seq: // its next value
		return out
	case same && l.run.to+1 == seq:
		l.run.to = seq
	default:
		out = l.close(l.skip(out, seq, at))
		l.run, l.open = taken{Producer: l.producer, hour: hour / 1000, from: seq, to: seq}, true
	}
	l.run.last, l.last = max(l.run.last, at), max(l.last, at)
	l.next = max(l.next, seq+1)
	return out
}

// skip notes what should have come before seq; its hour is that of what came instead.
func (l *line) skip(out []taken, seq uint64, at int64) []taken {
	if l.next != 0 && seq > l.next {
		hour := at - (at%hourMS+hourMS)%hourMS
		out = append(out, taken{Producer: l.producer, hour: hour / 1000, from: l.next, to: seq - 1, skipped: true})
	}
	return out
}

func (l *line) close(out []taken) []taken {
	if l.open {
		out = append(out, l.run)
		l.open = false
	}
	return out
}

// hourMS is an hour of arrival.
const hourMS = 3600_000

// intHash64 is ClickHouse's function of that name.
func intHash64(x uint64) uint64 {
	x ^= 0x4CF2D2BAAE6DA887
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// insertTaken writes the block's runs, after everything that they promise is there. The key is the run, so that a
// repeated block changes nothing.
func (s *Store) insertTaken(ctx context.Context, b *Block) error {
	runs := tally(b)
	if len(runs) == 0 {
		return nil
	}
	return s.send(ctx, "taken", "hour, gateway, epoch, lane, seq_from, seq_to, skipped, rows, row_sum, letters, repeats, last_arrival",
		func(batch driver.Batch) error {
			for i := range runs {
				r := &runs[i]
				if err := batch.Append(time.Unix(r.hour, 0), r.Gateway, r.Epoch, uint8(r.Lane), r.from, r.to, flag(r.skipped),
					r.rows, r.rowSum, r.letters, r.repeats, time.UnixMilli(r.last)); err != nil {
					return err
				}
			}
			return nil
		})
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// insertEmpties writes the block's empty messages, one row an identity.
func (s *Store) insertEmpties(ctx context.Context, empties []sensor.LoggedEmpty) error {
	if len(empties) == 0 {
		return nil
	}
	return s.send(ctx, "empties", "gateway, epoch, lane, seq, arrival_time, reason, owner, thing", func(batch driver.Batch) error {
		for i := range empties {
			e := &empties[i]
			if err := batch.Append(e.Gateway, e.Epoch, uint8(e.Lane), e.Seq, time.UnixMilli(e.Arrival), string(e.Reason),
				e.Thing.Owner(), string(e.Thing)); err != nil {
				return err
			}
		}
		return nil
	})
}
