package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
)

var (
	// ErrUnavailable: ClickHouse did not answer, or is short of something for now; the same may work later.
	ErrUnavailable = errors.New("history is not available now")
	// ErrRefused: ClickHouse understood and said no; the same will be refused again until somebody changes something.
	ErrRefused = errors.New("ClickHouse refuses this")
	// ErrSchema: the tables are those of another version of situ.
	ErrSchema = errors.New("tables are of another version")
)

// refusals are the ClickHouse error codes that no amount of trying mends: unknown column, type, identifier, table,
// database, setting; bad arguments, syntax; access and authentication.
var refusals = []int32{16, 27, 36, 42, 43, 44, 46, 47, 50, 53, 57, 60, 62, 70, 81, 115, 117, 164, 192, 193, 194, 497, 516}

// wrap says what was being done, and which of the sentinels the error is. nil and the context's own errors pass.
func wrap(what string, err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrRefused) || errors.Is(err, ErrSchema) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", what, err)
	}
	kind := ErrUnavailable
	var e *clickhouse.Exception
	if errors.As(err, &e) && slices.Contains(refusals, e.Code) {
		kind = ErrRefused
	}
	return fmt.Errorf("%s: %w: %w", what, kind, err)
}

// Retryable reports whether the same call may succeed later without anybody changing the tables or the rights.
func Retryable(err error) bool { return errors.Is(err, ErrUnavailable) }

// Code is ClickHouse's error code in err, 0 if there is none.
func Code(err error) int32 {
	var e *clickhouse.Exception
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}
