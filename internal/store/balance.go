package store

import (
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/sensor"
)

// NoOwner stands for the owner where nobody can say who it is.
const NoOwner = "?"

// BalanceSettles is how long a stored block is on its way to the balance: rows and what promises them are read one
// after the other, and a block that came between would look incomplete.
const BalanceSettles = 5 * time.Second

// Account is what became of messages. Messages = WithRows + DeadLetters + Empties + Gaps + Missing.
type Account struct {
	Messages    uint64            `json:"messages" doc:"acknowledged messages"`
	WithRows    uint64            `json:"with_rows" doc:"of them with at least one observation"`
	DeadLetters uint64            `json:"dead_letters" doc:"of them with dead letters only"`
	Empties     uint64            `json:"empties" doc:"of them that rightly hold nothing"`
	Reasons     map[string]uint64 `json:"empty_reasons,omitempty" doc:"the same by reason: heartbeat, birth, command, ..."`
	Gaps        uint64            `json:"gaps" doc:"of them removed by policy, with a record"`
	Missing     uint64            `json:"missing" doc:"of them that nothing tells of; must be 0"`

	Unjudged       uint64 `json:"unjudged" doc:"found, but their block is not closed yet"`
	Repeats        uint64 `json:"repeats" doc:"second deliveries dropped"`
	Observations   uint64 `json:"observations" doc:"rows found"`
	RowsMissing    uint64 `json:"rows_missing" doc:"rows that were taken and are not there; must be 0"`
	RowsDoubled    uint64 `json:"rows_doubled" doc:"rows that are there too often; must be 0"`
	LettersMissing uint64 `json:"letters_missing" doc:"dead letters that were taken and are not there; must be 0"`
}

// Wrong is the number of messages, rows and letters that are not as they should be; 0 is the promise.
func (a *Account) Wrong() uint64 {
	return a.Missing + a.RowsMissing + a.RowsDoubled + a.LettersMissing
}

// Add adds b to a.
func (a *Account) Add(b *Account) {
	for reason, n := range b.Reasons {
		if a.Reasons == nil {
			a.Reasons = map[string]uint64{}
		}
		a.Reasons[reason] += n
	}
	for _, v := range [...]struct {
		to   *uint64
		from uint64
	}{
		{&a.Messages, b.Messages}, {&a.WithRows, b.WithRows}, {&a.DeadLetters, b.DeadLetters}, {&a.Empties, b.Empties},
		{&a.Gaps, b.Gaps}, {&a.Missing, b.Missing}, {&a.Unjudged, b.Unjudged}, {&a.Repeats, b.Repeats},
		{&a.Observations, b.Observations}, {&a.RowsMissing, b.RowsMissing}, {&a.RowsDoubled, b.RowsDoubled},
		{&a.LettersMissing, b.LettersMissing},
	} {
		*v.to += v.from
	}
}

// BalanceRow is the account of one owner, producer and hour of arrival. What has no owner stands under NoOwner.
type BalanceRow struct {
	Hour time.Time
	sensor.Producer
	Owner string
	Account
}

// Closed says up to where a producer's part of the balance is closed: what it took later is still on its way.
type Closed struct {
	sensor.Producer
	Seq   uint64    // highest seq judged
	Until time.Time // latest arrival judged
}

// Balance is P3 for the hours of a time: every acknowledged message has a row, or a dead letter, or a counted reason to
// be empty, or a declared gap.
type Balance struct {
	From, To time.Time // hours, To not included
	Rows     []BalanceRow
	Closed   []Closed // by gateway, epoch and lane
}

// Total is the sum of all rows.
func (b *Balance) Total() (sum Account) {
	for i := range b.Rows {
		sum.Add(&b.Rows[i].Account)
	}
	return sum
}

// ClosedUntil is the time up to which everything that arrived is in the balance: the earliest over the gateways that
// were heard in its hours, each as far as its live lane has come. Zero: nothing is closed.
func (b *Balance) ClosedUntil() time.Time {
	until, _ := b.Held()
	return until
}

// Held is ClosedUntil, and the gateway that is farthest behind.
func (b *Balance) Held() (until time.Time, gateway string) {
	newest := map[string]time.Time{}
	for _, c := range b.Closed {
		if c.Lane == sensor.Live && c.Until.After(newest[c.Gateway]) && !c.Until.Before(b.From) {
			newest[c.Gateway] = c.Until
		}
	}
	for name, t := range newest {
		if until.IsZero() || t.Before(until) || t.Equal(until) && name < gateway {
			until, gateway = t, name
		}
	}
	return until, gateway
}

// Only leaves out what is another owner's. What has no owner stays: it may be anybody's. "" leaves everything.
func (b *Balance) Only(owner string) {
	if owner != "" {
		b.Rows = slices.DeleteFunc(b.Rows, func(r BalanceRow) bool { return r.Owner != owner && r.Owner != NoOwner })
	}
}

