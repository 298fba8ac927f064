package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/sensor"
)

// InsertReplayed puts the rows that dead letters became into observations, each identity once, whatever was tried before:
// no row is inserted whose identity is there, between the phenomenonTimes from and to (Unix ms), which cover everything
// that any replay of these letters ever meant to store. It gives the number of rows that were not there.
//
// The token is made of the identities, so that two processes that replay the same letters at once insert one block. It
// is no proof (the engine may forget it, or have it without the rows), so the rows are looked for again at the end.
func (s *Store) InsertReplayed(ctx context.Context, rows *sensor.Batch, from, to int64) (fresh int, err error) {
	s.inserting.Lock()
	defer s.inserting.Unlock()
	for try := 0; ; try++ {
		missing, err := s.notStored(ctx, rows, from, to)
		if err != nil || missing.Len() == 0 {
			return fresh, err
		}
		if try == 0 {
			fresh = missing.Len()
		}
		if try == 3 {
			return 0, wrap("insert replayed observations", fmt.Errorf("%d of %d rows are still missing after the inserts", missing.Len(), rows.Len()))
		}
		token := fmt.Sprintf("replay/%s/%d", identities(missing), try)
		err = s.rows.months(missing, func(yyyymm int, some *sensor.Batch) error {
			return s.insertRows(ctx, fmt.Sprintf("%s/%d", token, yyyymm), some)
		})
		if err != nil {
			return 0, err
		}
	}
}

// identities is one word for the rows' names.
func identities(rows *sensor.Batch) string {
	h := sha256.New()
	for i := range rows.Len() {
		id, _, _ := rows.Row(i)
		fmt.Fprintln(h, id.Name())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// notStored gives the rows whose identity is in no row between two times.
func (s *Store) notStored(ctx context.Context, rows *sensor.Batch, from, to int64) (*sensor.Batch, error) {
	seqs := make(map[sensor.Producer][]uint64)
	for i := range rows.Len() {
		p := rows.Producers[rows.Producer[i]]
		seqs[p] = append(seqs[p], rows.Seq[i])
		from, to = min(from, rows.PhenomenonTime[i]), max(to, rows.PhenomenonTime[i])
	}
	there := make(map[sensor.Identity]struct{})
	for p, list := range seqs {
		if err := s.storedOf(ctx, p, list, from, to, there); err != nil {
			return nil, err
		}
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

// storedOf adds the identities that messages of one producer have in observations.
func (s *Store) storedOf(ctx context.Context, p sensor.Producer, seqs []uint64, from, to int64, there map[sensor.Identity]struct{}) error {
	first, last := time.UnixMilli(from).UTC(), time.UnixMilli(to).UTC()
	err := s.each(ctx, `SELECT seq, idx FROM ~observations WHERE toYYYYMM(phenomenon_time) BETWEEN {first:UInt32} AND {last:UInt32}
		AND phenomenon_time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND phenomenon_time <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
		AND gateway = {gateway:String} AND epoch = {epoch:UInt32} AND lane = {lane:UInt8} AND seq IN (`+numbers(seqs)+`) AND revision = 0`,
		func(row driver.Rows) error {
			id := sensor.Identity{Producer: p}
			if err := row.Scan(&id.Seq, &id.Idx); err != nil {
				return err
			}
			there[id] = struct{}{}
			return nil
		}, clickhouse.Named("first", uint32(first.Year()*100+int(first.Month()))), clickhouse.Named("last", uint32(last.Year()*100+int(last.Month()))),
		clickhouse.Named("from", from), clickhouse.Named("to", to),
		clickhouse.Named("gateway", p.Gateway), clickhouse.Named("epoch", p.Epoch), clickhouse.Named("lane", uint8(p.Lane)))
	return wrap("look for replayed rows by identity", err)
}
