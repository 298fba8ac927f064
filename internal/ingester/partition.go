package ingester

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"syscall"
	"time"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/protocol"
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
		if w.replaced(ctx) {
			g.m.zombies.Inc()
			w.logger.Warn("partition has a newer owner, which has freed what was to be read here", "err", err)
			return nil
		}
		return w.explainOffset(ctx, err)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return nil
	}
	return err
}

// worker is the shell around protocol.Partition: it does what that asks for. One goroutine fetches and one stores.
type worker struct {
	*Ingester
	a      bus.Assignment
	part   int32
	label  string
	where  string // as Ready names it
	logger *slog.Logger

	core      *protocol.Partition
	fetcher   *fetcher
	stop      func()       // ends the reading ahead; nil before it began
	block     *store.Block // the one under way
	announced time.Time    // when its intent was sent to be committed
}

// run goes step after step until the core stops or ctx ends.
func (w *worker) run(ctx context.Context) error {
	if err := failpoint.Hit(failpoint.IngesterRecover); err != nil {
		return err
	}
	if err := w.loadRecency(ctx); err != nil {
		return err
	}
	w.core = protocol.NewPartition(w.part, store.SchemaVersion())
	defer func() {
		if w.stop != nil {
			w.stop()
		}
	}()
	for {
		s := w.core.Next()
		if s.Do == protocol.Stop {
			return w.core.Err()
		}
		more, err := w.step(ctx, s)
		if err != nil || !more {
			return err
		}
	}
}

// step does one step and answers it. False: the reading has ended, and nothing is under way.
func (w *worker) step(ctx context.Context, s protocol.Step) (more bool, err error) {
	switch s.Do {
	case protocol.AskLog:
		err = w.few(ctx, s.Do.String(), w.standing)
	case protocol.AskStore:
		err = w.retry(ctx, s.Do.String(), func(ctx context.Context) error { return w.found(ctx, s.Log) })
	case protocol.AskSeen:
		err = w.retry(ctx, s.Do.String(), func(ctx context.Context) error {
			seen, err := w.opt.Store.Watermarks(ctx, s.Log)
			if err == nil {
				w.core.Seen(seen)
			}
			return err
		})
	case protocol.Refetch:
		err = w.refetch(ctx, s)
	case protocol.Poll, protocol.Fetch:
		return w.take(ctx, s)
	default:
		err = w.write(ctx, s)
	}
	return err == nil, err
}

// reader is the fetcher, with the watermarks of the plan at first.
func (w *worker) reader() *fetcher {
	if w.fetcher == nil {
		w.fetcher = newFetcher(w, w.core.Plan().Watermarks)
	}
	return w.fetcher
}

// refetch makes the block of a committed intent again.
func (w *worker) refetch(ctx context.Context, s protocol.Step) (err error) {
	if err := failpoint.Hit(failpoint.IngesterReplay); err != nil {
		return err
	}
	w.m.replays.Inc()
	if w.block, err = w.reader().exactly(ctx, s.From, s.To); err != nil {
		return err
	}
	w.logger.Info("replaying the block under way at the last end", "from", s.From, "to", s.To, "stored", w.core.Plan().Stored,
		"rows", w.block.Batch.Len())
	w.prepare()
	stored := w.core.Plan().Stored
	w.core.Done()
	if stored {
		w.release()
	}
	return nil
}

// take gives the core the next block, if there is one, or says that there is none yet.
func (w *worker) take(ctx context.Context, s protocol.Step) (more bool, err error) {
	if w.stop == nil {
		w.stop = w.reader().start(ctx, s.From)
	}
	b, ok := w.fetcher.ready()
	switch {
	case !ok && s.Do == protocol.Poll:
		w.core.Nothing()
		return true, nil
	case !ok:
		if b, ok = w.fetcher.next(); !ok {
			return false, w.fetcher.err()
		}
	}
	w.block = b
	w.prepare()
	w.core.Fetched(b.To, w.registryVersion())
	return true, nil
}

