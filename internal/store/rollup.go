package store

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// RollupLevel is one of the roll-ups. docs/formats/rollups.md tells how they are kept exact.
type RollupLevel uint8

// The levels. Each is computed from the one before, the first from observations.
const (
	Rollup5m RollupLevel = iota
	Rollup1h             // and datastream_1h
	Rollup1d
	RollupLevels = 3

	Judge1h RollupLevel = 3 // judgements of an hour, made from the roll-up of the hour (judge.go)
	Judge1d RollupLevel = 4 // and of a day
)

// Judges tells levels that judge from those that add up.
func (l RollupLevel) Judges() bool { return l >= RollupLevels }

// Window is how long one of the level's windows is.
func (l RollupLevel) Window() time.Duration {
	return [...]time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour, time.Hour, 24 * time.Hour}[l]
}

func (l RollupLevel) String() string { return [...]string{"5m", "1h", "1d", "judge_1h", "judge_1d"}[l] }

func (l RollupLevel) table() string { return "rollup_" + l.String() }

// A region is an H3 cell of RegionResolution; 0 is where nothing has a position.
const (
	RegionResolution        = 5
	AllRegions       uint64 = math.MaxUint64
)

// DirtySpan is a span of time in a region that has to be recomputed.
type DirtySpan struct {
	Level      RollupLevel
	Window     int64               // its begin, Unix s, UTC
	Span       int64               // its length in s; wholeMonth = to the end of the month
	Region     uint64              // or AllRegions
	Datastream sensor.DatastreamID // not 0: wherever this one stood in the span, Region says nothing
}

// wholeMonth as a span: months have no one length.
const wholeMonth = 0

// spans are what a block's marks are widened to until there are at most maxMarks of them.
var spans = [...]int64{300, 3600, 86400, wholeMonth}

const maxMarks = 1024

// End is the first second after the span.
func (d DirtySpan) End() int64 {
	if d.Span != wholeMonth {
		return d.Window + d.Span
	}
	return time.Unix(d.Window, 0).UTC().AddDate(0, 1, 0).Unix()
}

// widened is the next wider span around d; the widest of all is a month of all regions.
func (d DirtySpan) widened(level int) DirtySpan {
	switch {
	case level == len(spans):
		d.Region, d.Datastream = AllRegions, 0
	case spans[level] == wholeMonth:
		t := time.Unix(d.Window, 0).UTC()
		d.Window, d.Span = time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).Unix(), wholeMonth
	default:
		d.Window, d.Span = d.Window-d.Window%spans[level], spans[level]
	}
	return d
}

// regionOf gives the region of a cell of resolution 12, bit for bit as regionSQL does.
func regionOf(cell geo.Cell) uint64 {
	if cell == 0 {
		return 0
	}
	return uint64(cell)&^(0xf<<52)&^(1<<30-1) | RegionResolution<<52 | (1<<30 - 1)
}

// touched collects what a block touches.
type touched struct {
	width int // index in spans; len(spans) = all regions
	set   map[DirtySpan]struct{}
	last  [1 << 8]DirtySpan // what was added lately, by hash: rows come in the order of time, so nearly all are here
}

func (t *touched) add(second int64, region uint64, id sensor.DatastreamID) {
	d := DirtySpan{Window: second - second%spans[0], Span: spans[0], Region: region, Datastream: id}
	seen := &t.last[(uint64(d.Window/spans[0])*31+region>>30+uint64(id))*0x9e3779b97f4a7c15>>56]
	if *seen == d {
		return
	}
	*seen = d
	if t.width > 0 {
		d = t.wide(d)
	}
	t.set[d] = struct{}{}
	for len(t.set) > maxMarks && t.width < len(spans) {
		t.width++
		wider := make(map[DirtySpan]struct{})
		for d := range t.set {
			wider[d.widened(t.width)] = struct{}{}
		}
		t.set = wider
	}
}

func (t *touched) wide(d DirtySpan) DirtySpan {
	for level := 1; level <= t.width; level++ {
		d = d.widened(level)
	}
	return d
}

