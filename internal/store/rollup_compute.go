package store

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/situ-city/situ/pkg/sensor"
)

// Doubted are the quality bits whose numbers do not count in a roll-up. A result that is late, of a skewed clock or of an
// assumed unit, moving, untimed or estimated counts: it is the best that is known of its instant.
const Doubted = sensor.OutOfRange | sensor.RateOfChange | sensor.Stuck | sensor.SourceFault | sensor.SourceCalib | sensor.SourceOver |
	sensor.ChecksumWrong | sensor.LengthWrong

// RollupRange is what one recompute covers: whole windows of one level, all inside one UTC day.
type RollupRange struct {
	Level RollupLevel
	Parts []RollupPart
}

// RollupPart is a span of windows in some regions.
type RollupPart struct {
	From, To int64    // Unix s
	Regions  []uint64 // empty = all
}

// extent is the time from the first part's begin to the last one's end.
func (r RollupRange) extent() (from, to int64) {
	from, to = math.MaxInt64, 0
	for _, p := range r.Parts {
		from, to = min(from, p.From), max(to, p.To)
	}
	return from, to
}

// rollupSettings bound a recompute: one thread, and memory beyond which it spills or ends in an error that Exhausted knows.
var rollupSettings = clickhouse.Settings{
	"max_threads": 1, "max_insert_threads": 1, "max_memory_usage": rollupMemory, "max_bytes_before_external_group_by": rollupMemory / 2,
	"max_bytes_before_external_sort": rollupMemory / 2, "max_bytes_ratio_before_external_group_by": 0, "max_bytes_ratio_before_external_sort": 0,
	"async_insert": 0,
}

const rollupMemory = 384 << 20

// Exhausted reports whether a recompute wanted more memory than it may have: half of it may pass.
func Exhausted(err error) bool { return Code(err) == 241 }

// Recompute stores what the windows of a range hold, under a version that ClaimRollup gave before anything of it was read,
// and marks the next level's windows.
func (s *Store) Recompute(ctx context.Context, version uint64, r RollupRange) error {
	if r.Level.Judges() {
		return s.judge(ctx, r)
	}
	elements, err := s.elementsOf(ctx, r)
	if err != nil {
		return err
	}
	bounded := clickhouse.Context(ctx, clickhouse.WithSettings(rollupSettings))
	if err := s.exec(bounded, insertRollup(r.Level, version, elements)); err != nil {
		return wrap("recompute "+r.Level.String(), err)
	}
	if r.Level == Rollup1h {
		if err := s.recomputeDatastreams(bounded, r); err != nil {
			return err
		}
	}
	return s.markAbove(ctx, r)
}

// elementsOf is the query for what the range holds.
func (s *Store) elementsOf(ctx context.Context, r RollupRange) (string, error) {
	if r.Level != Rollup5m {
		return fromBelow(r), nil
	}
	if s.opt.Shared {
		if err := s.listRepeats(ctx, r); err != nil {
			return "", err
		}
	}
	from, to := r.extent()
	repeats, err := s.hasRepeats(ctx, from, to)
	return fromRaw(r.Level, rawRows(between(from, to), r.inRows(), repeats)), err
}

// markAbove marks what is computed from the range.
func (s *Store) markAbove(ctx context.Context, r RollupRange) error {
	if r.Level+1 == RollupLevels {
		return nil
	}
	clock, err := s.rollupClock(ctx)
	if err != nil {
		return err
	}
	above := map[DirtySpan]struct{}{}
	if r.Level == Rollup1h {
		for _, h := range r.windows() {
			above[judgedHour(h)] = struct{}{}
		}
	}
	step := int64((r.Level + 1).Window().Seconds())
	for _, p := range r.Parts {
		regions := p.Regions
		if len(regions) == 0 {
			regions = []uint64{AllRegions}
		}
		for w := p.From - p.From%step; w < p.To; w += step {
			for _, region := range regions {
				above[DirtySpan{Level: r.Level + 1, Window: w, Span: step, Region: region}] = struct{}{}
			}
		}
	}
	return s.mark(ctx, slices.Collect(maps.Keys(above)), clock)
}

