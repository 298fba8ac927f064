// Package rollup recomputes what late readings, repeats and corrections have made stale (beside step 6 of 8).
//
// In: the dirty spans that internal/store marks with every block. Out: cells_5m, cells_1h, cells_1d and datastream_1h,
// each equal to a recompute from observations once nothing waits, and judgements and thing_months, which are made from
// the hours in the same way (docs/quality.md). Hours in which nothing came are judged too: the worker marks every hour
// that is over. The worker decides what is due, in which order and in
// what pieces; what a piece holds is internal/store's SQL. docs/formats/rollups.md has the rules and why they hold.
//
// A window that has just closed is computed after Grace. Everything else (late readings, corrections, years of backfill)
// waits for its turn, newest first, and may take no more than Share of the time, so that it never delays the newest
// window. Any number of workers may run: a recompute has a version that is above those of all that began before it read.
// A worker may die anywhere; what it did not note as done is done again.
//
// Called by internal/app, in one process at a time as a rule. It refuses nothing; what fails is counted in
// situ_rollup_failures_total and tried again. Times are Unix seconds UTC.
package rollup

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// Store is what the worker asks of internal/store.
type Store interface {
	ClaimRollup(ctx context.Context) (uint64, error)
	WaitingRollups(ctx context.Context, version uint64, limit int) ([]store.Waiting, error)
	RollupRegions(ctx context.Context, from, to int64, ids []sensor.DatastreamID) ([]uint64, error)
	SplitRollup(ctx context.Context, d store.DirtySpan) error
	Recompute(ctx context.Context, version uint64, r store.RollupRange) error
	DoneRollups(ctx context.Context, version uint64, list []store.DirtySpan) error
	MarkHours(ctx context.Context, last int64) error
}

// Defaults of the Options.
const (
	DefaultGrace = 15 * time.Second // blocks linger, clocks of gateways differ
	DefaultEvery = 5 * time.Second
	DefaultLate  = time.Minute
	DefaultShare = 0.2

	fresh     = 30 * time.Minute // a window that closed longer ago is late
	openDay   = 10 * time.Minute // between two recomputes of a day that is not over
	listLimit = 20_000           // spans looked at in one turn
	turn      = 5 * time.Second  // of late work, before what is fresh is looked for again
	longPause = time.Minute      // after errors

	// judgeGrace is from the end of an hour to its first judgement. Who sends after a lost link is not called missing in
	// between; who comes later than that is judged anew.
	judgeGrace = 5 * time.Minute
)

// Options of a Worker. Store is needed.
type Options struct {
	Store Store
	Grace time.Duration // from the end of a window to its first recompute; 0 = DefaultGrace
	Every time.Duration // between two looks at what waits; 0 = DefaultEvery
	Late  time.Duration // between two turns of late work; 0 = DefaultLate
	Share float64       // of the time that late work may take; 0 = DefaultShare

	Now        func() time.Time      // the wall clock, which says what windows are over; nil = time.Now
	Logger     *slog.Logger          // nil = silent
	Registerer prometheus.Registerer // nil = metrics that nobody reads
}

// Worker recomputes roll-ups. It has no goroutine but Run's.
type Worker struct {
	opt Options
	log *slog.Logger
	m   *metrics

	// Pauses are measured by a clock that nobody sets, windows by Options.Now.
	lateFrom time.Time // no late work before
	daysFrom time.Time // no recompute of a day that is not over before

	walked int64 // hours up to this one are marked to be judged
}

// New checks the options.
func New(opt Options) (*Worker, error) {
	if opt.Store == nil {
		return nil, errors.New("a roll-up worker wants a store")
	}
	opt.Grace, opt.Every = cmp.Or(opt.Grace, DefaultGrace), cmp.Or(opt.Every, DefaultEvery)
	opt.Late, opt.Share = cmp.Or(opt.Late, DefaultLate), cmp.Or(opt.Share, DefaultShare)
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Registerer == nil {
		opt.Registerer = prometheus.NewRegistry()
	}
	m, err := newMetrics(opt.Registerer)
	return &Worker{opt: opt, log: opt.Logger.With("component", "rollup"), m: m}, err
}

