package store

import (
	"fmt"
)

// declaredSQL gives what was declared with an interval and is not retired: unit, member, thing_id, code, ms. A unit is a
// promise: a declared Datastream, or a template (a property declared without the payload's name of it), whose members
// are the Datastreams that readings declared under it; whichever of them comes most often keeps the promise.
const declaredSQL = `SELECT if(d.auto AND t.template != 0, t.template, d.id) AS unit, d.id AS member, d.thing AS thing_id, d.code AS code, d.interval_ms AS ms
	FROM (SELECT id, thing, toString(property) AS code, auto, interval_ms FROM ~datastream_versions FINAL WHERE interval_ms > 0) AS d
	LEFT JOIN (SELECT id AS template, thing, toString(property) AS code FROM ~datastream_versions FINAL
		WHERE interval_ms > 0 AND source_key = '' AND statistic = 'instant' AND property != '') AS t ON d.thing = t.thing AND d.code = t.code
	WHERE d.thing NOT IN (SELECT id FROM ~thing_versions FINAL WHERE retired)`

const sinceSQL = "SELECT id, min(since) AS since FROM ~in_service GROUP BY id"

// unitsSQL gives the promises of some shards: unit, thing, code, ms, members, since.
func unitsSQL(lo, hi int) string {
	return `SELECT unit, thing, code, ms, members, i.since AS since
		FROM (SELECT unit, xxHash64(any(thing_id)) AS thing, any(code) AS code, min(ms) AS ms, groupArray(member) AS members
			FROM (` + declaredSQL + `) GROUP BY unit HAVING ` + inShards("thing", lo, hi) + `) AS u
		INNER JOIN (` + sinceSQL + `) AS i ON u.unit = i.id`
}

// arrivedSQL gives how many results of each Datastream are there in each window, doubted ones and words among them.
func (j judging) arrivedSQL(lo, hi int) string {
	return fmt.Sprintf("SELECT %s AS w, v_datastream, any(v_thing) AS thing, sum(v_n + v_flagged + v_others) AS n FROM (%s) WHERE %s GROUP BY w, v_datastream HAVING n > 0",
		j.windowOf("toUnixTimestamp(h)"), "SELECT w AS h, * EXCEPT w FROM ("+j.hoursOf("datastream", "thing", "n", "flagged", "others")+")", inShards("v_thing", lo, hi))
}

// missing judges which promises were not kept. Hours judge what comes at least every hour_interval, days what comes at
// least every day_interval; of a day all hours must have been judged, so that it is over.
func (j judging) missing(lo, hi int) string {
	shortest, longest := 0., j.rules.hourInterval
	windows := "SELECT w FROM (" + j.grid("[0]") + ")"
	if j.span == day {
		shortest, longest = longest, j.rules.dayInterval
		windows = fmt.Sprintf("SELECT %s AS w FROM (%s) GROUP BY w HAVING count() = 24", j.windowOf("toUnixTimestamp(h)"), j.judgedHoursSQL())
	}
	// short: the promises that were not kept, with the member that came closest.
	short := fmt.Sprintf(`SELECT p.w AS w, p.unit AS unit, any(p.thing) AS thing, any(p.code) AS code, any(p.ms) AS ms, toUInt32(max(a.n)) AS arrived,
			argMax(p.member, (a.n, p.member != p.unit)) AS datastream, toUInt32(intDiv(%d, ms)) AS expected
		FROM (SELECT w, unit, thing, code, ms, arrayJoin(members) AS member FROM (%s) AS u CROSS JOIN (%s) AS ws
			WHERE since <= w AND ms > %g AND ms <= %g) AS p
		LEFT JOIN (%s) AS a ON p.w = a.w AND p.member = a.v_datastream
		GROUP BY w, unit HAVING arrived + greatest(1., %g * expected) < expected`,
		j.span*1000, unitsSQL(lo, hi), windows, shortest*1000, longest*1000, j.arrivedSQL(lo, hi), j.rules.tolerance)
	from, to := j.extent()
	// gaps: the longest time without a result, the window's own begin and end counted as results.
	gaps := fmt.Sprintf(`SELECT %s AS w, datastream, arraySort(groupUniqArray(toUnixTimestamp64Milli(phenomenon_time))) AS times,
			toInt64(toUnixTimestamp(w)) * 1000 AS begin,
			toUInt32(intDiv(arrayMax(arrayMap((a, b) -> b - a, arrayPushFront(times, begin), arrayPushBack(times, begin + %d))), 1000)) AS gap
		FROM ~observations WHERE %s AND retracted = 0 AND datastream IN (SELECT datastream FROM short WHERE arrived > 0) GROUP BY w, datastream`,
		j.windowOf("toUnixTimestamp(phenomenon_time)"), j.span*1000, between(from, to))
	return j.insert(kindMissing, j.grid(shardList(lo, hi)), fmt.Sprintf(`WITH short AS (%s)
		SELECT s.w AS w, %s AS shard, s.datastream AS datastream, toDateTime64(s.w, 3, 'UTC') AS at, toUInt8(%d) AS what, s.thing AS thing,
			toUInt16(p.number) AS property, toUInt32(intDiv(s.ms, 1000)) AS interval, s.expected AS expected, s.arrived AS arrived,
			if(s.arrived = 0, toUInt32(%d), g.gap) AS gap, toUInt32(0) AS others, 0. AS value, 0. AS reference, 0. AS spread, toUInt32(0) AS again
		FROM short AS s LEFT JOIN (%s) AS g ON s.w = g.w AND s.datastream = g.datastream
		LEFT JOIN (SELECT number, toString(code) AS code FROM ~property_versions FINAL) AS p ON s.code = p.code`,
		short, shardSQL("s.thing"), Missing, j.span, gaps))
}

