package kafka

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"sync"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/pkg/sensor"
	"github.com/situ-city/situ/pkg/sensor/arrowipc"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// publisher holds encoders for the lanes that publish at the same time.
type publisher struct {
	mu   sync.Mutex // guards idle
	idle []*encoder
}

type encoder struct {
	*arrowipc.Encoder
	buf []byte
}

func (p *publisher) init() error {
	e, err := arrowipc.NewEncoder()
	p.idle = []*encoder{{Encoder: e}}
	return err
}

func (p *publisher) take() (*encoder, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		e := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return e, nil
	}
	e, err := arrowipc.NewEncoder()
	return &encoder{Encoder: e}, err
}

func (p *publisher) put(e *encoder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, e)
}

// Publish implements bus.Publisher: one Kafka message, acknowledged by all replicas in sync.
func (b *Bus) Publish(ctx context.Context, log bus.LogID, p sensor.Producer, from, to uint64, batch *sensor.Batch) error {
	e, err := b.pub.take()
	if err != nil {
		return err
	}
	value, err := e.Append(e.buf[:0], p, batch)
	if errors.Is(err, arrowipc.ErrRows) {
		err = fmt.Errorf("%w: %w", bus.ErrTooLarge, err)
	}
	if err == nil && len(value) > b.cfg.MaxMessageBytes && from < to {
		err = fmt.Errorf("%d bytes: %w", len(value), bus.ErrTooLarge) // a single one is left to the broker to judge
	}
	if err != nil {
		b.pub.put(e)
		return fmt.Errorf("publish %d to %d: %w", from, to, err)
	}
	e.buf = value
	err = b.produce(ctx, headers(log, p, from, to, batch, value), p, value)
	if err == nil {
		b.pub.put(e) // after an error kafka-go may still be sending from the buffer: leave it to the collector
		return nil
	}
	return fmt.Errorf("publish %d to %d: %w", from, to, err)
}

func (b *Bus) produce(ctx context.Context, h []kafkago.Header, p sensor.Producer, value []byte) error {
	_, n, err := b.partitions(ctx)
	if err != nil {
		return err
	}
	r, err := b.client.Produce(ctx, &kafkago.ProduceRequest{
		Topic: b.cfg.Topic, Partition: int(PartitionOf(p, n)), RequiredAcks: kafkago.RequireAll,
		Records: kafkago.NewRecordReader(kafkago.Record{
			Key: kafkago.NewBytes([]byte(p.Gateway + "/" + p.Lane.String())), Value: kafkago.NewBytes(value), Headers: h,
		}),
	})
	if err == nil {
		err = r.Error
	}
	if errors.Is(err, kafkago.MessageSizeTooLarge) || errors.Is(err, kafkago.RecordListTooLarge) {
		return fmt.Errorf("topic %s refuses a message of %d bytes (its max.message.bytes): %w: %w", b.cfg.Topic, len(value), bus.ErrTooLarge, err)
	}
	return err
}

func headers(log bus.LogID, p sensor.Producer, from, to uint64, batch *sensor.Batch, value []byte) []kafkago.Header {
	h := func(k, v string) kafkago.Header { return kafkago.Header{Key: k, Value: []byte(v)} }
	return []kafkago.Header{
		h("log", log.String()), h("gw", p.Gateway), h("epoch", strconv.FormatUint(uint64(p.Epoch), 10)),
		h("lane", strconv.Itoa(int(p.Lane))), h("seqFrom", strconv.FormatUint(from, 10)), h("seqTo", strconv.FormatUint(to, 10)),
		h("n", strconv.Itoa(batch.Len())), h("schema", arrowipc.SchemaOf(batch)), h("crc", fmt.Sprintf("%08x", crc32.Checksum(value, castagnoli))),
	}
}
