package ingester

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// fetcher reads a partition in blocks, one ahead of the one being stored: reading is Go's work, storing the engine's.
type fetcher struct {
	w          *worker
	watermarks map[sensor.Producer]uint64 // of the reader's position; only the reading goroutine touches it
	spare      chan *store.Block          // blocks to be filled
	full       chan *store.Block          // blocks to be stored
	failed     error                      // set before full is closed
}

func newFetcher(w *worker, watermarks map[sensor.Producer]uint64) *fetcher {
	f := &fetcher{w: w, watermarks: make(map[sensor.Producer]uint64), spare: make(chan *store.Block, 2), full: make(chan *store.Block)}
	maps.Copy(f.watermarks, watermarks)
	for range 2 {
		f.spare <- &store.Block{Log: w.core.Log(), Partition: w.part, Batch: new(sensor.Batch)}
	}
	return f
}

// give returns a block that is stored.
func (f *fetcher) give(b *store.Block) { f.spare <- b }

// exactly reads the block [from, to).
func (f *fetcher) exactly(ctx context.Context, from, to int64) (*store.Block, error) {
	b := f.empty()
	for at := from; at < to; {
		next, err := f.fetch(ctx, at, to, 0, b.Batch)
		if err != nil {
			return nil, err
		}
		at = next
	}
	f.close(b, from, to)
	return b, nil
}

// start begins to read from an offset, in a goroutine of its own; stop ends it and waits.
func (f *fetcher) start(ctx context.Context, from int64) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(f.full)
		f.failed = f.read(ctx, from)
	}()
	return func() {
		cancel()
		for range f.full { // a block that nobody wants any more
		}
		<-done
	}
}

func (f *fetcher) read(ctx context.Context, from int64) error {
	for ctx.Err() == nil {
		var b *store.Block
		select {
		case <-ctx.Done():
			return nil
		case b = <-f.spare:
		}
		f.open(b)
		to, err := f.fill(ctx, b.Batch, from)
		if err != nil || to == from {
			return err
		}
		f.close(b, from, to)
		if f.w.opt.Pace != nil {
			_ = f.w.opt.Pace.Wait(ctx, f.w.part)
		}
		f.full <- b // also when ctx has ended: what is fetched is stored
		from = to
	}
	return nil
}

// fill reads until the block has enough rows, or its first message has waited long enough, or ctx ends. It gives `from`
// and no error when ctx ended before anything came.
func (f *fetcher) fill(ctx context.Context, b *sensor.Batch, from int64) (to int64, err error) {
	if to, err = f.fetch(ctx, from, 0, f.w.opt.MaxRows, b); err != nil {
		if ctx.Err() != nil {
			return from, nil
		}
		return from, err
	}
	linger, cancel := context.WithTimeout(ctx, f.w.opt.Linger)
	defer cancel()
	for linger.Err() == nil {
		left := f.w.opt.MaxRows - weight(b)
		if left <= 0 {
			break
		}
		next, err := f.w.opt.Log.Fetch(linger, f.w.part, to, 0, left, b)
		if errors.Is(err, bus.ErrOffset) {
			return from, err // it is not the log any more that this block was begun with
		}
		if err != nil {
			break // time is up; anything else comes again at the begin of the next block
		}
		to = next
	}
	return to, nil
}

// fetch is the log's Fetch, tried again until it gives something. It ends with ctx, and with the errors that no trying
// mends.
func (f *fetcher) fetch(ctx context.Context, from, to int64, maxRows int, b *sensor.Batch) (next int64, err error) {
	where := f.w.where + ", reading"
	defer f.w.note(where, nil)
	for n, pause := 1, firstPause; ; n, pause = n+1, min(2*pause, longPause) {
		next, err = f.w.opt.Log.Fetch(ctx, f.w.part, from, to, maxRows, b)
		if err == nil {
			return next, nil
		}
		err = fmt.Errorf("fetch from %d: %w", from, err)
		if ctx.Err() != nil {
			return from, fmt.Errorf("%w: %w", ctx.Err(), err) // it is told to stop: what failed besides is the next one's matter
		}
		if errors.Is(err, bus.ErrOffset) || errors.Is(err, bus.ErrGeneration) {
			return from, err
		}
		f.w.note(where, err)
		f.w.m.retries.WithLabelValues("fetch").Inc()
		if n&(n-1) == 0 {
			f.w.logger.Warn("step is tried again", "step", "fetch", "try", n, "pause", pause.String(), "err", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return from, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// weight is what a block's bound counts. A payload, and a result that is a text, weighs as many rows as would take its memory.
func weight(b *sensor.Batch) int {
	n := b.Len() + len(b.DeadLetters) + len(b.Empties) + len(b.Gaps) + b.Removed
	for i := range b.DeadLetters {
		n += len(b.DeadLetters[i].Payload) / bus.RowBytes
	}
	for i := range b.Payloads {
		n += len(b.Payloads[i].Payload) / bus.RowBytes
	}
	for _, text := range b.Text {
		n += len(text) / bus.RowBytes
	}
	return n
}

func (f *fetcher) empty() *store.Block {
	b := <-f.spare
	f.open(b)
	return b
}

// open makes b ready for the messages behind the watermarks as they are.
func (f *fetcher) open(b *store.Block) {
	b.Batch.Reset()
	b.Batch.Watermarks = f.watermarks
	b.Before = maps.Clone(f.watermarks)
}

// close fixes the block's range, and the watermarks as they are at its end.
func (f *fetcher) close(b *store.Block, from, to int64) {
	b.From, b.To = from, to
	b.Watermarks = maps.Clone(f.watermarks)
}

// ready gives the next block if there is one now; next waits for it. False after the end.
func (f *fetcher) ready() (*store.Block, bool) {
	select {
	case b, ok := <-f.full:
		return b, ok
	default:
		return nil, false
	}
}

func (f *fetcher) next() (*store.Block, bool) {
	b, ok := <-f.full
	return b, ok
}

// err is why the reading ended; valid after next has said so.
func (f *fetcher) err() error { return f.failed }
