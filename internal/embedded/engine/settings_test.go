package engine_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
)

// with is a test's context with settings that the driver sends in the URL.
func with(settings clickhouse.Settings) clickhouse.QueryOption {
	return clickhouse.WithSettings(settings)
}

func TestSettingsHoldForTheirRequestOnly(t *testing.T) {
	conn, _ := enginetest.Start(t)
	const ask = "SELECT getSetting('log_comment'), toUInt64(getSetting('max_threads')), toUInt64(getSetting('readonly'))"
	read := func(o ...clickhouse.QueryOption) (comment string, threads, readonly uint64) {
		t.Helper()
		if err := conn.QueryRow(clickhouse.Context(t.Context(), o...), ask).Scan(&comment, &threads, &readonly); err != nil {
			t.Fatal(err)
		}
		return
	}
	_, usual, _ := read()
	odd := clickhouse.Settings{"log_comment": `a 'quoted' \ one`, "max_threads": usual + 1, "readonly": 1}
	for range 20 {
		if c, n, r := read(with(odd)); c != `a 'quoted' \ one` || n != usual+1 || r != 1 {
			t.Fatalf("with settings: %q %d %d", c, n, r)
		}
		if c, n, r := read(); c != "" || n != usual || r != 0 {
			t.Fatalf("the next request has %q %d %d", c, n, r)
		}
	}
}

func TestReadonlyRefusesWrites(t *testing.T) {
	conn, _ := enginetest.Start(t)
	do(t, conn, "CREATE TABLE t (x UInt64) ENGINE = MergeTree ORDER BY x")
	ctx := clickhouse.Context(t.Context(), with(clickhouse.Settings{"readonly": 1, "max_execution_time": 5, "zstd_window_log_max": 20}))
	for _, sql := range []string{"INSERT INTO t VALUES (1)", "DROP TABLE t", "CREATE TABLE u (x UInt64) ENGINE = Memory",
		"SET readonly = 0", "INSERT INTO t SELECT 1", "SELECT 1 SETTINGS readonly = 0"} {
		if err := conn.Exec(ctx, sql); codeOf(err) != 164 {
			t.Errorf("%s: %v, want code 164", sql, err)
		}
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO t")
	if err != nil {
		t.Fatal(err)
	}
	if err := batch.Append(uint64(1)); err != nil {
		t.Fatal(err)
	}
	if err := batch.Send(); codeOf(err) != 164 {
		t.Errorf("batch: %v, want code 164", err)
	}
	if n := one[uint64](t, conn, "SELECT count() FROM t"); n != 0 {
		t.Errorf("%d rows came through", n)
	}
}

func TestGetChangesNothing(t *testing.T) {
	conn, socket := enginetest.Start(t)
	do(t, conn, "CREATE TABLE t (x UInt64) ENGINE = MergeTree ORDER BY x")
	w := newWeb(t, socket)
	res, err := w.c.Get("http://store/?database=" + database(t, conn) + "&query=DROP+TABLE+t")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("GET DROP: %s", res.Status)
	}
	res, err = w.c.Get("http://store/?query=SELECT+1")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("GET SELECT: %s", res.Status)
	}
}

func TestLimitsHold(t *testing.T) {
	conn, _ := enginetest.Start(t)
	do(t, conn, "CREATE TABLE t (x UInt64, class String) ENGINE = MergeTree ORDER BY x")
	do(t, conn, "INSERT INTO t SELECT number, if(number < 3, 'open', 'closed') FROM numbers(10)")
	table := database(t, conn) + ".t"

	filtered := clickhouse.Context(t.Context(), with(clickhouse.Settings{
		"additional_table_filters": "{'" + table + "': 'class = \\'open\\''}"}))
	var n uint64
	if err := conn.QueryRow(filtered, "SELECT count() FROM t").Scan(&n); err != nil || n != 3 {
		t.Errorf("additional_table_filters: %d rows, %v", n, err)
	}
	for _, c := range []struct {
		settings clickhouse.Settings
		sql      string
		code     int32
	}{
		{clickhouse.Settings{"max_execution_time": 0.3}, "SELECT max(sipHash64(number)) FROM numbers(30000000000)", 159},
		{clickhouse.Settings{"max_memory_usage": 20 << 20}, "SELECT uniqExact(number) FROM numbers(10000000)", 241},
		{clickhouse.Settings{"max_result_rows": 5, "result_overflow_mode": "throw"}, "SELECT x FROM t", 396},
		{clickhouse.Settings{"no_such_setting": 1}, "SELECT 1", 115},
		{clickhouse.Settings{"max_threads": "many"}, "SELECT 1", 27},
		{clickhouse.Settings{"a'; DROP TABLE t; --": 1}, "SELECT 1", 115},
	} {
		began := time.Now()
		err := conn.Exec(clickhouse.Context(t.Context(), with(c.settings)), c.sql)
		if codeOf(err) != c.code {
			t.Errorf("%v: %s: %v, want code %d", c.settings, c.sql, err, c.code)
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("%v took %s", c.settings, d)
		}
	}
}

