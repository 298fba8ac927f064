package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/sensor"
)

// DeadLetterFilter says which ones; empty fields say nothing.
type DeadLetterFilter struct {
	Reason sensor.Reason
	Owner  string
	Limit  int
	Cursor string
}

// StoredDeadLetter is a dead letter and what became of it.
type StoredDeadLetter struct {
	sensor.LoggedDeadLetter
	State string // open, resolved
}

// place is where a page of dead letters ended.
type place struct {
	Arrival int64  `json:"a"`
	Gateway string `json:"g"`
	Epoch   uint32 `json:"e"`
	Lane    uint8  `json:"l"`
	Seq     uint64 `json:"s"`
	Idx     uint16 `json:"i"`
}

// DeadLetters lists dead letters, newest first. next is the cursor of the following page, empty when there is none.
func (s *Store) DeadLetters(ctx context.Context, f DeadLetterFilter) (letters []StoredDeadLetter, next string, err error) {
	if f.Limit <= 0 || f.Limit > MaxPage {
		return nil, "", fmt.Errorf("limit %d: want 1 to %d", f.Limit, MaxPage)
	}
	at := place{Arrival: time.Date(2299, 12, 31, 0, 0, 0, 0, time.UTC).UnixMilli()}
	if f.Cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(f.Cursor)
		if err == nil {
			err = json.Unmarshal(text, &at)
		}
		if err != nil {
			return nil, "", fmt.Errorf("cursor %q: %w", f.Cursor, ErrCursor)
		}
	}
	err = s.each(ctx, `SELECT toUnixTimestamp64Milli(arrival_time), toString(reason), detail, topic, toString(protocol), toString(owner),
			thing, field, toString(source), client, size, payload, toString(state), toString(gateway), epoch, lane, seq, idx
		FROM ~deadletters
		WHERE ({reason:String} = '' OR reason = {reason:String}) AND ({owner:String} = '' OR owner = {owner:String})
			AND (toUnixTimestamp64Milli(arrival_time), gateway, epoch, lane, seq, idx)
				< ({a:Int64}, {g:String}, {e:UInt32}, {l:UInt8}, {s:UInt64}, {i:UInt16})
		ORDER BY arrival_time DESC, gateway DESC, epoch DESC, lane DESC, seq DESC, idx DESC LIMIT {limit:UInt32}`,
		func(r driver.Rows) error {
			var l StoredDeadLetter
			var reason, payload string
			var lane uint8
			var size uint64
			if err := r.Scan(&l.Arrival, &reason, &l.Detail, &l.Topic, &l.Protocol, &l.Owner, &l.Thing, &l.Field, &l.Source, &l.Client,
				&size, &payload, &l.State, &l.Gateway, &l.Epoch, &lane, &l.Seq, &l.Idx); err != nil {
				return err
			}
			l.Reason, l.Lane, l.Size = sensor.Reason(reason), sensor.Lane(lane), int(size)
			if payload != "" {
				l.Payload = []byte(payload)
			}
			letters = append(letters, l)
			return nil
		}, clickhouse.Named("reason", string(f.Reason)), clickhouse.Named("owner", f.Owner), clickhouse.Named("limit", uint32(f.Limit+1)),
		clickhouse.Named("a", at.Arrival), clickhouse.Named("g", at.Gateway), clickhouse.Named("e", at.Epoch),
		clickhouse.Named("l", at.Lane), clickhouse.Named("s", at.Seq), clickhouse.Named("i", at.Idx))
	if err != nil {
		return nil, "", wrap("read dead letters", err)
	}
	if len(letters) <= f.Limit {
		return letters, "", nil
	}
	letters = letters[:f.Limit]
	last := letters[f.Limit-1]
	text, err := json.Marshal(place{last.Arrival, last.Gateway, last.Epoch, uint8(last.Lane), last.Seq, last.Idx})
	return letters, base64.RawURLEncoding.EncodeToString(text), err
}

// Counts are totals that a status line shows.
type Counts struct{ Observations, DeadLetters, Things, Datastreams uint64 }

// Count reads them. Observations are counted as stored, repeats included.
func (s *Store) Count(ctx context.Context) (c Counts, err error) {
	err = s.conn.QueryRow(ctx, s.sql(`SELECT (SELECT count() FROM ~observations), (SELECT count() FROM ~deadletters),
		(SELECT count() FROM ~things), (SELECT count() FROM ~datastreams)`)).Scan(&c.Observations, &c.DeadLetters, &c.Things, &c.Datastreams)
	return c, wrap("count", err)
}
