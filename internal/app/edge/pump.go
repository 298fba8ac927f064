package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/situ-city/situ/internal/batch"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// flushFor is how long a stopping gateway goes on handing over.
const flushFor = 5 * time.Second

// pump is one lane on its way to Kafka.
type pump struct {
	p     *process
	spool *spool.Spool
	*batch.Pump
}

func (p *process) newPumps() []*pump {
	m := newMetrics(p)
	share := p.cfg.Pace(func() int64 { return int64(p.pumps[sensor.Live].waiting()) })
	var pumps []*pump
	for lane, s := range p.spools {
		u := &pump{p: p, spool: s}
		cfg := batch.Config{Spool: s, Bus: p.kafka, Logger: p.logger}
		counted, moved := m.lane(lane, u.waiting), share.First
		if lane == sensor.Backfill {
			cfg.Wait, moved = share.Wait, share.Second
		}
		cfg.OnPublish = func(b batch.Published) { counted(b); moved(b.Rows) }
		u.Pump = batch.New(cfg)
		p.pumps[lane] = u
		pumps = append(pumps, u)
	}
	return pumps
}

// holdThin is what a lane's spool must leave alone. Readings are taken when the pumps are there.
func (p *process) holdThin(lane sensor.Lane) (from uint64, release func()) {
	return p.pumps[lane].Hold()
}

// runPumps hands both lanes over as soon as the topic is there.
func (p *process) runPumps(ctx context.Context, pumps []*pump) error {
	if err := p.cfg.Kafka.Ensure(ctx, p.kafka); err != nil {
		return fmt.Errorf("make topic %s: %w", p.cfg.Topic, err)
	}
	if p.cfg.Kafka.Began == 0 {
		parts, err := p.kafka.Partitions(ctx)
		if err != nil {
			return fmt.Errorf("ask for the partitions of topic %s: %w", p.cfg.Topic, err)
		}
		if err := writePartitions(p.cfg.Data, p.cfg.Topic, len(parts)); err != nil {
			return err
		}
	}
	eg, ctx := errgroup.WithContext(ctx)
	for _, u := range pumps {
		eg.Go(func() error { return u.run(ctx) })
	}
	return eg.Wait()
}

// waiting is how many messages are in the spool and not known to be on the bus.
func (u *pump) waiting() float64 {
	_, next := u.spool.Bounds()
	return float64(next) - float64(u.Next())
}

// run hands over until ctx ends, and a moment longer for what is in the spool by then.
func (u *pump) run(ctx context.Context) error {
	pumping, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- u.Run(pumping) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	_, next := u.spool.Bounds()
	grace, end := context.WithTimeout(pumping, flushFor)
	defer end()
	if err := u.Wait(grace, next); err != nil {
		u.p.logger.Warn("stopping while Kafka has not taken everything; the rest stays in the spool", "component", "batch", "dir", u.spool.Dir())
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