// touches lists what has to be recomputed because of a block: the windows of its rows, and those where rows may stand
// that its repeats have taken the place of.
func (s *Store) touches(b *Block) map[DirtySpan]struct{} {
	s.inserting.Lock() // cellAt remembers
	defer s.inserting.Unlock()
	t := touched{set: make(map[DirtySpan]struct{})}
	for i, ms := range b.Batch.PhenomenonTime {
		if inRollups(ms) {
			t.add(ms/1000, regionOf(s.rows.cellAt(b.Batch, i)), 0)
		}
	}
	for _, p := range b.Repeats {
		if inRollups(p.PhenomenonTime) {
			t.add(p.PhenomenonTime/1000, 0, p.Datastream)
		}
	}
	return t.set
}

// inRollups: windows are DateTime, which ends in 2106; the gateway quarantines what is before 2000.
func inRollups(ms int64) bool { return ms >= 0 && ms < math.MaxUint32*1000 }

// marks remembers what this process has marked under the present number of the roll-up clock: again would change nothing.
type marks struct {
	mu    sync.Mutex // guards what follows
	clock uint64
	done  map[DirtySpan]struct{}
}

// insertDirty marks what a block touches. It comes after InsertRows: a recompute whose version is above the clock's number
// read here began after that number was read, so it sees the rows. It is of no harm twice.
func (s *Store) insertDirty(ctx context.Context, b *Block) error {
	if b.Batch.Len() == 0 {
		return nil
	}
	clock, err := s.rollupClock(ctx)
	if err != nil {
		return err
	}
	var list []DirtySpan
	for d := range s.touches(b) {
		if !s.marks.has(clock, d) {
			list = append(list, d)
		}
	}
	if err := s.mark(ctx, list, clock); err != nil {
		return err
	}
	s.marks.add(clock, list)
	return nil
}

func (m *marks) has(clock uint64, d DirtySpan) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.done[d]
	return ok && m.clock == clock
}

func (m *marks) add(clock uint64, list []DirtySpan) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case clock < m.clock:
		return
	case m.done == nil || clock > m.clock || len(m.done) > 64*maxMarks:
		m.clock, m.done = clock, make(map[DirtySpan]struct{})
	}
	for _, d := range list {
		m.done[d] = struct{}{}
	}
}

// rollupClock is the number of the newest recompute that has begun; 0 before the first.
func (s *Store) rollupClock(ctx context.Context) (n uint64, err error) {
	err = s.conn.QueryRow(ctx, s.sql("SELECT max(version) FROM ~rollup_clock")).Scan(&n)
	return n, wrap("read roll-up clock", err)
}

// mark lists spans as dirty, for any recompute above clock to clear.
func (s *Store) mark(ctx context.Context, list []DirtySpan, clock uint64) error {
	return s.sendDirty(ctx, list, clock+1, 0)
}

func (s *Store) sendDirty(ctx context.Context, list []DirtySpan, marked, done uint64) error {
	if len(list) == 0 {
		return nil
	}
	now := failpoint.Now().UTC()
	return s.send(ctx, "rollup_dirty", "level, window, span, region, datastream, marked, done, at", func(batch driver.Batch) error {
		for _, d := range list {
			if err := batch.Append(uint8(d.Level), time.Unix(d.Window, 0).UTC(), uint32(d.Span), d.Region, uint64(d.Datastream),
				marked, done, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// regionSQL and cellSQL are the region and the cell of resolution 9 of a cell of resolution 12 (or 9), by bits.
func regionSQL(cell string) string { return parentSQL(cell, RegionResolution) }
func cellSQL(cell string) string   { return parentSQL(cell, 9) }

func parentSQL(cell string, res uint) string {
	below := uint64(1)<<(3*(15-res)) - 1
	return fmt.Sprintf("if(%[1]s = 0, 0, bitOr(bitAnd(%[1]s, %[2]d), %[3]d))", cell, ^(uint64(0xf)<<52 | below), uint64(res)<<52|below)
}

// inRegions is a condition on observations.cell that the table's order can use; empty list = all regions.
func inRegions(list []uint64) string {
	if len(list) == 0 {
		return ""
	}
	parts := make([]string, len(list))
	for i, r := range list {
		if r == 0 {
			parts[i] = "cell = 0"
			continue
		}
		lo, hi := geo.Cell(r).Range(12)
		parts[i] = fmt.Sprintf("cell BETWEEN %d AND %d", lo, hi)
	}
	return " AND (" + strings.Join(parts, " OR ") + ")"
}
