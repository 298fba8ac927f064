package engine_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
)

// every has one column of each type that situ's tables use.
const everyTable = `CREATE TABLE every (
	u8 UInt8, u16 UInt16, u32 UInt32, u64 UInt64, i32 Int32, i64 Int64, f64 Float64,
	s String, lc LowCardinality(String), t DateTime64(3, 'UTC'),
	nf Nullable(Float64), ns Nullable(String), lcn LowCardinality(Nullable(String)),
	au Array(UInt64), b Bool, d Date, m Map(String, String)
) ENGINE = MergeTree ORDER BY u64`

type every struct {
	U8  uint8             `ch:"u8"`
	U16 uint16            `ch:"u16"`
	U32 uint32            `ch:"u32"`
	U64 uint64            `ch:"u64"`
	I32 int32             `ch:"i32"`
	I64 int64             `ch:"i64"`
	F64 float64           `ch:"f64"`
	S   string            `ch:"s"`
	LC  string            `ch:"lc"`
	T   time.Time         `ch:"t"`
	NF  *float64          `ch:"nf"`
	NS  *string           `ch:"ns"`
	LCN *string           `ch:"lcn"`
	AU  []uint64          `ch:"au"`
	B   bool              `ch:"b"`
	D   time.Time         `ch:"d"`
	M   map[string]string `ch:"m"`
}

func everyRow(i int) every {
	r := every{
		U8: uint8(i), U16: uint16(i * 7), U32: uint32(i) * 65537, U64: math.MaxUint64 - uint64(i),
		I32: int32(-i), I64: math.MinInt64 + int64(i), F64: float64(i) / 3,
		S: fmt.Sprintf("row\x00 %d '\\\n水位", i), LC: fmt.Sprint("district ", i%5),
		T:  time.UnixMilli(1_700_000_000_123 + int64(i)).UTC(),
		AU: []uint64{uint64(i), 0}, B: i%2 == 0,
		D: time.Date(2026, 1, 1+i%28, 0, 0, 0, 0, time.UTC), M: map[string]string{"k": fmt.Sprint(i)},
	}
	if i%3 == 0 {
		nf, ns := float64(i), fmt.Sprint(i)
		r.NF, r.NS, r.LCN = &nf, &ns, &ns
	}
	return r
}

func TestEveryTypeThereAndBack(t *testing.T) {
	for name, compression := range map[string]clickhouse.CompressionMethod{
		"none": clickhouse.CompressionNone, "lz4": clickhouse.CompressionLZ4, "zstd": clickhouse.CompressionZSTD,
		"gzip": clickhouse.CompressionGZIP, "deflate": clickhouse.CompressionDeflate, "br": clickhouse.CompressionBrotli,
	} {
		t.Run(name, func(t *testing.T) {
			conn, socket := enginetest.Start(t)
			if compression != clickhouse.CompressionNone {
				conn = compressed(t, socket, database(t, conn), compression)
			}
			do(t, conn, everyTable)
			const rows = 1000
			batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO every")
			if err != nil {
				t.Fatal(err)
			}
			for i := range rows {
				r := everyRow(i)
				if err := batch.AppendStruct(&r); err != nil {
					t.Fatal(err)
				}
			}
			if err := batch.Send(); err != nil {
				t.Fatal(err)
			}
			var got []every
			if err := conn.Select(t.Context(), &got, "SELECT * FROM every ORDER BY i64"); err != nil {
				t.Fatal(err)
			}
			if len(got) != rows {
				t.Fatalf("got %d rows", len(got))
			}
			for i, g := range got {
				if want := everyRow(i); show(g) != show(want) {
					t.Fatalf("row %d:\n got %s\nwant %s", i, show(g), show(want))
				}
			}
		})
	}
}

// show prints what pointers point to.
func show(r every) string {
	nf, ns, lcn := "nil", "nil", "nil"
	if r.NF != nil {
		nf, ns, lcn = fmt.Sprint(*r.NF), *r.NS, *r.LCN
	}
	r.NF, r.NS, r.LCN = nil, nil, nil
	return fmt.Sprintf("%+v %s %s %s", r, nf, ns, lcn)
}

func TestQueryParameters(t *testing.T) {
	conn, _ := enginetest.Start(t)
	awkward := "it's \\n a\ttab\nline `q` 水 {x:UInt64}; DROP --"
	for _, c := range []struct {
		sql  string
		args []any
		want string
	}{
		{"SELECT toString({x:UInt64} + 1)", []any{clickhouse.Named("x", uint64(1<<63))}, "9223372036854775809"},
		{"SELECT {s:String}", []any{clickhouse.Named("s", awkward)}, awkward},
		{"SELECT toString({a:Array(UInt64)})", []any{clickhouse.Named("a", []uint64{1, 2})}, "[1,2]"},
		{"SELECT toString({t:DateTime64(3, 'UTC')})", []any{clickhouse.Named("t", "2026-05-01 10:11:12.345")}, "2026-05-01 10:11:12.345"},
		{"SELECT toString(?)", []any{7}, "7"},
		{"SELECT name FROM system.databases WHERE name = {d:String}", []any{clickhouse.Named("d", "system")}, "system"},
	} {
		var got string
		if err := conn.QueryRow(t.Context(), c.sql, c.args...).Scan(&got); err != nil {
			t.Errorf("%s: %v", c.sql, err)
		} else if got != c.want {
			t.Errorf("%s: got %q, want %q", c.sql, got, c.want)
		}
	}
}
