package torture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/rollup"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
)

// judge compares the sent list with what SQL shows. It asks the engine itself, past the gate and the API.
type judge struct {
	socket  string
	ledger  *ledger
	report  *Report
	log     *slog.Logger
	missed  uint64 // messages that the balance misses since a log was taken away
	removed uint64 // messages that full spools gave up
	shared  bool   // several ingesters store: what history shows of a repeat holds once its window is recomputed
}

// found is what the tables have of one message.
type found struct {
	rows       uint64 // in the raw table
	pairs      uint64 // of them different by (datastream, phenomenon_time)
	identities uint64 // different by (gateway, epoch, lane, seq, idx)
	letters    uint64 // dead letters, different by identity
	messages   uint64 // of these, different by seq
	history    uint64 // rows that people see
}

// versions says what is being judged.
func (j *judge) versions(ctx context.Context, program string, w world) map[string]string {
	list := map[string]string{}
	for k, v := range w.versions() {
		list[k] = v
	}
	if out, err := exec.CommandContext(ctx, program, "version").Output(); err == nil {
		list["situ"] = strings.TrimSpace(string(out))
	}
	_ = j.with(ctx, func(conn driver.Conn) error { // if it does not answer, the rounds say so
		var v string
		err := conn.QueryRow(ctx, "SELECT version()").Scan(&v)
		list["clickhouse"] = v
		return err
	})
	list["small disk"] = w.disk().String()
	return list
}

func (j *judge) with(ctx context.Context, do func(driver.Conn) error) error {
	conn, err := engine.Open(j.socket, "")
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close())
}

// round judges the messages from an id on, and with all set everything there ever was.
func (j *judge) round(ctx context.Context, from int, all, clock bool) error {
	return j.with(ctx, func(conn driver.Conn) error {
		entries := j.ledger.since(from)
		var got map[int]*found
		missing := func(ctx context.Context) (err error) {
			if got, err = j.look(ctx, conn, from); err != nil {
				return err
			}
			return lost(entries, from, got, clock || all)
		}
		err := until(ctx, patience, missing)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			j.report.fail("acknowledged and not there: %v", err)
		}
		if from := 1; all {
			entries = j.ledger.since(from)
			if got, err = j.look(ctx, conn, from); err != nil {
				return err
			}
			if got, err = j.settle(ctx, conn, entries, from, got); err != nil {
				return err
			}
			j.compare(entries, from, got, true)
			return j.whole(ctx, conn, entries)
		}
		if got, err = j.settle(ctx, conn, entries, from, got); err != nil {
			return err
		}
		j.compare(entries, from, got, clock)
		return nil
	})
}

// settle looks again after the roll-ups were recomputed, if a message that a broker delivered twice is in history twice.
// Two deliveries may go through two ingesters, and neither knows of the other: docs/guarantees.md promises one row in
// history only when the window of both has been recomputed, which takes minutes by itself.
func (j *judge) settle(ctx context.Context, conn driver.Conn, entries []entry, from int, got map[int]*found) (map[int]*found, error) {
	twice := func(i int, e entry) bool {
		f := got[from+i]
		return e.relayed && f != nil && f.history > f.pairs
	}
	found := false
	for i, e := range entries {
		found = found || twice(i, e)
	}
	if !j.shared || !found {
		return got, nil
	}
	s, err := store.Open(ctx, store.Options{Conn: conn, Cell: cellE7, Shared: true})
	if err != nil {
		return nil, err
	}
	w, err := rollup.New(rollup.Options{Store: s})
	if err != nil {
		return nil, err
	}
	j.log.Info("recomputing before the judgement")
	if err := w.Settle(ctx); err != nil {
		return nil, fmt.Errorf("recompute roll-ups: %w", err)
	}
	return j.look(ctx, conn, from)
}

