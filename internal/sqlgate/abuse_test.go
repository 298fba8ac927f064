package sqlgate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/sqlgate"
)

// canary is what an attack must not reach: a secret in a file, a listener, a directory to write into.
type canary struct {
	file, dir, addr string
	secret          string
	rung            atomic.Int64
}

func newCanary(t testing.TB) *canary {
	t.Helper()
	c := &canary{dir: t.TempDir(), secret: "canary-7c1f0a"}
	c.file = filepath.Join(c.dir, "secret.txt")
	must(t, os.WriteFile(c.file, []byte(c.secret+"\n"), 0o644))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c.addr = l.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.rung.Add(1)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return c
}

// fill puts the canary's places into an attack.
func (c *canary) fill(sql string) string {
	return strings.NewReplacer("FILE", c.file, "DIR", c.dir, "ADDR", c.addr, "PORT", c.addr[strings.LastIndexByte(c.addr, ':')+1:]).Replace(sql)
}

func (c *canary) untouched(t testing.TB, name, out string) {
	t.Helper()
	if strings.Contains(out, c.secret) {
		t.Errorf("%s: the secret got out: %q", name, out)
	}
	if n := c.rung.Swap(0); n > 0 {
		t.Errorf("%s: %d connections to the listener", name, n)
	}
	if entries, err := os.ReadDir(c.dir); err != nil || len(entries) != 1 {
		t.Errorf("%s: files were written: %v %v", name, entries, err)
	}
}

