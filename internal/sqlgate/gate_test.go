package sqlgate_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/ipc"

	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/sqlgate"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Run(m)) }

var admin = sqlgate.Principal{Name: "admin", Admin: true}

var noon = time.Date(2026, 11, 15, 12, 0, 0, 0, time.UTC).UnixMilli()

// open gives a gate over a small city: 10 Things of two owners, two properties, 100 readings each.
func open(t testing.TB, limits sqlgate.Limits) *sqlgate.Gate {
	t.Helper()
	conn, socket := enginetest.Start(t)
	var database string
	if err := conn.QueryRow(t.Context(), "SELECT currentDatabase()").Scan(&database); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Conn: conn, Database: database})
	must(t, err)
	must(t, s.Migrate(t.Context()))
	must(t, s.SyncProperties(t.Context(), []sensor.ObservedProperty{{Number: 1, Code: "pm2_5", Unit: "ug/m3"}, {Number: 2, Code: "level", Unit: "m"}}))
	b := new(sensor.Batch)
	var things []sensor.Thing
	var datastreams []sensor.Datastream
	seq := uint64(0)
	for i := range 10 {
		id := sensor.ThingID(fmt.Sprintf("owner%d/站%d", i%2, i))
		things = append(things, sensor.Thing{ID: id, Class: sensor.Government, Grade: sensor.Open, Division: 500112, Version: 1})
		d := sensor.NewDatastreamID(id, "pm2_5", sensor.Instant, "pm")
		datastreams = append(datastreams, sensor.Datastream{ID: d, Thing: id, Property: "pm2_5", SourceKey: "pm", Version: 1})
		for n := range 100 {
			seq++
			at := noon + int64(n)*60_000
			o := sensor.Observation{Datastream: d, Thing: id.Key(), Property: 1, PhenomenonTime: at, ResultTime: at, Result: float64(10*i + n%10),
				Lon: 1_065_000_000, Lat: 295_000_000}
			b.Add(sensor.Producer{Gateway: "gw", Epoch: 1}, seq, &sensor.Message{Arrival: at, Observations: []sensor.Observation{o}})
		}
	}
	seq++
	odd := sensor.Observation{Datastream: 1, Thing: 1, PhenomenonTime: noon, ResultTime: noon, Result: math.NaN(), Text: "a,\"b\"\n\tc", Lon: sensor.NoPosition, Lat: sensor.NoPosition}
	b.Add(sensor.Producer{Gateway: "gw", Epoch: 1}, seq, &sensor.Message{Arrival: noon, Observations: []sensor.Observation{odd}})
	must(t, s.SyncRegistry(t.Context(), things, datastreams))
	must(t, s.InsertRows(t.Context(), &store.Block{Log: "x", To: 1, Batch: b}, false))
	g, err := sqlgate.New(sqlgate.Options{Socket: socket, Database: database, Limits: limits})
	must(t, err)
	t.Cleanup(g.Close)
	return g
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ask gives the rows as tab-separated lines without the header.
func ask(t *testing.T, g *sqlgate.Gate, sql string, params map[string]string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := g.Query(t.Context(), admin, sql, "tsv", params, &out)
	_, rows, _ := strings.Cut(out.String(), "\n")
	return strings.TrimSuffix(rows, "\n"), err
}

