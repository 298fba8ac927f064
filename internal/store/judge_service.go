package store

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// beginService notes since when what spoke in these hours is expected: from the hour after. Where that is earlier than was
// known (or nothing was), the hours between are to be judged anew.
func (s *Store) beginService(ctx context.Context, hours []int64) error {
	j := judging{span: hour, windows: hours}
	news := fmt.Sprintf(`SELECT h.id AS id, h.first + %d AS begins, i.since AS old
		FROM (SELECT id, min(w) AS first FROM (
				SELECT a.w AS w, arrayJoin(if(d.unit = 0, [a.thing], [a.thing, d.unit])) AS id
				FROM (%s) AS a LEFT JOIN (%s) AS d ON a.v_datastream = d.member)
			GROUP BY id) AS h
		LEFT JOIN (%s) AS i ON h.id = i.id
		WHERE toUnixTimestamp(old) = 0 OR old > begins`, hour, j.arrivedSQL(0, judgeShards), declaredSQL, sinceSQL)
	type stretch struct{ since, old int64 }
	var list []stretch
	err := s.eachPair(ctx, "SELECT DISTINCT toInt64(toUnixTimestamp(begins)), toInt64(toUnixTimestamp(old)) FROM ("+news+")", func(since, old int64) {
		list = append(list, stretch{since, old})
	})
	if err != nil || len(list) == 0 {
		return wrap("look who began to speak", err)
	}
	newest, err := s.newestJudged(ctx, math.MaxUint32)
	if err != nil {
		return err
	}
	from, to := int64(math.MaxInt64), int64(0)
	for _, l := range list {
		if l.old == 0 {
			l.old = newest + hour
		}
		if end := min(l.old, newest+hour); l.since < end {
			from, to = min(from, l.since), max(to, end)
		}
	}
	again := map[DirtySpan]struct{}{}
	for _, d := range judgedSpans(from, max(from, to), 62) {
		if _, here := slices.BinarySearch(hours, d.Window); !here || d.Span != hour {
			again[d] = struct{}{}
		}
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
