// Package storetest is what every ClickHouse that situ stores into must do, embedded or not: one suite, run on the
// embedded engine always and on a server where SITU_CLICKHOUSE_DSN names one.
package storetest

import (
	"math"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// Backend gives an empty, not yet migrated database for one test.
type Backend func(t *testing.T) (conn driver.Conn, database string)

// Run runs the suite.
func Run(t *testing.T, backend Backend) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *fixture)
	}{
		{"MigrateTwiceAndAfterACrash", testMigrate},
		{"NewerTablesAreRefused", testNewerTables},
		{"EveryColumnIsExplained", testComments},
		{"EveryTableIsSynced", testSynced},
		{"ResultsComeBackBitForBit", testResults},
		{"EveryFieldOfARowComesBack", testRow},
		{"CellIsComputedFromPosition", testCell},
		{"SameTokenTwiceIsOnce", testToken},
		{"DoubtfulBlockIsComparedByIdentity", testDoubtful},
		{"RowsLostBehindTheirTokenComeBack", testLostRows},
		{"OneInsertAMonth", testMonths},
		{"GreatestResultTimeThenArrivalWins", testRepeats},
		{"HistoryJoinsTheRegistryAsItIsNow", testRegistry},
		{"LatestIsTheNewestOfEachDatastream", testLatest},
		{"ObservationsArePaged", testPages},
		{"DeadLettersArePaged", testDeadLetters},
		{"ReplayedRowsAreThereOnce", testReplayedRows},
		{"LettersKeepTheirNewestVersion", testLetterVersions},
		{"BlocksAndWatermarks", testBlocks},
		{"ErrorsSayWhetherToTryAgain", testErrors},
		{"BalanceFindsWhatIsBroken", testBalanceFinds},
		{"BalanceFindsWhatTheLogSkipped", testBalanceSkipped},
		{"BalanceWaitsForWhatIsOnItsWay", testBalanceOnItsWay},
		{"BalanceIsTheRecount", testBalanceDifferential},
		{"WhatPolicyRemovedIsTold", testRemoved},
		{"NewestRevisionOfAMessageSpeaks", testRevised},
		{"RevisionsAreTheModels", testRevisedModel},
		{"PayloadsComeBackAsTheyCame", testPayloads},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, database := backend(t)
			s, err := store.Open(t.Context(), store.Options{Conn: conn, Database: database, Cell: fakeCell})
			if err != nil {
				t.Fatal(err)
			}
			c.test(t, &fixture{Store: s, conn: conn, db: database})
		})
	}
}

// fixture is a store and a connection to look at its tables.
type fixture struct {
	*store.Store
	conn driver.Conn
	db   string
}

func (f *fixture) migrate(t *testing.T) {
	t.Helper()
	if err := f.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// number asks for one UInt64.
func (f *fixture) number(t *testing.T, query string, args ...any) (n uint64) {
	t.Helper()
	if err := f.conn.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// count counts a table's or a view's rows.
func (f *fixture) count(t *testing.T, table string) uint64 {
	t.Helper()
	return f.number(t, "SELECT count() FROM "+f.db+"."+table)
}

// fakeCell is a function of position that is easy to know again; it stands for H3 where H3 is not the matter.
func fakeCell(lon, lat int32) geo.Cell {
	return geo.Cell(uint64(uint32(lon))<<32 | uint64(uint32(lat)))
}

var producer = sensor.Producer{Gateway: "gw1", Epoch: 1, Lane: sensor.Live}

// noon is the time that rows are made around: the middle of a month.
var noon = time.Date(2026, 11, 15, 12, 0, 0, 0, time.UTC).UnixMilli()

func observation(d sensor.DatastreamID, at int64, result float64) sensor.Observation {
	return sensor.Observation{Datastream: d, Thing: sensor.ThingKey(d / 10), Property: 1, Registry: 3, PhenomenonTime: at,
		ResultTime: at, Result: result, Lon: sensor.NoPosition, Lat: sensor.NoPosition}
}

// batch makes a message of each slice of observations, seqs rising from first.
func batch(first uint64, messages ...[]sensor.Observation) *sensor.Batch {
	b := new(sensor.Batch)
	for i, o := range messages {
		b.Add(producer, first+uint64(i), &sensor.Message{Arrival: noon + int64(i), Observations: o})
	}
	return b
}

func block(from int64, b *sensor.Batch) *store.Block {
	return &store.Block{Log: "00112233445566778899aabbccddeeff", Partition: 0, From: from, To: from + int64(b.Messages),
		Batch: b, Watermarks: b.Watermarks}
}

func insert(t *testing.T, f *fixture, b *store.Block, doubtful bool) {
	t.Helper()
	if err := f.InsertRepeats(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := f.InsertRows(t.Context(), b, doubtful); err != nil {
		t.Fatal(err)
	}
}

func sameBits(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
