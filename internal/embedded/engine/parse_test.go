package engine

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want parsed // rows as the text that is left is checked instead
		rows string
	}{
		{"SELECT 1", parsed{sql: "SELECT 1", rowset: true}, ""},
		{" /* a */ SELECT 1 ; ; -- end", parsed{sql: "SELECT 1", rowset: true}, ""},
		{"SELECT 1 FORMAT JSON", parsed{sql: "SELECT 1 FORMAT JSON", format: "JSON", rowset: true}, ""},
		{"select 1 format `CSV` settings a = 1", parsed{sql: "select 1 format `CSV` settings a = 1", format: "CSV", rowset: true}, ""},
		{"SELECT 1 SETTINGS a = 1 FORMAT TSV", parsed{sql: "SELECT 1 SETTINGS a = 1 FORMAT TSV", format: "TSV", rowset: true}, ""},
		{"SELECT 1 AS format", parsed{sql: "SELECT 1 AS format", rowset: true}, ""},
		{"SELECT format FROM t", parsed{sql: "SELECT format FROM t", rowset: true}, ""},
		{"SELECT format x FROM t", parsed{sql: "SELECT format x FROM t", rowset: true}, ""},
		{"SELECT format('{}', 1)", parsed{sql: "SELECT format('{}', 1)", rowset: true}, ""},
		{"SELECT (SELECT 1 FORMAT TSV)", parsed{sql: "SELECT (SELECT 1 FORMAT TSV)", rowset: true}, ""},
		{"SELECT ' FORMAT JSON'", parsed{sql: "SELECT ' FORMAT JSON'", rowset: true}, ""},
		{`SELECT 'it\'s; ''FORMAT JSON' FORMAT TSV`, parsed{sql: `SELECT 'it\'s; ''FORMAT JSON' FORMAT TSV`, format: "TSV", rowset: true}, ""},
		{"SELECT $$ ; FORMAT $$, $a$ $$ ; $a$ FORMAT TSV", parsed{sql: "SELECT $$ ; FORMAT $$, $a$ $$ ; $a$ FORMAT TSV", format: "TSV", rowset: true}, ""},
		{"SELECT `a;b`, \"c;d\" FROM t -- FORMAT JSON", parsed{sql: "SELECT `a;b`, \"c;d\" FROM t", rowset: true}, ""},
		{"(SELECT 1)", parsed{sql: "(SELECT 1)", rowset: true}, ""},
		{"WITH 1 AS x SELECT x", parsed{sql: "WITH 1 AS x SELECT x", rowset: true}, ""},
		{"EXPLAIN AST SELECT 1", parsed{sql: "EXPLAIN AST SELECT 1"}, ""},
		{"INSERT INTO t SELECT 1", parsed{sql: "INSERT INTO t SELECT 1"}, ""},
		{"INSERT INTO t (SELECT 1)", parsed{sql: "INSERT INTO t (SELECT 1)"}, ""},
		{"INSERT INTO t (a, b) VALUES (1, 'FORMAT')", parsed{sql: "INSERT INTO t (a, b) ", format: "Values", feed: true}, " (1, 'FORMAT')"},
		{"INSERT INTO t FORMAT Native", parsed{sql: "INSERT INTO t ", format: "Native", feed: true}, ""},
		{"INSERT INTO t FORMAT CSV \r\n;1,2", parsed{sql: "INSERT INTO t ", format: "CSV", feed: true}, ";1,2"},
		{"INSERT INTO t FORMAT TSV\n\n\x00", parsed{sql: "INSERT INTO t ", format: "TSV", feed: true}, "\n\x00"},
		{"insert into table db.`values` settings a=1 format CSV\nx", parsed{sql: "insert into table db.`values` settings a=1 ", format: "CSV", feed: true}, "x"},
		{"INSERT INTO format FORMAT CSV\n1", parsed{sql: "INSERT INTO format ", format: "CSV", feed: true}, "1"},
		{"INSERT INTO values.values VALUES (1)", parsed{sql: "INSERT INTO values.values ", format: "Values", feed: true}, " (1)"},
		{"INSERT INTO FUNCTION file('x', 'FORMAT TSV') VALUES 1", parsed{sql: "INSERT INTO FUNCTION file('x', 'FORMAT TSV') ", format: "Values", feed: true}, " 1"},
		{"INSERT t VALUES (1)", parsed{sql: "INSERT t ", format: "Values", feed: true}, " (1)"},
	} {
		got, err := parse(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		rows := ""
		if got.feed {
			rows, got.rows = c.text[got.rows:], 0
		}
		if got != c.want || rows != c.rows {
			t.Errorf("%q:\n got %+v %q\nwant %+v %q", c.text, got, rows, c.want, c.rows)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]error{
		"":                          errNoQuery,
		" -- nothing":               errNoQuery,
		";":                         errNoQuery,
		"SELECT 1; SELECT 2":        errManyStatements,
		"SELECT 1; -- x\n 2":        errManyStatements,
		"SELECT 1 INTO OUTFILE 'x'": errIntoOutfile,
		"select 1 into /**/ outfile 'x' format CSV": errIntoOutfile,
		"INSERT INTO t FROM INFILE 'x' FORMAT CSV":  errInfile,
		"INSERT INTO t SELECT 1; DROP TABLE t":      errManyStatements,
	} {
		if _, err := parse(text); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// FuzzParse: no panic, what is kept is part of the text, and the kept statement parses to
// itself.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"SELECT 1 FORMAT JSON", "INSERT INTO t (a) VALUES (1)", "SELECT '\\", "$a$", "/*", "`", "INSERT INTO t FORMAT"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parse(text)
		if err != nil {
			return
		}
		if !strings.Contains(text, p.sql) || p.rows < 0 || p.rows > len(text) {
			t.Fatalf("%q: %+v", text, p)
		}
		if again, err := parse(p.sql); !p.feed && (err != nil || again != p) {
			t.Errorf("%q: %+v, then %+v, %v", text, p, again, err)
		}
	})
}

