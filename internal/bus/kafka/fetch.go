package kafka

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	wire "github.com/segmentio/kafka-go/protocol"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/pkg/sensor"
	"github.com/situ-city/situ/pkg/sensor/arrowipc"
)

// What one fetch request asks for. The bound in bytes does not hold against a single message that is larger.
const (
	fetchBytes = 2 << 20
	fetchWait  = 500 * time.Millisecond

	// lastMoment before the caller's deadline no request is made any more: a connection whose answer is not waited for
	// is lost, and a reader that lingers for each block would lose one a block.
	lastMoment = 30 * time.Millisecond
)

// ID implements bus.Log: the topic's own id, or what its log is called since it went backwards.
func (b *Bus) ID(ctx context.Context, part int32) (id bus.LogID, err error) {
	err = b.retry(ctx, "read the topic's id", func(ctx context.Context) error {
		n, _, err := b.partitions(ctx)
		if err == nil && (part < 0 || int(part) >= n) {
			err = fmt.Errorf("topic %s has no partition %d: %w", b.cfg.Topic, part, errFinal)
		}
		if err == nil {
			id, err = b.askID(ctx)
		}
		return err
	})
	return id, err
}

// Partitions implements bus.Log.
func (b *Bus) Partitions(ctx context.Context) (parts []int32, err error) {
	err = b.retry(ctx, "list partitions", func(ctx context.Context) error {
		n, _, err := b.partitions(ctx)
		for i := range n {
			parts = append(parts, int32(i))
		}
		return err
	})
	return parts, err
}

// Bounds implements bus.Log.
func (b *Bus) Bounds(ctx context.Context, part int32) (first, next int64, err error) {
	err = b.retry(ctx, "read the partition's bounds", func(ctx context.Context) error {
		req := []kafkago.OffsetRequest{kafkago.FirstOffsetOf(int(part)), kafkago.LastOffsetOf(int(part))}
		r, err := b.client.ListOffsets(ctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{b.cfg.Topic: req}})
		if err != nil {
			return err
		}
		for _, o := range r.Topics[b.cfg.Topic] {
			if errors.Is(o.Error, kafkago.Unknown) { // all that kafka-go says of a broker's connection that is gone
				return errNoAnswer
			}
			if o.Error != nil {
				return o.Error
			}
			first, next = o.FirstOffset, o.LastOffset
		}
		return nil
	})
	return first, next, err
}

var errNoAnswer = errors.New("the leader's connection broke")

// fetcher is what a Fetch works with.
type fetcher struct {
	*arrowipc.Decoder
	names *namesakes
	buf   []byte
	last  mark // of the message taken last
}

func (b *Bus) takeFetcher() (*fetcher, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.fetchers); n > 0 {
		f := b.fetchers[n-1]
		b.fetchers = b.fetchers[:n-1]
		return f, nil
	}
	d, err := arrowipc.NewDecoder()
	return &fetcher{Decoder: d, names: &b.names}, err
}

func (b *Bus) putFetcher(f *fetcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fetchers = append(b.fetchers, f)
}

// Fetch implements bus.Log.
func (b *Bus) Fetch(ctx context.Context, part int32, from, to int64, maxRows int, batch *sensor.Batch) (int64, error) {
	if from < 0 { // kafka-go reads -1 and -2 as "last" and "first"
		return from, fmt.Errorf("fetch partition %d at %d: %w", part, from, bus.ErrOffset)
	}
	f, err := b.takeFetcher()
	if err != nil {
		return from, err
	}
	defer b.putFetcher(f)
	f.last = b.before(part, from)
	next := from
	for next == from {
		err := b.retry(ctx, "fetch", func(ctx context.Context) error {
			if err := b.sameTopic(ctx); err != nil {
				return err
			}
			var err error
			if next, err = b.fetchOnce(ctx, f, part, from, to, maxRows, batch); next > from {
				return nil // an error behind it comes again with the next Fetch
			}
			return err
		})
		if err != nil {
			return from, fmt.Errorf("fetch partition %d at %d: %w", part, from, err)
		}
	}
	if err := b.leave(part, next, f.last); err != nil {
		return from, fmt.Errorf("fetch partition %d at %d: %w", part, from, err)
	}
	return next, nil
}

// fetchOnce does one request. It gives from if nothing had come when the broker's patience ended.
func (b *Bus) fetchOnce(ctx context.Context, f *fetcher, part int32, from, to int64, maxRows int, batch *sensor.Batch) (int64, error) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < lastMoment {
		<-ctx.Done()
		return from, ctx.Err()
	}
	r, err := b.client.Fetch(ctx, &kafkago.FetchRequest{
		Topic: b.cfg.Topic, Partition: int(part), Offset: from, MinBytes: 1, MaxBytes: fetchBytes, MaxWait: fetchWait,
	})
	if err == nil {
		err = r.Error
	}
	if unknownTopic(err) {
		b.mu.Lock()
		b.idAt = time.Time{} // look at its id before going on
		b.mu.Unlock()
	}
	if errors.Is(err, kafkago.OffsetOutOfRange) {
		return from, fmt.Errorf("%w: %w: %w", bus.ErrOffset, err, errFinal)
	}
	if err != nil {
		return from, err
	}
	if err := b.unchanged(ctx, part, from, r.Records); err != nil {
		return from, err
	}
	next, start := from, rows(batch)
	for {
		rec, err := r.Records.ReadRecord()
		if err == io.EOF {
			return pastMarks(r.Records, next, to), nil
		}
		if err != nil {
			return next, err
		}
		if skipped := b.cfg.Skip[Place{part, rec.Offset}]; skipped && rec.Offset >= next && (to == 0 || rec.Offset < to) {
			b.log.Warn("passing over a message, as told", "partition", part, "offset", rec.Offset)
			closeRecord(rec)
			next = rec.Offset + 1
			continue
		}
		err = f.take(rec, from, to, maxRows > 0 && rows(batch)-start >= maxRows, batch, &next)
		if err != nil {
			return next, b.explain(part, rec.Offset, err)
		}
	}
}