func (s *Store) hasRepeats(ctx context.Context, from, to int64) (bool, error) {
	var n uint64
	err := s.conn.QueryRow(ctx, s.sql("SELECT count() FROM (SELECT 1 FROM ~repeats WHERE "+between(from, to)+" LIMIT 1)")).Scan(&n)
	return n > 0, wrap("look for repeats", err)
}

// between is a condition on phenomenon_time, of Unix seconds.
func between(from, to int64) string {
	return fmt.Sprintf("phenomenon_time >= fromUnixTimestamp64Milli(%d, 'UTC') AND phenomenon_time < fromUnixTimestamp64Milli(%d, 'UTC')", from*1000, to*1000)
}

// elements are the arrays of a roll-up row, in their order in the tuples that make them.
var elements = []string{"property", "cell", "datastream", "thing", "n", "flagged", "others", "sum", "min", "max", "newest"}

// insertRollup stores rows of a level. inner gives one row an element, with the columns window, region and elements.
func insertRollup(l RollupLevel, version uint64, inner string) string {
	arrays := make([]string, len(elements))
	for i := range elements {
		arrays[i] = fmt.Sprintf("arrayMap(x -> x.%d, e)", i+1)
	}
	names := strings.Join(elements, ", ")
	return fmt.Sprintf(`INSERT INTO ~%s (window, region, version, %s)
		SELECT window, region, %d, %s FROM (SELECT window, region, arraySort(groupArray((%s))) AS e FROM (%s) GROUP BY window, region)`,
		l.table(), names, version, strings.Join(arrays, ", "), names, inner)
}

// fromRaw gives the elements of 5-minute windows. Every row leaves its (cell, datastream) in its window, also one that
// another has taken the place of (kept = 0): so there is a row of the roll-up for every place where something was ever
// counted, and a recompute always replaces all of an older one.
func fromRaw(l RollupLevel, rows string) string {
	return fmt.Sprintf(`SELECT window, %s AS region, any(property_) AS property, cell, datastream, any(thing_) AS thing,
			toUInt32(countIf(good)) AS n, toUInt32(countIf(number AND NOT good)) AS flagged, toUInt32(countIf(kept AND NOT number)) AS others,
			sumIf(value, good) AS sum, minIf(value, good) AS min, maxIf(value, good) AS max, maxIf(at, good) AS newest
		FROM (SELECT toDateTime(toStartOfInterval(phenomenon_time, INTERVAL %d SECOND, 'UTC'), 'UTC') AS window, %s AS cell, datastream,
			property AS property_, thing AS thing_, phenomenon_time AS at, result AS value, kept,
			kept AND result_text = '' AND isFinite(value) AS number, number AND bitAnd(quality, %d) = 0 AS good FROM (%s) AS o)
		GROUP BY window, cell, datastream`, regionSQL("cell"), int64(l.Window().Seconds()), cellSQL("o.cell"), uint16(Doubted), rows)
}

// rawRows are the rows of observations in a range, with kept = 0 where another row of the same instant has taken its place. Which one
// stands is what history says; it may stand in another region.
func rawRows(times, parts string, repeats bool) string {
	const columns = "phenomenon_time, cell, datastream, property, thing, result, result_text, quality"
	if !repeats {
		return "SELECT " + columns + ", 1 AS kept FROM ~observations WHERE " + times + " AND " + parts
	}
	pairs := "(SELECT datastream, phenomenon_time FROM ~repeats WHERE " + times + ")"
	return "SELECT " + columns + ", 1 AS kept FROM ~observations WHERE " + times + " AND " + parts + " AND (datastream, phenomenon_time) NOT IN " + pairs +
		" UNION ALL SELECT " + columns + ", kept FROM (" + ranked(times+" AND (datastream, phenomenon_time) IN "+pairs) + ") WHERE " + parts
}

// ranked gives rows of observations, kept = 1 where it stands among those of its instant: of each message its newest revision
// speaks, and of the messages that say something the one of the greatest resultTime, then arrivalTime, as in history.
func ranked(where string) string {
	return `SELECT phenomenon_time, cell, datastream, property, thing, result, result_text, quality, speaks AND row_number() OVER (
			PARTITION BY datastream, phenomenon_time
			ORDER BY speaks DESC, result_lag DESC, arrival_time DESC, gateway DESC, epoch DESC, lane DESC, seq DESC, idx DESC) = 1 AS kept
		FROM (SELECT phenomenon_time, cell, datastream, property, thing, result, result_text, quality, result_lag, arrival_time,
				gateway, epoch, lane, seq, idx, retracted = 0 AND row_number() OVER (
					PARTITION BY datastream, phenomenon_time, gateway, epoch, lane, seq
					ORDER BY revision DESC, result_lag DESC, idx DESC) = 1 AS speaks
			FROM ~observations WHERE ` + where + `)`
}

