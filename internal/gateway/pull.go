package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/situ-city/situ/internal/spool"
)

// puller subscribes to somebody's broker and stores what comes, acknowledging after the fsync.
//
// The session is persistent (CleanSession false, a fixed client id), so the broker keeps what arrives while situ
// is away. paho's Ack on a message of an earlier connection does nothing, silently: a redelivered message takes
// the place of its first delivery in the queue, so that the acknowledgement goes out on the connection that lives.
type puller struct {
	source *Source
	client string
	worker *worker
	canary *worker // nil until the canary comes this way
	logger *slog.Logger
	m      *metrics
	acks   ackQueue[*delivery]
	acked  atomic.Uint64 // messages acknowledged to the broker
	known  atomic.Bool   // the broker keeps a session for us: what is published from now on comes

	mu      sync.Mutex           // guards what follows
	waiting map[uint16]*delivery // by packet id: stored or being stored, not yet acknowledged
	ready   []paho.Message       // to acknowledge, in order
	wake    chan struct{}        // holds a token when ready is not empty
	failed  chan error           // the spool refused; the session ends and starts again
}

// delivery is one message in flight.
type delivery struct {
	msg paho.Message // the newest handle; guarded by puller.mu
	id  uint16
}

const (
	pullKeepAlive   = 30 * time.Second
	pullRetryAtMost = 30 * time.Second
	pullDisconnect  = 250 // ms for what is on its way out
)

func newPuller(s *Source, gateway string, w *worker, logger *slog.Logger, m *metrics) *puller {
	p := &puller{
		source: s, client: s.Client, worker: w, m: m,
		logger:  logger.With("source", s.Name, "broker", s.shown()),
		waiting: make(map[uint16]*delivery), wake: make(chan struct{}, 1), failed: make(chan error, 1),
	}
	if p.client == "" {
		p.client = "situ-" + gateway + "-" + s.Name
	}
	p.acks.release = p.release
	return p
}

// run keeps a session with the broker until ctx ends. A refusal of the spool drops the connection without
// acknowledging: the broker sends again when there is room.
func (p *puller) run(ctx context.Context) error {
	wait := time.Second
	for ctx.Err() == nil {
		before := p.acked.Load()
		err := p.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if p.acked.Load() > before {
			wait = time.Second // it went well for a while: this is not a broker to be left alone for long
		}
		p.m.pullDrops.WithLabelValues(p.source.Name).Inc()
		p.logger.Warn("source lost, trying again", "err", err, "in", wait.String())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, pullRetryAtMost)
	}
	return nil
}