// pastMarks is where to go on behind the marks of somebody's transactions. They have offsets of their own, and kafka-go
// shows no record of them: at the end of a partition the broker would send the same one again, at once, for ever.
func pastMarks(records kafkago.RecordReader, next, to int64) int64 {
	stream, ok := records.(*wire.RecordStream)
	if !ok { // an empty answer
		return next
	}
	for _, batch := range stream.Records {
		if m, ok := batch.(*wire.ControlBatch); ok && m.BaseOffset == next && (to == 0 || next < to) {
			next++ // one record each
		}
	}
	return next
}

// explain says where a message stands that cannot be read, and what can be done.
func (b *Bus) explain(part int32, offset int64, err error) error {
	if !errors.Is(err, bus.ErrMessage) {
		return fmt.Errorf("offset %d: %w", offset, err)
	}
	return final{fmt.Errorf("topic %s, partition %d, offset %d: %w; it is not passed over, because it may hold readings that were acknowledged: "+
		"use a situ that can read it, or, if nobody will miss what it holds, start the readers with --kafka-skip %d:%d",
		b.cfg.Topic, part, offset, err, part, offset)}
}

// take decodes one record, unless it is none of those asked for. full: enough rows are there.
func (f *fetcher) take(rec *kafkago.Record, from, to int64, full bool, batch *sensor.Batch, next *int64) error {
	defer closeRecord(rec)
	if rec.Offset < from || full || to > 0 && rec.Offset >= to {
		return nil
	}
	if rec.Offset < *next {
		return fmt.Errorf("comes after %d: %w", *next-1, errFinal)
	}
	h, err := parseHeaders(rec.Headers)
	if err != nil {
		return err
	}
	if rec.Value == nil {
		return fmt.Errorf("no value: %w", bus.ErrMessage)
	}
	f.buf = slices.Grow(f.buf[:0], rec.Value.Len())[:rec.Value.Len()]
	if _, err := io.ReadFull(rec.Value, f.buf); err != nil {
		return err
	}
	if crc := crc32.Checksum(f.buf, castagnoli); crc != h.crc {
		return fmt.Errorf("checksum %08x, its header says %08x: %w", crc, h.crc, bus.ErrMessage)
	}
	if err := f.Decode(batch, h.producer, h.from, h.to, f.buf); err != nil {
		return fmt.Errorf("%w: %w", bus.ErrMessage, err)
	}
	f.names.see(h.producer, h.log)
	f.last = markOf(rec)
	*next = rec.Offset + 1
	return nil
}

// closeRecord gives kafka-go its pages back.
func closeRecord(rec *kafkago.Record) {
	if rec.Key != nil {
		_ = rec.Key.Close()
	}
	if rec.Value != nil {
		_ = rec.Value.Close()
	}
}

// rows is what maxRows counts.
func rows(b *sensor.Batch) int { return b.Len() + len(b.DeadLetters) + len(b.Empties) }

// parsed headers of a message.
type parsed struct {
	producer sensor.Producer
	log      string // the spool's id; "" where nobody says
	from, to uint64
	crc      uint32
}

func parseHeaders(hs []kafkago.Header) (parsed, error) {
	value := func(key string) string {
		for _, h := range hs {
			if h.Key == key {
				return string(h.Value)
			}
		}
		return ""
	}
	var errs []error
	number := func(key string, base, bits int) uint64 {
		v, err := strconv.ParseUint(value(key), base, bits)
		if err != nil {
			errs = append(errs, fmt.Errorf("header %s is %.40q", key, value(key)))
		}
		return v
	}
	if v := value("schema"); v != arrowipc.SchemaVersion && v != arrowipc.SchemaPayloads {
		errs = append(errs, fmt.Errorf("schema is %.40q, this build reads %q and %q", v, arrowipc.SchemaVersion, arrowipc.SchemaPayloads))
	}
	p := parsed{
		producer: sensor.Producer{Gateway: value("gw"), Epoch: uint32(number("epoch", 10, 32)), Lane: sensor.Lane(number("lane", 10, 8))},
		log:      value("log"), from: number("seqFrom", 10, 64), to: number("seqTo", 10, 64), crc: uint32(number("crc", 16, 32)),
	}
	if err := errors.Join(errs...); err != nil {
		return p, fmt.Errorf("%w: %w", bus.ErrMessage, err)
	}
	return p, nil
}
