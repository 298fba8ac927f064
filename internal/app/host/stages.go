package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"
)

// Stage is a part that runs until its context ends.
type Stage struct {
	Name string
	Run  func(context.Context) error
}

// RunFloors starts the floors in order, all stages of a floor together, and stops them in the reverse order, each
// floor after everything of the one above has returned: so what is received last is stored first. begun is called
// when all have started. It ends when ctx does, or when any stage fails, with that stage's error.
func RunFloors(ctx context.Context, logger *slog.Logger, floors [][]Stage, begun func()) error {
	failed := make(chan error, 1)
	var stops []func() error
	for _, floor := range floors {
		fctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		eg, fctx := errgroup.WithContext(fctx)
		for _, s := range floor {
			eg.Go(func() error {
				err := s.Run(fctx)
				if err == nil || errors.Is(err, context.Canceled) {
					return nil
				}
				err = fmt.Errorf("%s: %w", s.Name, err)
				select {
				case failed <- err:
				default: // another was first
				}
				return err
			})
		}
		stops = append(stops, func() error { cancel(); return eg.Wait() })
	}
	begun()
	var err error
	select {
	case <-ctx.Done():
		logger.Info("stopping: receiving first, then what is on its way")
	case err = <-failed:
	}
	for i := len(stops) - 1; i >= 0; i-- {
		if e := stops[i](); err == nil {
			err = e
		}
	}
	return err
}

// Closers undo what was opened.
type Closers struct{ list []func() error }

// Later remembers what Close has to undo.
func (c *Closers) Later(f func() error) { c.list = append(c.list, f) }

// Close undoes, last first.
func (c *Closers) Close() (err error) {
	for i := len(c.list) - 1; i >= 0; i-- {
		err = errors.Join(err, c.list[i]())
	}
	c.list = nil
	return err
}
