package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/sensor"
)

// insertPayloads writes the block's kept payloads, one row an identity.
func (s *Store) insertPayloads(ctx context.Context, list []sensor.LoggedPayload) error {
	if len(list) == 0 {
		return nil
	}
	return s.send(ctx, "payload_rows", `arrival_time, topic, source, protocol, owner, named, thing, client, user, qos, part, size, payload,
		gateway, epoch, lane, seq`, func(batch driver.Batch) error {
		for i := range list {
			k := &list[i]
			if err := batch.Append(time.UnixMilli(k.Arrival), k.Topic, k.Source, k.Protocol, k.Named.Owner(), string(k.Named), uint64(k.Thing),
				k.Client, k.User, k.QoS, uint8(k.Part), uint32(k.Size), string(k.Payload), k.Gateway, k.Epoch, uint8(k.Lane), k.Seq); err != nil {
				return err
			}
		}
		return nil
	})
}

// PayloadFilter says which kept payloads; empty fields say nothing.
type PayloadFilter struct {
	Source       string // OwnTopics: situ's own
	Protocol     string
	Thing        sensor.ThingID
	Since, Until int64 // arrival, Unix ms; Until is not included
}

// OwnTopics as a filter's source are the topics of situ's own form.
const OwnTopics = "-"

// PayloadSpan is five minutes of arrival, and what is kept of them.
type PayloadSpan struct {
	From            int64 // Unix ms
	Messages, Bytes uint64
}

const payloadSpan = 5 * 60_000

// where is the filter as a condition, and its arguments.
func (f *PayloadFilter) where(from, to int64) (string, []any) {
	where := `arrival_time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND arrival_time < fromUnixTimestamp64Milli({until:Int64}, 'UTC')`
	args := []any{clickhouse.Named("since", clampTime(from)), clickhouse.Named("until", clampTime(to))}
	if f.Source != "" {
		where += " AND source = {source:String}"
		args = append(args, clickhouse.Named("source", strings.TrimPrefix(f.Source, OwnTopics)))
	}
	if f.Protocol != "" {
		where += " AND protocol = {protocol:String}"
		args = append(args, clickhouse.Named("protocol", f.Protocol))
	}
	if f.Thing != "" { // a payload may be of several: what they became says so
		where += ` AND (named = {thing:String} OR thing = {key:UInt64} OR (gateway, epoch, lane, seq) IN (
			SELECT gateway, epoch, lane, seq FROM ~observations WHERE thing = {key:UInt64}
				AND arrival_time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND arrival_time < fromUnixTimestamp64Milli({until:Int64}, 'UTC')))`
		args = append(args, clickhouse.Named("thing", string(f.Thing)), clickhouse.Named("key", uint64(f.Thing.Key())))
	}
	return where, args
}

// PayloadSpans tells how much is kept of what the filter says, span after span, in order of time.
func (s *Store) PayloadSpans(ctx context.Context, f PayloadFilter) (spans []PayloadSpan, err error) {
	if f.Until == 0 {
		f.Until = 1 << 62
	}
	where, args := f.where(f.Since, f.Until)
	err = s.each(ctx, `SELECT toUnixTimestamp(at) * 1000, count(), sum(bytes) FROM (SELECT any(toStartOfFiveMinutes(arrival_time)) AS at, any(size) AS bytes
		FROM ~payload_rows WHERE `+where+` GROUP BY arrival_time, gateway, epoch, lane, seq) GROUP BY at ORDER BY at`, func(r driver.Rows) error {
		var p PayloadSpan
		var at uint64
		if err := r.Scan(&at, &p.Messages, &p.Bytes); err != nil {
			return err
		}
		p.From = int64(at)
		spans = append(spans, p)
		return nil
	}, args...)
	return spans, wrap("count kept payloads", err)
}

// Bounds on a page of payloads.
const (
	pagePayloads = 4096
	pageBytes    = 16 << 20
)

// PayloadPlace is where a page ended: behind this message.
type PayloadPlace struct {
	Arrival int64
	sensor.Producer
	Seq uint64
}