func TestErrorsAreClickHouses(t *testing.T) {
	conn, socket := enginetest.Start(t)
	w := newWeb(t, socket)
	for _, c := range []struct {
		sql    string
		code   int32
		status int
	}{
		{"SELECT * FROM nowhere", 60, 404},
		{"SELECT", 62, 400},
		{"SELEC 1", 62, 400},
		{"", 62, 400},
		{" ; ", 62, 400},
		{"SELECT 1; SELECT 2", 62, 400},
		{"SELECT nothing FROM system.one", 47, 400},
		{"SELECT throwIf(1, 'Code: 7. as I say')", 395, 500},
		{"SELECT 1 INTO OUTFILE '/tmp/x'", 193, 400},
		{"INSERT INTO nowhere FORMAT TSV\n1", 60, 404},
		{"INSERT INTO nowhere VALUES (1)", 60, 404},
		{"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT TSV", 48, 501},
		{"1 + 1", 62, 400},
	} {
		res, text := w.post(t, strings.NewReader(c.sql))
		if res.StatusCode != c.status || !strings.HasPrefix(text, "Code: "+res.Header.Get("X-ClickHouse-Exception-Code")+". DB::Exception: ") ||
			!strings.Contains(text, "(version 26.7.") {
			t.Errorf("%q: %s: %s", c.sql, res.Status, text)
		}
		if c.sql == "" || c.sql == " ; " {
			continue // the driver has its own opinion of these
		}
		if err := conn.Exec(t.Context(), c.sql); codeOf(err) != c.code {
			t.Errorf("%q: code %d, want %d: %v", c.sql, codeOf(err), c.code, err)
		}
	}
}

func TestPlainHTTP(t *testing.T) {
	_, socket := enginetest.Start(t)
	w := newWeb(t, socket)
	for _, c := range []struct {
		sql, want string
		params    []string
	}{
		{"SELECT 1, 'a'", "1\ta\n", nil},
		{"SELECT 1 AS x FORMAT CSVWithNames", "\"x\"\n1\n", nil},
		{"SELECT 1 AS x WHERE 0 FORMAT CSVWithNames", "\"x\"\n", nil},
		{"SELECT 1 AS x WHERE 0", "", nil},
		{"select 1 as x settings max_threads=1 format JSONEachRow", "{\"x\":1}\n", nil},
		{"SELECT 1 AS format", "1\n", nil},
		{"SELECT format('{}', 1) -- FORMAT JSON", "1\n", nil},
		{"SELECT ' FORMAT JSON'; -- end", " FORMAT JSON\n", nil},
		{"(SELECT 1) UNION ALL (SELECT 1)", "1\n1\n", nil},
		{"WITH 2 AS y SELECT y", "2\n", nil},
		{"FROM system.one SELECT 3", "3\n", nil},
		{"EXPLAIN AST SELECT 1", "SelectWithUnionQuery (children 1)\n ExpressionList (children 1)\n  SelectQuery (children 1)\n   ExpressionList (children 1)\n    Literal UInt64_1\n", nil},
		{"EXISTS TABLE nowhere", "0\n", nil},
		{"+ 1", "2\n", []string{"query=SELECT 1"}},
		{"", "5\n", []string{"query=SELECT {x:UInt8}", "param_x=5"}},
		{"SELECT currentDatabase()", "system\n", []string{"database=system"}},
		{"SELECT 1", "1\n", []string{"wait_end_of_query=1"}},
		{"SELECT 1 FORMAT JSONCompact", "", []string{"database=no`where"}},
	} {
		res, text := w.post(t, strings.NewReader(c.sql), c.params...)
		if strings.Contains(strings.Join(c.params, ""), "no`where") {
			if res.StatusCode != http.StatusNotFound {
				t.Errorf("%v: %s %s", c.params, res.Status, text)
			}
			continue
		}
		if res.StatusCode != http.StatusOK || text != c.want {
			t.Errorf("%q %v: %s: %q, want %q", c.sql, c.params, res.Status, text, c.want)
		}
	}
	res, _ := w.post(t, strings.NewReader("SELECT 1 FORMAT JSON"), "query_id=mine")
	for h, want := range map[string]string{"X-ClickHouse-Format": "JSON", "X-ClickHouse-Query-Id": "mine",
		"Content-Type": "application/json; charset=UTF-8", "X-ClickHouse-Timezone": "Etc/UTC"} {
		if got := res.Header.Get(h); got != want && h != "X-ClickHouse-Timezone" || got == "" {
			t.Errorf("%s: %q, want %q", h, got, want)
		}
	}
}
