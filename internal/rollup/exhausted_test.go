package rollup_test

import (
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/situ-city/situ/internal/store"
)

// The engine's refusal for want of memory is known for what it is: the worker then halves its work.
func TestExhaustedIsTheEnginesOwnError(t *testing.T) {
	w := newWorld(t, 1)
	ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_memory_usage": 5_000_000}))
	if err := w.conn.Exec(ctx, "SELECT length(groupArray(number)) FROM numbers(10000000)"); !store.Exhausted(err) {
		t.Errorf("%v is not taken for a want of memory", err)
	}
	if err := w.conn.Exec(ctx, "SELECT nonsense"); err == nil || store.Exhausted(err) {
		t.Errorf("%v is taken for a want of memory", err)
	}
}