var attacks = []struct{ name, sql string }{
	// reading files
	{"file table function", "SELECT * FROM file('FILE', 'LineAsString')"},
	{"file scalar function", "SELECT file('FILE')"},
	{"file in upper case", "SELECT * FROM FILE('FILE', LineAsString)"},
	{"file by a quoted name", "SELECT * FROM `FILE`"},
	{"file by a string", "SELECT * FROM 'FILE'"},
	{"file as a table of default", "SELECT * FROM default.`FILE`"},
	{"file in a CTE", "WITH x AS (SELECT * FROM file('FILE')) SELECT * FROM x"},
	{"file in IN", "SELECT 1 WHERE 'a' IN (SELECT * FROM file('FILE', LineAsString))"},
	{"file as IN's table function", "SELECT 'canary-7c1f0a' IN file('FILE', LineAsString)"},
	{"file in a join", "SELECT * FROM history AS h CROSS JOIN file('FILE', LineAsString) AS f"},
	{"file in a lambda", "SELECT arrayMap(x -> file(x), ['FILE'])"},
	{"file in a default of if", "SELECT if(0, 1, file('FILE'))"},
	{"file in ORDER BY", "SELECT 1 ORDER BY file('FILE')"},
	{"file in LIMIT", "SELECT 1 LIMIT length(file('FILE'))"},
	{"file in a window", "SELECT sum(1) OVER (PARTITION BY file('FILE'))"},
	{"file in HAVING", "SELECT count() AS c FROM history HAVING file('FILE') != ''"},
	{"file in QUALIFY", "SELECT 1 FROM history QUALIFY file('FILE') != ''"},
	{"file by APPLY", "SELECT * APPLY(file) FROM (SELECT 'FILE' AS f)"},
	{"file by APPLY of a lambda", "SELECT * APPLY(x -> file(x)) FROM (SELECT 'FILE' AS f)"},
	{"file by COLUMNS APPLY", "SELECT COLUMNS('f') APPLY(file) FROM (SELECT 'FILE' AS f)"},
	{"file by arrayReduce", "SELECT arrayReduce('file', ['FILE'])"},
	{"file in REPLACE", "SELECT * REPLACE (file(f) AS f) FROM (SELECT 'FILE' AS f)"},
	{"file in INTERPOLATE", "SELECT 1 AS n, 'a' AS f ORDER BY n WITH FILL FROM 1 TO 3 INTERPOLATE (f AS file('FILE'))"},
	{"fileCluster", "SELECT * FROM fileCluster('default', 'FILE', 'LineAsString')"},
	{"sqlite", "SELECT * FROM sqlite('FILE', 'x')"},
	{"executable", "SELECT * FROM executable('cat', 'TSV', 'x String')"},
	{"filesystem", "SELECT * FROM filesystem('DIR')"},
	{"iceberg local", "SELECT * FROM icebergLocal('DIR')"},
	{"deltaLake local", "SELECT * FROM deltaLakeLocal('DIR')"},
	{"catboost model", "SELECT catboostEvaluate('FILE', 1)"},
	{"format schema file", "SELECT * FROM format(Protobuf, 'FILE:x', 'a')"},
	{"formatRow", "SELECT formatRow('Template', 1)"},
	{"INFILE", "INSERT INTO history FROM INFILE 'FILE' FORMAT TSV"},
	{"loop over file", "SELECT * FROM loop(file('FILE', LineAsString)) LIMIT 1"},
	{"view over file", "SELECT * FROM view(SELECT * FROM file('FILE', LineAsString))"},
	{"viewIfPermitted", "SELECT * FROM viewIfPermitted(SELECT 1 AS a ELSE null('a UInt8'))"},
	// writing files
	{"INTO OUTFILE", "SELECT 1 INTO OUTFILE 'DIR/out'"},
	{"INTO OUTFILE truncating", "SELECT 1 INTO OUTFILE 'FILE' TRUNCATE FORMAT TSV"},
	{"INTO OUTFILE behind a comment", "SELECT 1 --\nINTO OUTFILE 'DIR/out'"},
	{"INTO OUTFILE behind the wrap", "SELECT 1) INTO OUTFILE 'DIR/out' --"},
	{"insert into file", "INSERT INTO FUNCTION file('DIR/out', 'TSV', 'x UInt8') SELECT 1"},
	{"backup", "BACKUP TABLE history TO File('DIR/out')"},
	{"create table", "CREATE TABLE x ENGINE = File(TSV, 'DIR/out') AS SELECT 1"},
	// the network
	{"url", "SELECT * FROM url('http://ADDR/', 'LineAsString')"},
	{"describe url", "DESCRIBE TABLE url('http://ADDR/')"},
	{"describe url inside", "SELECT * FROM (DESCRIBE TABLE url('http://ADDR/'))"},
	{"urlCluster", "SELECT * FROM urlCluster('default', 'http://ADDR/', 'LineAsString', 'x String')"},
	{"s3", "SELECT * FROM s3('http://ADDR/a', 'LineAsString')"},
	{"gcs", "SELECT * FROM gcs('http://ADDR/a')"},
	{"azure", "SELECT * FROM azureBlobStorage('http://ADDR/', 'a', 'b')"},
	{"hdfs", "SELECT * FROM hdfs('hdfs://ADDR/a', 'TSV', 'x String')"},
	{"remote", "SELECT * FROM remote('ADDR', system.one)"},
	{"remoteSecure", "SELECT * FROM remoteSecure('ADDR', 'system', 'one')"},
	{"cluster", "SELECT * FROM cluster('default', system.one)"},
	{"mysql", "SELECT * FROM mysql('ADDR', 'a', 'b', 'c', 'd')"},
	{"postgresql", "SELECT * FROM postgresql('ADDR', 'a', 'b', 'c', 'd')"},
	{"mongodb", "SELECT * FROM mongodb('ADDR', 'a', 'b', 'c', 'd', 'e String')"},
	{"redis", "SELECT * FROM redis('ADDR', 'a', 'a String, b String')"},
	{"jdbc", "SELECT * FROM jdbc('http://ADDR/', 'a', 'b')"},
	{"AI", "SELECT aiGenerate('say hello')"},
	{"dictionary from url", "CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(HTTP(URL 'http://ADDR/' FORMAT 'TSV')) LAYOUT(FLAT()) LIFETIME(1)"},
	// other tables
	{"system tables", "SELECT * FROM system.tables"},
	{"system by quotes", "SELECT * FROM `system`.\"tables\""},
	{"system by IN", "SELECT 'a' IN system.one"},
	{"system by function in", "SELECT in('a', system.databases)"},
	{"system by GLOBAL IN", "SELECT 'a' GLOBAL IN system.databases"},
	{"system as a dotted CTE", "WITH `system.tables` AS (SELECT 1) SELECT * FROM system.tables"},
	{"information_schema", "SELECT * FROM information_schema.tables"},
	{"INFORMATION_SCHEMA columns", "SELECT * FROM INFORMATION_SCHEMA.COLUMNS"},
	{"raw table", "SELECT * FROM observations"},
	{"roll-up behind its view", "SELECT * FROM rollup_5m"},
	{"raw table by IN", "SELECT 1 IN observations"},
	{"raw table as a CTE out of scope", "SELECT * FROM (WITH observations AS (SELECT 1) SELECT * FROM observations) AS a, observations"},
	{"raw table as an aliased CTE in other case", "WITH Observations AS (SELECT 1) SELECT * FROM Observations"},
	{"merge over all", "SELECT * FROM merge('.*', '.*')"},
	{"merge of ours", "SELECT * FROM merge(currentDatabase(), 'obs.*')"},
	{"mergeTreeIndex", "SELECT * FROM mergeTreeIndex(currentDatabase(), observations)"},
	{"dictGet", "SELECT dictGet('thing_dict', 'owner', toUInt64(1))"},
	{"dictionary", "SELECT * FROM dictionary('thing_dict')"},
	{"joinGet", "SELECT joinGet('a', 'b', 1)"},
	{"hasColumnInTable", "SELECT hasColumnInTable('system', 'tables', 'name')"},
	{"parameterized view", "SELECT * FROM history(a = 1)"},
	{"explain as a table", "SELECT * FROM (EXPLAIN SELECT 1)"},
	{"show as a table", "SELECT * FROM (SHOW TABLES)"},
	// the process and the host
	{"hostName", "SELECT hostName()"},
	{"FQDN", "SELECT FQDN()"},
	{"currentUser", "SELECT currentUser()"},
	{"version", "SELECT version()"},
	{"@@version", "SELECT @@version"},
	{"getSetting", "SELECT getSetting('max_memory_usage')"},
	{"getServerSetting", "SELECT getServerSetting('max_thread_pool_size')"},
	{"getMacro", "SELECT getMacro('shard')"},
	{"filesystemAvailable", "SELECT filesystemAvailable()"},
	{"showCertificate", "SELECT showCertificate()"},
	{"addressToLine", "SELECT addressToLine(1)"},
	{"sleep", "SELECT sleep(3)"},
	{"sleepEachRow", "SELECT sleepEachRow(1) FROM numbers(3)"},
	{"logTrace", "SELECT logTrace('x')"},
	{"chdb", "SELECT chdb()"},
	{"getOSKernelVersion", "SELECT getOSKernelVersion()"},
	// settings
	{"readonly off", "SELECT 1 SETTINGS readonly = 0"},
	{"time without bound", "SELECT 1 SETTINGS max_execution_time = 0"},
	{"settings inside", "SELECT * FROM (SELECT 1 SETTINGS max_memory_usage = 0)"},
	{"settings in parentheses", "(SELECT 1 SETTINGS max_memory_usage = 0)"},
	{"settings after a known one", "SELECT 1 SETTINGS max_threads = 1, readonly = 0"},
	{"settings in a quoted name", "SELECT 1 SETTINGS `readonly` = 0"},
	{"settings by injection", "SELECT 1 SETTINGS max_threads = '1'', readonly = ''0'"},
	{"SET", "SET readonly = 0"},
	// writing
	{"insert", "INSERT INTO history VALUES (1)"},
	{"drop", "DROP TABLE observations"},
	{"alter", "ALTER TABLE observations DELETE WHERE 1"},
	{"truncate", "TRUNCATE TABLE observations"},
	{"optimize", "OPTIMIZE TABLE observations FINAL"},
	{"system stop", "SYSTEM STOP MERGES"},
	{"kill", "KILL QUERY WHERE 1"},
	{"attach", "ATTACH TABLE x"},
	{"create user", "CREATE USER x"},
	{"create function", "CREATE FUNCTION f AS (x) -> file(x)"},
	{"use", "USE system"},
	// out of the wrap
	{"closing bracket", "SELECT 1) UNION ALL (SELECT 1 FROM system.one"},
	{"closing bracket and comment", "SELECT 1) SETTINGS readonly = 0 -- "},
	{"two statements", "SELECT 1; DROP TABLE observations"},
	{"two statements, first in a comment", "SELECT 1 -- '\n; DROP TABLE observations"},
	{"semicolon behind a heredoc", "SELECT $a$ $a$; DROP TABLE observations"},
	{"open comment", "SELECT 1 /*"},
	{"open quote", "SELECT '"},
	{"open heredoc", "SELECT $a$"},
	{"PARALLEL WITH", "SELECT 1 PARALLEL WITH SELECT 2"},
	{"format behind", "SELECT 1 FORMAT Native"},
	{"format behind a comment", "SELECT 1 FORMAT/**/Null"},
	{"format by a quoted name", "SELECT 1 FORMAT `Null`"},
	{"zero byte", "SELECT 1\x00; DROP TABLE observations"},
	{"a name that looks like nodes", "SELECT 1 AS `x\n   TableIdentifier history` FROM system.one"},
	{"a table's alias that looks like an alias", "SELECT * FROM system.one AS `a (alias b)`"},
	{"a table that looks like one of ours with an alias", "SELECT * FROM `history (alias x)`"},
	{"an argument that counts children", "SELECT `a (children 1)\n      Literal 1` IN system.one"},
	// crafted states
	{"state from text", "SELECT finalizeAggregation(CAST(unhex('00') AS AggregateFunction(groupBitmap, UInt64)))"},
	{"state by ::", "SELECT bitmapToArray(unhex('00')::AggregateFunction(groupBitmap, UInt64))"},
	{"state by values", "SELECT bitmapToArray(a) FROM values('a AggregateFunction(groupBitmap, UInt64)', 'x')"},
	{"state by lower case", "SELECT CAST('' AS aggregatefunction(sum, UInt64))"},
	{"initializeAggregation", "SELECT initializeAggregation('sum', 1)"},
}

