package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/pkg/sensor"
)

// InsertRepeats lists the block's pairs for history. It comes before InsertRows, so that no SELECT sees two rows of a
// pair; twice the same is once.
func (s *Store) InsertRepeats(ctx context.Context, b *Block) error {
	if len(b.Repeats) == 0 {
		return nil
	}
	ids, times := make([]uint64, len(b.Repeats)), make([]int64, len(b.Repeats))
	for i, p := range b.Repeats {
		ids[i], times[i] = uint64(p.Datastream), p.PhenomenonTime
	}
	return s.send(ctx, "repeats", "datastream, phenomenon_time", func(batch driver.Batch) error {
		if err := batch.Column(0).Append(ids); err != nil {
			return err
		}
		return batch.Column(1).Append(times)
	})
}

// InsertBeside writes the block's dead letters, empty messages, kept payloads and gaps, and which roll-ups its rows make stale. Their
// tables keep one row an identity, so it may be repeated. It comes after InsertRows.
func (s *Store) InsertBeside(ctx context.Context, b *Block) error {
	if err := s.insertDirty(ctx, b); err != nil {
		return err
	}
	if err := s.insertDeadLetters(ctx, b); err != nil {
		return err
	}
	if err := s.insertEmpties(ctx, b.Batch.Empties); err != nil {
		return err
	}
	if err := s.insertPayloads(ctx, b.Batch.Payloads); err != nil {
		return err
	}
	if len(b.Batch.Gaps) == 0 {
		return nil
	}
	if err := s.insertGapShares(ctx, b.Batch.GapShares); err != nil {
		return err
	}
	return s.send(ctx, "gaps", "gateway, epoch, lane, seq_from, seq_to, at, reason, owner_class", func(batch driver.Batch) error {
		for _, g := range b.Batch.Gaps {
			if err := batch.Append(g.Gateway, g.Epoch, uint8(g.Lane), g.From, g.To, time.UnixMilli(g.At), g.Reason, classWord(g.Class)); err != nil {
				return err
			}
		}
		return nil
	})
}

// classWord is empty where not one class was removed but whatever was there.
func classWord(c sensor.OwnerClass) string {
	if c == sensor.ClassUnknown {
		return ""
	}
	return c.String()
}

func (s *Store) insertGapShares(ctx context.Context, shares []sensor.LoggedGapShare) error {
	if len(shares) == 0 {
		return nil
	}
	return s.send(ctx, "gap_shares", "gateway, epoch, lane, seq, thing, owner, hour, messages, at, reason, owner_class", func(batch driver.Batch) error {
		for i := range shares {
			g := &shares[i]
			if err := batch.Append(g.Gateway, g.Epoch, uint8(g.Lane), g.Seq, uint64(g.Thing), g.Owner, time.UnixMilli(g.Hour), g.Messages,
				time.UnixMilli(g.At), g.Reason, classWord(g.Class)); err != nil {
				return err
			}
		}
		return nil
	})
}

// InsertBlock records that the block is stored, and for the balance what was in it. It comes last.
func (s *Store) InsertBlock(ctx context.Context, b *Block) error {
	if err := s.insertTaken(ctx, b); err != nil {
		return err
	}
	producers := slices.SortedFunc(maps.Keys(b.Watermarks), compareProducers)
	var gateways []string
	var epochs []uint32
	var lanes []uint8
	var seqs []uint64
	for _, p := range producers {
		gateways, epochs = append(gateways, p.Gateway), append(epochs, p.Epoch)
		lanes, seqs = append(lanes, uint8(p.Lane)), append(seqs, b.Watermarks[p])
	}
	empties := map[string]uint64{}
	for _, e := range b.Batch.Empties {
		empties[string(e.Reason)]++
	}
	return s.send(ctx, "ingest_blocks", `log, partition, block_from, block_to, watermark_gateway, watermark_epoch,
		watermark_lane, watermark_seq, messages, observations, duplicates, dead_letters, declarations, gaps, empties`,
		func(batch driver.Batch) error {
			r := b.Batch
			return batch.Append(b.Log, b.Partition, b.From, b.To, gateways, epochs, lanes, seqs, uint64(r.Messages), uint64(r.Len()),
				uint64(r.Duplicates), uint64(len(r.DeadLetters)), uint64(len(r.Declarations)), uint64(len(r.Gaps)), empties)
		})
}

func compareProducers(a, b sensor.Producer) int {
	ka := a.Gateway + "\x00" + strconv.Itoa(int(a.Epoch)) + "\x00" + strconv.Itoa(int(a.Lane))
	kb := b.Gateway + "\x00" + strconv.Itoa(int(b.Epoch)) + "\x00" + strconv.Itoa(int(b.Lane))
	switch {
	case ka < kb:
		return -1
	case ka > kb:
		return 1
	}
	return 0
}