func TestWhatAnalystsAsk(t *testing.T) {
	g := open(t, sqlgate.Limits{})
	for _, c := range []struct{ name, sql, want string }{
		{"count", "SELECT count() FROM history", "1001"},
		{"trailing semicolon and comment", "select count(*) from history; -- all of it\n", "1001"},
		{"comment at the end", "SELECT 1 -- ) LIMIT 5", "1"},
		{"parentheses", "(SELECT 1)", "1"},
		{"FROM first", "FROM history SELECT count()", "1001"},
		{"group and order", "SELECT owner, round(avg(result), 1) AS mean FROM history WHERE owner != '' GROUP BY owner ORDER BY owner DESC", "owner1\t54.5\nowner0\t44.5"},
		{"by property and time", "SELECT toStartOfHour(phenomenon_time) AS h, countIf(result > 50), quantile(0.5)(result), uniqExact(thing) FROM history " +
			"WHERE property = 'pm2_5' AND phenomenon_time >= toDateTime('2026-11-15 13:00:00', 'UTC') GROUP BY h", "2026-11-15 13:00:00\t196\t49.5\t10"},
		{"WITH", "WITH fine AS (SELECT result FROM history WHERE thing = 'owner0/站0'), 3 AS k SELECT max(result) + k FROM fine", "12"},
		{"WITH in Chinese", "WITH \"站点\" AS (SELECT * FROM history) SELECT count() FROM `站点`", "1001"},
		{"WITH RECURSIVE", "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT sum(n) FROM r", "10"},
		{"WITH used by IN", "WITH w AS (SELECT 'owner0/站0' AS id) SELECT count() FROM history WHERE thing IN w", "100"},
		{"join", "SELECT t.owner_class, count() FROM history AS h INNER JOIN things AS t ON h.thing_key = t.key GROUP BY t.owner_class", "government\t1000"},
		{"join with subquery and USING", "SELECT count() FROM (SELECT id AS thing FROM things) AS a LEFT JOIN history USING (thing)", "1000"},
		{"qualified by alias", "SELECT h.result FROM history h WHERE h.thing = 'owner1/站9' ORDER BY h.phenomenon_time LIMIT 2", "90\n91"},
		{"window", "SELECT max(d) FROM (SELECT result - lagInFrame(result) OVER (PARTITION BY thing ORDER BY phenomenon_time) AS d FROM history WHERE thing = 'owner0/站2')", "20"},
		{"named window", "SELECT count() FROM (SELECT row_number() OVER w AS n FROM history WINDOW w AS (PARTITION BY thing ORDER BY phenomenon_time)) WHERE n = 1", "11"},
		{"limit by", "SELECT thing, result FROM history WHERE owner = 'owner0' ORDER BY phenomenon_time DESC, thing LIMIT 1 BY thing LIMIT 2", "owner0/站0\t9\nowner0/站2\t29"},
		{"order is kept", "SELECT toUInt32(number) AS n FROM numbers(5) ORDER BY n DESC", "4\n3\n2\n1\n0"},
		{"latest", "SELECT count(), max(result) FROM latest WHERE owner != ''", "10\t99"},
		{"union", "SELECT * FROM (SELECT 1 AS a UNION ALL SELECT 2) ORDER BY a", "1\n2"},
		{"intersect and except", "SELECT 1 INTERSECT SELECT 1 EXCEPT SELECT 2", "1"},
		{"case, cast, like, between", "SELECT CASE WHEN result BETWEEN 1 AND 2 THEN 'low' ELSE 'high' END AS c, CAST(count() AS UInt8), any(thing) LIKE 'owner%' FROM history WHERE thing = 'owner0/站0' GROUP BY c ORDER BY c", "high\t80\t1\nlow\t20\t1"},
		{"::", "SELECT '7'::UInt8 + 1", "8"},
		{"arrays and lambdas", "SELECT arrayMap(x -> x * 2, groupArray(3)(result)) FROM (SELECT result FROM history WHERE thing = 'owner0/站0' ORDER BY phenomenon_time)", "[0,2,4]"},
		{"columns of a table", "SELECT * EXCEPT (thing, cell, lon, lat) FROM history WHERE seq = 1 AND result = 5", ""},
		{"COLUMNS", "SELECT COLUMNS('^resul') FROM history WHERE thing = 'owner0/站0' LIMIT 1", "0\t2026-11-15 12:00:00.000\t"},
		{"the same column twice", "SELECT 1, 1, 2 AS a, 2 AS b", "1\t1\t2\t2"},
		{"H3", "SELECT uniqExact(h3ToParent(geoToH3(lat, lon, 9), 7)) FROM history WHERE lon IS NOT NULL", "1"},
		{"text with everything", "SELECT 'a;b -- c /* d', \"result\" FROM history WHERE result_text != ''", "a;b -- c /* d\tnan"},
		{"heredoc", "SELECT $x$it's; fine$x$", `it\'s; fine`},
		{"own settings", "SELECT count() FROM history SETTINGS max_threads = 1, join_use_nulls = 1", "1001"},
		{"more threads than allowed are not given", "SELECT count() FROM history SETTINGS max_threads = 1000000", "1001"},
		{"aggregate endings", "SELECT sumIf(result, result > 98), avgOrNullIf(result, 0), argMaxIf(thing, result, result = result), countDistinct(owner) FROM history", "990\t\\N\towner1/站9\t3"},
		{"names in any case", "SELECT COUNT(*), Max(result), SUBSTRING('abc' FROM 2 FOR 1), DATE_TRUNC('hour', toDateTime('2026-01-01 10:20:30', 'UTC')) FROM history WHERE result_text = ''", "1000\t99\tb\t2026-01-01 10:00:00"},
		{"fill", "SELECT n FROM (SELECT 1 AS n UNION ALL SELECT 4) ORDER BY n WITH FILL", "1\n2\n3\n4"},
		{"roll-ups", "SELECT (SELECT count() FROM cells_5m WHERE property = 'pm2_5'), (SELECT sum(n) FROM cells_1h WHERE window > '2026-01-01 00:00:00'), " +
			"(SELECT count() FROM (SELECT h3ToParent(cell, 7) AS c, sum(sum) / sum(n) FROM cells_1d GROUP BY c)), (SELECT max(mean) FROM datastream_1h WHERE owner = 'owner0')", "0\t0\t0\t0"},
		{"dead letters and registry", "SELECT (SELECT count() FROM deadletters), (SELECT count() FROM things), (SELECT count() FROM datastreams), (SELECT count() FROM properties)", "0\t10\t10\t2"},
		{"values", "SELECT a FROM VALUES('a UInt8', 1, 2) ORDER BY a", "1\n2"},
		{"IN list and subquery", "SELECT count() FROM history WHERE owner IN ('owner0', 'x') AND thing NOT IN (SELECT id FROM things WHERE id LIKE '%站0')", "400"},
		{"exists", "SELECT count() FROM things t WHERE EXISTS (SELECT 1 FROM latest WHERE latest.thing = t.id AND result > 90)", "1"},
	} {
		got, err := ask(t, g, c.sql, nil)
		if err != nil || got != c.want {
			t.Errorf("%s: %s\n got %q, %v\nwant %q", c.name, c.sql, got, err, c.want)
		}
	}
}