// lost names acknowledged messages that are not there, or not whole: the parts of one that goes to both lanes are stored
// by two ingesters, one of which may be recovering yet. Where a clock jumped, values may have become dead letters.
func lost(entries []entry, from int, got map[int]*found, clock bool) error {
	n, first := 0, 0
	for i, e := range entries {
		f := got[from+i]
		some := f != nil && f.rows+f.letters > 0
		whole := some && (clock || e.kind == kindLetter || f.pairs >= uint64(e.values))
		if e.acked && e.kind != kindHeartbeat && !whole {
			if n++; first == 0 {
				first = from + i
			}
		}
	}
	if n > 0 {
		return fmt.Errorf("%d messages, the first is %d (%s)", n, first, entries[first-from].kind)
	}
	return nil
}

// compare holds every message against what is there. A message that went through somebody's broker may have been
// delivered more often than it was published; a clock that jumped may have made dead letters of values.
func (j *judge) compare(entries []entry, from int, got map[int]*found, clock bool) {
	for id, f := range got {
		if i := id - from; i < 0 || i >= len(entries) {
			j.report.fail("message %d is there %+v, and nobody sent it", id, *f)
		}
	}
	for i, e := range entries {
		id := from + i
		f := got[id]
		if f == nil {
			f = &found{}
		}
		wrong := ""
		times := uint64(e.sent)
		switch {
		case e.kind == kindHeartbeat && f.rows+f.letters > 0:
			wrong = "it holds nothing, and something is there"
		case e.kind == kindHeartbeat:
		case e.acked && f.rows+f.letters == 0:
			wrong = "it was acknowledged and is lost"
			j.report.Lost++
		case f.rows != f.identities:
			wrong = "an identity is there twice"
			j.report.Double++
		case e.once && (f.rows > uint64(e.values) || f.messages > 2):
			wrong = "it was published with QoS 2 and is there more than once"
			j.report.Double++
		case !e.relayed && (f.rows > times*uint64(e.values) || f.messages > 2*times):
			wrong = "it is there more often than it was sent"
			j.report.Double++
		case f.history != f.pairs:
			wrong = "history does not show each value once"
			j.report.Double++
		case e.acked && e.kind == kindLetter && f.letters == 0:
			wrong = "it cannot be read, and is no dead letter"
		case e.acked && e.kind != kindLetter && !clock && f.pairs != uint64(e.values):
			wrong = "not all its values are there"
			j.report.Lost++
		}
		if wrong != "" {
			j.report.fail("message %d (%s, %d values, sent %d times, acknowledged %v): %s: %+v", id, e.kind, e.values, e.sent, e.acked, wrong, *f)
		}
	}
}

