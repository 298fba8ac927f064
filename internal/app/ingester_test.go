package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/store"
)

// gone is a ClickHouse that answered once.
type gone struct{ driver.Conn }

func (gone) Exec(context.Context, string, ...any) error { return nil }

func (gone) Query(context.Context, string, ...any) (driver.Rows, error) {
	return nil, errors.New("connection refused")
}

// Told to stop while the store is away, an ingester that had just begun used to end with the store's error, as if
// something had gone wrong.
func TestStopBeforeTheTopicIsKnownIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(t.Context(), store.Options{Conn: gone{}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		p := &process{logger: slog.New(slog.DiscardHandler)}
		go func() {
			_, _, err := p.logsOf(ctx, s, "log")
			done <- err
		}()
		time.Sleep(time.Hour)
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("err %v", err)
		}
	})
}