func TestDatabaseMayBeNamed(t *testing.T) {
	conn, socket := enginetest.Start(t)
	var database string
	must(t, conn.QueryRow(t.Context(), "SELECT currentDatabase()").Scan(&database))
	s, err := store.Open(t.Context(), store.Options{Conn: conn, Database: database})
	must(t, err)
	must(t, s.Migrate(t.Context()))
	g, err := sqlgate.New(sqlgate.Options{Socket: socket, Database: database})
	must(t, err)
	defer g.Close()
	if got, err := ask(t, g, "SELECT count() FROM "+database+".history WHERE result IN (SELECT result FROM `"+database+"`.latest)", nil); err != nil || got != "0" {
		t.Errorf("%q %v", got, err)
	}
}

func TestParameters(t *testing.T) {
	g := open(t, sqlgate.Limits{})
	for _, c := range []struct {
		sql    string
		params map[string]string
		want   string
	}{
		{"SELECT {s:String}", map[string]string{"s": "a'b\\c\td\ne; -- ) \x00."}, `a\'b\\c\td\ne; -- ) \0.`},
		{"SELECT count() FROM history WHERE thing = {thing:String} AND result > {min:Float64}", map[string]string{"thing": "owner0/站0", "min": "4.5"}, "50"},
		{"SELECT {a:Array(UInt8)}[2]", map[string]string{"a": "[4,5]"}, "5"},
		{"SELECT count() FROM {t:Identifier}", map[string]string{"t": "things"}, "10"},
	} {
		if got, err := ask(t, g, c.sql, c.params); err != nil || got != c.want {
			t.Errorf("%s %q: %q, %v, want %q", c.sql, c.params, got, err, c.want)
		}
	}
	for _, c := range []struct {
		sql    string
		params map[string]string
		status int
	}{
		{"SELECT {a:UInt8}", nil, 400},
		{"SELECT {a:UInt8}", map[string]string{"a": "x"}, 400},
		{"SELECT 1", map[string]string{"a b": "x"}, 400},
		{"SELECT count() FROM {t:Identifier}", map[string]string{"t": "observations"}, 403},
		{"SELECT count() FROM {t:Identifier}", map[string]string{"t": "system.tables"}, 403},
	} {
		_, err := ask(t, g, c.sql, c.params)
		var e *sqlgate.Error
		if !errors.As(err, &e) || e.Status() != c.status {
			t.Errorf("%s %q: %v, want status %d", c.sql, c.params, err, c.status)
		}
	}
}