// judgedHoursSQL gives the hours h of the windows that were judged.
func (j judging) judgedHoursSQL() string {
	return fmt.Sprintf("SELECT DISTINCT window AS h FROM ~judgement_windows WHERE span = %d AND kind = %d AND shard = 0 AND %s", hour, kindMissing, j.within("window"))
}

// rates counts, for each Thing and day, the hours in service that have been judged and in which it was heard, and what
// was expected and arrived in them. Of each promise no more counts than was expected: too many of one make up for none
// of another. What comes less often than daily is weighed by the month alone.
func (j judging) rates(lo, hi int) string {
	judged := fmt.Sprintf("SELECT %s AS w, groupArray(h) AS hs FROM (%s) GROUP BY w", j.windowOf("toUnixTimestamp(h)"), j.judgedHoursSQL())
	arrived := fmt.Sprintf("SELECT w AS h, v_datastream, any(v_thing) AS thing, sum(v_n + v_flagged + v_others) AS n FROM (%s) WHERE %s GROUP BY h, v_datastream HAVING n > 0",
		j.hoursOf("datastream", "thing", "n", "flagged", "others"), inShards("v_thing", lo, hi))
	// heard: the hours with anything of a Thing; had: those of a Datastream, with how much.
	heard := fmt.Sprintf("SELECT %s AS w, thing, groupUniqArray(h) AS hs FROM (%s) GROUP BY w, thing", j.windowOf("toUnixTimestamp(h)"), arrived)
	had := fmt.Sprintf("SELECT %s AS w, v_datastream, groupArray((h, n)) AS hs FROM (%s) GROUP BY w, v_datastream", j.windowOf("toUnixTimestamp(h)"), arrived)
	promised := fmt.Sprintf(`SELECT p.w AS w, p.unit AS unit, any(p.thing) AS thing, any(p.hours) * %d / any(p.ms) AS most,
			max(arraySum(x -> if(x.1 >= p.since AND has(p.judged, x.1), x.2, 0), a.hs)) AS got
		FROM (SELECT w, unit, thing, ms, since, hs AS judged, arrayCount(h -> h >= since, hs) AS hours, arrayJoin(members) AS member
			FROM (%s) AS u CROSS JOIN (%s) AS d WHERE hours > 0) AS p
		LEFT JOIN (%s) AS a ON p.w = a.w AND p.member = a.v_datastream GROUP BY w, unit`, hour*1000, unitsSQL(lo, hi), judged, had)
	sums := fmt.Sprintf("SELECT w, thing, sum(most) AS expected, sum(if(most < 1, toFloat64(got), least(toFloat64(got), most))) AS arrived FROM (%s) GROUP BY w, thing", promised)
	things := fmt.Sprintf(`SELECT w, k.key AS thing, hs AS judged, i.since AS since, toUInt8(arrayCount(h -> h >= since, hs)) AS hours
		FROM (SELECT key FROM ~thing_versions FINAL WHERE NOT retired AND %s) AS k INNER JOIN (%s) AS i ON k.key = i.id CROSS JOIN (%s) AS d WHERE hours > 0`,
		inShards("key", lo, hi), sinceSQL, judged)
	rows := fmt.Sprintf(`SELECT t.w AS w, %s AS shard, t.thing AS thing, t.hours AS hours,
			toUInt8(arrayCount(h -> h >= t.since AND has(t.judged, h), o.hs)) AS heard, toFloat64(s.expected) AS expected, toFloat64(s.arrived) AS arrived
		FROM (%s) AS t LEFT JOIN (%s) AS o ON t.w = o.w AND t.thing = o.thing LEFT JOIN (%s) AS s ON t.w = s.w AND t.thing = s.thing`,
		shardSQL("t.thing"), things, heard, sums)
	return fmt.Sprintf(`INSERT INTO ~thing_day_rates (day, shard, version, thing, hours, heard, expected, arrived)
		SELECT toDate(w + %d), shard, %d, arrayMap(x -> x.1, e), arrayMap(x -> x.2, e), arrayMap(x -> x.3, e), arrayMap(x -> x.4, e), arrayMap(x -> x.5, e)
		FROM (%s) AS g LEFT JOIN (SELECT w, shard, arraySort(groupArray((thing, hours, heard, expected, arrived))) AS e FROM (%s) GROUP BY w, shard) AS f USING (w, shard)`,
		beijing, j.version, j.grid(shardList(lo, hi)), rows)
}
