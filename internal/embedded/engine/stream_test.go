package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"

	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
)

// TestStreamIsOneDocument: the engine formats every block as a document of its own.
func TestStreamIsOneDocument(t *testing.T) {
	_, socket := enginetest.Start(t)
	w := newWeb(t, socket)
	const rows = 200_000 // four blocks
	sql := fmt.Sprintf("SELECT number AS n, toString(number) AS `a \"name\nof two lines\"` FROM numbers(%d) FORMAT ", rows)
	for format, want := range map[string]int{
		"TSV": rows, "TSVWithNames": rows + 1, "TSVWithNamesAndTypes": rows + 2, "CSV": rows, "CSVWithNames": rows + 2,
		"JSONEachRow": rows, "JSONCompactEachRowWithNames": rows + 1,
	} {
		text := w.sql(t, sql+format)
		if got := strings.Count(text, "\n"); got != want {
			t.Errorf("%s has %d lines, want %d", format, got, want)
		}
		if got := strings.Count(text, "name"); got > 1 && !strings.Contains(format, "EachRow") {
			t.Errorf("%s has %d headers", format, got)
		}
	}
	for _, format := range []string{"JSON", "JSONCompact"} {
		if got := strings.Count(w.sql(t, sql+format), `"meta"`); got != 1 {
			t.Errorf("%s has %d documents", format, got)
		}
	}
}

func TestArrowStreamIsOneStream(t *testing.T) {
	_, socket := enginetest.Start(t)
	text := newWeb(t, socket).sql(t, "SELECT number AS n, toString(number) AS s FROM numbers(200000) FORMAT ArrowStream")
	r, err := ipc.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	var next uint64
	for r.Next() {
		n := r.Record().Column(0).(*array.Uint64)
		for i := range n.Len() {
			if n.Value(i) != next {
				t.Fatalf("row %d holds %d", next, n.Value(i))
			}
			next++
		}
	}
	if r.Err() != nil || next != 200_000 {
		t.Errorf("read %d rows, %v", next, r.Err())
	}
}

// TestSparseBlocksDoNotEndTheStream: an empty block in the middle must not be taken for
// the end, which the C API tells by an empty answer.
func TestSparseBlocksDoNotEndTheStream(t *testing.T) {
	conn, _ := enginetest.Start(t)
	do(t, conn, "CREATE TABLE t (x UInt64) ENGINE = MergeTree ORDER BY x SETTINGS index_granularity = 1024")
	do(t, conn, "INSERT INTO t SELECT number FROM numbers(3000000)")
	rows, err := conn.Query(t.Context(), "SELECT x FROM t WHERE x % 700001 = 5")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
	}
	if rows.Err() != nil || n != 5 {
		t.Errorf("%d rows, %v", n, rows.Err())
	}
}

// TestLargeResultInLittleMemory reads 400 MB of a result while watching the store.
func TestLargeResultInLittleMemory(t *testing.T) {
	s, socket := own(t)
	before := resident(t, s.Pid())
	res, err := newWeb(t, socket).c.Post("http://store/", "text/plain",
		strings.NewReader("SELECT number, sipHash64(number) FROM numbers(25000000) FORMAT RowBinary"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	peak, total := before, int64(0)
	for buf := make([]byte, 1<<20); ; {
		n, err := res.Body.Read(buf)
		if total/(64<<20) != (total+int64(n))/(64<<20) {
			peak = max(peak, resident(t, s.Pid()))
		}
		if total += int64(n); err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("resident %d MB before, %d MB at most", before>>20, peak>>20)
	if total != 400_000_000 {
		t.Errorf("got %d bytes", total)
	}
	if peak > before+150<<20 {
		t.Errorf("store grew from %d to %d MB", before>>20, peak>>20)
	}
}

func TestErrorInTheMiddleOfAResult(t *testing.T) {
	conn, socket := enginetest.Start(t)
	const sql = "SELECT throwIf(number = 3000000) FROM numbers(4000000)"
	rows, err := conn.Query(t.Context(), sql)
	n := 0
	for err == nil && rows.Next() {
		n++
	}
	if err == nil {
		err = rows.Err()
	}
	if codeOf(err) != 395 || n == 0 {
		t.Errorf("after %d rows: %v, want code 395", n, err)
	}
	res, text := newWeb(t, socket).post(t, strings.NewReader(sql), "max_threads=1")
	tag := res.Header.Get("X-ClickHouse-Exception-Tag")
	if res.StatusCode != http.StatusOK || !strings.Contains(text, "\r\n__exception__\r\n"+tag+"\r\nCode: 395. ") ||
		!strings.HasSuffix(text, "[unexpected EOF]") {
		t.Errorf("%s ... %q", res.Status, text[max(0, len(text)-400):])
	}
	do(t, conn, "SELECT 1")
}

func TestStatementDiesWithItsClient(t *testing.T) {
	conn, _ := enginetest.Start(t)
	for _, sql := range []string{
		"SELECT max(sipHash64(number)) FROM numbers(1000000000000)",
		"SELECT max(sipHash64(number)) FROM numbers(1000000000000) FORMAT JSON",
		"SELECT number FROM numbers(1000000000000)",
		"EXPLAIN ESTIMATE SELECT count() FROM numbers(10) WHERE sleepEachRow(3) = 0",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() { failed <- conn.Exec(ctx, sql) }()
		running := "SELECT count() FROM system.processes WHERE query LIKE '" + strings.ReplaceAll(sql, "'", `\'`)[:30] + "%'"
		if strings.HasPrefix(sql, "SELECT") {
			eventually(t, func() bool { return one[uint64](t, conn, running) == 1 })
		}
		cancel()
		<-failed // the driver may have had its 200 before
		eventually(t, func() bool { return one[uint64](t, conn, running) == 0 })
	}
}

func TestManySelectsAndAnInsert(t *testing.T) {
	conn, _ := enginetest.Start(t)
	do(t, conn, "CREATE TABLE t (x UInt64) ENGINE = MergeTree ORDER BY x")
	const blocks, rows = 30, 10_000
	var g sync.WaitGroup
	done := make(chan struct{})
	for range 8 {
		g.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				var n, sum uint64
				if err := conn.QueryRow(context.Background(), "SELECT count(), sum(x) FROM t").Scan(&n, &sum); err != nil {
					t.Error(err)
					return
				}
				if n%rows != 0 || sum != n*(n-1)/2 {
					t.Errorf("saw a part of a block: %d rows, sum %d", n, sum)
					return
				}
			}
		})
	}
	for b := range blocks {
		batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO t")
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			if err := batch.Append(uint64(b*rows + i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	g.Wait()
	if n := one[uint64](t, conn, "SELECT count() FROM t"); n != blocks*rows {
		t.Errorf("%d rows", n)
	}
}

// eventually waits for what another process does.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within 20 s")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// resident is a process's RSS in bytes.
func resident(t testing.TB, pid int) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kb int64
		if n, _ := fmt.Sscanf(lines.Text(), "VmRSS: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	t.Fatal(errors.New("no VmRSS"))
	return 0
}