func TestPreludeQuotes(t *testing.T) {
	got, err := prelude("a`b\\", map[string]string{"x": `it's \`, "readonly": "1"}, nil)
	want := "USE `a\\`b\\\\`; SET readonly='1', x='it\\'s \\\\'"
	if err != nil || got != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	for _, name := range []string{"", "a b", "a'", "a=1,b", "ä"} {
		if _, err := prelude("", map[string]string{name: "1"}, nil); err == nil {
			t.Errorf("setting %q was taken", name)
		}
	}
}

func TestParseException(t *testing.T) {
	for text, want := range map[string]Exception{
		" Code: 60. DB::Exception: no (UNKNOWN_TABLE)":         {60, "Code: 60. DB::Exception: no (UNKNOWN_TABLE)"},
		"Error: Code: 7. DB::Exception: x: Code: 8. y":         {7, "Code: 7. DB::Exception: x: Code: 8. y"},
		"Invalid or closed connection":                         {1002, "Code: 1002. DB::Exception: Invalid or closed connection. (UNKNOWN_EXCEPTION)"},
		"Code: 99999999999999999999. DB::Exception: too large": {1002, "Code: 1002. DB::Exception: Code: 99999999999999999999. DB::Exception: too large. (UNKNOWN_EXCEPTION)"},
	} {
		if got := parseException(text); *got != want {
			t.Errorf("%q: %+v, want %+v", text, *got, want)
		}
	}
}

func TestJoinersLeaveOneDocument(t *testing.T) {
	for format, blocks := range map[string][2]string{
		"TSV":                  {"1\n", "2\n"},
		"TSVWithNames":         {"x\n1\n", "x\n2\n"},
		"TSVWithNamesAndTypes": {"x\nUInt8\n1\n", "x\nUInt8\n2\n"},
		"CSVWithNames":         {"\"a\n\"\"b\"\n1\n", "\"a\n\"\"b\"\n2\n"},
	} {
		join := joinerOf(format)
		got := string(join([]byte(blocks[0]), true)) + string(join([]byte(blocks[1]), false))
		if want := blocks[0] + "2\n"; got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
	if joinerOf("JSON") != nil || joinerOf("Parquet") != nil || joinerOf("tsv") != nil {
		t.Error("a format that cannot be joined has a joiner")
	}
}
