package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Judgements are made from the roll-up of the hour: whatever changes it marks the hour as to be judged anew, so that a
// correction, a late row, one that was decoded again ends in the same judgements as if it had always been there. Silence
// marks nothing: MarkHours walks by the clock. A row of judgement_windows holds all judgements of its window, kind and
// shard and is replaced whole, under the rules of docs/formats/rollups.md; the new one of a window without any is empty.

// Kinds of judgement_windows.
const (
	kindMissing = 1 + iota
	kindNeighbour
	kindRepeats
)

// Judgement is a set of flags: what was judged, and column `judgement` of history.
type Judgement uint8

// The judgements.
const (
	Missing       Judgement = 1 << iota // fewer results in the window than its interval promises
	Neighbour                           // far off the Things around it
	Contradiction                       // the instant came again with another result and the same resultTime
	Correction                          // the instant came again with a later resultTime
	Repeated                            // the instant came again, the same
)

const (
	judgeShards = 16
	beijing     = 8 * 3600 // what the months of the rates are counted in; its days begin at 16:00 UTC
	hour, day   = 3600, 86400
)

func judgedHour(h int64) DirtySpan {
	return DirtySpan{Level: Judge1h, Window: h, Span: hour, Region: AllRegions}
}

// dayOf is the begin of the day in Beijing that an hour is in.
func dayOf(h int64) int64 { return h - (h+beijing)%day }

// judgedSpans covers the hours of [from, to): whole days in one, and beyond so many days whole months.
func judgedSpans(from, to int64, days int64) (list []DirtySpan) {
	long := to-from > days*day
	for at := from; at < to; {
		d := judgedHour(at)
		if month := (DirtySpan{Window: at, Span: wholeMonth}); long && time.Unix(at, 0).UTC().Day() == 1 && at%day == 0 && month.End() <= to {
			d.Span = wholeMonth
		} else if at%day == 0 && at+day <= to {
			d.Span = day
		}
		list = append(list, d)
		at = d.End()
	}
	return list
}

