package store

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// RollupDifference is a value that a roll-up has otherwise than a recompute from observations.
type RollupDifference struct {
	Table      string // the view that shows it, without "cells_": 5m, 1h, 1d, datastream_1h
	Window     time.Time
	Cell       geo.Cell // of resolution 9; 0 in datastream_1h
	Datastream sensor.DatastreamID
	Has, Want  string // "" = no such row
}

func (d RollupDifference) String() string {
	return fmt.Sprintf("%s %s cell %s datastream %d: has {%s}, want {%s}", d.Table, d.Window.UTC().Format(time.RFC3339), d.Cell, d.Datastream, d.Has, d.Want)
}

// RollupCheck is what CheckRollups found.
type RollupCheck struct {
	Differences []RollupDifference // at most maxDifferences
	Alike       int                // values that are the same on both sides
	Waiting     int                // dirty spans; windows that they touch are not compared
}

const maxDifferences = 100

// CheckRollups compares every roll-up with a recompute from observations, a day at a time, by another way than the
// worker's: all levels straight from the rows, and repeats looked for among all of them. Windows that wait for their
// recompute are passed over. While blocks are being stored, one whose rows are there and whose marks are on their way may
// show up; a check of everything stops the ingester and lets the worker settle first.
func (s *Store) CheckRollups(ctx context.Context) (c RollupCheck, err error) {
	waiting, err := s.WaitingRollups(ctx, 0, math.MaxInt32)
	if err != nil {
		return c, err
	}
	waiting = slices.DeleteFunc(waiting, func(w Waiting) bool { return w.Level.Judges() })
	c.Waiting = len(waiting)
	days, err := s.rollupDays(ctx)
	if err != nil {
		return c, err
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(rollupSettings))
	for _, day := range days {
		for _, t := range checkedTables {
			r := RollupRange{Level: t.level, Parts: []RollupPart{{From: day, To: day + 86400}}}
			k := checker{RollupCheck: &c, table: t, waiting: overlapping(waiting, r)}
			err := s.each(ctx, t.query(r), k.scan)
			k.pair()
			if err != nil {
				return c, wrap("check roll-up "+t.name, err)
			}
			if len(c.Differences) == maxDifferences {
				return c, nil
			}
		}
	}
	return c, nil
}

// rollupDays lists the days of which there is anything.
func (s *Store) rollupDays(ctx context.Context) ([]int64, error) {
	days := map[int64]struct{}{}
	for _, from := range []string{"toUnixTimestamp64Milli(phenomenon_time) / 1000 AS t FROM ~observations", "toUnixTimestamp(window) AS t FROM ~rollup_5m",
		"toUnixTimestamp(window) AS t FROM ~rollup_1h", "toUnixTimestamp(window) AS t FROM ~rollup_1d", "toUnixTimestamp(window) AS t FROM ~rollup_datastream_1h"} {
		err := s.each(ctx, "SELECT DISTINCT toInt64(floor(t / 86400)) FROM (SELECT "+from+")", func(r driver.Rows) error {
			var day int64
			if err := r.Scan(&day); err != nil {
				return err
			}
			if inRollups(day * 86400_000) {
				days[day*86400] = struct{}{}
			}
			return nil
		})
		if err != nil {
			return nil, wrap("read days of roll-ups", err)
		}
	}
	return slices.Sorted(maps.Keys(days)), nil
}

// checkedTable is one table of a check; have gives its rows as stored does.
type checkedTable struct {
	name  string
	level RollupLevel
	have  func(where string) string
}

const datastreamHours = "datastream_1h"

var checkedTables = []checkedTable{
	{"5m", Rollup5m, func(where string) string { return stored(Rollup5m, where) }},
	{"1h", Rollup1h, func(where string) string { return stored(Rollup1h, where) }},
	{"1d", Rollup1d, func(where string) string { return stored(Rollup1d, where) }},
	{datastreamHours, Rollup1h, func(where string) string {
		return "SELECT window AS w, toUInt64(0) AS region, toUInt64(0) AS v_cell, " + prefixed(elements[0]) + ", " + prefixed(elements[2:]...) +
			" FROM ~rollup_datastream_1h FINAL WHERE " + where
	}},
}

