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
	source atomic.Pointer[Source] // as it is configured now
	client string
	worker *worker // by the source that receive last saw
	before *worker // by the one before, for what was subscribed then and still comes; nil = none
	canary *worker // nil until the canary comes this way
	logger *slog.Logger
	m      *metrics
	acks   ackQueue[*delivery]
	acked  atomic.Uint64 // messages acknowledged to the broker
	known  atomic.Bool   // the broker keeps a session for us: what is published from now on comes

	subscribed map[string]bool // filters that the broker has of us, as far as we know; of the session's goroutine
	changed    chan struct{}   // holds a token when source has other topics, perhaps
	asks       chan question   // what decoders want to know of the broker's senders

	mu      sync.Mutex           // guards what follows
	leaving bool                 // nothing more is taken with QoS 1: the broker keeps it
	waiting map[uint16]*delivery // by packet id: stored or being stored, not yet acknowledged
	ready   []paho.Message       // to acknowledge, in order
	wake    chan struct{}        // holds a token when ready is not empty
	left    chan struct{}        // holds a token when waiting has become less
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
		client: s.Client, worker: w, m: m,
		logger:  logger.With("source", s.Name, "broker", s.shown()),
		waiting: make(map[uint16]*delivery), wake: make(chan struct{}, 1), left: make(chan struct{}, 1), failed: make(chan error, 1),
		subscribed: map[string]bool{}, changed: make(chan struct{}, 1), asks: make(chan question, pullAsks),
	}
	p.source.Store(s)
	if p.client == "" {
		p.client = "situ-" + gateway + "-" + s.Name
	}
	p.acks.release = p.release
	return p
}

// replace takes other rules and topics for what comes from now on.
func (p *puller) replace(s *Source) {
	p.source.Store(s)
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// name of the source; it does not change.
func (p *puller) name() string { return p.source.Load().Name }

// run keeps a session with the broker until ctx ends. A refusal of the spool drops the connection without
// acknowledging: the broker sends again when there is room.
func (p *puller) run(ctx context.Context) {
	wait := time.Second
	for ctx.Err() == nil {
		before := p.acked.Load()
		err := p.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if p.acked.Load() > before {
			wait = time.Second // it went well for a while: this is not a broker to be left alone for long
		}
		p.m.pullDrops.WithLabelValues(p.name()).Inc()
		p.logger.Warn("source lost, trying again", "err", err, "in", wait.String())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, pullRetryAtMost)
	}
}