// Payloads gives a page of a span's payloads in order of arrival, beginning behind after (nil: at its begin), and the place
// where it ended; nil: the span is over.
func (s *Store) Payloads(ctx context.Context, f PayloadFilter, span int64, after *PayloadPlace) (list []sensor.LoggedPayload, next *PayloadPlace, err error) {
	from, to := max(span, f.Since), span+payloadSpan
	if f.Until != 0 {
		to = min(to, f.Until)
	}
	if after != nil {
		from = after.Arrival
	}
	where, args := f.where(from, to)
	if after != nil {
		where += ` AND (toUnixTimestamp64Milli(arrival_time), gateway, epoch, lane, seq) > ({a:Int64}, {g:String}, {e:UInt32}, {l:UInt8}, {s:UInt64})`
		args = append(args, clickhouse.Named("a", after.Arrival), clickhouse.Named("g", after.Gateway), clickhouse.Named("e", after.Epoch),
			clickhouse.Named("l", uint8(after.Lane)), clickhouse.Named("s", after.Seq))
	}
	places, err := s.payloadPlaces(ctx, where, args)
	if err != nil || len(places) == 0 {
		return nil, nil, err
	}
	last := places[len(places)-1]
	if list, err = s.payloadsAt(ctx, where, args, places[0].Arrival, last); err != nil {
		return nil, nil, err
	}
	if len(list) != len(places) {
		return nil, nil, wrap("read kept payloads", fmt.Errorf("%d of %d were removed meanwhile", len(places)-len(list), len(places)))
	}
	return list, &last, nil
}

// payloadPlaces is the first of two steps: the payloads, which are most of the table, are read in the second, as many as fit.
func (s *Store) payloadPlaces(ctx context.Context, where string, args []any) (places []PayloadPlace, err error) {
	bytes := 0
	err = s.each(ctx, `SELECT toUnixTimestamp64Milli(arrival_time), toString(gateway), epoch, lane, seq, size FROM ~payload_rows WHERE `+where+`
		ORDER BY arrival_time, gateway, epoch, lane, seq LIMIT 1 BY arrival_time, gateway, epoch, lane, seq LIMIT `+fmt.Sprint(pagePayloads),
		func(r driver.Rows) error {
			var p PayloadPlace
			var lane uint8
			var size uint32
			if err := r.Scan(&p.Arrival, &p.Gateway, &p.Epoch, &lane, &p.Seq, &size); err != nil {
				return err
			}
			p.Lane = sensor.Lane(lane)
			if bytes += int(size); bytes <= pageBytes || len(places) == 0 {
				places = append(places, p)
			}
			return nil
		}, args...)
	return places, wrap("read kept payloads", err)
}

// payloadsAt reads them from a time to a place.
func (s *Store) payloadsAt(ctx context.Context, where string, args []any, first int64, last PayloadPlace) (list []sensor.LoggedPayload, err error) {
	args = append(args, clickhouse.Named("first", first), clickhouse.Named("la", last.Arrival), clickhouse.Named("lg", last.Gateway),
		clickhouse.Named("le", last.Epoch), clickhouse.Named("ll", uint8(last.Lane)), clickhouse.Named("ls", last.Seq))
	err = s.each(ctx, `SELECT toUnixTimestamp64Milli(arrival_time), topic, toString(source), toString(protocol), named, thing, client, toString(user),
			qos, part, size, payload, toString(gateway), epoch, lane, seq FROM ~payload_rows WHERE `+where+`
			AND arrival_time >= fromUnixTimestamp64Milli({first:Int64}, 'UTC') AND arrival_time <= fromUnixTimestamp64Milli({la:Int64}, 'UTC')
			AND (toUnixTimestamp64Milli(arrival_time), gateway, epoch, lane, seq) <= ({la:Int64}, {lg:String}, {le:UInt32}, {ll:UInt8}, {ls:UInt64})
		ORDER BY arrival_time, gateway, epoch, lane, seq LIMIT 1 BY arrival_time, gateway, epoch, lane, seq`, func(r driver.Rows) error {
		var k sensor.LoggedPayload
		var named, payload string
		var lane, part uint8
		var thing uint64
		var size uint32
		if err := r.Scan(&k.Arrival, &k.Topic, &k.Source, &k.Protocol, &named, &thing, &k.Client, &k.User, &k.QoS, &part, &size, &payload,
			&k.Gateway, &k.Epoch, &lane, &k.Seq); err != nil {
			return err
		}
		k.Named, k.Thing, k.Lane, k.Part, k.Size = sensor.ThingID(named), sensor.ThingKey(thing), sensor.Lane(lane), sensor.Part(part), int(size)
		k.Payload = []byte(payload)
		list = append(list, k)
		return nil
	}, args...)
	return list, wrap("read kept payloads", err)
}
