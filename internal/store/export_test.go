package store

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/situ-city/situ/pkg/sensor"
)

// bareColumns are those of observations that are not identity.
const bareColumns = 15

// InsertBare inserts the rows of b into table as a pipeline without promises would: no identity, no token, no memory of
// blocks. What it computes of a row is what InsertRows computes.
func (s *Store) InsertBare(ctx context.Context, table string, b *sensor.Batch) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0}), clickhouse.WithColumnNamesAndTypes(observationColumns[:bareColumns]))
	batch, err := s.conn.PrepareBatch(ctx, s.sql("INSERT INTO ~"+table+" ("+columnNames(observationColumns[:bareColumns])+")"))
	if err != nil {
		return err
	}
	c := s.rows
	c.compute(b)
	for i, column := range [bareColumns]any{
		c.cell, numbers64(b.Thing), numbers64(b.Datastream), numbers16(b.Property), b.PhenomenonTime, c.lag,
		b.ArrivalTime, c.decimals, c.scaled, c.float, b.Text, b.Lon, b.Lat, numbers16(b.Quality), b.Registry,
	} {
		if err := batch.Column(i).Append(column); err != nil {
			return err
		}
	}
	return batch.Send()
}

// MigrateTo brings the tables to what they were when this was the newest migration.
func (s *Store) MigrateTo(ctx context.Context, number uint32) error {
	d := dialect{Database: s.db}
	all, err := migrations(d)
	if err != nil {
		return err
	}
	for _, statement := range d.ledger() {
		if err := s.conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	for _, m := range all {
		if m.number <= number {
			if err := s.apply(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}
