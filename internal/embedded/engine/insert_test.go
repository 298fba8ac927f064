package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
)

// rawTable has what situ's raw tables have for exactly-once blocks.
const rawTable = `CREATE TABLE raw (x UInt64, y Float64) ENGINE = MergeTree ORDER BY x
	SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1`

// send inserts rows [from, to) under a token ("" for none).
func send(t testing.TB, conn driver.Conn, token string, from, to uint64) error {
	t.Helper()
	ctx := t.Context()
	if token != "" {
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": token}))
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO raw (x, y)")
	if err != nil {
		return err
	}
	for x := from; x < to; x++ {
		if err := batch.Append(x, float64(x)/2); err != nil {
			t.Fatal(err)
		}
	}
	return batch.Send()
}

func count(t testing.TB, conn driver.Conn) uint64 {
	t.Helper()
	return one[uint64](t, conn, "SELECT count() FROM raw")
}

func TestTokenDecidesWhatIsARepeat(t *testing.T) {
	conn, _ := enginetest.Start(t)
	do(t, conn, rawTable)
	for _, c := range []struct {
		token    string
		from, to uint64
		want     uint64
		why      string
	}{
		{"log/0/0-10/raw/202605", 0, 10, 10, "first"},
		{"log/0/0-10/raw/202605", 0, 10, 10, "same token, same rows: once"},
		{"log/0/10-20/raw/202605", 0, 10, 20, "other token, equal rows: twice"},
		{"log/0/0-10/raw/202605", 50, 60, 20, "same token, other rows: dropped, so a token is never used anew"},
		{"", 0, 10, 30, "no token: the hash of the rows is one"},
		{"", 0, 10, 30, "no token, equal rows: dropped"},
	} {
		if err := send(t, conn, c.token, c.from, c.to); err != nil {
			t.Fatalf("%s: %v", c.why, err)
		}
		if n := count(t, conn); n != c.want {
			t.Errorf("%s: %d rows, want %d", c.why, n, c.want)
		}
	}
}

// TestTokenHoldsOverAllPartsOfABlock: one INSERT over several months makes several parts,
// each under the token.
func TestTokenHoldsOverAllPartsOfABlock(t *testing.T) {
	conn, _ := enginetest.Start(t)
	do(t, conn, strings.Replace(rawTable, "ORDER BY", "PARTITION BY x % 3 ORDER BY", 1))
	for range 2 {
		if err := send(t, conn, "token", 0, 999); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, conn); n != 999 {
		t.Errorf("%d rows, want 999", n)
	}
}

// TestUnequalColumnsAreRefused: clickhouse-go cannot encode such a batch, sends an empty
// body, and would report success if the store took it.
func TestUnequalColumnsAreRefused(t *testing.T) {
	conn, _ := enginetest.Start(t)
	do(t, conn, rawTable)
	batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO raw")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(batch.Column(0).Append([]uint64{1, 2, 3}), batch.Column(1).Append([]float64{1, 2})); err != nil {
		t.Fatal(err)
	}
	if err := batch.Send(); codeOf(err) != 108 {
		t.Errorf("Send: %v, want code 108", err)
	}
	if n := count(t, conn); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestInsertFormats(t *testing.T) {
	conn, socket := enginetest.Start(t)
	do(t, conn, rawTable)
	db := "database=" + database(t, conn)
	w := newWeb(t, socket)
	for i, c := range []struct {
		query, body string
	}{
		{"INSERT INTO raw FORMAT TSV", "1\t2\n"},
		{"INSERT INTO raw (x, y) FORMAT JSONEachRow", `{"x": 1, "y": 2}`},
		{"INSERT INTO raw VALUES", "(1, 2)"},
		{"INSERT INTO raw VALUES (1,", "2)"},
		{"INSERT INTO raw SETTINGS max_threads = 1 FORMAT CSV", "1,2\n"},
		{"INSERT INTO raw", "VALUES (1, 2)"},
		{"", "INSERT INTO raw FORMAT TSV\n1\t2\n"},
		{"", "INSERT INTO raw (x, y) /* FORMAT CSV */ VALUES (1, 2)"},
		{"", "INSERT INTO raw SELECT 1, 2"},
		{"", "INSERT INTO raw FORMAT Values (1, 2);"},
		{"INSERT INTO raw", "SELECT 1, 2"},
	} {
		token := fmt.Sprint("insert_deduplication_token=", i)
		res, text := w.post(t, strings.NewReader(c.body), db, token, "query="+c.query)
		if res.StatusCode != http.StatusOK || text != "" {
			t.Errorf("%q %q: %s %s", c.query, c.body, res.Status, text)
		}
		if n := count(t, conn); n != uint64(i+1) {
			t.Fatalf("%q %q: %d rows, want %d", c.query, c.body, n, i+1)
		}
	}
	res, _ := w.post(t, strings.NewReader("5\t6\n7\t8\n"), db, "query=INSERT INTO raw FORMAT TSV")
	if got := res.Header.Get("X-ClickHouse-Summary"); !strings.Contains(got, `"written_rows":"2"`) {
		t.Errorf("summary %s", got)
	}
}

func TestBadRowsInsertNothing(t *testing.T) {
	conn, socket := enginetest.Start(t)
	do(t, conn, rawTable)
	db := "database=" + database(t, conn)
	w := newWeb(t, socket)
	for _, c := range []struct{ query, body string }{
		{"INSERT INTO raw FORMAT TSV", "1\t2\nx\t2\n"},
		{"INSERT INTO raw FORMAT Native", "\x02\x01\x01x"},
		{"INSERT INTO raw FORMAT Native", ""},
		{"INSERT INTO raw FORMAT Nonsense", "1"},
		{"INSERT INTO raw (z) FORMAT TSV", "1"},
		{"INSERT INTO raw VALUES", "(1"},
	} {
		if res, text := w.post(t, strings.NewReader(c.body), db, "query="+c.query); res.StatusCode == http.StatusOK ||
			!strings.HasPrefix(text, "Code: ") {
			t.Errorf("%q %q: %s %s", c.query, c.body, res.Status, text)
		}
	}
	broken := io.MultiReader(strings.NewReader("1\t2\n3\t4\n"), failing{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://store/?"+db+"&query=INSERT+INTO+raw+FORMAT+TSV", broken)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := w.c.Do(req); err == nil {
		t.Errorf("broken body: %s", res.Status)
		res.Body.Close()
	}
	if n := count(t, conn); n != 0 {
		t.Errorf("%d rows came in", n)
	}
	if err := send(t, conn, "", 0, 5); err != nil || count(t, conn) != 5 {
		t.Errorf("a good insert afterwards: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the client is gone") }

// TestArrowMessage inserts a bus message as it is.
func TestArrowMessage(t *testing.T) {
	conn, socket := enginetest.Start(t)
	do(t, conn, rawTable)
	for i, option := range [][]ipc.Option{nil, {ipc.WithZstd()}, {ipc.WithLZ4()}} {
		body := arrowMessage(t, 1000, option...)
		res, text := newWeb(t, socket).post(t, bytes.NewReader(body), "database="+database(t, conn),
			fmt.Sprint("insert_deduplication_token=", i), "query=INSERT INTO raw FORMAT ArrowStream")
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", res.Status, text)
		}
		if n := count(t, conn); n != uint64(i+1)*1000 {
			t.Errorf("%d rows", n)
		}
	}
	if got := one[float64](t, conn, "SELECT sum(y) FROM raw"); got != 3*999*1000/4 {
		t.Errorf("sum %v", got)
	}
}

func arrowMessage(t testing.TB, rows int, options ...ipc.Option) []byte {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "y", Type: arrow.PrimitiveTypes.Float64}, {Name: "x", Type: arrow.PrimitiveTypes.Uint64}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i := range rows {
		b.Field(0).(*array.Float64Builder).Append(float64(i) / 2)
		b.Field(1).(*array.Uint64Builder).Append(uint64(i))
	}
	record := b.NewRecord()
	defer record.Release()
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, append(options, ipc.WithSchema(schema))...)
	if err := errors.Join(w.Write(record), w.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestDictionaryOfALocalTable: works, but reloads only when told.
func TestDictionaryOfALocalTable(t *testing.T) {
	conn, _ := enginetest.Start(t)
	db := database(t, conn)
	do(t, conn, "CREATE TABLE things (id UInt64, class String) ENGINE = MergeTree ORDER BY id")
	do(t, conn, "INSERT INTO things VALUES (1, 'open')")
	do(t, conn, "CREATE DICTIONARY thing_by_id (id UInt64, class String DEFAULT '?') PRIMARY KEY id "+
		"SOURCE(CLICKHOUSE(DB '"+db+"' TABLE 'things')) LIFETIME(MIN 0 MAX 1) LAYOUT(HASHED())")
	const ask = "SELECT dictGet('thing_by_id', 'class', toUInt64(?))"
	if got := one[string](t, conn, ask, 1); got != "open" {
		t.Errorf("thing 1 is %q", got)
	}
	do(t, conn, "INSERT INTO things VALUES (2, 'closed')")
	do(t, conn, "SYSTEM RELOAD DICTIONARY "+db+".thing_by_id")
	if got := one[string](t, conn, ask, 2); got != "closed" {
		t.Errorf("thing 2 is %q", got)
	}
}
