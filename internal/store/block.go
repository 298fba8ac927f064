package store

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/pkg/sensor"
)

// Block is one range of a log's partition on its way into the tables: what offsets [From, To) hold.
type Block struct {
	Log        string // hexadecimal id of the log
	Partition  int32
	From, To   int64
	Batch      *sensor.Batch
	Before     map[sensor.Producer]uint64 // highest seq of each producer up to From; nil = not known
	Watermarks map[sensor.Producer]uint64 // the same up to To
	Repeats    []Pair
	Announced  time.Time     // when its intent was sent; zero = now
	Holds      time.Duration // and for how long that holds; 0 = protocol.Lease
}

// Pair names a result that may be there more than once: history looks for repeats at these alone.
type Pair struct {
	Datastream     sensor.DatastreamID
	PhenomenonTime int64
}

// Token names the block in deduplication tokens.
func (b *Block) Token() string {
	return protocol.Block{Log: b.Log, Partition: b.Partition, From: b.From, To: b.To}.Token()
}

// InsertRows puts the block's observations into their table, one INSERT for each month, so that each is in whole or not
// at all. Its rows are readable when it returns.
//
// doubtful says that an earlier try may have put some of them there: the process before died, or the last call ended in
// an error. What then protects them is protocol.Part's to say. A block that was announced more than a Lease ago is doubtful
// too: other blocks are waited for here, and a store that is slow takes its time with each.
func (s *Store) InsertRows(ctx context.Context, b *Block, doubtful bool) error {
	began, holds := b.Announced, cmp.Or(b.Holds, protocol.Lease)
	if began.IsZero() {
		began = time.Now()
	}
	s.inserting.Lock()
	defer s.inserting.Unlock()
	return s.rows.months(b.Batch, func(yyyymm int, rows *sensor.Batch) error {
		if err := failpoint.Hit(failpoint.StorePart); err != nil {
			return err
		}
		part := protocol.NewPart(doubtful)
		if time.Since(began) > holds {
			part.Late()
		}
		if err := s.insertPart(ctx, &part, holds, b.Token()+"/observations/"+strconv.Itoa(yyyymm), yyyymm, rows); err != nil {
			return err
		}
		return failpoint.Hit(failpoint.StoreParted)
	})
}

func (s *Store) insertPart(ctx context.Context, part *protocol.Part, holds time.Duration, token string, yyyymm int, rows *sensor.Batch) (err error) {
	missing, looked := rows, time.Now()
	for {
		if time.Since(looked) > holds {
			part.Late()
		}
		step := part.Next()
		switch step.Do {
		case protocol.PartDone:
			return nil
		case protocol.PartFail:
			return wrap("insert observations", fmt.Errorf("%d of %d rows of block %s are still missing after the inserts", missing.Len(), rows.Len(), token))
		case protocol.PartLook:
			looked = time.Now()
			if missing, err = s.missing(ctx, yyyymm, rows); err != nil {
				return err
			}
			part.Looked(missing.Len(), rows.Len())
		case protocol.PartInsert:
			if step.Suffix != "" { // the engine knows a token whose rows are not there, or has some of a block's rows
				s.log.Warn("block is there in part, or its token without its rows", "component", "store", "token", token+step.Suffix,
					"missing", missing.Len(), "of", rows.Len())
			}
			if err = s.insertRows(ctx, token+step.Suffix, missing); err != nil {
				return err
			}
			part.Inserted()
		}
	}
}

// insertSettings are DESIGN §5's: the token decides what a repeat is, nothing is written behind our back, and a block
// that would open a second table partition is a mistake of ours.
func insertSettings(token string) clickhouse.Settings {
	return clickhouse.Settings{
		"insert_deduplicate": 1, "insert_deduplication_token": token, "async_insert": 0, "max_partitions_per_insert_block": 1,
	}
}

func (s *Store) insertRows(ctx context.Context, token string, rows *sensor.Batch) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(insertSettings(token)), clickhouse.WithColumnNamesAndTypes(observationColumns))
	batch, err := s.conn.PrepareBatch(ctx, s.sql("INSERT INTO ~observations ("+columnNames(observationColumns)+")"))
	if err != nil {
		return wrap("prepare block "+token, err)
	}
	if err := s.rows.fill(batch, rows); err != nil {
		_ = batch.Abort() // the first error is the one to tell
		return wrap("fill block "+token, err)
	}
	return wrap("insert block "+token, batch.Send())
}

func columnNames(columns []clickhouse.ColumnNameAndType) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// missing gives the rows whose identity is not in the month's partition. Since one producer's messages are in one log
// in order, all rows of its seqs first..last are this block's.
func (s *Store) missing(ctx context.Context, yyyymm int, rows *sensor.Batch) (*sensor.Batch, error) {
	there := make(map[sensor.Identity]struct{})
	for _, r := range ranges(rows) {
		err := s.each(ctx, `SELECT seq, idx FROM ~observations WHERE toYYYYMM(phenomenon_time) = {month:UInt32}
			AND phenomenon_time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND phenomenon_time <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
			AND gateway = {gateway:String} AND epoch = {epoch:UInt32} AND lane = {lane:UInt8}
			AND seq BETWEEN {first:UInt64} AND {last:UInt64} AND revision = 0`, func(row driver.Rows) error {
			id := sensor.Identity{Producer: r.producer}
			if err := row.Scan(&id.Seq, &id.Idx); err != nil {
				return err
			}
			if _, twice := there[id]; twice {
				s.log.Error("an observation is stored twice", "component", "store", "gateway", id.Gateway, "epoch", id.Epoch,
					"lane", id.Lane.String(), "seq", id.Seq, "idx", id.Idx)
			}
			there[id] = struct{}{}
			return nil
		}, clickhouse.Named("month", uint32(yyyymm)), clickhouse.Named("from", r.from), clickhouse.Named("to", r.to),
			clickhouse.Named("gateway", r.producer.Gateway), clickhouse.Named("epoch", r.producer.Epoch),
			clickhouse.Named("lane", uint8(r.producer.Lane)), clickhouse.Named("first", r.first), clickhouse.Named("last", r.last))
		if err != nil {
			return nil, wrap("look for rows by identity", err)
		}
	}
	if len(there) == 0 {
		return rows, nil
	}
	rest := new(sensor.Batch)
	for i := range rows.Len() {
		id, arrival, o := rows.Row(i)
		if _, ok := there[id]; !ok {
			rest.AppendRow(rest.ProducerIndex(id.Producer), id.Seq, id.Idx, arrival, &o)
		}
	}
	return rest, nil
}

// extent is what one producer's rows in a batch span.
type extent struct {
	producer    sensor.Producer
	first, last uint64 // seq
	from, to    int64  // phenomenonTime
}

func ranges(rows *sensor.Batch) []extent {
	all := make([]extent, len(rows.Producers))
	for i := range rows.Len() {
		e := &all[rows.Producer[i]]
		seq, t := rows.Seq[i], rows.PhenomenonTime[i]
		if e.first == 0 {
			*e = extent{rows.Producers[rows.Producer[i]], seq, seq, t, t}
		}
		e.first, e.last, e.from, e.to = min(e.first, seq), max(e.last, seq), min(e.from, t), max(e.to, t)
	}
	used := all[:0]
	for _, e := range all {
		if e.first != 0 {
			used = append(used, e)
		}
	}
	return used
}
