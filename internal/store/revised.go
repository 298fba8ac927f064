package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// Standing is how a message speaks of one instant of a Datastream now: the best row of its newest revision.
type Standing struct {
	sensor.Observation
	Idx       uint16
	Revision  uint16
	Retracted bool // it says that there is no value
}

// Message names one; Arrival finds its rows faster.
type Message struct {
	sensor.Producer
	Seq     uint64
	Arrival int64
}

// Standing reads how messages speak now, by message.
func (s *Store) Standing(ctx context.Context, list []Message) (map[Message][]Standing, error) {
	byProducer := map[sensor.Producer][]Message{}
	for _, m := range list {
		byProducer[m.Producer] = append(byProducer[m.Producer], m)
	}
	found := make(map[Message][]Standing, len(list))
	for p, of := range byProducer {
		for some := range slices.Chunk(of, askFor) {
			if err := s.standing(ctx, p, some, found); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

func (s *Store) standing(ctx context.Context, p sensor.Producer, list []Message, found map[Message][]Standing) error {
	var seqs []uint64
	first, last := list[0].Arrival, list[0].Arrival
	for _, m := range list {
		seqs = append(seqs, m.Seq)
		first, last = min(first, m.Arrival), max(last, m.Arrival)
	}
	err := s.each(ctx, `SELECT seq, toUnixTimestamp64Milli(arrival_time), idx, revision, retracted, datastream, thing, property,
			toUnixTimestamp64Milli(phenomenon_time), result_lag, result, result_text, lon, lat, cell, quality, registry
		FROM ~observations WHERE arrival_time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND arrival_time <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
			AND gateway = {gateway:String} AND epoch = {epoch:UInt32} AND lane = {lane:UInt8} AND seq IN (`+numbers(seqs)+`)
		ORDER BY seq, datastream, phenomenon_time, revision DESC, result_lag DESC, idx DESC LIMIT 1 BY seq, datastream, phenomenon_time`,
		func(r driver.Rows) error {
			m := Message{Producer: p}
			var o Standing
			var retracted uint8
			var datastream, thing, cell uint64
			var property, quality uint16
			var lag int64
			if err := r.Scan(&m.Seq, &m.Arrival, &o.Idx, &o.Revision, &retracted, &datastream, &thing, &property, &o.PhenomenonTime, &lag,
				&o.Result, &o.Text, &o.Lon, &o.Lat, &cell, &quality, &o.Registry); err != nil {
				return err
			}
			o.Datastream, o.Thing, o.Property = sensor.DatastreamID(datastream), sensor.ThingKey(thing), sensor.PropertyNumber(property)
			o.ResultTime, o.Cell, o.Quality, o.Retracted = o.PhenomenonTime+lag, geo.Cell(cell), sensor.Quality(quality), retracted == 1
			found[m] = append(found[m], o)
			return nil
		}, clickhouse.Named("from", first), clickhouse.Named("to", last), clickhouse.Named("gateway", p.Gateway),
		clickhouse.Named("epoch", p.Epoch), clickhouse.Named("lane", uint8(p.Lane)))
	return wrap("read what messages became", err)
}

// Revision is rows that stand beside those of their messages, in their place.
type Revision struct {
	sensor.Batch
	Number    []uint16 // of each row
	Retracted []uint8  // 1: it says that there is no value
}

// Append adds a row of message m: how it speaks from now on.
func (v *Revision) Append(m Message, o Standing) {
	v.AppendRow(v.ProducerIndex(m.Producer), m.Seq, o.Idx, m.Arrival, &o.Observation)
	v.Number, v.Retracted = append(v.Number, o.Revision), append(v.Retracted, flag(o.Retracted))
}

// pick copies some rows.
func (v *Revision) pick(rows []int) *Revision {
	out := new(Revision)
	for _, i := range rows {
		id, arrival, o := v.Row(i)
		out.Append(Message{id.Producer, id.Seq, arrival}, Standing{o, id.Idx, v.Number[i], v.Retracted[i] == 1})
	}
	return out
}

// pairs are the instants that it speaks of.
func (v *Revision) pairs() (list []Pair) {
	for i := range v.Len() {
		list = append(list, Pair{v.Datastream[i], v.PhenomenonTime[i]})
	}
	return list
}

// InsertRevision stores rows whose messages do not speak so yet (Standing), and has the roll-ups follow. try is 0, and one more
// each time that Standing finds rows missing which were stored: the engine may know a token without its rows. A crash anywhere
// leaves rows whole or not at all for each month, and what has been stored without the roll-ups' knowing is found by
// FinishRevisions.
func (s *Store) InsertRevision(ctx context.Context, v *Revision, try int) error {
	if v.Len() == 0 {
		return nil
	}
	b := &Block{Batch: &v.Batch, Repeats: v.pairs()} // history looks for another row of an instant only where it is told to
	if err := s.InsertRepeats(ctx, b); err != nil {
		return err
	}
	if err := s.insertRevised(ctx, v, 0); err != nil {
		return err
	}
	if err := s.revisionRows(ctx, v, try); err != nil {
		return err
	}
	if err := s.insertDirty(ctx, b); err != nil {
		return err
	}
	return s.insertRevised(ctx, v, 1)
}

func (s *Store) revisionRows(ctx context.Context, v *Revision, try int) error {
	s.inserting.Lock()
	defer s.inserting.Unlock()
	byMonth := map[int][]int{}
	for i, t := range v.PhenomenonTime {
		byMonth[month(t)] = append(byMonth[month(t)], i)
	}
	for yyyymm, rows := range byMonth {
		some := v.pick(rows)
		if err := s.insertRevision(ctx, fmt.Sprintf("redecode/%s/%d/%d", some.sum(), yyyymm, try), some); err != nil {
			return err
		}
	}
	return nil
}

// sum is one word for what the rows say.
func (v *Revision) sum() string {
	h := sha256.New()
	for i := range v.Len() {
		id, _, o := v.Row(i)
		fmt.Fprintln(h, id.Name(), v.Number[i], v.Retracted[i], o)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

var revisionColumns = append(slices.Clone(observationColumns), clickhouse.ColumnNameAndType{Name: "revision", Type: "UInt16"},
	clickhouse.ColumnNameAndType{Name: "retracted", Type: "UInt8"})

func (s *Store) insertRevision(ctx context.Context, token string, v *Revision) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(insertSettings(token)), clickhouse.WithColumnNamesAndTypes(revisionColumns))
	batch, err := s.conn.PrepareBatch(ctx, s.sql("INSERT INTO ~observations ("+columnNames(revisionColumns)+")"))
	if err != nil {
		return wrap("prepare revision "+token, err)
	}
	if err = s.rows.fill(batch, &v.Batch); err == nil {
		if err = batch.Column(len(observationColumns)).Append(v.Number); err == nil {
			err = batch.Column(len(observationColumns) + 1).Append(v.Retracted)
		}
	}
	if err != nil {
		_ = batch.Abort() // the first error is the one to tell
		return wrap("fill revision "+token, err)
	}
	return wrap("insert revision "+token, batch.Send())
}

// insertRevised lists the rows' instants; marked: the roll-ups know.
func (s *Store) insertRevised(ctx context.Context, v *Revision, marked uint8) error {
	return s.send(ctx, "revised", "datastream, phenomenon_time, gateway, epoch, lane, seq, revision, retracted, marked", func(batch driver.Batch) error {
		for i := range v.Len() {
			p := v.Producers[v.Producer[i]]
			if err := batch.Append(uint64(v.Datastream[i]), time.UnixMilli(v.PhenomenonTime[i]), p.Gateway, p.Epoch, uint8(p.Lane), v.Seq[i],
				v.Number[i], v.Retracted[i], marked); err != nil {
				return err
			}
		}
		return nil
	})
}

// finishAtOnce bounds how many left-over instants FinishRevisions takes at a time.
const finishAtOnce = 10_000

// FinishRevisions has the roll-ups follow what was stored when a process died before it could tell them, and gives the number
// of such instants.
func (s *Store) FinishRevisions(ctx context.Context) (n int, err error) {
	for {
		v := new(Revision)
		err := s.each(ctx, `SELECT datastream, toUnixTimestamp64Milli(phenomenon_time), toString(gateway), epoch, lane, seq, revision, retracted
			FROM ~revised FINAL WHERE marked = 0 LIMIT {n:UInt32}`, func(r driver.Rows) error {
			var m Message
			var o Standing
			var lane, retracted uint8
			var datastream uint64
			if err := r.Scan(&datastream, &o.PhenomenonTime, &m.Gateway, &m.Epoch, &lane, &m.Seq, &o.Revision, &retracted); err != nil {
				return err
			}
			m.Lane, o.Datastream, o.Retracted = sensor.Lane(lane), sensor.DatastreamID(datastream), retracted == 1
			o.Lon, o.Lat = sensor.NoPosition, sensor.NoPosition
			v.Append(m, o)
			return nil
		}, clickhouse.Named("n", uint32(finishAtOnce)))
		if err != nil || v.Len() == 0 {
			return n, wrap("look for revisions that were left", err)
		}
		if err := s.insertDirty(ctx, &Block{Batch: &v.Batch, Repeats: v.pairs()}); err != nil {
			return n, err
		}
		if err := s.insertRevised(ctx, v, 1); err != nil {
			return n, err
		}
		n += v.Len()
	}
}