func TestFormats(t *testing.T) {
	g := open(t, sqlgate.Limits{})
	const sql = "SELECT datastream, result, result_text, lon, phenomenon_time FROM history WHERE result_text != '' OR (thing = 'owner0/站0' AND result = 9) ORDER BY datastream, phenomenon_time"
	get := func(format string) []byte {
		t.Helper()
		var out bytes.Buffer
		must(t, g.Query(t.Context(), admin, sql, format, nil, &out))
		return out.Bytes()
	}
	var doc struct {
		Data []struct {
			Datastream string
			Result     *float64
			Text       string `json:"result_text"`
			Lon        *float64
		}
		Rows int
		Meta []struct{ Name, Type string }
	}
	must(t, json.Unmarshal(get("json"), &doc))
	if doc.Rows != 11 || len(doc.Data) != 11 || doc.Data[0].Datastream != "1" || doc.Data[0].Result != nil || doc.Data[0].Lon != nil ||
		doc.Data[0].Text != "a,\"b\"\n\tc" || *doc.Data[1].Result != 9 || len(doc.Data[1].Datastream) < 17 || doc.Meta[4].Type != "DateTime64(3, 'UTC')" {
		t.Errorf("json: %+v", doc)
	}
	if lines := strings.Split(strings.TrimSpace(string(get("jsonl"))), "\n"); len(lines) != 11 || !strings.HasPrefix(lines[0], `{"datastream":"1","result":null,`) {
		t.Errorf("jsonl: %q", lines)
	}
	rows, err := csv.NewReader(bytes.NewReader(get("csv"))).ReadAll()
	if err != nil || len(rows) != 12 || rows[0][0] != "datastream" || rows[1][2] != "a,\"b\"\n\tc" || rows[1][4] != "2026-11-15 12:00:00.000" {
		t.Errorf("csv: %q %v", rows, err)
	}
	if tsv := strings.Split(string(get("tsv")), "\n"); len(tsv) != 13 || tsv[1] != "1\tnan\ta,\"b\"\\n\\tc\t\\N\t2026-11-15 12:00:00.000" {
		t.Errorf("tsv: %q", tsv)
	}
	if p := get("parquet"); !bytes.HasPrefix(p, []byte("PAR1")) || !bytes.HasSuffix(p, []byte("PAR1")) {
		t.Errorf("parquet: %q...", p[:8])
	}
	r, err := ipc.NewReader(bytes.NewReader(get("arrow")))
	must(t, err)
	defer r.Release()
	n := int64(0)
	for r.Next() {
		n += r.Record().NumRows()
	}
	if n != 11 || r.Err() != nil || r.Schema().Field(2).Type.Name() != "utf8" {
		t.Errorf("arrow: %d rows, %v, %v", n, r.Err(), r.Schema())
	}
	if err := g.Query(t.Context(), admin, sql, "xml", nil, &bytes.Buffer{}); status(err) != 406 {
		t.Errorf("xml: %v", err)
	}
	var out bytes.Buffer
	must(t, g.Query(t.Context(), admin, "SELECT result FROM history WHERE 0", "csv", nil, &out))
	if out.String() != "\"result\"\n" {
		t.Errorf("no rows as csv: %q", out.String())
	}
}

func status(err error) int {
	var e *sqlgate.Error
	if errors.As(err, &e) {
		return e.Status()
	}
	return 0
}

func TestErrorsNameThePlaceInTheAskersText(t *testing.T) {
	g := open(t, sqlgate.Limits{})
	for _, c := range []struct {
		sql          string
		status       int
		line, column int
		says         string
	}{
		{"SELEKT 1", 403, 1, 1, "only SELECT"},
		{"SELECT 1;\n SELECT 2", 400, 1, 9, "one statement"},
		{"SELECT count()\nFROM history\nWHERE result >> 1 2", 400, 3, 15, "near"},
		{"SELECT (1", 400, 0, 0, "syntax error"},
		{"SELECT 'abc", 400, 1, 8, "a quote is never closed"},
		{"SELECT 1 /* abc", 400, 1, 10, "a comment is never closed"},
		{"SELECT nothing FROM history", 400, 0, 0, "nothing"},
		{"SELECT * FROM nowhere", 403, 0, 0, "table nowhere is not among history, latest"},
		{"SELECT 1 FORMAT CSV", 400, 1, 10, "chosen outside"},
		{"SELECT 1 SETTINGS readonly = 0", 403, 1, 19, "setting readonly is not among max_threads"},
		{"SELECT sleep(1)", 403, 0, 0, "function sleep is not on the list"},
		{"SELECT sqrt('a') FROM history", 400, 0, 0, "sqrt"},
		{"", 400, 0, 0, "empty"},
		{" ;; -- nothing", 400, 0, 0, "empty"},
		{"SELECT \xff", 400, 0, 0, "UTF-8"},
		{"SELECT '" + strings.Repeat("a", 70000) + "'", 413, 0, 0, "the bound is 65536"},
	} {
		_, err := ask(t, g, c.sql, nil)
		var e *sqlgate.Error
		if !errors.As(err, &e) || e.Status() != c.status || !strings.Contains(e.Detail, c.says) || c.line != 0 && (e.Line != c.line || e.Column != c.column) {
			t.Errorf("%.60q: %v %+v\nwant status %d, line %d, column %d, saying %q", c.sql, err, e, c.status, c.line, c.column, c.says)
		}
		if err != nil && (strings.Contains(err.Error(), "EXPLAIN") || strings.Contains(err.Error(), "version 26")) {
			t.Errorf("%.60q: the answer tells our own part: %v", c.sql, err)
		}
	}
}

