// Package bus hands messages from gateways to ingesters and live readers (step 5 of 8).
//
// In: the messages of one spool lane. Out: the same messages, in order, as columns of a sensor.Batch.
// Two implementations keep this contract and pass bustest: the spool read in process (embedded), and
// Apache Kafka through segmentio/kafka-go. An offset that is not in the log, or a log that went backwards,
// is refused with ErrOffset: a reader stops and says so, it never seeks by itself.
package bus

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/pkg/sensor"
)

var (
	// ErrOffset: the offset asked for is not in the log (trimmed, beyond its end, or of another incarnation).
	ErrOffset = errors.New("offset is not in the log")
	// ErrGeneration: this process no longer owns the partition; whatever it was doing must be dropped.
	ErrGeneration = errors.New("partition belongs to a newer owner")
	// ErrMessage: a message of the log is not situ's, or of a form this build does not know. It is not passed over: what
	// stands there may have been acknowledged to somebody.
	ErrMessage = errors.New("message cannot be read")
	// ErrUnanswered: nobody knows whether the request was done, and it may be done yet.
	ErrUnanswered = errors.New("no answer")
)

// LogID names one incarnation of a log. It goes into deduplication tokens, so that a log that was made anew
// can never be taken for its predecessor.
type LogID [16]byte

func (id LogID) String() string { return hex.EncodeToString(id[:]) }

// Log is a set of partitions, each an ordered sequence of messages numbered by offset.
type Log interface {
	// ID names the incarnation of partition part.
	ID(ctx context.Context, part int32) (LogID, error)
	// Partitions lists the partitions; their number never changes.
	Partitions(ctx context.Context) ([]int32, error)
	// Bounds gives the oldest offset still in the log and the offset the next message will get.
	Bounds(ctx context.Context, part int32) (first, next int64, err error)
	// Fetch appends messages of part to b: those at from, from+1, ... It stops before offset `to` (0 = no such
	// stop), after maxRows rows (dead letters and empties count as rows; 0 = no such stop) have been reached, at
	// the end of the log, or earlier (its memory is bounded: see MaxFetchBytes); it waits until there is at least
	// one message, or returns ctx's error. It returns the offset after the last message read: whoever wants all
	// of [from, to) goes on from there.
	// A [from, to) once fetched gives the same batch for ever, as long as b.Watermarks was the same at its start.
	Fetch(ctx context.Context, part int32, from, to int64, maxRows int, b *sensor.Batch) (next int64, err error)
}

// MaxFetchBytes bounds what one Fetch reads beyond its first message; where it is told maxRows, so many times RowBytes do.
const MaxFetchBytes = 64 << 20

// RowBytes is what a row takes in memory, about: what is longer counts as several.
const RowBytes = 128

// FetchBytes is the bound of a Fetch of so many rows.
func FetchBytes(maxRows int) int {
	if maxRows <= 0 || maxRows > MaxFetchBytes/RowBytes {
		return MaxFetchBytes
	}
	return maxRows * RowBytes
}

// Position is where a group stands in a partition: everything before Offset is done (-1: nothing was ever committed).
// Meta is the ingester's intent, opaque here.
type Position = protocol.Position

// Assignment is one partition in one process's hands.
type Assignment interface {
	Partition() int32
	// Committed reads the group's position.
	Committed(ctx context.Context) (Position, error)
	// Commit writes it durably. ErrGeneration when the partition has a newer owner; ErrUnanswered when a request is on
	// its way that may overtake a later one, so that the caller has to wait until it cannot.
	Commit(ctx context.Context, p Position) error
}

// Settler is an Assignment that need not wait until a commit without an answer can no longer be carried out. Settle makes
// sure of it, and gives ErrGeneration: the partition comes again, to this process or another, in a newer assignment.
type Settler interface {
	Settle(ctx context.Context) error
}

// Group shares a log's partitions between the processes of one name.
type Group interface {
	// Consume calls handle once for each partition assigned to this process, each in its own goroutine; handle's
	// ctx ends when the partition is taken away. It returns when ctx ends or a handle fails, after all have returned.
	Consume(ctx context.Context, handle func(ctx context.Context, a Assignment) error) error
}

// Publisher is the gateway's side of a bus that is not the spool itself.
type Publisher interface {
	// Publish sends messages from..to of producer p, held in b, and returns when the bus has them durably.
	// Any error but ErrTooLarge means "unknown": the caller sends the same again, and nothing after it before.
	Publish(ctx context.Context, log LogID, p sensor.Producer, from, to uint64, b *sensor.Batch) error
}

// ErrTooLarge: the bus will never take this message; the caller splits it.
var ErrTooLarge = errors.New("message too large for the bus")
