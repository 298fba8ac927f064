package app

import (
	"context"
	"fmt"

	"github.com/situ-city/situ/internal/deadletter"
	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/gateway"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/pkg/sensor"
)

// letters replays dead letters: read again by the gateway's code, with this process's registry and sources.
func (p *process) letters() (*deadletter.Replayer, error) {
	again, err := gateway.NewAgain(p.cfg.sources(), all.Protocols(), p.replayNormalizer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	p.again = again
	return deadletter.New(deadletter.Config{
		Store: func() deadletter.Store {
			if s := p.store.Load(); s != nil {
				return s
			}
			return nil
		},
		Reader:  again,
		Allowed: p.allowed,
		Declare: func(ctx context.Context, d []sensor.Declaration) error {
			_, err := p.registry.Declare(ctx, d)
			return err
		},
		Live:   p.showReplayed,
		Now:    failpoint.Now,
		Logger: p.logger,
	}), nil
}

// replayNormalizer declares by itself only where the gateway is in this process and does so too.
func (p *process) replayNormalizer() *normalize.Normalizer {
	return normalize.New(normalize.Options{Catalogue: p.catalogue, Divisions: p.divisions, AutoRegister: p.gateway != nil && p.cfg.autoRegister(),
		Ledger: func() normalize.Ledger { return p.registry.Snapshot() }, Alone: true})
}

// allowed reports whether user may publish to topic with today's credentials.
func (p *process) allowed(user, topic string) bool {
	for _, c := range p.registry.Credentials() {
		if c.User == user && c.Revoked == nil {
			if thing := p.again.Thing(topic); thing != "" {
				return c.Scope.Allows(thing)
			}
			return c.Scope == registry.TopicScope("*") || c.Scope.AllowsTopic(topic)
		}
	}
	return false
}

// showReplayed gives the live state what is not late. Applying a value twice, or an older one, changes nothing there.
func (p *process) showReplayed(rows *sensor.Batch) {
	fresh := new(sensor.Batch)
	for i := range rows.Len() {
		if id, arrival, o := rows.Row(i); o.Quality&sensor.Late == 0 {
			fresh.AppendRow(fresh.ProducerIndex(id.Producer), id.Seq, id.Idx, arrival, &o)
		}
	}
	if fresh.Len() > 0 {
		p.live.Apply(fresh, failpoint.Now())
	}
}
