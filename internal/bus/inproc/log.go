package inproc

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// ID implements bus.Log: the spool's log id.
func (b *Bus) ID(_ context.Context, part int32) (bus.LogID, error) {
	s, err := b.spool(part)
	if err != nil {
		return bus.LogID{}, err
	}
	return bus.LogID(s.LogID()), nil
}

// Partitions implements bus.Log: the lanes.
func (b *Bus) Partitions(context.Context) ([]int32, error) { return b.parts, nil }

// Bounds implements bus.Log. A gap that is still to be delivered counts as being in the log.
func (b *Bus) Bounds(_ context.Context, part int32) (first, next int64, err error) {
	s, err := b.spool(part)
	if err != nil {
		return 0, 0, err
	}
	f, n := s.Bounds()
	for _, g := range s.Gaps() {
		if g.From < f {
			f = g.From
		}
	}
	return int64(f), int64(n), nil
}

// Fetch implements bus.Log.
func (b *Bus) Fetch(ctx context.Context, part int32, from, to int64, maxRows int, batch *sensor.Batch) (int64, error) {
	s, err := b.spool(part)
	if err != nil {
		return from, err
	}
	if from < 1 {
		return from, fmt.Errorf("fetch partition %d at %d: %w", part, from, bus.ErrOffset)
	}
	if next, ok := skipGap(s, from, to, batch); ok {
		return next, nil
	}
	if err := b.await(ctx, s, uint64(from)); err != nil {
		return from, fmt.Errorf("fetch partition %d at %d: %w", part, from, err)
	}
	r, err := b.readerAt(s, uint64(from))
	if err == nil {
		var next int64
		next, err = r.fetch(to, maxRows, batch)
		b.release(r)
		if next > from {
			return next, nil // an error behind it comes again with the next Fetch
		}
	}
	if errors.Is(err, spool.ErrTrimmed) { // dropped between the look at the gaps and the reading
		if next, ok := skipGap(s, from, to, batch); ok {
			return next, nil
		}
	}
	return from, fmt.Errorf("fetch partition %d at %d: %w", part, from, asBus(err))
}

// await waits for the record at seq, unless it lies so far beyond the end that it cannot be the next one.
func (b *Bus) await(ctx context.Context, s *spool.Spool, seq uint64) error {
	if _, next := s.Bounds(); seq > next {
		return fmt.Errorf("the log ends before %d: %w", next, bus.ErrOffset)
	}
	return s.Wait(ctx, seq)
}

// skipGap delivers the part of a gap that begins at from and ends before to.
func skipGap(s *spool.Spool, from, to int64, batch *sensor.Batch) (next int64, ok bool) {
	for _, g := range s.Gaps() {
		if int64(g.From) <= from && from <= int64(g.To) {
			g.From = uint64(from)
			if to > from {
				g.To = min(g.To, uint64(to-1))
			}
			if batch.See(g.Producer, g.From, g.To) {
				batch.Gaps = append(batch.Gaps, g)
			}
			return int64(g.To + 1), true
		}
	}
	return 0, false
}

// asBus gives the spool's errors the bus's names.
func asBus(err error) error {
	if errors.Is(err, spool.ErrTrimmed) || errors.Is(err, spool.ErrBeyond) {
		return fmt.Errorf("%w: %w", bus.ErrOffset, err)
	}
	return err
}

// reader is a place in a spool and the memory to decode with.
type reader struct {
	*spool.Reader
	spool *spool.Spool
	msg   sensor.Message
}

// idleReaders bounds how many places are remembered; a place forgotten costs a search in one segment.
const idleReaders = 8

// readerAt gives the idle reader that stands at seq, or a new one.
func (b *Bus) readerAt(s *spool.Spool, seq uint64) (*reader, error) {
	b.mu.Lock()
	for i, r := range b.readers {
		if r.spool == s && r.Position() == seq {
			b.readers = append(b.readers[:i], b.readers[i+1:]...)
			b.mu.Unlock()
			return r, nil
		}
	}
	b.mu.Unlock()
	sr, err := s.NewReader(seq)
	if err != nil {
		return nil, err
	}
	return &reader{Reader: sr, spool: s}, nil
}

func (b *Bus) release(r *reader) {
	b.mu.Lock()
	old := r
	if !b.closed {
		b.readers = append(b.readers, r)
		old = nil
		if len(b.readers) > idleReaders {
			old = b.readers[0]
			b.readers = b.readers[1:]
		}
	}
	b.mu.Unlock()
	if old != nil {
		_ = old.Close() // read only
	}
}

// fetch decodes from where the reader stands.
func (r *reader) fetch(to int64, maxRows int, batch *sensor.Batch) (int64, error) {
	p := r.spool.Producer()
	start, bytes := rows(batch), 0
	for {
		at := r.Position()
		if to > 0 && int64(at) >= to || maxRows > 0 && rows(batch)-start >= maxRows || bytes >= bus.FetchBytes(maxRows) {
			return int64(at), nil
		}
		seq, body, err := r.Next()
		if err == io.EOF {
			return int64(at), nil
		}
		if err != nil {
			return int64(at), err
		}
		if body == nil { // removed by policy
			spool.Skip(r.Reader, batch)
			continue
		}
		if err := sensor.DecodeMessage(&r.msg, body); err != nil {
			return int64(at), fmt.Errorf("record %d: %w", seq, err)
		}
		bytes += len(body)
		batch.Add(p, seq, &r.msg)
	}
}

// rows is what maxRows counts.
func rows(b *sensor.Batch) int { return b.Len() + len(b.DeadLetters) + len(b.Empties) + b.Removed }