// query gives both sides of a range, equal keys next to each other, what is wanted first.
func (t checkedTable) query(r RollupRange) string {
	want := "SELECT window AS w, region, " + prefixed(elements...) + " FROM (" + fromRaw(t.level, ranked(between(r.extent()))) + ")"
	if t.name == datastreamHours {
		want = "SELECT w, toUInt64(0) AS region, toUInt64(0) AS v_cell, any(v_property) AS property, v_datastream, " + sums + " FROM (" + want + ") GROUP BY w, v_datastream"
		want = "SELECT w, region, v_cell, property AS v_property, v_datastream, " + prefixed(elements[3:]...) + " FROM (" + want + ")"
	}
	both := "w, region, v_" + strings.Join(elements, ", v_")
	return "SELECT toInt64(toUnixTimestamp(w)) AS at, region, v_cell, v_datastream, side, v_property, v_thing, v_n, v_flagged, v_others, v_sum, v_min, v_max, " +
		"toUnixTimestamp64Milli(v_newest) FROM (SELECT toUInt8(0) AS side, " + both + " FROM (" + want + ") UNION ALL SELECT toUInt8(1) AS side, " + both +
		" FROM (" + t.have(r.inWindows()) + ")) ORDER BY at, region, v_cell, v_datastream, side"
}

// overlapping are the parts of a range that wait, at its level or below.
func overlapping(waiting []Waiting, r RollupRange) (list []DirtySpan) {
	from, to := r.extent()
	for _, w := range waiting {
		if w.Level <= r.Level && w.Window < to && w.End() > from {
			list = append(list, w.DirtySpan)
		}
	}
	return list
}

// checker takes the rows of a query and compares what is next to each other.
type checker struct {
	*RollupCheck
	table   checkedTable
	waiting []DirtySpan

	row [2]rollupRow // what is wanted, what is there
	has [2]bool
}

type rollupRow struct {
	rollupKey
	rollupValue
}

type rollupKey struct {
	at                       int64
	region, cell, datastream uint64
}

type rollupValue struct {
	property           uint16
	thing              uint64
	n, flagged, others uint32
	sum, min, max      float64
	newest             int64
}

func (v *rollupValue) String() string {
	return fmt.Sprintf("property %d, thing %d, n %d, flagged %d, others %d, sum %v, min %v, max %v, newest %d",
		v.property, v.thing, v.n, v.flagged, v.others, v.sum, v.min, v.max, v.newest)
}

// like compares; sums are added in any order, so that their last bits differ.
func (v *rollupValue) like(w *rollupValue) bool {
	apart := math.Abs(v.sum - w.sum)
	near := v.sum == w.sum || apart <= 1e-12*float64(v.n)*max(math.Abs(v.min), math.Abs(v.max))
	x, y := *v, *w
	x.sum, y.sum = 0, 0
	return near && x == y
}

func (k *checker) scan(r driver.Rows) error {
	var row rollupRow
	var side uint8
	if err := r.Scan(&row.at, &row.region, &row.cell, &row.datastream, &side, &row.property, &row.thing, &row.n, &row.flagged, &row.others,
		&row.sum, &row.min, &row.max, &row.newest); err != nil {
		return err
	}
	if k.has[side] || k.has[1-side] && k.row[1-side].rollupKey != row.rollupKey {
		k.pair()
	}
	k.row[side], k.has[side] = row, true
	return nil
}

// pair judges what has come of one key.
func (k *checker) pair() {
	have, want := k.has[1], k.has[0]
	k.has = [2]bool{}
	if !have && !want {
		return
	}
	of := &k.row[0]
	if !want {
		of = &k.row[1]
	}
	switch {
	case k.waits(of):
		return
	case have && want && k.row[0].like(&k.row[1].rollupValue):
		k.Alike++
		return
	case len(k.Differences) == maxDifferences:
		return
	}
	d := RollupDifference{Table: k.table.name, Window: time.Unix(of.at, 0).UTC(), Cell: geo.Cell(of.cell), Datastream: sensor.DatastreamID(of.datastream)}
	if have {
		d.Has = k.row[1].String()
	}
	if want {
		d.Want = k.row[0].String()
	}
	k.Differences = append(k.Differences, d)
}

func (k *checker) waits(row *rollupRow) bool {
	end := row.at + int64(k.table.level.Window().Seconds())
	return slices.ContainsFunc(k.waiting, func(d DirtySpan) bool { return d.Window < end && d.End() > row.at })
}
