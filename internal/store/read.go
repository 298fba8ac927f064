package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// chunk is how many rows Latest hands over at once.
const chunk = 8192

// Latest gives the newest observation of every Datastream that has one at or after since (Unix ms; 0 = ever), in
// chunks of a Batch that belongs to emit only until it returns. It is how livestate starts again: take the
// log's positions first, then Latest, then the log from those positions; whatever comes twice is the same observation.
func (s *Store) Latest(ctx context.Context, since int64, emit func(*sensor.Batch) error) error {
	var b sensor.Batch
	var gateway string
	var epoch uint32
	var lane uint8
	var seq, datastream, thing, cell uint64
	var idx, property, quality uint16
	var arrival, lag int64
	var o sensor.Observation
	into := []any{&datastream, &thing, &property, &o.PhenomenonTime, &lag, &arrival, &o.Result, &o.Text, &o.Lon, &o.Lat, &cell,
		&quality, &o.Registry, &gateway, &epoch, &lane, &seq, &idx}
	err := s.each(ctx, `SELECT datastream, thing, property, toUnixTimestamp64Milli(phenomenon_time), result_lag,
			toUnixTimestamp64Milli(arrival_time), result, result_text, lon, lat, cell, quality, registry, toString(gateway),
			epoch, lane, seq, idx
		FROM (`+speaking(`WHERE (datastream, phenomenon_time) IN (SELECT datastream, max(phenomenon_time) FROM ~observations
			WHERE phenomenon_time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
				AND (datastream, phenomenon_time) NOT IN (SELECT datastream, phenomenon_time FROM ~vanished) GROUP BY datastream)`)+`)
		ORDER BY datastream, result_lag DESC, arrival_time DESC, gateway DESC, epoch DESC, lane DESC, seq DESC, idx DESC
		LIMIT 1 BY datastream`,
		func(r driver.Rows) error {
			if err := r.Scan(into...); err != nil {
				return err
			}
			o.Datastream, o.Thing, o.Property = sensor.DatastreamID(datastream), sensor.ThingKey(thing), sensor.PropertyNumber(property)
			o.Cell, o.Quality, o.ResultTime = geo.Cell(cell), sensor.Quality(quality), o.PhenomenonTime+lag
			p := b.ProducerIndex(sensor.Producer{Gateway: gateway, Epoch: epoch, Lane: sensor.Lane(lane)})
			b.AppendRow(p, seq, idx, arrival, &o)
			if b.Len() < chunk {
				return nil
			}
			defer b.Reset()
			return emit(&b)
		}, clickhouse.Named("since", since))
	if err == nil && b.Len() > 0 {
		err = emit(&b)
	}
	return wrap("read latest observations", err)
}

// speaking are the rows of observations by which each message speaks of an instant: those of its newest revision, unless they
// are retracted.
func speaking(where string) string {
	return `SELECT * FROM (SELECT *, result FROM ~observations ` + where + `
		ORDER BY datastream, phenomenon_time, gateway, epoch, lane, seq, revision DESC, result_lag DESC, idx DESC
		LIMIT 1 BY datastream, phenomenon_time, gateway, epoch, lane, seq) WHERE retracted = 0`
}

// NewestTimes gives the greatest phenomenonTime of every Datastream that has rows. It reads two columns of all rows:
// about a second for a hundred million.
func (s *Store) NewestTimes(ctx context.Context, each func(sensor.DatastreamID, int64)) error {
	var d uint64
	var t int64
	into := []any{&d, &t}
	return wrap("read newest times", s.each(ctx, `SELECT datastream, toUnixTimestamp64Milli(max(phenomenon_time))
		FROM ~observations GROUP BY datastream`, func(r driver.Rows) error {
		if err := r.Scan(into...); err != nil {
			return err
		}
		each(sensor.DatastreamID(d), t)
		return nil
	}))
}

// Point is one observation of a known Datastream. Times are Unix ms UTC.
type Point struct {
	Time, ResultTime, Arrival int64
	Result                    float64 // NaN when Text is set
	Text                      string
	Quality                   sensor.Quality
}

// MaxPage bounds the limit of a page.
const MaxPage = 100_000

// Observations gives a Datastream's observations with from <= phenomenonTime < to, rising, one a phenomenonTime, at
// most limit. next is the cursor of the following page, empty when there is none.
func (s *Store) Observations(ctx context.Context, id sensor.DatastreamID, from, to int64, limit int, cursor string) (points []Point, next string, err error) {
	if limit <= 0 || limit > MaxPage {
		return nil, "", fmt.Errorf("limit %d: want 1 to %d", limit, MaxPage)
	}
	if cursor != "" {
		after, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil {
			return nil, "", fmt.Errorf("cursor %q: %w", cursor, ErrCursor)
		}
		from = max(from, after)
	}
	err = s.each(ctx, `SELECT toUnixTimestamp64Milli(phenomenon_time), result_lag, toUnixTimestamp64Milli(arrival_time), result, result_text, quality
		FROM (`+speaking(`WHERE datastream = {id:UInt64}
			AND phenomenon_time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND phenomenon_time < fromUnixTimestamp64Milli({to:Int64}, 'UTC')`)+`)
		ORDER BY phenomenon_time, result_lag DESC, arrival_time DESC, gateway DESC, epoch DESC, lane DESC, seq DESC, idx DESC
		LIMIT 1 BY phenomenon_time LIMIT {limit:UInt32}`, func(r driver.Rows) error {
		var p Point
		var lag int64
		var q uint16
		if err := r.Scan(&p.Time, &lag, &p.Arrival, &p.Result, &p.Text, &q); err != nil {
			return err
		}
		p.ResultTime, p.Quality = p.Time+lag, sensor.Quality(q)
		points = append(points, p)
		return nil
	}, clickhouse.Named("id", uint64(id)), clickhouse.Named("from", clampTime(from)), clickhouse.Named("to", clampTime(to)),
		clickhouse.Named("limit", uint32(limit+1)))
	if err != nil {
		return nil, "", wrap("read observations", err)
	}
	if len(points) > limit {
		next = strconv.FormatInt(points[limit].Time, 10)
		points = points[:limit]
	}
	return points, next, nil
}

// ErrCursor: the cursor is not one that this method gave.
var ErrCursor = fmt.Errorf("cursor cannot be read")

// clampTime keeps a bound inside what DateTime64(3) can hold.
func clampTime(ms int64) int64 {
	lowest, highest := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), time.Date(2299, 12, 31, 0, 0, 0, 0, time.UTC).UnixMilli()
	return min(max(ms, lowest), highest)
}