func TestLimits(t *testing.T) {
	quick := open(t, sqlgate.Limits{Time: 300 * time.Millisecond})
	small := open(t, sqlgate.Limits{Memory: 64 << 20, ResultRows: 1000, RowsToRead: 20_000_000})
	for _, c := range []struct {
		g      *sqlgate.Gate
		sql    string
		status int
	}{
		{quick, "SELECT max(cityHash64(repeat(toString(number), 20))) FROM numbers(10000000)", 504},
		{small, "SELECT uniqExact(number) FROM numbers(8000000)", 422},
		{small, "SELECT count() FROM numbers(30000000)", 422},
		{small, "SELECT * FROM history", 422},
		{small, "SELECT arrayJoin(range(1001))", 422},
		{small, "SELECT repeat('a', 100000) FROM numbers(900)", 422},
		{small, "SELECT groupArray(repeat('a', 1000000)) FROM numbers(1000)", 422},
	} {
		began := time.Now()
		_, err := ask(t, c.g, c.sql, nil)
		if status(err) != c.status {
			t.Errorf("%s: %v (status %d), want %d", c.sql, err, status(err), c.status)
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("%s took %s", c.sql, d)
		}
	}
	if got, err := ask(t, small, "SELECT arrayJoin(range(1000)) AS a ORDER BY a DESC LIMIT 1", nil); err != nil || got != "999" {
		t.Errorf("within the bounds: %q %v", got, err)
	}
}

func TestLateErrorLeavesNoTraceInTheResult(t *testing.T) {
	g := open(t, sqlgate.Limits{ResultRows: 10_000_000, Threads: 1})
	var out bytes.Buffer
	// The division fails at the end, long after the first rows have left.
	err := g.Query(t.Context(), admin, "SELECT intDiv(10, 2999999 - number) FROM numbers(3000000)", "csv", nil, &out)
	if status(err) != 400 || !strings.Contains(err.Error(), "ivision by zero") {
		t.Fatalf("%v", err)
	}
	if out.Len() == 0 {
		t.Error("nothing came before the error: the test shows nothing")
	}
	if strings.Contains(out.String(), "exception") || strings.Contains(out.String(), "Code:") {
		t.Errorf("the error stands in the result: ...%q", out.String()[max(0, out.Len()-200):])
	}
}

func TestAskerThatLeavesEndsTheQuery(t *testing.T) {
	g := open(t, sqlgate.Limits{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := g.Query(ctx, admin, "SELECT max(cityHash64(repeat(toString(number), 50))) FROM numbers(100000000)", "json", nil, &bytes.Buffer{})
	if err == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("took %s", d)
	}
}

func TestOnlyTheAdministrator(t *testing.T) {
	g, err := sqlgate.New(sqlgate.Options{Socket: "/nowhere"})
	must(t, err)
	if err := g.Query(t.Context(), sqlgate.Principal{Name: "guest"}, "SELECT 1", "json", nil, &bytes.Buffer{}); status(err) != 403 {
		t.Errorf("guest: %v", err)
	}
	if err := g.For(admin).Query(t.Context(), "SELECT 1", "json", nil, &bytes.Buffer{}); status(err) != 503 {
		t.Errorf("no engine: %v", err)
	}
	if _, err := sqlgate.New(sqlgate.Options{}); err == nil {
		t.Error("a gate to nowhere was made")
	}
}