// fromBelow gives the elements of a level by adding up the level below.
func fromBelow(r RollupRange) string {
	return fmt.Sprintf(`SELECT toStartOfInterval(w, INTERVAL %d SECOND, 'UTC') AS window, region, v_property AS property, v_cell AS cell,
		v_datastream AS datastream, %s FROM (%s) GROUP BY window, region, property, cell, datastream`,
		int64(r.Level.Window().Seconds()), sums, stored(r.Level-1, r.inWindows()))
}

// sums adds elements up.
const sums = `any(v_thing) AS thing, toUInt32(sum(v_n)) AS n, toUInt32(sum(v_flagged)) AS flagged, toUInt32(sum(v_others)) AS others,
	sum(v_sum) AS sum, minIf(v_min, v_n > 0) AS min, maxIf(v_max, v_n > 0) AS max, max(v_newest) AS newest`

// stored opens the arrays of a level's rows: w, region, and the elements with v_ before their names.
func stored(l RollupLevel, where string) string {
	return "SELECT window AS w, region, v_" + strings.Join(elements, ", v_") + " FROM (SELECT * FROM ~" + l.table() + " FINAL WHERE " + where +
		") ARRAY JOIN " + prefixed(elements...)
}

// prefixed renames columns: "n AS v_n, ..."
func prefixed(names ...string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n + " AS v_" + n
	}
	return strings.Join(out, ", ")
}

// inWindows is the range as a condition on a roll-up's window and region.
func (r RollupRange) inWindows() string {
	return r.condition(func(p RollupPart) string {
		where := fmt.Sprintf("window >= toDateTime(%d, 'UTC') AND window < toDateTime(%d, 'UTC')", p.From, p.To)
		if len(p.Regions) == 0 {
			return where
		}
		list := make([]string, len(p.Regions))
		for i, region := range p.Regions {
			list[i] = strconv.FormatUint(region, 10)
		}
		return where + " AND region IN (" + strings.Join(list, ", ") + ")"
	})
}

// inRows is the range as a condition on observations.
func (r RollupRange) inRows() string {
	return r.condition(func(p RollupPart) string { return between(p.From, p.To) + inRegions(p.Regions) })
}

func (r RollupRange) condition(of func(RollupPart) string) string {
	parts := make([]string, len(r.Parts))
	for i, p := range r.Parts {
		parts[i] = of(p)
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// recomputeDatastreams stores the hours of the Datastreams that are in the range: all of each, since one may have moved
// through several regions. Its version is given after the hours' rows are there, so that of two recomputes of one
// Datastream's hour the greater version has seen the rows of both.
func (s *Store) recomputeDatastreams(ctx context.Context, r RollupRange) error {
	version, err := s.ClaimRollup(ctx)
	if err != nil {
		return err
	}
	which := ""
	if !slices.ContainsFunc(r.Parts, func(p RollupPart) bool { return len(p.Regions) == 0 }) {
		which = " WHERE v_datastream IN (SELECT arrayJoin(datastream) FROM ~" + r.Level.table() + " FINAL WHERE " + r.inWindows() + ")"
	}
	everywhere := RollupRange{Level: r.Level}
	for _, p := range r.Parts {
		everywhere.Parts = append(everywhere.Parts, RollupPart{From: p.From, To: p.To})
	}
	query := fmt.Sprintf(`INSERT INTO ~rollup_datastream_1h (datastream, window, version, property, thing, n, flagged, others, sum, min, max, newest)
		SELECT v_datastream AS datastream_, w, %d, any(v_property), %s FROM (%s)%s GROUP BY datastream_, w`,
		version, sums, stored(r.Level, everywhere.inWindows()), which)
	return wrap("recompute datastream_1h", s.exec(ctx, query))
}