// prepare is what a block needs once, before its writes.
func (w *worker) prepare() {
	w.announced = time.Now()
	w.block.Repeats = w.recency.repeats(w.block.Repeats[:0], w.block.Batch)
}

func (w *worker) release() {
	w.fetcher.give(w.block)
	w.block = nil
}

// write does a step that leaves something behind: one try after the other, and the core hears of each that failed.
func (w *worker) write(ctx context.Context, s protocol.Step) error {
	for _, n := range w.writes(s) {
		again := w.retry
		if s.Do == protocol.Commit {
			again = w.few
		}
		err := again(ctx, n.name, func(ctx context.Context) error {
			err := failpoint.HitIn("ingester", n.point)
			if err == nil {
				err = n.do(ctx)
			}
			if err != nil {
				w.core.Failed(errors.Is(err, bus.ErrUnanswered))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return w.written(ctx, s)
}

// written tells the core, and counts a block that is stored.
func (w *worker) written(ctx context.Context, s protocol.Step) error {
	w.core.Done()
	switch {
	case s.Do == protocol.Commit && s.Position.Meta != "":
		return failpoint.Hit(failpoint.IngesterIntended)
	case s.Do == protocol.Record:
		w.count(ctx, w.block)
		w.release()
		return failpoint.Hit(failpoint.IngesterStored)
	}
	return nil
}

// named is one call to the bus or the store.
type named struct {
	name  string // in metrics and logs
	point string // its failpoint
	do    func(context.Context) error
}

// writes lists the calls of a step.
func (w *worker) writes(s protocol.Step) []named {
	b := w.block
	switch s.Do {
	case protocol.Commit:
		point := "commit"
		if s.Position.Meta != "" {
			point = "intent"
		}
		return []named{{"commit", point, w.commit}}
	case protocol.Before:
		return []named{{"repeats", "repeats", func(ctx context.Context) error { return w.opt.Store.InsertRepeats(ctx, b) }}}
	case protocol.Rows:
		return []named{{"rows", "rows", w.rows}}
	case protocol.Beside: // all of it may be repeated
		return []named{
			{"beside", "beside", func(ctx context.Context) error { return w.opt.Store.InsertBeside(ctx, b) }},
			{"declare", "declare", func(ctx context.Context) error { return w.declare(ctx, b) }},
		}
	}
	return []named{{"record", "record", func(ctx context.Context) error { return w.opt.Store.InsertBlock(ctx, b) }}}
}

// rows inserts the block's observations. Whoever slept since the intent compares them: another may have stored them.
func (w *worker) rows(ctx context.Context) error {
	if time.Since(w.announced) > w.opt.Holds {
		w.core.Late()
	}
	w.block.Announced, w.block.Holds = w.announced, w.opt.Holds
	return w.opt.Store.InsertRows(ctx, w.block, w.core.Next().Doubtful)
}

// commit writes the position. One that had no answer is settled before: it may be on its way still.
func (w *worker) commit(ctx context.Context) error {
	s := w.core.Next()
	if s.Settle {
		if a, ok := w.a.(bus.Settler); ok {
			return a.Settle(ctx)
		}
		select {
		case <-time.After(protocol.Lease):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.announced = time.Now()
	return w.a.Commit(ctx, s.Position)
}

// standing asks what the bus knows.
func (w *worker) standing(ctx context.Context) error {
	id, err := w.opt.Log.ID(ctx, w.part)
	if err != nil {
		return fmt.Errorf("read id of the log: %w", err)
	}
	first, next, err := w.opt.Log.Bounds(ctx, w.part)
	if err != nil {
		return fmt.Errorf("read bounds of the log: %w", err)
	}
	at, err := w.a.Committed(ctx)
	if err != nil {
		return fmt.Errorf("read committed position: %w", err)
	}
	w.core.Standing(id.String(), first, next, at)
	return nil
}

// found asks what the store knows.
func (w *worker) found(ctx context.Context, log string) error {
	newest, err := w.newest(ctx, log, math.MaxInt64)
	if err != nil {
		return err
	}
	before, err := w.newest(ctx, log, w.core.Offset())
	if err == nil {
		w.core.Found(newest, before)
	}
	return err
}

func (w *worker) newest(ctx context.Context, log string, to int64) (*protocol.StoredBlock, error) {
	b, found, err := w.opt.Store.NewestBlock(ctx, log, w.part, to)
	if err != nil || !found {
		return nil, err
	}
	return &b, nil
}

// loadRecency asks the store what it has, whenever another process may have stored since the last time.
func (w *worker) loadRecency(ctx context.Context) error {
	w.recency.forgetHoles()
	return w.retry(ctx, "load", func(ctx context.Context) error {
		return w.opt.Store.NewestTimes(ctx, w.recency.loaded)
	})
}

func (w *worker) registryVersion() uint64 {
	if w.opt.RegistryVersion == nil {
		return 0
	}
	return w.opt.RegistryVersion()
}

func (w *worker) declare(ctx context.Context, b *store.Block) error {
	if w.opt.Declare == nil || len(b.Batch.Declarations) == 0 {
		return nil
	}
	return w.opt.Declare(ctx, b.Batch.Declarations)
}

// fewTries bounds how often the bus is asked again. A full disk heals; a disk that failed a sync does not.
const fewTries = 6

// few is retry for the bus, whose errors may be for ever.
func (w *worker) few(ctx context.Context, step string, do func(context.Context) error) error {
	tries := 0
	return w.retry(ctx, step, func(ctx context.Context) error {
		err := do(ctx)
		if !errors.Is(err, bus.ErrUnanswered) && !errors.Is(err, syscall.ENOSPC) { // those may come back for ever
			tries++
		}
		if err != nil && (tries >= fewTries || errors.Is(err, bus.ErrGeneration) || errors.Is(err, bus.ErrOffset)) {
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
	longPause  = time.Second // a store that is back is not to be waited for long
)

// retry calls do until it succeeds. When ctx ends, do goes on for Patience, because what is under way is better
// finished than replayed.
func (w *worker) retry(ctx context.Context, step string, do func(context.Context) error) error {
	began := time.Now()
	grace, cancel := withGrace(ctx, w.opt.Patience)
	defer cancel()
	for n, pause := 1, firstPause; ; n, pause = n+1, min(2*pause, longPause) {
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
		if n&(n-1) == 0 { // the first, the second, the fourth, ...: days of it are no flood
			w.logger.Log(ctx, level, "step is tried again", "step", step, "try", n, "pause", pause.String(), "err", err)
		}
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

// replaced tells whether somebody else has gone on from what this worker was about to read.
func (w *worker) replaced(ctx context.Context) bool {
	at, err := w.a.Committed(context.WithoutCancel(ctx))
	return err == nil && at.Offset > w.core.Offset()
}

// explainOffset says what an offset that the log does not have means.
func (w *worker) explainOffset(ctx context.Context, err error) error {
	if errors.Is(err, ErrLogReplaced) || errors.Is(err, ErrLogShrank) {
		return fmt.Errorf("partition %d: %w", w.part, err) // which says it all
	}
	first, next, berr := w.opt.Log.Bounds(context.WithoutCancel(ctx), w.part)
	if berr != nil {
		return errors.Join(err, berr)
	}
	return fmt.Errorf("partition %d: the log holds offsets %d to %d and the next to store is %d: %w; what lies between was freed "+
		"before it was stored, or the log is not the one that was read before. situ does not skip by itself: bring the log back, "+
		"or begin a new one (another topic; in one process: move the spool away)", w.part, first, next-1, w.core.Offset(), err)
}

func (w *worker) count(ctx context.Context, b *store.Block) {
	r, m := b.Batch, w.m
	if w.opt.Pace != nil {
		w.opt.Pace.Moved(w.part, weight(r))
	}
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
		m.age.Set(failpoint.Now().Sub(time.UnixMilli(r.ArrivalTime[n-1])).Seconds())
	}
	m.offset.WithLabelValues(w.label).Set(float64(b.To))
	if _, next, err := w.opt.Log.Bounds(ctx, w.part); err == nil {
		m.behind.WithLabelValues(w.label).Set(float64(next - b.To))
	}
}
