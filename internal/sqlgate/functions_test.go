package sqlgate

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/store"
)

func TestListsAreTheEngines(t *testing.T) {
	conn, _ := enginetest.Start(t)
	names := func(query string) map[string]string {
		t.Helper()
		rows, err := conn.Query(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		all := map[string]string{}
		for rows.Next() {
			var name, category string
			if err := rows.Scan(&name, &category); err != nil {
				t.Fatal(err)
			}
			all[strings.ToLower(name)] += " " + category
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	functions := names("SELECT f.name, toString(f.is_aggregate) || ' ' || if(f.alias_to = '', f.categories, g.categories) FROM system.functions f LEFT JOIN system.functions g ON f.alias_to = g.name")
	table := names("SELECT name, '' FROM system.table_functions")
	r := newRules("situ")
	for name := range r.scalar {
		category, ok := functions[name]
		if !ok && name != "lambda" && name != "exists" {
			t.Errorf("scalar function %s does not exist", name)
		}
		for _, bad := range []string{"Dictionary", "Introspection", "Machine Learning", "AI", "Encryption"} {
			if slices.Contains(strings.Split(category, ","), bad) {
				t.Errorf("function %s is of category %s", name, category)
			}
		}
		if _, both := table[name]; both && name != "format" {
			t.Errorf("%s is a table function too: IN %s(...) would reach it", name, name)
		}
	}
	for name := range r.aggregate {
		if category, ok := functions[name]; !ok || !strings.HasPrefix(strings.TrimSpace(category), "1") {
			t.Errorf("aggregate function %s: %q", name, category)
		}
	}
	for name := range r.table {
		if _, ok := table[name]; !ok {
			t.Errorf("table function %s does not exist", name)
		}
	}
	// No name that may be called is, by an ending, another function of the engine that may not.
	for name := range functions {
		if r.function(name) && !r.scalar[name] && !r.aggregate[name] {
			t.Errorf("%s passes as an aggregate function with an ending, but is a function of its own", name)
		}
	}
	for _, name := range []string{"file", "url", "sleep", "dictGet", "joinGet", "hostName", "getSetting", "arrayReduce", "initializeAggregation",
		"formatRow", "currentUser", "version", "throwIf", "sumfile", "if_file", "fileIf", ""} {
		if r.function(name) {
			t.Errorf("%q may be called", name)
		}
	}
	for _, name := range []string{"sumIf", "SUM", "quantileOrNullIf", "uniqExactMerge", "argMaxIfState", "if", "and"} {
		if !r.function(name) {
			t.Errorf("%q may not be called", name)
		}
	}
}

// Every table of the database is either for reading or on the list of names that WITH may not take.
func TestEveryTableIsKnown(t *testing.T) {
	conn, _ := enginetest.Start(t)
	var database string
	if err := conn.QueryRow(t.Context(), "SELECT currentDatabase()").Scan(&database); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Conn: conn, Database: database})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), fmt.Sprintf("SELECT name FROM system.tables WHERE database = '%s'", database))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(tables, name) == slices.Contains(hidden, name) {
			t.Errorf("table %s: put it on one of the two lists of rules.go", name)
		}
	}
	if n != len(tables)+len(hidden) {
		t.Errorf("%d tables, the lists name %d", n, len(tables)+len(hidden))
	}
}

func TestListHasSections(t *testing.T) {
	r := newRules("x")
	if len(r.scalar) < 500 || len(r.aggregate) < 100 || len(r.table) < 3 {
		t.Errorf("%d scalar, %d aggregate, %d table functions", len(r.scalar), len(r.aggregate), len(r.table))
	}
	if _, err := os.Stat("functions.txt"); err != nil {
		t.Error(err)
	}
}
