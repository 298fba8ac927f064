package store

import (
	"fmt"
	"strings"
)

// neighbours judges the means of an hour against those of the other Things in the ring: a cell and its six around. What
// is far off the ring's median is marked, unless so many are that it is the edge of an event. Things that stood in several
// cells, or away from their registered place, are left out, and so are results in doubt.
func (j judging) neighbours(lo, hi int) string {
	r := j.rules
	names := "['" + strings.Join(r.properties[lo:hi], "', '") + "']"
	figures := func(list []float64) string {
		text := make([]string, 0, hi-lo)
		for _, v := range list[lo:hi] {
			text = append(text, fmt.Sprintf("toFloat64(%g)", v))
		}
		return fmt.Sprintf("transform(toString(code), %s, [%s], toFloat64(0))", names, strings.Join(text, ", "))
	}
	rules := fmt.Sprintf("SELECT number, %s AS least, %s AS share FROM ~property_versions FINAL WHERE has(%s, toString(code))",
		figures(r.spreads), figures(r.shares), names)
	means := fmt.Sprintf(`SELECT w, v_property, v_thing, groupUniqArray(v_cell) AS cells, cells[1] AS cell, sum(v_sum) / sum(v_n) AS value, argMax(v_datastream, v_n) AS datastream
		FROM (%s) WHERE v_n > 0 AND v_cell != 0 AND v_property IN (SELECT number FROM rules) AND dictGet('~rollup_datastream_dict', 'mapped', v_datastream)
		GROUP BY w, v_property, v_thing HAVING length(cells) = 1`, j.hoursOf("property", "cell", "datastream", "thing", "n", "sum"))
	placed := fmt.Sprintf(`SELECT w, v_property AS property, v_thing AS thing, datastream, value, %s AS place
		FROM (%s) AS m LEFT JOIN (SELECT key, %s AS home FROM ~thing_versions FINAL WHERE cell != 0) AS t ON m.v_thing = t.key
		WHERE t.home = 0 OR has(h3kRing(m.cell, 1), t.home)`, parentSQL("m.cell", uint(r.resolution)), means, cellSQL("cell"))
	rings := fmt.Sprintf(`SELECT w, property, ring, groupArray(value) AS vs, length(vs) AS m, %s AS middle,
			greatest(1.4826 * %s, any(least), any(share) * abs(middle)) AS spread, arrayCount(v -> abs(v - middle) > %g * spread, vs) AS off
		FROM (SELECT p.w AS w, p.property AS property, p.value AS value, r.least AS least, r.share AS share, arrayJoin(h3kRing(p.place, 1)) AS ring
			FROM placed AS p INNER JOIN rules AS r ON p.property = r.number)
		GROUP BY w, property, ring HAVING m > %g AND off > 0 AND off <= greatest(1., %g * m)`,
		medianSQL("vs"), medianSQL("arrayMap(v -> abs(v - middle), vs)"), r.deviation, r.others, r.crowd)
	return j.insert(kindNeighbour, j.propertyGrid(names), fmt.Sprintf(`WITH rules AS (%s), placed AS (%s)
		SELECT p.w AS w, p.property AS shard, p.datastream AS datastream, toDateTime64(p.w, 3, 'UTC') AS at, toUInt8(%d) AS what, p.thing AS thing, p.property AS property,
			toUInt32(0) AS interval, toUInt32(0) AS expected, toUInt32(0) AS arrived, toUInt32(0) AS gap, toUInt32(k.m - 1) AS others,
			p.value AS value, k.middle AS reference, k.spread AS spread, toUInt32(0) AS again
		FROM placed AS p INNER JOIN (%s) AS k ON p.w = k.w AND p.property = k.property AND p.place = k.ring
		WHERE abs(p.value - k.middle) > %g * k.spread`, rules, placed, Neighbour, rings, r.deviation))
}

// propertyGrid gives a row for each (w, property) of the named.
func (j judging) propertyGrid(names string) string {
	return strings.Replace(j.grid("[0]"), "(SELECT toUInt16(arrayJoin([0])) AS shard)",
		"(SELECT number AS shard FROM ~property_versions FINAL WHERE has("+names+", toString(code)))", 1)
}

// medianSQL is the median of an array: of an even number the mean of the two in the middle.
func medianSQL(array string) string {
	return fmt.Sprintf("arrayAvg(arraySlice(arraySort(%[1]s), intDiv(length(vs) + 1, 2), 2 - length(vs) %% 2))", array)
}
