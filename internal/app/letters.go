package app

import (
	"context"
	"fmt"

	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/deadletter"
	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/gateway"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/pkg/sensor"
)

// openAgain makes what reads dead letters, and sees to it that the configuration file is read again.
func (p *process) openAgain() (err error) {
	if p.again, err = gateway.NewAgain(p.cfg.sources(), all.Protocols(), p.replayNormalizer); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	p.setSources(p.cfg.sources())
	p.reloader = &host.Reloader{File: p.cfg.File, Apply: p.applySources, Logger: p.logger}
	p.reloader.Register(p.metrics)
	return nil
}

// applySources gives a changed configuration to all who read by it.
func (p *process) applySources(ctx context.Context, sources []gateway.Source) error {
	if p.gateway != nil {
		if err := p.gateway.Reload(ctx, sources); err != nil {
			return err
		}
	}
	err := p.again.Reload(sources, all.Protocols())
	if err == nil {
		p.setSources(sources)
	}
	return err
}

func (p *process) setSources(sources []gateway.Source) { p.sources.Store(&sources) }

// letters replays dead letters: read again by the gateway's code, with this process's registry and sources.
func (p *process) letters() *deadletter.Replayer {
	return deadletter.New(deadletter.Config{
		Store: func() deadletter.Store {
			if s := p.store.Load(); s != nil {
				return s
			}
			return nil
		},
		Reader:  p.again,
		Allowed: p.allowed,
		Declare: func(ctx context.Context, d []sensor.Declaration) error {
			_, err := p.registry.Declare(ctx, d)
			return err
		},
		Live:   p.showReplayed,
		Now:    failpoint.Now,
		Logger: p.logger,
	})
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
