package gateway

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Reload puts other sources in the place of those of now, without losing a message, and returns when they hold. A
// configuration that cannot work is refused as a whole: what was there goes on. It waits for Run.
//
// Of the embedded front, the next message of each connection is read by the new sources. A source that is pulled keeps
// its connection if only its rules or topics changed; if it must connect anew, or ends, what has arrived is stored and
// acknowledged first, and its session stays with the broker, which holds what comes meanwhile.
func (g *Gateway) Reload(ctx context.Context, sources []Source) error {
	sources, err := g.checked(sources)
	if err != nil {
		return err
	}
	c := change{sources: sources, done: make(chan struct{})}
	select {
	case g.pulls.changes <- c:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checked gives a copy of sources that is ready for use.
func (g *Gateway) checked(sources []Source) ([]Source, error) {
	sources = slices.Clone(sources)
	if err := CheckSources(sources, g.cfg.Protocols); err != nil {
		return nil, err
	}
	for i := range sources {
		if s := &sources[i]; s.Broker == "" && g.cfg.Listen == "" {
			return nil, fmt.Errorf("%s%w %q: it has no broker, and --mqtt is empty, so nothing could come in; set broker: or --mqtt", prefixed(s.Where, "", ": "), ErrSource, s.Name)
		}
	}
	return sources, g.checkCanary(sources)
}

// change is a Reload on its way.
type change struct {
	sources []Source
	done    chan struct{}
}

// pulls runs the sessions with other people's brokers, and changes them while they run.
type pulls struct {
	g       *Gateway
	first   []Source // what Run begins with
	changes chan change
	mu      sync.Mutex // guards running
	running []*pullRun
}

// pullRun is one of them at work.
type pullRun struct {
	*puller
	cancel context.CancelFunc
	done   chan struct{}
}

func (p *pullRun) stop() {
	p.cancel()
	<-p.done
}

func newPulls(g *Gateway) *pulls { return &pulls{g: g, changes: make(chan change)} }

// list gives the sessions of now.
func (l *pulls) list() []*pullRun {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running
}

// run serves until ctx ends, and returns after all sessions have.
func (l *pulls) run(ctx context.Context) error {
	l.apply(ctx, l.first)
	for {
		select {
		case c := <-l.changes:
			l.apply(ctx, c.sources)
			close(c.done)
		case <-ctx.Done():
			for _, p := range l.running {
				<-p.done
			}
			return nil
		}
	}
}

// apply lets go what is no more, changes what stays, starts what is new.
func (l *pulls) apply(ctx context.Context, sources []Source) {
	wanted := map[string]*Source{}
	for i := range sources {
		if s := &sources[i]; s.Broker != "" {
			wanted[s.Name] = s
		}
	}
	var next []*pullRun
	for _, p := range l.running { // those that end come first: another may take over a client id
		now := p.source.Load()
		s, ok := wanted[now.Name]
		switch {
		case ok && s.fingerprint() == now.fingerprint():
		case ok && s.sameConnection(now):
			p.replace(s)
			p.logger.Info("source changed", "topics", s.Topics)
		default:
			p.stop()
			l.g.metrics.pullUp.DeleteLabelValues(now.Name)
			if !ok {
				p.logger.Info("source removed; the broker keeps what comes for this client until the session expires there, or is taken up again", "client", p.client)
			}
			continue
		}
		next = append(next, p)
		delete(wanted, now.Name)
	}
	for i := range sources {
		if s, ok := wanted[sources[i].Name]; ok {
			next = append(next, l.start(ctx, s))
		}
	}
	l.mu.Lock()
	l.running = next
	l.mu.Unlock()
	l.front(sources)
	if c := l.g.canary; c != nil {
		c.stale.Store(true)
	}
}

func (l *pulls) start(ctx context.Context, s *Source) *pullRun {
	p := &pullRun{puller: newPuller(s, l.g.producer(), l.g.newWorker(s), l.g.cfg.Logger, l.g.metrics), done: make(chan struct{})}
	p.worker.tell = p.tell
	ctx, p.cancel = context.WithCancel(ctx)
	go func() {
		defer close(p.done)
		p.run(ctx)
	}()
	return p
}

// front gives the embedded front its sources, if they changed.
func (l *pulls) front(sources []Source) {
	next, now := newEmbedded(sources), l.g.embedded.Load()
	if slices.EqualFunc(next.sources, now.sources, func(a, b *Source) bool { return a.fingerprint() == b.fingerprint() }) {
		return
	}
	l.g.embedded.Store(next)
	for _, s := range next.sources {
		l.g.cfg.Logger.Info("source of the embedded front", "source", s.Name, "topics", s.Topics)
	}
}