// Balance asks for the hours that overlap [from, to). It reads the rows that arrived in them: 10 million take about a
// second. What is wrong at all is in Total().Wrong(); Trouble says where.
func (s *Store) Balance(ctx context.Context, from, to time.Time) (*Balance, error) {
	b := &Balance{From: from.UTC().Truncate(time.Hour), To: to.UTC().Add(time.Hour - 1).Truncate(time.Hour)}
	hours := []any{clickhouse.Named("from", uint32(b.From.Unix())), clickhouse.Named("to", uint32(b.To.Unix()))}
	err := s.each(ctx, `SELECT hour, toString(gateway), epoch, lane, owner, messages, with_rows, dead_letters, empties, empty_reasons, gaps, missing,
			unjudged, repeats, observations, rows_missing, rows_doubled, letters_missing
		FROM ~balance WHERE hour >= toDateTime({from:UInt32}, 'UTC') AND hour < toDateTime({to:UInt32}, 'UTC')
		ORDER BY hour, gateway, epoch, lane, owner`, func(r driver.Rows) error {
		var row BalanceRow
		var lane uint8
		if err := r.Scan(&row.Hour, &row.Gateway, &row.Epoch, &lane, &row.Owner, &row.Messages, &row.WithRows, &row.DeadLetters,
			&row.Empties, &row.Reasons, &row.Gaps, &row.Missing, &row.Unjudged, &row.Repeats, &row.Observations,
			&row.RowsMissing, &row.RowsDoubled, &row.LettersMissing); err != nil {
			return err
		}
		row.Lane, row.Hour = sensor.Lane(lane), row.Hour.UTC()
		b.Rows = append(b.Rows, row)
		return nil
	}, hours...)
	if err != nil {
		return nil, wrap("read the balance", err)
	}
	err = s.each(ctx, `SELECT toString(gateway), epoch, lane, max(seq_to), toUnixTimestamp64Milli(max(last_arrival)) FROM ~taken
		WHERE hour < toDateTime({to:UInt32}, 'UTC') AND skipped = 0 AND abs(dateDiff('millisecond', written_at, now64(3))) >= 5000
		GROUP BY gateway, epoch, lane ORDER BY gateway, epoch, lane`, func(r driver.Rows) error {
		var c Closed
		var lane uint8
		var until int64
		if err := r.Scan(&c.Gateway, &c.Epoch, &lane, &c.Seq, &until); err != nil {
			return err
		}
		c.Lane, c.Until = sensor.Lane(lane), time.UnixMilli(until).UTC()
		b.Closed = append(b.Closed, c)
		return nil
	}, hours[1])
	return b, wrap("read what is closed", err)
}

// Trouble is one place where the balance is not even.
type Trouble struct {
	Hour time.Time
	sensor.Producer
	What    string // skipped: the log went past them; lost: taken, and not in the tables; doubled: one value, several rows
	SeqFrom uint64
	SeqTo   uint64 // included
	Idx     uint16 // of a doubled row
}

// Trouble looks up what a row of the balance counts as missing or doubled, at most limit of each kind.
func (s *Store) Trouble(ctx context.Context, row *BalanceRow, limit int) (list []Trouble, err error) {
	where := `hour = toDateTime({hour:UInt32}, 'UTC') AND gateway = {gateway:String} AND epoch = {epoch:UInt32} AND lane = {lane:UInt8}`
	args := []any{clickhouse.Named("hour", uint32(row.Hour.Unix())), clickhouse.Named("gateway", row.Gateway),
		clickhouse.Named("epoch", row.Epoch), clickhouse.Named("lane", uint8(row.Lane)), clickhouse.Named("limit", uint32(limit))}
	found := ""
	for _, table := range []string{"observations", "deadletter_versions", "empties"} {
		if found != "" {
			found += " UNION ALL "
		}
		found += "SELECT seq, toStartOfHour(arrival_time) AS hour FROM ~" + table + " WHERE " + where
	}
	for _, q := range []string{
		"SELECT 'skipped', seq_from, seq_to, toUInt16(0) FROM ~taken FINAL WHERE skipped = 1 AND " + where + " ORDER BY seq_from LIMIT {limit:UInt32}",
		`SELECT 'lost', seq, seq, toUInt16(0) FROM (SELECT arrayJoin(range(seq_from, seq_to + 1)) AS seq FROM ~taken FINAL
			WHERE skipped = 0 AND abs(dateDiff('millisecond', written_at, now64(3))) >= 5000 AND ` + where + `)
			WHERE seq NOT IN (SELECT seq FROM (` + found + `)) ORDER BY seq LIMIT {limit:UInt32}`,
		"SELECT 'doubled', seq, seq, idx FROM (SELECT seq, idx, toStartOfHour(arrival_time) AS hour FROM ~observations WHERE " + where +
			" AND revision = 0) GROUP BY seq, idx HAVING count() > 1 ORDER BY seq, idx LIMIT {limit:UInt32}",
	} {
		err = s.each(ctx, q, func(r driver.Rows) error {
			t := Trouble{Hour: row.Hour, Producer: row.Producer}
			if err := r.Scan(&t.What, &t.SeqFrom, &t.SeqTo, &t.Idx); err != nil {
				return err
			}
			list = append(list, t)
			return nil
		}, args...)
		if err != nil {
			return list, wrap("look for what is not even", err)
		}
	}
	return list, nil
}