// send is one small INSERT. The types of its columns are asked for once: the driver would ask each time.
func (s *Store) send(ctx context.Context, table, columns string, fill func(driver.Batch) error) error {
	types, err := s.typesOf(ctx, table, columns)
	if err != nil {
		return err
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0}), clickhouse.WithColumnNamesAndTypes(types))
	batch, err := s.conn.PrepareBatch(ctx, s.sql("INSERT INTO ~"+table+" ("+columns+")"))
	if err != nil {
		return wrap("prepare insert into "+table, err)
	}
	if err := fill(batch); err != nil {
		_ = batch.Abort() // the first error is the one to tell
		return wrap("fill insert into "+table, err)
	}
	return wrap("insert into "+table, batch.Send())
}

func (s *Store) typesOf(ctx context.Context, table, columns string) ([]clickhouse.ColumnNameAndType, error) {
	key := table + "(" + columns
	if types, ok := s.types.Load(key); ok {
		return types.([]clickhouse.ColumnNameAndType), nil
	}
	byName := map[string]string{}
	err := s.each(ctx, "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String}",
		func(r driver.Rows) error {
			var name, kind string
			if err := r.Scan(&name, &kind); err != nil {
				return err
			}
			byName[name] = kind
			return nil
		}, clickhouse.Named("database", s.db), clickhouse.Named("table", table))
	if err != nil {
		return nil, wrap("read columns of "+table, err)
	}
	var types []clickhouse.ColumnNameAndType
	for name := range strings.SplitSeq(columns, ",") {
		name = strings.TrimSpace(name)
		if byName[name] == "" {
			return nil, fmt.Errorf("table %s.%s has no column %s: %w; run the migrations", s.db, table, name, ErrRefused)
		}
		types = append(types, clickhouse.ColumnNameAndType{Name: name, Type: byName[name]})
	}
	s.types.Store(key, types)
	return types, nil
}

// StoredBlock is what is known of a block that is in the tables.
type StoredBlock = protocol.StoredBlock

// NewestBlock gives the stored block of a log's partition that ends last among those ending at or before `to`.
func (s *Store) NewestBlock(ctx context.Context, log string, partition int32, to int64) (b StoredBlock, found bool, err error) {
	err = s.each(ctx, `SELECT block_from, block_to, watermark_gateway, watermark_epoch, watermark_lane, watermark_seq
		FROM ~ingest_blocks FINAL WHERE log = {log:String} AND partition = {part:Int32} AND block_to <= {to:Int64}
		ORDER BY block_to DESC, block_from LIMIT 1`, func(r driver.Rows) error {
		var gateways []string
		var epochs []uint32
		var lanes []uint8
		var seqs []uint64
		if err := r.Scan(&b.From, &b.To, &gateways, &epochs, &lanes, &seqs); err != nil {
			return err
		}
		found = true
		b.Watermarks = make(map[sensor.Producer]uint64, len(seqs))
		for i := range seqs {
			b.Watermarks[sensor.Producer{Gateway: gateways[i], Epoch: epochs[i], Lane: sensor.Lane(lanes[i])}] = seqs[i]
		}
		return nil
	}, clickhouse.Named("log", log), clickhouse.Named("part", partition), clickhouse.Named("to", to))
	return b, found, wrap("read newest block", err)
}

// Logs tells whether the store holds blocks of this log, and names another one whose blocks it holds, "" if there is none.
func (s *Store) Logs(ctx context.Context, log string) (known bool, other string, err error) {
	err = s.each(ctx, `SELECT min(log), max(log), countIf(log = {log:String}) > 0 FROM ~ingest_blocks WHERE log != ''`, func(r driver.Rows) error {
		var least, most string
		var k uint8
		if err := r.Scan(&least, &most, &k); err != nil {
			return err
		}
		if known, other = k != 0, least; other == log {
			other = most
		}
		if other == log {
			other = ""
		}
		return nil
	}, clickhouse.Named("log", log))
	return known, other, wrap("look for the log's blocks", err)
}

// Watermarks gives the highest seq of each producer that is stored by way of logs other than except.
func (s *Store) Watermarks(ctx context.Context, except string) (map[sensor.Producer]uint64, error) {
	all := make(map[sensor.Producer]uint64)
	err := s.each(ctx, `SELECT w.1, w.2, w.3, max(w.4) FROM ~ingest_blocks
		ARRAY JOIN arrayZip(watermark_gateway, watermark_epoch, watermark_lane, watermark_seq) AS w
		WHERE log != {log:String} GROUP BY 1, 2, 3`, func(r driver.Rows) error {
		var gateway string
		var epoch uint32
		var lane uint8
		var seq uint64
		if err := r.Scan(&gateway, &epoch, &lane, &seq); err != nil {
			return err
		}
		all[sensor.Producer{Gateway: gateway, Epoch: epoch, Lane: sensor.Lane(lane)}] = seq
		return nil
	}, clickhouse.Named("log", except))
	return all, wrap("read watermarks", err)
}
