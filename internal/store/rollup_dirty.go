package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/sensor"
)

// ClaimRollup gives the version of a recompute that is about to begin. It is above every version that was given before,
// and durable. Two that ask at the same time may get the same one: each began before the other read anything, so
// whichever's row stands has seen all that both were to clear.
func (s *Store) ClaimRollup(ctx context.Context) (uint64, error) {
	n, err := s.rollupClock(ctx)
	if err != nil {
		return 0, err
	}
	n++
	return n, s.send(ctx, "rollup_clock", "name, version", func(batch driver.Batch) error { return batch.Append("rollup", n) })
}

// Waiting is a dirty span and since when.
type Waiting struct {
	DirtySpan
	Marked   uint64
	Computed bool // it was recomputed before, and something came later
	At       time.Time
}

// WaitingRollups lists what a recompute of this version may clear, newest window first, at most limit. A mark above the
// version was made for rows that the recompute may not see; 0 asks for all.
func (s *Store) WaitingRollups(ctx context.Context, version uint64, limit int) (list []Waiting, err error) {
	if version == 0 {
		version = 1<<64 - 1
	}
	err = s.each(ctx, `SELECT level, window, span, region, datastream, max(marked) AS m, max(done) AS d, max(at)
		FROM ~rollup_dirty GROUP BY level, window, span, region, datastream HAVING m > d AND m <= {version:UInt64}
		ORDER BY window DESC, level, span, region, datastream LIMIT {limit:UInt32}`, func(r driver.Rows) error {
		var w Waiting
		var level uint8
		var window time.Time
		var span uint32
		var id, done uint64
		if err := r.Scan(&level, &window, &span, &w.Region, &id, &w.Marked, &done, &w.At); err != nil {
			return err
		}
		w.Level, w.Window, w.Span, w.Datastream = RollupLevel(level), window.Unix(), int64(span), sensor.DatastreamID(id)
		w.Computed = done > 0
		list = append(list, w)
		return nil
	}, clickhouse.Named("version", version), clickhouse.Named("limit", uint32(limit)))
	return list, wrap("read dirty roll-ups", err)
}

// DoneRollups notes that a recompute of this version has stored what the spans hold.
func (s *Store) DoneRollups(ctx context.Context, version uint64, list []DirtySpan) error {
	return s.sendDirty(ctx, list, 0, version)
}

// SplitRollup marks the days of a span that is longer than a day, those that have rows. The span itself is then done.
func (s *Store) SplitRollup(ctx context.Context, d DirtySpan) error {
	clock, err := s.rollupClock(ctx)
	if err != nil {
		return err
	}
	if d.Level.Judges() { // silence has no rows
		return s.mark(ctx, judgedSpans(d.Window, d.End(), 62), clock)
	}
	where := between(d.Window, d.End())
	if d.Datastream == 0 && d.Region != AllRegions {
		where += inRegions([]uint64{d.Region})
	}
	var days []DirtySpan
	err = s.each(ctx, `SELECT DISTINCT toUInt32(toUnixTimestamp(toStartOfDay(phenomenon_time, 'UTC'))) FROM ~observations WHERE `+where+`
			AND ({id:UInt64} = 0 OR datastream = {id:UInt64})`, func(r driver.Rows) error {
		var day uint32
		if err := r.Scan(&day); err != nil {
			return err
		}
		one := d
		one.Window, one.Span = int64(day), 86400
		days = append(days, one)
		return nil
	}, clickhouse.Named("id", uint64(d.Datastream)))
	if err != nil {
		return wrap("split a month of roll-ups", err)
	}
	return s.mark(ctx, days, clock)
}

// RollupRegions tells in which regions Datastreams stood, rows that were corrected since included; no ids = all of them.
func (s *Store) RollupRegions(ctx context.Context, from, to int64, ids []sensor.DatastreamID) (regions []uint64, err error) {
	where := between(from, to)
	if len(ids) > 0 {
		list := make([]string, len(ids))
		for i, id := range ids {
			list[i] = strconv.FormatUint(uint64(id), 10)
		}
		where += " AND datastream IN (" + strings.Join(list, ", ") + ")"
	}
	err = s.each(ctx, "SELECT DISTINCT "+regionSQL("cell")+" AS region FROM ~observations WHERE "+where+" ORDER BY region",
		func(r driver.Rows) error {
			var region uint64
			if err := r.Scan(&region); err != nil {
				return err
			}
			regions = append(regions, region)
			return nil
		})
	return regions, wrap("read regions of Datastreams", err)
}
