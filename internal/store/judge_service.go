package store

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// beginService notes since when what spoke in these hours is expected: from the hour after. Where that is earlier than was
// known (or nothing was), the hours between are to be judged anew: of promises all of them, silent ones too; of Things that
// promise nothing the rates of the days that have been judged.
func (s *Store) beginService(ctx context.Context, hours []int64) error {
	j := judging{span: hour, windows: hours}
	news := fmt.Sprintf(`SELECT h.id AS id, h.promise AS promise, h.first + %d AS begins, i.since AS old
		FROM (SELECT speaker.1 AS id, speaker.2 AS promise, min(w) AS first FROM (
				SELECT a.w AS w, arrayJoin(if(d.unit = 0, [(a.thing, 0)], [(a.thing, 1), (d.unit, 1)])) AS speaker
				FROM (%s) AS a LEFT JOIN (%s) AS d ON a.v_datastream = d.member)
			GROUP BY id, promise) AS h
		LEFT JOIN (%s) AS i ON h.id = i.id
		WHERE toUnixTimestamp(old) = 0 OR old > begins`, hour, j.arrivedSQL(0, judgeShards), declaredSQL, sinceSQL)
	list, err := s.stretches(ctx, news)
	if err != nil || len(list) == 0 {
		return wrap("look who began to speak", err)
	}
	again, err := s.betweenStretches(ctx, list, hours)
	if err != nil {
		return err
	}
	// Before as well as after: a crash between, and nobody would know that they have to be judged.
	if err := s.markNow(ctx, again); err != nil {
		return err
	}
	if err := s.exec(ctx, "INSERT INTO ~in_service (id, since) SELECT id, begins FROM ("+news+")"); err != nil {
		return wrap("note who began to speak", err)
	}
	return s.markNow(ctx, again)
}

// stretch is the time by which something has been in service for longer than was known; to = 0: nothing was known.
type stretch struct {
	promise  bool
	from, to int64
}

func (s *Store) stretches(ctx context.Context, news string) (list []stretch, err error) {
	err = s.each(ctx, "SELECT DISTINCT promise > 0, toInt64(toUnixTimestamp(begins)), toInt64(toUnixTimestamp(old)) FROM ("+news+")", func(r driver.Rows) error {
		var t stretch
		var promise uint8
		if err := r.Scan(&promise, &t.from, &t.to); err != nil {
			return err
		}
		t.promise = promise > 0
		list = append(list, t)
		return nil
	})
	return list, err
}

// betweenStretches lists what has to be judged anew because of stretches, but for the hours that are being judged.
func (s *Store) betweenStretches(ctx context.Context, list []stretch, hours []int64) (map[DirtySpan]struct{}, error) {
	newest, err := s.newestJudged(ctx, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	var ends [2]struct{ from, to int64 } // of Things, of promises
	for i := range ends {
		ends[i].from = math.MaxInt64
		for _, t := range list {
			if end := min(t.to, newest+hour); t.promise == (i == 1) {
				if t.to == 0 {
					end = newest + hour
				}
				if t.from < end {
					ends[i].from, ends[i].to = min(ends[i].from, t.from), max(ends[i].to, end)
				}
			}
		}
	}
	again := map[DirtySpan]struct{}{}
	for _, d := range judgedSpans(max(ends[1].from, newest-longest*day), ends[1].to, 62) {
		if _, here := slices.BinarySearch(hours, d.Window); !here || d.Span != hour {
			again[d] = struct{}{}
		}
	}
	if ends[0].from >= ends[0].to {
		return again, nil
	}
	err = s.each(ctx, fmt.Sprintf(`SELECT DISTINCT toInt64(toUnixTimestamp(window)) FROM ~judgement_windows WHERE span = %d AND kind = %d AND shard = 0
		AND window >= toDateTime(%d, 'UTC') AND window < toDateTime(%d, 'UTC')`, hour, kindMissing, ends[0].from, ends[0].to), func(r driver.Rows) error {
		var h int64
		if err := r.Scan(&h); err != nil {
			return err
		}
		again[DirtySpan{Level: Judge1d, Window: dayOf(h), Span: day, Region: AllRegions}] = struct{}{}
		return nil
	})
	return again, wrap("read judged hours", err)
}

// longest is how many days of silence are made up for after a standstill (or a clock that jumped ahead).
const longest = 400

// MarkHours marks the hours up to last, which are over, that nobody has judged: silence marks nothing by itself. What was
// declared meanwhile is expected from the second hour after last on, the first that it can fill.
func (s *Store) MarkHours(ctx context.Context, last int64) error {
	newest, err := s.newestJudged(ctx, last)
	if err != nil {
		return err
	}
	if newest == 0 {
		newest = last - hour
	}
	newest = max(newest, last-longest*day)
	err = s.exec(ctx, fmt.Sprintf(`INSERT INTO ~in_service (id, since)
		SELECT DISTINCT arrayJoin([unit, xxHash64(thing_id)]) AS id, toDateTime(%d, 'UTC') FROM (%s) WHERE id NOT IN (SELECT id FROM ~in_service)`,
		last+2*hour, declaredSQL))
	if err != nil {
		return wrap("note what was declared", err)
	}
	set := map[DirtySpan]struct{}{}
	for _, d := range judgedSpans(newest+hour, last+hour, 62) {
		set[d] = struct{}{}
	}
	return s.markNow(ctx, set)
}