func TestAbuse(t *testing.T) {
	g := open(t, sqlgate.Limits{Time: 5 * time.Second})
	c := newCanary(t)
	for _, a := range attacks {
		var out bytes.Buffer
		err := g.Query(t.Context(), admin, c.fill(a.sql), "tsv", nil, &out)
		var e *sqlgate.Error
		if !errors.As(err, &e) || e.Status() < 400 || e.Status() > 499 {
			t.Errorf("%s: %s\nwas not refused: %v, %q", a.name, a.sql, err, out.String())
		}
		if out.Len() > 0 {
			t.Errorf("%s: something came out: %q", a.name, out.String())
		}
		c.untouched(t, a.name, out.String()+fmt.Sprint(err))
	}
	if len(attacks) < 60 {
		t.Errorf("%d attacks, want 60", len(attacks))
	}
	if got, err := ask(t, g, "SELECT count() FROM history", nil); err != nil || got != "1001" {
		t.Errorf("afterwards: %q %v", got, err)
	}
	t.Logf("%d attacks", len(attacks))
}

// What the canary is good for: the same attacks behind the wrap and readonly=1 without the lists, and on the engine alone.
func TestWithoutTheListsTheCanaryIsReached(t *testing.T) {
	g := open(t, sqlgate.Limits{Time: 5 * time.Second}).WithoutRules()
	c := newCanary(t)
	engine := &http.Client{Timeout: 300 * time.Millisecond, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", enginetest.Socket(t))
	}}}
	defer engine.CloseIdleConnections()
	var wrapped, bare struct{ read, rung int }
	for _, a := range attacks {
		if first, _, _ := strings.Cut(a.sql, " "); first != "SELECT" && first != "WITH" && first != "DESCRIBE" || strings.Contains(a.sql, "sleep") {
			continue
		}
		var out bytes.Buffer
		_ = g.Query(t.Context(), admin, c.fill(a.sql), "tsv", nil, &out) // what comes out is the matter
		if strings.Contains(out.String(), c.secret) {
			wrapped.read++
		}
		wrapped.rung += int(min(c.rung.Swap(0), 1))
		res, err := engine.Post("http://store/?max_execution_time=5&http_max_tries=1", "text/plain", strings.NewReader(c.fill(a.sql)))
		if err != nil {
			continue
		}
		text, _ := io.ReadAll(res.Body) // what came is enough
		res.Body.Close()
		if strings.Contains(string(text), c.secret) {
			bare.read++
		}
		bare.rung += int(min(c.rung.Swap(0), 1))
	}
	t.Logf("attacks that read the file and that reached the listener: without the lists %+v, on the engine alone %+v", wrapped, bare)
	if wrapped.read < 5 || bare.read < 10 || bare.rung < 5 {
		t.Error("the attacks attack nothing")
	}
}

