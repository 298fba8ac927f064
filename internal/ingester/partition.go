package ingester

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/store"
)

// partition stores one partition until ctx ends. It is what the group calls.
func (g *Ingester) partition(ctx context.Context, a bus.Assignment) error {
	w := &worker{Ingester: g, a: a, part: a.Partition(), label: strconv.Itoa(int(a.Partition()))}
	w.logger = g.log.With("partition", w.part)
	w.where = "partition " + w.label
	defer g.note(w.where, nil)
	err := w.run(ctx)
	switch {
	case errors.Is(err, bus.ErrGeneration):
		g.m.zombies.Inc()
		w.logger.Warn("partition has a newer owner; what was under way is dropped", "err", err)
		return nil
	case errors.Is(err, bus.ErrOffset):
		return w.explainOffset(ctx, err)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return nil
	}
	return err
}

// worker is the shell around plan and position: it has one goroutine that fetches and one that stores.
type worker struct {
	*Ingester
	a      bus.Assignment
	part   int32
	label  string
	where  string // as Ready names it
	logger *slog.Logger

	logID string
	pos   position
}

func (w *worker) run(ctx context.Context) error {
	p, err := w.recover(ctx)
	if err != nil {
		return err
	}
	w.pos = position{log: w.logID, schema: store.SchemaVersion(), first: p.first, offset: p.offset}
	f := newFetcher(w, p.watermarks)
	if err := f.catchUp(ctx, p.readFrom, p.offset); err != nil {
		return err
	}
	if p.replay != nil {
		if err := w.replay(ctx, f, p); err != nil {
			return err
		}
	}
	return w.follow(ctx, f)
}

// recover finds out where the partition stands.
func (w *worker) recover(ctx context.Context) (plan, error) {
	if err := failpoint.Hit(failpoint.IngesterRecover); err != nil {
		return plan{}, err
	}
	if err := w.loadRecency(ctx); err != nil {
		return plan{}, err
	}
	k := known{partition: w.part, schema: store.SchemaVersion()}
	if err := w.few(ctx, "position", func(ctx context.Context) error { return w.standing(ctx, &k) }); err != nil {
		return plan{}, err
	}
	w.logID = k.log
	err := w.retry(ctx, "recover", func(ctx context.Context) (err error) {
		if k.newest, k.newestFound, err = w.opt.Store.NewestBlock(ctx, w.logID, w.part, math.MaxInt64); err != nil {
			return err
		}
		k.before, k.beforeFound, err = w.opt.Store.NewestBlock(ctx, w.logID, w.part, k.committed.Offset)
		return err
	})
	if err != nil {
		return plan{}, err
	}
	return makePlan(k)
}

// standing reads what the bus knows.
func (w *worker) standing(ctx context.Context, k *known) error {
	id, err := w.opt.Log.ID(ctx, w.part)
	if err != nil {
		return fmt.Errorf("read id of the log: %w", err)
	}
	k.log = id.String()
	if k.first, k.next, err = w.opt.Log.Bounds(ctx, w.part); err != nil {
		return fmt.Errorf("read bounds of the log: %w", err)
	}
	if k.committed, err = w.a.Committed(ctx); err != nil {
		return fmt.Errorf("read committed position: %w", err)
	}
	return nil
}

// loadRecency asks the store what it has, whenever another process may have stored since the last time.
func (w *worker) loadRecency(ctx context.Context) error {
	w.recency.forgetHoles()
	return w.retry(ctx, "load", func(ctx context.Context) error {
		return w.opt.Store.NewestTimes(ctx, w.recency.loaded)
	})
}

// replay stores the block of a committed intent once more.
func (w *worker) replay(ctx context.Context, f *fetcher, p plan) error {
	if err := failpoint.Hit(failpoint.IngesterReplay); err != nil {
		return err
	}
	w.m.replays.Inc()
	w.pos.resume(p.replay.To)
	b, err := f.exactly(ctx, p.replay.From, p.replay.To)
	if err != nil {
		return err
	}
	w.logger.Info("replaying the block under way at the last end", "from", p.replay.From, "to", p.replay.To, "stored", p.stored, "rows", b.Batch.Len())
	if !p.stored {
		if err := w.store(ctx, b, true); err != nil {
			return err
		}
	}
	w.pos.stored()
	f.give(b)
	return nil
}

// follow stores block after block.
func (w *worker) follow(ctx context.Context, f *fetcher) error {
	stop := f.start(ctx, w.pos.offset)
	defer stop()
	for {
		b, ok := f.ready()
		if !ok {
			if err := w.commitRest(ctx); err != nil {
				return err
			}
			if b, ok = f.next(); !ok {
				return f.err()
			}
		}
		at, err := w.pos.begin(b.To, w.registryVersion())
		if err != nil {
			return err
		}
		if err := failpoint.Hit(failpoint.IngesterIntent); err != nil {
			return err
		}
		if err := w.commit(ctx, at); err != nil {
			return err
		}
		if err := failpoint.Hit(failpoint.IngesterIntended); err != nil {
			return err
		}
		if err := w.store(ctx, b, false); err != nil {
			return err
		}
		w.pos.stored()
		f.give(b)
	}
}

func (w *worker) registryVersion() uint64 {
	if w.opt.RegistryVersion == nil {
		return 0
	}
	return w.opt.RegistryVersion()
}

