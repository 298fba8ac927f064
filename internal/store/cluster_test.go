package store_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/store"
)

func clusterSchema(t *testing.T, database string, since uint32) []string {
	t.Helper()
	all, err := store.ClusterSchema("city", database, since)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Every statement for a cluster is one that the engine's own parser reads.
func TestClusterSchemaParses(t *testing.T) {
	conn, _ := enginetest.Start(t)
	all := clusterSchema(t, "situ", 0)
	for _, s := range append(all, clusterSchema(t, "situ", 6)...) {
		if strings.HasPrefix(s, "INSERT") {
			s, _, _ = strings.Cut(s, " VALUES") // the data is not the parser's
			s += " SELECT 1, ''"
		}
		if err := conn.Exec(t.Context(), "EXPLAIN AST "+s); err != nil {
			t.Errorf("%v\n%s", err, s)
		}
	}
	if err := conn.Exec(t.Context(), "EXPLAIN AST CREATE TABLE x ENGIN = y"); err == nil {
		t.Error("the parser reads anything")
	}
	text := strings.Join(all, ";\n")
	for _, want := range []string{
		"replicated_deduplication_window = 100000, replicated_deduplication_window_seconds = 604800",
		"ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')",
		"ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)",
		"CREATE OR REPLACE TABLE situ.observations ON CLUSTER 'city' AS situ_shard.observations ENGINE = Distributed('city', 'situ_shard', 'observations', intHash64(if(cell = 0, datastream, bitShiftRight(cell, 30))))",
		"Distributed('city', 'situ_shard', 'ingest_blocks', cityHash64(log, partition, block_from, block_to))",
		"Distributed('city', 'situ_shard', 'schema_migrations', cityHash64(number))",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("nowhere: %s", want)
		}
	}
	if strings.Contains(text, "non_replicated") {
		t.Error("a window of one node is left")
	}
	for _, s := range all {
		if strings.HasPrefix(s, "CREATE") && !strings.Contains(s, "ON CLUSTER 'city'") {
			t.Errorf("only on one node: %.100s", s)
		}
		if strings.HasPrefix(s, "CREATE TABLE") && !strings.Contains(s, "ENGINE = Replicated") {
			t.Errorf("not replicated: %.100s", s)
		}
	}
}

var (
	replicated  = regexp.MustCompile(`Replicated(\w+)\('[^']*', '\{replica\}'(?:, )?`)
	distributed = regexp.MustCompile(`ENGINE = Distributed\('city', '(\w+)', '(\w+)', .*\)$`)
)

// The text is whole and in order: run on one node (Replicated engines as plain ones, Distributed as Merge over the
// local table, which reads the same), it gives tables that Migrate finds nothing to do about and every view can be read.
func TestClusterSchemaIsWhole(t *testing.T) {
	socket := enginetest.Socket(t)
	conn, err := engine.Open(socket, "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const database = "clustered"
	defer func() {
		for _, name := range []string{database, database + "_shard"} {
			if err := conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+name+" SYNC"); err != nil {
				t.Error(err)
			}
		}
	}()
	runClusterSchema(t, conn, clusterSchema(t, database, 0), database)
	s, err := store.Open(t.Context(), store.Options{ClickHouse: engine.Options(socket, ""), Database: database})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var tables, engines uint64
	row := conn.QueryRow(t.Context(), "SELECT count(), countIf(engine = 'Merge') FROM system.tables WHERE database = '"+database+"' AND engine NOT IN ('View', 'Dictionary')")
	if err := row.Scan(&tables, &engines); err != nil || tables == 0 || tables != engines {
		t.Errorf("%d tables, %d of them over the shards, %v: Migrate made its own", tables, engines, err)
	}
	for _, view := range names(t, conn, "SELECT name FROM system.tables WHERE database = '"+database+"' AND engine = 'View'") {
		if err := conn.Exec(t.Context(), "SELECT * FROM "+database+"."+view); err != nil {
			t.Errorf("%s: %v", view, err)
		}
	}
	// What a later version adds can be run over what is there.
	runClusterSchema(t, conn, clusterSchema(t, database, store.SchemaVersion()-1), database)
}

func runClusterSchema(t *testing.T, conn driver.Conn, all []string, database string) {
	t.Helper()
	for _, s := range all {
		s = strings.ReplaceAll(s, "ON CLUSTER 'city'", "")
		s = replicated.ReplaceAllString(s, "$1(")
		s = strings.Replace(s, "replicated_deduplication_window_seconds = 604800, ", "", 1)
		s = strings.ReplaceAll(s, "replicated_deduplication_window = 100000, ", "")
		s = distributed.ReplaceAllString(s, "ENGINE = Merge('$1', '^$2$$')")
		s = strings.Replace(s, "INSERT INTO "+database+".", "INSERT INTO "+database+"_shard.", 1)
		if strings.HasPrefix(s, "CREATE SETTINGS PROFILE") { // the engine has no users
			continue
		}
		if err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%v\n%s", err, s)
		}
	}
}

func names(t *testing.T, conn driver.Conn, query string) (list []string) {
	t.Helper()
	rows, err := conn.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		t.Errorf("nothing for %s (%v)", query, rows.Err())
	}
	return list
}

func TestClusterSchemaRefuses(t *testing.T) {
	for _, c := range [][2]string{{"", "situ"}, {"city'", "situ"}, {"city", "1"}, {"city", "a.b"}, {"city", fmt.Sprintf("%064d", 1)}} {
		if _, err := store.ClusterSchema(c[0], c[1], 0); !errors.Is(err, store.ErrCluster) {
			t.Errorf("%q: %v", c, err)
		}
	}
}
