package rollup

import (
	"context"

	"github.com/situ-city/situ/internal/bus"
)

// Lead gives the group g, with `run` running in the process that holds partition 0, while it holds it. So of many
// ingesters one recomputes. For a moment there may be two, when one has not yet heard that it lost the partition: that
// costs a recompute and nothing else.
func Lead(g bus.Group, run func(ctx context.Context)) bus.Group { return leading{g, run} }

type leading struct {
	bus.Group
	run func(ctx context.Context)
}

// Consume implements bus.Group.
func (l leading) Consume(ctx context.Context, handle func(ctx context.Context, a bus.Assignment) error) error {
	return l.Group.Consume(ctx, func(ctx context.Context, a bus.Assignment) error {
		if a.Partition() != 0 {
			return handle(ctx, a)
		}
		ctx, cancel := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			l.run(ctx)
		}()
		defer func() {
			cancel()
			<-ended
		}()
		return handle(ctx, a)
	})
}
