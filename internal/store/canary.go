package store

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/sensor"
)

// CanaryRow is one reading of a gateway's canary as the raw table has it.
type CanaryRow struct {
	sensor.Identity        // Idx is 0
	Sequence        uint64 // its number
	Acknowledged    uint64 // the number last acknowledged before it; 0 = none known
	Time            int64  // of its PUBLISH, Unix ms
	Copies          uint64 // rows of this identity; more than 1 is a double
}

// Canary gives a gateway's canary from a time of publishing on (Unix ms, not included), in the order of its numbers.
func (s *Store) Canary(ctx context.Context, gateway string, after int64) (rows []CanaryRow, err error) {
	thing := sensor.CanaryThing(gateway)
	sequence, acknowledged := sensor.CanaryStreams(thing)
	err = s.each(ctx, `SELECT toString(gateway), epoch, lane, seq, toUInt64(maxIf(result, datastream = {sequence:UInt64})) AS number,
			toUInt64(maxIf(result, datastream = {acknowledged:UInt64})), toUnixTimestamp64Milli(max(phenomenon_time)), countIf(datastream = {sequence:UInt64})
		FROM ~observations WHERE cell = 0 AND thing = {thing:UInt64} AND datastream IN ({sequence:UInt64}, {acknowledged:UInt64})
			AND phenomenon_time > fromUnixTimestamp64Milli({after:Int64}, 'UTC')
		GROUP BY gateway, epoch, lane, seq ORDER BY number`, func(r driver.Rows) error {
		var c CanaryRow
		var lane uint8
		if err := r.Scan(&c.Gateway, &c.Epoch, &lane, &c.Seq, &c.Sequence, &c.Acknowledged, &c.Time, &c.Copies); err != nil {
			return err
		}
		c.Lane = sensor.Lane(lane)
		rows = append(rows, c)
		return nil
	}, clickhouse.Named("sequence", uint64(sequence)), clickhouse.Named("acknowledged", uint64(acknowledged)),
		clickhouse.Named("thing", uint64(thing.Key())), clickhouse.Named("after", clampTime(after)))
	return rows, wrap("read the canary of "+gateway, err)
}

// OwnerClasses gives the class that most Things of each owner have.
func (s *Store) OwnerClasses(ctx context.Context) (map[string]string, error) {
	classes := map[string]string{}
	err := s.each(ctx, `SELECT toString(owner), argMax(class, n) FROM
		(SELECT owner, toString(owner_class) AS class, count() AS n FROM ~things GROUP BY owner, class) GROUP BY owner`, func(r driver.Rows) error {
		var owner, class string
		if err := r.Scan(&owner, &class); err != nil {
			return err
		}
		classes[owner] = class
		return nil
	})
	return classes, wrap("read the owners' classes", err)
}