// look reads what the tables have of the messages from an id on. The id is the result of each of a message's values,
// and the one of a dead letter stands in its payload.
func (j *judge) look(ctx context.Context, conn driver.Conn, from int) (map[int]*found, error) {
	got := map[int]*found{}
	of := func(id int64) *found {
		f := got[int(id)]
		if f == nil {
			f = &found{}
			got[int(id)] = f
		}
		return f
	}
	var id int64
	var a, b, c uint64
	for _, q := range []struct {
		text string
		note func()
	}{
		{`SELECT toInt64(result_scaled), count(), uniqExact(datastream, phenomenon_time), uniqExact(gateway, epoch, lane, seq, idx)
			FROM situ.observations WHERE result_scaled >= ? AND decimals = 0 GROUP BY 1`,
			func() { f := of(id); f.rows, f.pairs, f.identities = a, b, c }},
		{`SELECT toInt64OrZero(extract(substring(payload, 1, 100), 'water_level":([0-9]+)')) AS id, uniqExact(gateway, epoch, lane, seq, idx),
			uniqExact(gateway, epoch, lane, seq), count() FROM situ.deadletter_versions GROUP BY id HAVING id >= ?`,
			func() { f := of(id); f.letters, f.messages = a, b }},
		{`SELECT toInt64(result), count(), count(), count() FROM situ.history WHERE result >= ? GROUP BY 1`,
			func() { of(id).history = a }},
	} {
		rows, err := conn.Query(ctx, q.text, from)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			if err := rows.Scan(&id, &a, &b, &c); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			q.note()
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	return got, nil
}

// whole judges what is true of the tables as a whole.
func (j *judge) whole(ctx context.Context, conn driver.Conn, entries []entry) error {
	r := j.report
	r.Messages, r.Published, r.Acked, r.Once = j.ledger.counts()
	acked, _, _ := hearts(entries)
	var identities, counted, overlaps, hearts uint64
	settled := func(ctx context.Context) error { // a block's record comes after its rows
		for _, q := range []struct {
			text string
			into *uint64
		}{
			{"SELECT count() FROM situ.observations", &r.Rows},
			{"SELECT uniqExact(gateway, epoch, lane, seq, idx) FROM situ.observations", &identities},
			{"SELECT uniqExact(gateway, epoch, lane, seq, idx) FROM situ.deadletter_versions", &r.Letters},
			{"SELECT toUInt64(sum(observations)) FROM situ.ingest_blocks FINAL", &counted},
			{`SELECT count() FROM situ.ingest_blocks AS a FINAL JOIN situ.ingest_blocks AS b FINAL ON a.log = b.log AND a.partition = b.partition
			WHERE a.block_from < b.block_from AND b.block_from < a.block_to`, &overlaps},
			{"SELECT toUInt64(sum(arraySum(mapValues(empties)))) FROM situ.ingest_blocks FINAL", &r.Empty},
			{"SELECT toUInt64(sum(empties['no_values'])) FROM situ.ingest_blocks FINAL", &hearts},
			{"SELECT toUInt64(sum(seq_to - seq_from + 1)) FROM situ.gaps FINAL", &r.Gaps},
		} {
			if err := conn.QueryRow(ctx, q.text).Scan(q.into); err != nil {
				return fmt.Errorf("%s: %w", q.text, err)
			}
		}
		if r.Rows != counted || hearts < acked {
			return errUnsettled
		}
		return nil
	}
	if err := until(ctx, patience, settled); err != nil && !errors.Is(err, errUnsettled) {
		return err
	}
	if r.Rows != identities {
		r.fail("%d rows have %d identities", r.Rows, identities)
		r.Double += int(r.Rows - identities)
	}
	if r.Rows != counted {
		r.fail("%d rows, and the blocks' records count %d", r.Rows, counted)
	}
	if overlaps > 0 {
		r.fail("%d blocks of the log overlap", overlaps)
	}
	j.heartbeats(entries, hearts)
	if err := j.balance(ctx, conn); err != nil {
		return err
	}
	if err := j.rollups(ctx, conn); err != nil {
		return err
	}
	r.Checks = []string{"each acknowledged message in rows or dead letters", "each value once in history", "no identity twice",
		"no message more often than sent", "blocks count what is there and do not overlap", "empty messages counted",
		"balance even: no message, row or dead letter missing, none doubled, none skipped by the log",
		fmt.Sprintf("%d values of closed roll-up windows equal a recompute from the rows", r.Rollups)}
	return nil
}

// rollups compares the roll-ups with a recompute. Windows that wait for theirs are passed over, and a block's marks may
// be a moment behind its rows, so a difference has to last.
func (j *judge) rollups(ctx context.Context, conn driver.Conn) error {
	s, err := store.Open(ctx, store.Options{Conn: conn, Cell: cellE7})
	if err != nil {
		return err
	}
	var found store.RollupCheck
	err = until(ctx, patience, func(ctx context.Context) (err error) {
		if found, err = s.CheckRollups(ctx); err == nil && len(found.Differences) > 0 {
			err = fmt.Errorf("%d differences, the first: %s", len(found.Differences), found.Differences[0])
		}
		return err
	})
	if err != nil && len(found.Differences) > 0 {
		j.report.fail("roll-ups differ from the rows: %v", err)
		return nil
	}
	j.report.Rollups = found.Alike
	return err
}

func cellE7(lon, lat int32) geo.Cell { return h3.CellAt(geo.FromE7(lon, lat), 12) }

// balance asks the view that people ask (P3), once everything stored is closed.
func (j *judge) balance(ctx context.Context, conn driver.Conn) error {
	var messages, rows, doubled, letters uint64
	err := until(ctx, patience, func(ctx context.Context) error {
		var open uint64
		err := conn.QueryRow(ctx, `SELECT sum(unjudged), sum(missing), sum(rows_missing), sum(rows_doubled), sum(letters_missing)
			FROM situ.balance`).Scan(&open, &messages, &rows, &doubled, &letters)
		if err == nil && open > 0 {
			err = fmt.Errorf("%d stored messages are not closed", open)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("the balance: %w", err)
	}
	if messages != j.missed || rows+doubled+letters > 0 {
		j.report.fail("the balance misses %d messages, of which %d are known, %d rows and %d dead letters, and has %d rows too many",
			messages, j.missed, rows, letters, doubled)
	}
	return nil
}

// stillFor is how long nothing more may come before what has not come is taken for lost.
const stillFor = 4 * time.Second

// declared judges messages of which some may have gone with a log that was taken away: no more than the balance misses.
func (j *judge) declared(ctx context.Context, from int) error {
	err := j.with(ctx, func(conn driver.Conn) error {
		entries := j.ledger.since(from)
		_, gone, err := j.gone(ctx, conn, entries, from)
		if err != nil {
			return fmt.Errorf("what is lost with a log: %w", err)
		}
		var missing uint64
		if err := conn.QueryRow(ctx, "SELECT sum(missing) FROM situ.balance").Scan(&missing); err != nil {
			return err
		}
		if known := missing - j.missed; uint64(len(gone)) > known {
			j.report.fail("%d messages were lost with the log, and the balance shows %d", len(gone), known)
		}
		j.log.Info("lost with a log", "messages", len(gone), "balance", missing-j.missed)
		j.report.WithLog += len(gone)
		j.missed = missing
		for _, id := range gone {
			j.ledger.forgive(id)
		}
		for i, e := range entries { // which of these came nobody can tell
			if e.kind == kindHeartbeat {
				j.ledger.forgive(from + i)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return j.round(ctx, from, true, false)
}

// gone waits until all that is stored is closed and no more comes, and tells what is there then and what is not.
func (j *judge) gone(ctx context.Context, conn driver.Conn, entries []entry, from int) (got map[int]*found, gone []int, err error) {
	count, since := -1, time.Now()
	err = until(ctx, patience, func(ctx context.Context) error {
		if got, err = j.look(ctx, conn, from); err != nil {
			return err
		}
		if gone = absent(entries, from, got); len(gone) != count {
			count, since = len(gone), time.Now()
		}
		var open uint64
		err := conn.QueryRow(ctx, "SELECT sum(unjudged) FROM situ.balance").Scan(&open)
		if err == nil && (open > 0 || time.Since(since) < stillFor) {
			err = errUnsettled
		}
		return err
	})
	return got, gone, err
}

// absent lists acknowledged messages that are not there, or not whole.
func absent(entries []entry, from int, got map[int]*found) (ids []int) {
	for i, e := range entries {
		f := got[from+i]
		if e.acked && e.kind != kindHeartbeat && (f == nil || f.rows+f.letters == 0 || e.kind != kindLetter && f.pairs != uint64(e.values)) {
			ids = append(ids, from+i)
		}
	}
	return ids
}

// errUnsettled: what follows the rows of a block is still on its way, or lost.
var errUnsettled = errors.New("blocks and rows do not fit")

// hearts counts the messages that hold nothing, from the senders' side.
func hearts(entries []entry) (acked, sent uint64, relayed bool) {
	for _, e := range entries {
		if e.kind != kindHeartbeat {
			continue
		}
		sent += uint64(e.sent)
		relayed = relayed || e.relayed
		if e.acked {
			acked++
		}
	}
	return acked, sent, relayed
}

// heartbeats leave no row; the blocks count them.
func (j *judge) heartbeats(entries []entry, counted uint64) {
	acked, sent, relayed := hearts(entries)
	if counted < acked || counted > sent && !relayed {
		j.report.fail("%d messages that hold nothing were acknowledged and sent %d times; the blocks count %d", acked, sent, counted)
	}
}