// FuzzGate changes attacks and questions at random; none may touch the canary.
func FuzzGate(f *testing.F) {
	for _, a := range attacks {
		f.Add(a.sql)
	}
	for _, q := range []string{"SELECT count() FROM history", "WITH x AS (SELECT 1) SELECT * FROM x", "SELECT sum(a) OVER (ORDER BY b) FROM (SELECT 1 AS a, 2 AS b)"} {
		f.Add(q)
	}
	g, c := open(f, sqlgate.Limits{Time: time.Second, Memory: 256 << 20, SQLBytes: 4096}), newCanary(f)
	f.Fuzz(func(t *testing.T, sql string) {
		var out bytes.Buffer
		err := g.Query(t.Context(), admin, c.fill(sql), "tsv", nil, &out)
		if s := status(err); err != nil && (s < 400 || s > 504) {
			t.Errorf("%q: %v (status %d)", sql, err, s)
		}
		c.untouched(t, sql, out.String())
	})
}

// What costs the engine much must end by itself, soon, and leave it able to answer.
func TestExpensiveQueriesEnd(t *testing.T) {
	g := open(t, sqlgate.Limits{Time: 2 * time.Second, Memory: 256 << 20})
	doubling := "SELECT 1 AS a0"
	for i := 1; i < 40; i++ {
		doubling += fmt.Sprintf(", a%d + a%d AS a%d", i-1, i-1, i)
	}
	for name, sql := range map[string]string{
		"deep brackets":        "SELECT " + strings.Repeat("(", 3000) + "1" + strings.Repeat(")", 3000),
		"deep subqueries":      strings.Repeat("SELECT * FROM (", 300) + "SELECT 1" + strings.Repeat(")", 300),
		"many unions":          "SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 3000),
		"doubling names":       doubling,
		"doubling subqueries":  "WITH a AS (SELECT * FROM history), b AS (SELECT * FROM a, a AS x), c AS (SELECT * FROM b, b AS x), d AS (SELECT * FROM c, c AS x) SELECT count() FROM d, d AS x",
		"cross joins":          "SELECT count() FROM history a, history b, history c, history d",
		"a huge string":        "SELECT length(repeat(repeat('a', 1000000), 1000000))",
		"a huge array":         "SELECT length(range(10000000000))",
		"endless recursion":    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
		"a slow expression":    "SELECT countMatches(repeat('a', 1000000), '(a*)*b') FROM numbers(1000)",
		"a wide polygon":       "SELECT length(h3PolygonToCells([(0., 0.), (0., 80.), (170., 80.), (170., 0.)], 9))",
		"a factorial of joins": "SELECT count() FROM numbers(1000000) a JOIN numbers(1000000) b ON a.number % 2 = b.number % 2",
	} {
		began := time.Now()
		var out bytes.Buffer
		err := g.Query(t.Context(), admin, sql, "tsv", nil, &out)
		if d := time.Since(began); d > 15*time.Second {
			t.Errorf("%s took %s: %v", name, d, err)
		} else {
			t.Logf("%-22s %8s  %.90v", name, d.Round(time.Millisecond), err)
		}
		if s := status(err); err != nil && (s < 400 || s == 503) {
			t.Errorf("%s: %v (status %d)", name, err, s)
		}
		if got, err := ask(t, g, "SELECT 1", nil); err != nil || got != "1" {
			t.Fatalf("after %s: %q %v", name, got, err)
		}
	}
}