// store takes a block through the store's steps, in their order, each until it succeeds.
func (w *worker) store(ctx context.Context, b *store.Block, doubtful bool) error {
	b.Repeats = w.recency.repeats(b.Repeats[:0], b.Batch)
	for _, s := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"repeats", func(ctx context.Context) error { return w.opt.Store.InsertRepeats(ctx, b) }},
		{"rows", func(ctx context.Context) error {
			err := w.opt.Store.InsertRows(ctx, b, doubtful)
			doubtful = true // after an error nobody knows what arrived
			return err
		}},
		{"beside", func(ctx context.Context) error { return w.opt.Store.InsertBeside(ctx, b) }},
		{"declare", func(ctx context.Context) error { return w.declare(ctx, b) }},
		{"record", func(ctx context.Context) error { return w.opt.Store.InsertBlock(ctx, b) }},
	} {
		err := w.retry(ctx, s.name, func(ctx context.Context) error {
			if err := failpoint.HitIn("ingester", s.name); err != nil {
				return err
			}
			return s.do(ctx)
		})
		if err != nil {
			return err
		}
	}
	w.count(ctx, b)
	return failpoint.Hit(failpoint.IngesterStored)
}

func (w *worker) declare(ctx context.Context, b *store.Block) error {
	if w.opt.Declare == nil || len(b.Batch.Declarations) == 0 {
		return nil
	}
	return w.opt.Declare(ctx, b.Batch.Declarations)
}

func (w *worker) commitRest(ctx context.Context) error {
	at, ok := w.pos.rest()
	if !ok {
		return nil
	}
	if err := failpoint.Hit(failpoint.IngesterCommit); err != nil {
		return err
	}
	return w.commit(ctx, at)
}

func (w *worker) commit(ctx context.Context, at bus.Position) error {
	return w.few(ctx, "commit", func(ctx context.Context) error { return w.a.Commit(ctx, at) })
}

// fewTries bounds how often the bus is asked again. A full disk heals; a disk that failed a sync does not.
const fewTries = 6

// few is retry for the bus, whose errors may be for ever.
func (w *worker) few(ctx context.Context, step string, do func(context.Context) error) error {
	tries := 0
	return w.retry(ctx, step, func(ctx context.Context) error {
		err := do(ctx)
		if tries++; err != nil && (tries >= fewTries || errors.Is(err, bus.ErrGeneration) || errors.Is(err, bus.ErrOffset)) {
			return final{err}
		}
		return err
	})
}

// final is an error that retry passes on.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

const (
	firstPause = 50 * time.Millisecond
	longPause  = 5 * time.Second
)

// retry calls do until it succeeds. When ctx ends, do goes on for Patience, because what is under way is better
// finished than replayed.
func (w *worker) retry(ctx context.Context, step string, do func(context.Context) error) error {
	began := time.Now()
	grace, cancel := withGrace(ctx, w.opt.Patience)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := do(grace)
		if err == nil {
			w.note(w.where, nil)
			w.m.step.WithLabelValues(step).Observe(time.Since(began).Seconds())
			return nil
		}
		var f final
		if errors.As(err, &f) {
			return f.error
		}
		w.note(w.where, fmt.Errorf("%s: %w", step, err))
		w.m.retries.WithLabelValues(step).Inc()
		level := slog.LevelWarn
		if errors.Is(err, store.ErrRefused) || errors.Is(err, store.ErrSchema) {
			level = slog.LevelError // somebody has to change something
		}
		w.logger.Log(ctx, level, "step is tried again", "step", step, "pause", pause.String(), "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done(): // stopping: what fails now is left to the replay
			return fmt.Errorf("%s: %w: %w", step, context.Canceled, err)
		}
	}
}

// withGrace gives a context that ends `grace` after ctx does.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(out, func() { timer.Stop() })
	})
	return out, func() { stop(); cancel() }
}

// explainOffset says what an offset that the log does not have means.
func (w *worker) explainOffset(ctx context.Context, err error) error {
	first, next, berr := w.opt.Log.Bounds(context.WithoutCancel(ctx), w.part)
	if berr != nil {
		return errors.Join(err, berr)
	}
	return fmt.Errorf("partition %d: the log holds offsets %d to %d and the next to store is %d: %w; what lies between was freed "+
		"before it was stored, or the log is not the one that was read before. situ does not skip by itself: bring the log back, "+
		"or remove the group's commits to begin with what is there", w.part, first, next-1, w.pos.offset, err)
}

func (w *worker) count(ctx context.Context, b *store.Block) {
	r, m := b.Batch, w.m
	m.blocks.Inc()
	m.messages.Add(float64(r.Messages))
	m.observations.Add(float64(r.Len()))
	m.duplicates.Add(float64(r.Duplicates))
	m.declarations.Add(float64(len(r.Declarations)))
	m.repeats.Add(float64(len(b.Repeats)))
	m.rows.WithLabelValues(w.label).Observe(float64(r.Len()))
	for i := range r.DeadLetters {
		m.deadLetters.WithLabelValues(string(r.DeadLetters[i].Reason)).Inc()
	}
	for _, e := range r.Empties {
		m.empties.WithLabelValues(string(e.Reason)).Inc()
	}
	for _, gap := range r.Gaps {
		m.gaps.Add(float64(gap.To - gap.From + 1))
	}
	if n := r.Len(); n > 0 {
		m.age.Set(time.Since(time.UnixMilli(r.ArrivalTime[n-1])).Seconds())
	}
	m.offset.WithLabelValues(w.label).Set(float64(b.To))
	if _, next, err := w.opt.Log.Bounds(ctx, w.part); err == nil {
		m.behind.WithLabelValues(w.label).Set(float64(next - b.To))
	}
}
