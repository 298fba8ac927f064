package gateway

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// Canary says how the gateway watches its own way. Its reading is published like anybody's: to the broker of the source
// that says `canary: true`, else over the embedded listener, else straight to a worker. internal/query looks for it at
// the other end.
type Canary struct {
	Every      time.Duration                // between two readings; 0 = no canary
	File       string                       // where its numbers are kept
	Normalizer func() *normalize.Normalizer // takes a Thing that nobody has registered
}

// canaryPatience bounds how long a reading may wait for its acknowledgement.
const canaryPatience = 20 * time.Second

// canaryUser is whom the embedded front takes for the canary; its password lives in this process alone.
const canaryUser = "situ-canary"

// canary is the running one. Numbers: next is fsynced before it is published, so that none is ever used twice; the
// acknowledged one is fsynced after its PUBACK. A kill between PUBACK and that fsync makes one number unwatched, and
// no number falsely missed.
type canary struct {
	g        *Gateway
	cfg      Canary
	thing    sensor.ThingID
	topic    string
	password string
	state    canaryState
	road     canaryRoad  // nil: none is open
	stale    atomic.Bool // sources changed: another road may be longer
}

type canaryState struct {
	Next  uint64 `json:"next"`
	Acked uint64 `json:"acked"`
}

// canaryRoad is a way to publish.
type canaryRoad interface {
	// publish gives nil when the reading was acknowledged.
	publish(ctx context.Context, topic string, payload []byte) error
	close()
}

func (g *Gateway) openCanary(cfg Canary, sources []Source) error {
	if cfg.Every <= 0 {
		return nil
	}
	c := &canary{g: g, cfg: cfg, thing: sensor.CanaryThing(g.spools[sensor.Live].Producer().Gateway), password: rand.Text()}
	c.topic = ownPrefix + string(c.thing) + "/json"
	switch b, err := os.ReadFile(cfg.File); {
	case errors.Is(err, fs.ErrNotExist):
		c.state.Next = uint64(g.cfg.Clock().Unix()) // above every number of a file that was lost
	case err != nil:
		return fmt.Errorf("the canary's numbers: %w", err)
	default:
		if err := json.Unmarshal(b, &c.state); err != nil || c.state.Next == 0 {
			return fmt.Errorf("%s does not hold the canary's numbers; delete it, and it begins with new ones", cfg.File)
		}
	}
	g.canary = c
	return g.checkCanary(sources)
}

// checkCanary: a source that lets the canary publish must bring it back.
func (g *Gateway) checkCanary(sources []Source) error {
	for i := range sources {
		if s := &sources[i]; g.canary != nil && s.Canary && !s.bringsBack(g.canary.topic) {
			return fmt.Errorf("%w %q: canary is set, and no topic of it brings %s back as json; add situ/v1/#", ErrSource, s.Name, g.canary.topic)
		}
	}
	return nil
}

// bringsBack reports whether a source would read the canary's own topic as what it is.
func (s *Source) bringsBack(topic string) bool {
	return s.Protocol == "" && slices.ContainsFunc(s.Topics, func(pattern string) bool {
		_, ok := match(pattern, topic)
		return ok
	})
}

// admits reports whether a user of the embedded front is the canary, and where it may publish.
func (c *canary) admits(user string, password []byte) (registry.TopicScope, bool) {
	if c == nil || user != canaryUser || subtle.ConstantTimeCompare(password, []byte(c.password)) != 1 {
		return "", false
	}
	return registry.TopicScope(c.thing), true
}

// run publishes until ctx ends.
func (c *canary) run(ctx context.Context) error {
	tick := time.NewTicker(c.cfg.Every)
	defer tick.Stop()
	defer func() {
		if c.road != nil {
			c.road.close()
		}
	}()
	for {
		if err := c.sing(ctx); err != nil && ctx.Err() == nil {
			c.g.metrics.canaryLost.Inc()
			c.g.cfg.Logger.Warn("the canary was not acknowledged", "component", "gateway", "number", c.state.Next-1, "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// sing publishes the next number and waits for its acknowledgement. A number that is not acknowledged is promised
// nothing: it is not sent again.
func (c *canary) sing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, canaryPatience)
	defer cancel()
	number := c.state.Next
	c.state.Next++
	if err := c.keep(); err != nil {
		return err
	}
	if c.stale.Swap(false) && c.road != nil {
		c.road.close()
		c.road = nil
	}
	if c.road == nil {
		road, err := c.openRoad(ctx)
		if err != nil {
			return err
		}
		c.road = road
	}
	began := time.Now()
	payload := fmt.Appendf(nil, `{"t":%d,"%s":%d,"%s":%d}`, c.g.cfg.Clock().UnixMilli(), sensor.CanarySequence, number, sensor.CanaryAcknowledged, c.state.Acked)
	if err := c.road.publish(ctx, c.topic, payload); err != nil {
		c.road.close()
		c.road = nil
		return err
	}
	c.g.metrics.canaryAck.Observe(time.Since(began).Seconds())
	c.state.Acked = number
	return c.keep()
}

// keep replaces the file, durably.
func (c *canary) keep() error {
	b, err := json.Marshal(c.state)
	if err != nil {
		return err
	}
	dir := filepath.Dir(c.cfg.File)
	f, err := os.CreateTemp(dir, ".canary-*")
	if err != nil {
		return fmt.Errorf("keep the canary's numbers: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), c.cfg.File)
	}
	if err != nil {
		return fmt.Errorf("keep the canary's numbers: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openRoad takes the longest way there is. A listener that asks for client certificates would ask the canary for one
// too, so there it goes to the worker.
func (c *canary) openRoad(ctx context.Context) (canaryRoad, error) {
	for _, p := range c.g.pulls.list() {
		if p.source.Load().Canary {
			return c.dialSource(ctx, p.puller)
		}
	}
	if c.g.front != nil && (c.g.cfg.TLS == nil || c.g.cfg.TLS.ClientAuth == 0) {
		return c.dial(ctx, loopbackOf(c.g.front.Addr()))
	}
	w := c.g.newWorker(nil)
	w.normalizer = c.cfg.Normalizer()
	return &canaryWorker{worker: w, from: sensor.Origin{Client: canaryUser}, done: make(chan canaryAck, 4)}, nil
}

// loopbackOf is where a listener on every address is reached from here.
func loopbackOf(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok || !t.IP.IsUnspecified() {
		return a.String()
	}
	ip := net.IPv4(127, 0, 0, 1)
	if t.IP.To4() == nil {
		ip = net.IPv6loopback
	}
	return (&net.TCPAddr{IP: ip, Port: t.Port}).String()
}

// canaryWorker is the road without a listener: what a received PUBLISH goes through from its payload on.
type canaryWorker struct {
	worker *worker
	from   sensor.Origin
	number uint64
	done   chan canaryAck // has room for what may still come of readings given up
}

type canaryAck struct {
	token uint64
	err   error
}

func (r *canaryWorker) publish(ctx context.Context, topic string, payload []byte) error {
	r.number++
	parts := r.worker.build(topic, payload, r.from)
	if err := r.worker.append(parts, spool.Ack{To: r, Token: r.number}); err != nil {
		return err
	}
	for parts > 0 {
		select {
		case a := <-r.done:
			if a.token != r.number {
				continue
			}
			if a.err != nil {
				return a.err
			}
			parts--
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Acked implements spool.Acker. It runs on the spool's goroutine and must not wait.
func (r *canaryWorker) Acked(token uint64, err error) {
	select {
	case r.done <- canaryAck{token, err}:
	default: // nobody waits for it any more
	}
}

func (r *canaryWorker) close() {}