// session is one connection: it returns when the connection is lost, the spool refuses, or ctx ends.
func (p *puller) session(ctx context.Context) error {
	lost := make(chan error, 1)
	source := p.source.Load()
	o := paho.NewClientOptions().AddBroker(source.Broker).SetClientID(p.client).
		SetCleanSession(false).SetAutoAckDisabled(true).SetOrderMatters(true).
		SetAutoReconnect(false).SetConnectRetry(false).SetKeepAlive(pullKeepAlive).SetConnectTimeout(10 * time.Second).
		SetDefaultPublishHandler(p.receive). // set before Connect: a kept session delivers before we subscribe
		SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })
	password, err := p.password()
	if err != nil {
		return err
	}
	if source.User != "" {
		o.SetUsername(source.User).SetPassword(password)
	}
	select {
	case <-p.failed: // what the spool refused of an earlier connection; the broker delivers it again to this one
	default:
	}
	c := paho.NewClient(o)
	sessionCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var acker sync.WaitGroup
	acker.Go(func() { p.acknowledge(sessionCtx) })
	defer func() {
		if ctx.Err() != nil {
			p.leave()
		}
		stop()
		acker.Wait()
		p.flush()
		if ctx.Err() != nil && c.IsConnectionOpen() {
			p.settle(c)
		}
		c.Disconnect(pullDisconnect)
	}()
	if err := wait(ctx, c.Connect(), 15*time.Second); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := p.subscribe(ctx, c, true); err != nil {
		return err
	}
	p.known.Store(true)
	p.logger.Info("source connected", "topics", strings.Join(source.Topics, " "))
	p.m.pullUp.WithLabelValues(source.Name).Set(1)
	defer p.m.pullUp.WithLabelValues(source.Name).Set(0)
	for {
		select {
		case err := <-lost:
			return fmt.Errorf("connection lost: %w", err)
		case err := <-p.failed:
			return err
		case <-p.changed:
			if err := p.subscribe(ctx, c, false); err != nil {
				return err
			}
		case q := <-p.asks:
			c.Publish(q.topic, 0, false, q.payload) // NCMD goes with QoS 0, not retained [Sparkplug 3.0.0 6.4.23]
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pullLeave bounds how long the disk may take with what came before the end.
const pullLeave = 10 * time.Second

// leave waits until what was received is stored and acknowledged, so that the broker does not deliver it to the next
// session too. What comes meanwhile is left to the broker.
func (p *puller) leave() {
	over := time.NewTimer(pullLeave)
	defer over.Stop()
	for {
		p.mu.Lock()
		p.leaving = true
		n := len(p.waiting)
		p.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-p.left:
		case <-over.C:
			p.logger.Warn("source left before all was stored; the broker will deliver it again", "messages", n)
			return
		}
	}
}

// settle asks the broker for an answer, so that it has read our acknowledgements when the connection ends: a socket that
// is closed with something unread in it takes back what was written last.
func (p *puller) settle(c paho.Client) {
	if err := wait(context.Background(), c.Unsubscribe(pullNobody), pullSettle); err != nil {
		p.logger.Info("the broker may not have read the last acknowledgements", "err", err)
	}
}

const (
	pullNobody = "situ/settle" // a topic to unsubscribe from that nobody has subscribed to
	pullSettle = 5 * time.Second
)

func (p *puller) password() (string, error) {
	source := p.source.Load()
	if source.PassFile == "" {
		return source.Password, nil
	}
	b, err := os.ReadFile(source.PassFile)
	if err != nil {
		return "", fmt.Errorf("password of source %q: %w", source.Name, err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// subscribe asks the broker for what the source wants and it does not have yet, or for all, and gives back what is no
// longer wanted.
func (p *puller) subscribe(ctx context.Context, c paho.Client, all bool) error {
	filters, wanted := map[string]byte{}, map[string]bool{}
	for _, t := range p.source.Load().Topics {
		f := filter(t)
		if wanted[f] = true; all || !p.subscribed[f] {
			filters[f] = 1
		}
	}
	if err := p.ask(ctx, c, filters); err != nil {
		return err
	}
	for f := range p.subscribed {
		if wanted[f] {
			continue
		}
		if err := wait(ctx, c.Unsubscribe(f), 15*time.Second); err != nil {
			return fmt.Errorf("unsubscribe: %w", err)
		}
		delete(p.subscribed, f)
	}
	return nil
}

func (p *puller) ask(ctx context.Context, c paho.Client, filters map[string]byte) error {
	if len(filters) == 0 {
		return nil
	}
	tok := c.SubscribeMultiple(filters, nil)
	if err := wait(ctx, tok, 15*time.Second); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	for f, code := range tok.(*paho.SubscribeToken).Result() {
		if code >= 0x80 {
			return fmt.Errorf("subscribe: the broker refuses %q", f)
		}
		p.subscribed[f] = true
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
	d := &delivery{msg: msg, id: id}
	if qos > 0 && !p.take(d) {
		return
	}
	w := p.reader(msg.Topic())
	parts := w.build(msg.Topic(), msg.Payload(), w.source.origin(p.client, msg))
	if qos == 0 {
		if err := w.append(parts, spool.Ack{}); err != nil {
			p.m.lost.WithLabelValues(refusalOf(err)).Inc()
			p.fail(err)
		}
		return
	}
	token := p.acks.add(d, parts)
	if err := w.append(parts, spool.Ack{To: p, Token: token}); err != nil {
		p.refused(token, err)
	}
}

// take enters a message that is going to be stored, unless nothing more is taken.
func (p *puller) take(d *delivery) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.leaving {
		p.waiting[d.id] = d
	}
	return !p.leaving
}

// reader is the worker for a topic: by the source as it is now, or, for what only the one before knows, by that. The
// canary's own one takes a Thing that nobody has registered.
func (p *puller) reader(topic string) *worker {
	g, source := p.worker.g, p.source.Load()
	if source != p.worker.source {
		for _, w := range [...]*worker{p.before, p.canary} {
			if w != nil {
				w.close()
			}
		}
		p.before, p.worker, p.canary = p.worker, g.newWorker(source), nil
		p.worker.tell = p.tell
	}
	if c := g.canary; source.Canary && c != nil && topic == c.topic {
		if p.canary == nil {
			p.canary = g.newWorker(source)
			p.canary.normalizer = c.cfg.Normalizer()
		}
		return p.canary
	}
	if p.before != nil && p.worker.find(topic).refused != nil && p.before.find(topic).refused == nil {
		return p.before
	}
	return p.worker
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
		p.tellLeft()
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
	p.tellLeft()
}

// tellLeft lets leave look again.
func (p *puller) tellLeft() {
	select {
	case p.left <- struct{}{}:
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
