package store

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/sensor"
)

// listRepeats finds the results of a range that are there more than once and that nobody has listed. An ingester knows
// what it stored itself; of two messages of one instant that went through two processes (by two gateways, or one of them
// late) neither knows. Where the other row stands is marked, since it counted there.
func (s *Store) listRepeats(ctx context.Context, r RollupRange) error {
	from, to := r.extent()
	times := between(from, to)
	var b Block
	elsewhere := map[DirtySpan]struct{}{}
	step := int64(Rollup5m.Window().Seconds())
	err := s.each(ctx, `SELECT datastream, toUnixTimestamp64Milli(phenomenon_time) FROM ~observations WHERE `+times+`
			AND datastream IN (SELECT datastream FROM ~observations WHERE `+r.inRows()+`)
			AND (datastream, phenomenon_time) NOT IN (SELECT datastream, phenomenon_time FROM ~repeats WHERE `+times+`)
			GROUP BY datastream, phenomenon_time HAVING count() > 1`, func(row driver.Rows) error {
		var id uint64
		var at int64
		if err := row.Scan(&id, &at); err != nil {
			return err
		}
		b.Repeats = append(b.Repeats, Pair{Datastream: sensor.DatastreamID(id), PhenomenonTime: at})
		window := at / 1000
		elsewhere[DirtySpan{Level: Rollup5m, Window: window - window%step, Span: step, Datastream: sensor.DatastreamID(id)}] = struct{}{}
		return nil
	})
	if err != nil || len(b.Repeats) == 0 {
		return wrap("look for unlisted repeats", err)
	}
	s.log.Info("repeats that went through different processes", "component", "store", "pairs", len(b.Repeats))
	clock, err := s.rollupClock(ctx)
	if err != nil {
		return err
	}
	spans := make([]DirtySpan, 0, len(elsewhere))
	for d := range elsewhere {
		spans = append(spans, d)
	}
	// The marks first: a pair that is listed is not found again.
	if err := s.mark(ctx, spans, clock); err != nil {
		return err
	}
	return s.InsertRepeats(ctx, &b)
}