// windows lists the begins of a range's windows.
func (r RollupRange) windows() (list []int64) {
	step := int64(r.Level.Window().Seconds())
	for _, p := range r.Parts {
		for w := p.From; w < p.To; w += step {
			list = append(list, w)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// judge makes the judgements of a range.
func (s *Store) judge(ctx context.Context, r RollupRange) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(rollupSettings))
	if r.Level == Judge1d {
		return s.judgeDays(ctx, r.windows())
	}
	hours := r.windows()
	if err := s.beginService(ctx, hours); err != nil {
		return err
	}
	// A version of its own, given after in_service has what these hours say: the greater of two has seen what both wrote.
	version, err := s.ClaimRollup(ctx)
	if err != nil {
		return err
	}
	j := judging{rules: &s.rules, span: hour, windows: hours, version: version, repeats: true}
	from, to := j.extent()
	if j.repeats, err = s.hasRepeats(ctx, from, to); err != nil {
		return err
	}
	if err := s.sharded(ctx, judgeShards, func(lo, hi int) string { return j.missing(lo, hi) }); err != nil {
		return wrap("judge what is missing", err)
	}
	if err := s.sharded(ctx, len(s.rules.properties), j.neighbours); err != nil {
		return wrap("judge by neighbours", err)
	}
	if err := s.sharded(ctx, judgeShards, j.again); err != nil {
		return wrap("judge repeats", err)
	}
	days := map[DirtySpan]struct{}{}
	for _, h := range hours {
		days[DirtySpan{Level: Judge1d, Window: dayOf(h), Span: day, Region: AllRegions}] = struct{}{}
	}
	return s.markNow(ctx, days)
}

func (s *Store) judgeDays(ctx context.Context, days []int64) error {
	version, err := s.ClaimRollup(ctx)
	if err != nil {
		return err
	}
	j := judging{rules: &s.rules, span: day, windows: days, version: version}
	if err := s.sharded(ctx, judgeShards, j.missing); err != nil {
		return wrap("judge what is missing of days", err)
	}
	return wrap("count a day's rates", s.sharded(ctx, judgeShards, j.rates))
}

// sharded runs a statement for all shards at once, and where that wants too much memory for one half after the other.
func (s *Store) sharded(ctx context.Context, shards int, statement func(lo, hi int) string) error {
	var run func(lo, hi int) error
	run = func(lo, hi int) error {
		err := s.exec(ctx, statement(lo, hi))
		if !Exhausted(err) || hi-lo < 2 {
			return err
		}
		if err := run(lo, (lo+hi)/2); err != nil {
			return err
		}
		return run((lo+hi)/2, hi)
	}
	return run(0, shards)
}

func (s *Store) markNow(ctx context.Context, set map[DirtySpan]struct{}) error {
	clock, err := s.rollupClock(ctx)
	if err != nil {
		return err
	}
	list := make([]DirtySpan, 0, len(set))
	for d := range set {
		list = append(list, d)
	}
	return s.mark(ctx, list, clock)
}

// judging writes the statements of one recompute.
type judging struct {
	rules   *judgeRules
	span    int64
	windows []int64
	version uint64
	repeats bool // there may be some
}

func (j judging) extent() (from, to int64) {
	return j.windows[0], j.windows[len(j.windows)-1] + j.span
}

// offset is where windows begin after midnight UTC.
func (j judging) offset() int64 {
	if j.span == day {
		return day - beijing
	}
	return 0
}

// windowOf is the window that an expression of Unix seconds falls into.
func (j judging) windowOf(seconds string) string {
	return fmt.Sprintf("toDateTime(intDiv(toInt64(%s) - %d, %d) * %[3]d + %[2]d, 'UTC')", seconds, j.offset(), j.span)
}

// within is a condition on a column that holds the begins of hours.
func (j judging) within(column string) string {
	parts := make([]string, len(j.windows))
	for i, w := range j.windows {
		parts[i] = fmt.Sprintf("%s >= toDateTime(%d, 'UTC') AND %[1]s < toDateTime(%[3]d, 'UTC')", column, w, w+j.span)
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// grid gives a row for each (w, shard).
func (j judging) grid(shards string) string {
	list := make([]string, len(j.windows))
	for i, w := range j.windows {
		list[i] = fmt.Sprintf("toDateTime(%d, 'UTC')", w)
	}
	return "SELECT w, shard FROM (SELECT arrayJoin([" + strings.Join(list, ", ") + "]) AS w) AS ws CROSS JOIN (SELECT toUInt16(arrayJoin(" + shards + ")) AS shard) AS ss"
}

// hoursOf opens the roll-up of the hours: w, and the columns with v_ before their names.
func (j judging) hoursOf(columns ...string) string {
	return "SELECT window AS w, v_" + strings.Join(columns, ", v_") + " FROM (SELECT window, " + strings.Join(columns, ", ") +
		" FROM ~rollup_1h FINAL WHERE " + j.within("window") + ") ARRAY JOIN " + prefixed(columns...)
}

// evidence are the arrays of a row, in their order in the tuples that make them.
var evidence = []string{"datastream", "at", "what", "thing", "property", "interval", "expected", "arrived", "gap", "others", "value", "reference", "spread", "again"}

// insert stores the rows of a kind: one for each (w, shard) of the grid, with what inner gives of it.
func (j judging) insert(kind int, grid, inner string) string {
	arrays := make([]string, len(evidence))
	for i := range evidence {
		arrays[i] = fmt.Sprintf("arrayMap(x -> x.%d, e)", i+1)
	}
	names := strings.Join(evidence, ", ")
	return fmt.Sprintf(`INSERT INTO ~judgement_windows (span, window, kind, shard, version, rules, %s)
		SELECT %d, w, %d, shard, %d, %d, %s FROM (%s) AS g
		LEFT JOIN (SELECT w, shard, arraySort(groupArray((%[1]s))) AS e FROM (%[8]s) GROUP BY w, shard) AS f USING (w, shard)`,
		names, j.span, kind, j.version, rulesVersion, strings.Join(arrays, ", "), grid, inner)
}

// shardSQL is the shard of a ThingKey; inShards a condition.
func shardSQL(thing string) string { return "toUInt16(bitShiftRight(" + thing + ", 60))" }

func inShards(thing string, lo, hi int) string {
	return fmt.Sprintf("%s >= %d AND %[1]s < %[3]d", shardSQL(thing), lo, hi)
}

func shardList(lo, hi int) string { return fmt.Sprintf("range(%d, %d)", lo, hi) }

// again judges instants that were sent more than once: the further rows are the same (a repeat), differ under the same
// resultTime (a contradiction), or are of an earlier resultTime (corrected). Repeats are counted by the window.
func (j judging) again(lo, hi int) string {
	if !j.repeats {
		return j.insert(kindRepeats, j.grid(shardList(lo, hi)), noEvidence)
	}
	from, to := j.extent()
	times := between(from, to)
	return j.insert(kindRepeats, j.grid(shardList(lo, hi)), fmt.Sprintf(`SELECT %s AS w, %s AS shard, datastream,
			if(kind = %d, toDateTime64(w, 3, 'UTC'), t) AS at, toUInt8(kind) AS what, any(thing_) AS thing, any(property_) AS property, toUInt32(0) AS interval,
			toUInt32(0) AS expected, toUInt32(0) AS arrived, toUInt32(0) AS gap, toUInt32(0) AS others,
			if(kind = %[3]d, 0., any(stands.1)) AS value, if(kind = %[3]d, 0., any(other.1)) AS reference, 0. AS spread, toUInt32(sum(more)) AS again
		FROM (SELECT datastream, phenomenon_time AS t, any(thing) AS thing_, any(property) AS property_,
				arraySort(x -> -x.3, groupArrayIf((result, result_text, result_lag), NOT kept)) AS rest,
				anyIf((result, result_text, result_lag), kept) AS stands, length(rest) AS more,
				arrayFirst(x -> x.3 = stands.3 AND NOT %s, rest) AS contrary, arrayExists(x -> x.3 = stands.3 AND NOT %[4]s, rest) AS differs,
				arrayExists(x -> x.3 < stands.3, rest) AS older,
				if(differs, contrary, rest[1]) AS other, multiIf(differs, %[5]d, older, %[6]d, %[3]d) AS kind
			FROM (%[7]s) WHERE %[8]s GROUP BY datastream, phenomenon_time HAVING more > 0)
		GROUP BY w, shard, datastream, at, kind`,
		j.windowOf("toUnixTimestamp(t)"), shardSQL("thing_"), Repeated, sameResult, Contradiction, Correction,
		rankedLag(times+" AND (datastream, phenomenon_time) IN (SELECT datastream, phenomenon_time FROM ~repeats WHERE "+times+")"),
		inShards("thing", lo, hi)))
}

const (
	sameResult = "(x.2 = stands.2 AND (x.1 = stands.1 OR isNaN(x.1) AND isNaN(stands.1)))"
	noEvidence = `SELECT toDateTime(0, 'UTC') AS w, toUInt16(0) AS shard, toUInt64(0) AS datastream, toDateTime64(0, 3, 'UTC') AS at, toUInt8(0) AS what,
		toUInt64(0) AS thing, toUInt16(0) AS property, toUInt32(0) AS interval, toUInt32(0) AS expected, toUInt32(0) AS arrived, toUInt32(0) AS gap,
		toUInt32(0) AS others, 0. AS value, 0. AS reference, 0. AS spread, toUInt32(0) AS again WHERE 0`
)

// rankedLag is ranked with result_lag, of the rows that speak for their message.
func rankedLag(where string) string {
	return "SELECT * FROM (" + strings.Replace(ranked(where), "SELECT ", "SELECT result_lag, speaks, ", 1) + ") WHERE speaks"
}

// newestJudged is the newest hour that was judged, none after last, 0 before the first. (A clock that was ahead for a while has
// judged hours that are to come.)
func (s *Store) newestJudged(ctx context.Context, last int64) (at int64, err error) {
	err = s.conn.QueryRow(ctx, s.sql(fmt.Sprintf("SELECT toInt64(toUnixTimestamp(max(window))) FROM ~judgement_windows WHERE span = %d AND window <= toDateTime(%d, 'UTC')",
		hour, last))).Scan(&at)
	return at, wrap("read newest judgement", err)
}