// Run works until ctx ends. What was under way then is done again by whoever runs next.
func (w *Worker) Run(ctx context.Context) {
	for failed := 0; ctx.Err() == nil; {
		pause := w.opt.Every
		if err := w.step(ctx); err == nil {
			failed = 0
		} else if ctx.Err() == nil {
			pause = min(w.opt.Every<<min(failed, 10), longPause)
			failed++
			w.m.failures.Inc()
			w.log.Warn("roll-ups are tried again", "pause", pause.String(), "err", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// step does what is due: what is fresh, then a turn of the rest.
func (w *Worker) step(ctx context.Context) error {
	if err := w.walk(ctx); err != nil {
		return err
	}
	list, err := w.opt.Store.WaitingRollups(ctx, 0, listLimit)
	if err != nil {
		return err
	}
	now := w.opt.Now()
	w.m.observe(list, now, w.opt.Grace)
	if f := (func(d store.Waiting) bool { return w.isFresh(d, now) }); slices.ContainsFunc(list, f) {
		if _, err := w.work(ctx, f, time.Time{}); err != nil {
			return err
		}
	}
	late := func(d store.Waiting) bool { return w.isLate(d, now) }
	if time.Now().Before(w.lateFrom) || !slices.ContainsFunc(list, late) {
		return nil
	}
	began := time.Now()
	left := false
	for range store.RollupLevels + 1 { // hours wait for their 5 minutes, days and judgements for their hours, judged days for those
		if left, err = w.work(ctx, late, began.Add(turn)); left || err != nil {
			break
		}
	}
	rest := time.Duration(float64(time.Since(began)) * (1/w.opt.Share - 1))
	if !left {
		rest = max(rest, w.opt.Late)
		if !began.Before(w.daysFrom) {
			w.daysFrom = began.Add(openDay)
		}
	}
	w.lateFrom = time.Now().Add(rest)
	return err
}

// walk marks the hours that are over to be judged.
func (w *Worker) walk(ctx context.Context) error {
	last := w.opt.Now().Add(-judgeGrace).Truncate(time.Hour).Unix() - 3600
	if last == w.walked {
		return nil
	}
	err := w.opt.Store.MarkHours(ctx, last)
	if err == nil {
		w.walked = last
	}
	return err
}

// Settle recomputes all that waits, windows that are not over included, until nothing does; only what is not over cannot
// be judged. Nothing else should be writing meanwhile.
func (w *Worker) Settle(ctx context.Context) error {
	if err := w.walk(ctx); err != nil {
		return err
	}
	now := w.opt.Now()
	can := func(d store.Waiting) bool { return d.Level != store.Judge1h || w.over(d, now) }
	for {
		list, err := w.opt.Store.WaitingRollups(ctx, 0, listLimit)
		if err != nil || !slices.ContainsFunc(list, can) {
			return err
		}
		if _, err := w.work(ctx, can, time.Time{}); err != nil {
			return err
		}
	}
}

// isFresh: the first recompute of a window that has just closed.
func (w *Worker) isFresh(d store.Waiting, now time.Time) bool {
	return d.Level == store.Rollup5m && d.Span == 300 && d.Datastream == 0 && !d.Computed && w.over(d, now) && d.End() > now.Add(-fresh).Unix()
}

// isLate: everything else, but for windows that are not over, and, most of the time, the day that is not.
func (w *Worker) isLate(d store.Waiting, now time.Time) bool {
	switch {
	case w.isFresh(d, now):
		return false
	case d.Level == store.Rollup5m && d.Span == 300:
		return w.over(d, now)
	case d.Level == store.Rollup1d:
		return w.over(d, now) || !time.Now().Before(w.daysFrom)
	case d.Level == store.Judge1h:
		return w.over(d, now)
	}
	return true
}

func (w *Worker) over(d store.Waiting, now time.Time) bool {
	grace := w.opt.Grace
	if d.Level.Judges() {
		grace = judgeGrace
	}
	return !time.Unix(d.End(), 0).Add(grace).After(now)
}

// work claims a version and recomputes what pick picks of all that this version may clear. After `until`, if it is set,
// it leaves the rest for the next time and says so.
func (w *Worker) work(ctx context.Context, pick func(store.Waiting) bool, until time.Time) (left bool, err error) {
	version, err := w.opt.Store.ClaimRollup(ctx)
	if err != nil {
		return false, err
	}
	list, err := w.opt.Store.WaitingRollups(ctx, version, listLimit) // after the claim: what is read now is seen by what follows
	if err != nil {
		return false, err
	}
	left = len(list) == listLimit
	jobs, err := w.plan(ctx, afterInputs(slices.DeleteFunc(list, func(d store.Waiting) bool { return !pick(d) })))
	if err != nil {
		return left, err
	}
	var failed []error
	for i, j := range jobs {
		if i > 0 && !until.IsZero() && time.Now().After(until) {
			return true, errors.Join(failed...)
		}
		if err := w.do(ctx, version, j); err != nil {
			failed = append(failed, err)
			if ctx.Err() != nil || store.Retryable(err) && !store.Exhausted(err) {
				break // ClickHouse is away: the next job would fare the same
			}
		}
	}
	return left, errors.Join(failed...)
}

// do recomputes one job and notes that it is done.
func (w *Worker) do(ctx context.Context, version uint64, j job) error {
	began := time.Now()
	var err error
	switch {
	case j.split:
		err = w.opt.Store.SplitRollup(ctx, j.spans[0])
	case len(j.Parts) > 0:
		err = w.recompute(ctx, version, j.RollupRange)
	}
	if err != nil {
		return err
	}
	w.m.recomputed.WithLabelValues(j.Level.String()).Add(float64(len(j.spans)))
	w.m.seconds.WithLabelValues(j.Level.String()).Observe(time.Since(began).Seconds())
	return w.opt.Store.DoneRollups(ctx, version, j.spans)
}

// recompute halves what is too large for the memory it may have.
func (w *Worker) recompute(ctx context.Context, version uint64, r store.RollupRange) error {
	err := w.opt.Store.Recompute(ctx, version, r)
	if !store.Exhausted(err) {
		return err
	}
	if oneWindow(r) && !r.Level.Judges() { // judgements are cut by the store
		p := r.Parts[0]
		var rerr error
		if p.Regions, rerr = w.opt.Store.RollupRegions(ctx, p.From, p.To, nil); rerr != nil {
			return rerr
		}
		r.Parts = []store.RollupPart{p}
	}
	one, two, ok := halves(r)
	if !ok {
		return err
	}
	w.m.halved.Inc()
	if err := w.recompute(ctx, version, one); err != nil {
		return err
	}
	return w.recompute(ctx, version, two)
}