// session is one connection: it returns when the connection is lost, the spool refuses, or ctx ends.
func (p *puller) session(ctx context.Context) error {
	lost := make(chan error, 1)
	o := paho.NewClientOptions().AddBroker(p.source.Broker).SetClientID(p.client).
		SetCleanSession(false).SetAutoAckDisabled(true).SetOrderMatters(true).
		SetAutoReconnect(false).SetConnectRetry(false).SetKeepAlive(pullKeepAlive).SetConnectTimeout(10 * time.Second).
		SetDefaultPublishHandler(p.receive). // set before Connect: a kept session delivers before we subscribe
		SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })
	password, err := p.password()
	if err != nil {
		return err
	}
	if p.source.User != "" {
		o.SetUsername(p.source.User).SetPassword(password)
	}
	select {
	case <-p.failed: // what the spool refused of an earlier connection; the broker delivers it again to this one
	default:
	}
	c := paho.NewClient(o)
	if err := wait(ctx, c.Connect(), 15*time.Second); err != nil {
		c.Disconnect(0)
		return fmt.Errorf("connect: %w", err)
	}
	sessionCtx, stop := context.WithCancel(ctx)
	var acker sync.WaitGroup
	acker.Go(func() { p.acknowledge(sessionCtx) })
	defer func() {
		stop()
		acker.Wait()
		p.flush()
		c.Disconnect(pullDisconnect)
	}()
	if err := p.subscribe(ctx, c); err != nil {
		return err
	}
	p.known.Store(true)
	p.logger.Info("source connected", "topics", strings.Join(p.source.Topics, " "))
	p.m.pullUp.WithLabelValues(p.source.Name).Set(1)
	defer p.m.pullUp.WithLabelValues(p.source.Name).Set(0)
	select {
	case err := <-lost:
		return fmt.Errorf("connection lost: %w", err)
	case err := <-p.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *puller) password() (string, error) {
	if p.source.PassFile == "" {
		return p.source.Password, nil
	}
	b, err := os.ReadFile(p.source.PassFile)
	if err != nil {
		return "", fmt.Errorf("password of source %q: %w", p.source.Name, err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

func (p *puller) subscribe(ctx context.Context, c paho.Client) error {
	filters := make(map[string]byte, len(p.source.Topics))
	for _, t := range p.source.Topics {
		filters[filter(t)] = 1
	}
	tok := c.SubscribeMultiple(filters, nil)
	if err := wait(ctx, tok, 15*time.Second); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	for f, code := range tok.(*paho.SubscribeToken).Result() {
		if code >= 0x80 {
			return fmt.Errorf("subscribe: the broker refuses %q", f)
		}
	}
	return nil
}

// receive is paho's callback; messages come in order, one at a time.
func (p *puller) receive(_ paho.Client, msg paho.Message) {
	qos, id := msg.Qos(), msg.MessageID()
	if qos > 0 && msg.Duplicate() && p.again(id, msg) {
		p.m.redelivered.Inc()
		return
	}
	w := p.reader(msg.Topic())
	parts := w.build(msg.Topic(), msg.Payload(), p.source.origin(p.client, msg))
	if qos == 0 {
		if err := w.append(parts, spool.Ack{}); err != nil {
			p.m.lost.WithLabelValues(refusalOf(err)).Inc()
			p.fail(err)
		}
		return
	}
	d := &delivery{msg: msg, id: id}
	p.mu.Lock()
	p.waiting[id] = d
	p.mu.Unlock()
	token := p.acks.add(d, parts)
	if err := w.append(parts, spool.Ack{To: p, Token: token}); err != nil {
		p.refused(token, err)
	}
}

// reader is the worker for a topic: the canary's own one takes a Thing that nobody has registered.
func (p *puller) reader(topic string) *worker {
	c := p.worker.g.canary
	if !p.source.Canary || c == nil || topic != c.topic {
		return p.worker
	}
	if p.canary == nil {
		p.canary = p.worker.g.newWorker(p.source)
		p.canary.normalizer = c.cfg.Normalizer()
	}
	return p.canary
}

// again puts a redelivered message's handle in place of the old one, if its first delivery is still on its way.
func (p *puller) again(id uint16, msg paho.Message) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, ok := p.waiting[id]
	if !ok || d.msg.Topic() != msg.Topic() || string(d.msg.Payload()) != string(msg.Payload()) {
		return false
	}
	d.msg = msg
	return true
}

// Acked implements spool.Acker.
func (p *puller) Acked(token uint64, err error) {
	if err != nil {
		p.refused(token, err)
		return
	}
	p.acks.done(token)
}

// refused forgets a message that the spool did not take: the broker delivers it again to the next session, and those
// that were taken behind it must not wait for it.
func (p *puller) refused(token uint64, err error) {
	if d, ok := p.acks.drop(token); ok {
		p.mu.Lock()
		if p.waiting[d.id] == d {
			delete(p.waiting, d.id)
		}
		p.mu.Unlock()
	}
	p.m.refused.WithLabelValues(refusalOf(err)).Inc()
	p.fail(err)
}

// release queues an acknowledgement; it runs on the spool's goroutine, where paho must not be waited for.
func (p *puller) release(d *delivery) {
	p.mu.Lock()
	if p.waiting[d.id] == d {
		delete(p.waiting, d.id)
	}
	p.ready = append(p.ready, d.msg)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *puller) acknowledge(ctx context.Context) {
	for {
		select {
		case <-p.wake:
			p.flush()
		case <-ctx.Done():
			return
		}
	}
}

func (p *puller) flush() {
	p.mu.Lock()
	ready := p.ready
	p.ready = nil
	p.mu.Unlock()
	for _, msg := range ready {
		msg.Ack()
		p.acked.Add(1)
	}
}

func (p *puller) fail(err error) {
	select {
	case p.failed <- err:
	default:
	}
}

var errTimeout = errors.New("no answer in time")

func wait(ctx context.Context, tok paho.Token, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-tok.Done():
		return tok.Error()
	case <-timer.C:
		return errTimeout
	case <-ctx.Done():
		return ctx.Err()
	}
}
