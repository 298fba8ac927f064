// Package batch hands the messages of a spool lane over to a bus that is not the spool itself (between steps 4 and 5
// of 8): Kafka at scale.
//
// In: the durable records of one spool. Out: ranges of them, published one after the other. A range is closed by
// rows, bytes or time, and is sent again as it is until the bus has it (DESIGN §5 rule 1: no seq skipped, none sent
// while an earlier one is unresolved). When the bus has it the spool is trimmed. Records that the spool dropped by
// policy are told as a gap in their place.
//
// Where it stands is kept beside the spool, as a hint: if it is lost, what the spool still holds is sent again and
// readers recognise the repeats. Callers: internal/gateway. It never decides what may be lost.
package batch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// Defaults of Config.
const (
	DefaultMaxRows  = 50_000
	DefaultMaxBytes = 8 << 20
	DefaultMaxDelay = 100 * time.Millisecond
)

// Waits between attempts to publish.
const (
	firstWait = 50 * time.Millisecond
	longWait  = time.Second // a bus that is back is not to be waited for long
)

// Config of one lane's Pump. Zero values mean the defaults above.
type Config struct {
	Spool     *spool.Spool
	Bus       bus.Publisher
	MaxRows   int           // a range is closed when it has so many rows,
	MaxBytes  int           // or so many bytes of records,
	MaxDelay  time.Duration // or its first message was taken so long ago
	OnPublish func(Published)
	Wait      func(context.Context) error // called before each range is gathered; nil = none waits
	Logger    *slog.Logger                // nil = silent
}

// Published tells of one range that the bus has.
type Published struct {
	From, To uint64 // messages, both included
	Rows     int
	Attempts int
	Took     time.Duration // all attempts
}

// Pump moves one lane. Run does the work; Wait may be called from any goroutine.
type Pump struct {
	cfg Config
	log *slog.Logger

	r     *spool.Reader
	msg   sensor.Message
	batch sensor.Batch

	core    protocol.Sender // what is on the bus and what is under way; Run's goroutine alone changes it
	unnoted int             // hints that could not be written, in a row; Run's too

	mu    sync.Mutex // guards what follows
	next  uint64     // core.Next(), for other goroutines
	taken uint64     // everything before it is on the bus or may be: in the range under way, or in one of before a crash
	moved chan struct{}
}

// New prepares a Pump.
func New(cfg Config) *Pump {
	if cfg.MaxRows == 0 {
		cfg.MaxRows = DefaultMaxRows
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	if cfg.MaxDelay == 0 {
		cfg.MaxDelay = DefaultMaxDelay
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Pump{cfg: cfg, log: cfg.Logger.With("component", "batch", "lane", cfg.Spool.Producer().Lane), moved: make(chan struct{})}
	p.next, p.taken = readHint(cfg.Spool)
	p.core = protocol.NewSender(p.next, cfg.MaxRows)
	return p
}

// Run publishes until ctx ends (it then returns ctx's error; the spool keeps the rest) or the spool does.
func (p *Pump) Run(ctx context.Context) error {
	defer func() {
		if p.r != nil {
			_ = p.r.Close() // read only
			p.r = nil
		}
	}()
	for {
		if p.cfg.Wait != nil {
			if err := p.cfg.Wait(ctx); err != nil {
				return fmt.Errorf("batch: %w", err)
			}
		}
		before := p.take(taking)
		from, to, err := p.gather(ctx, p.core.Limit())
		if err != nil {
			p.take(before)
			return fmt.Errorf("batch: %w", err)
		}
		if err := p.core.Begin(to); err != nil {
			return fmt.Errorf("batch: %w", err)
		}
		p.announce(max(before, to+1))
		if err := p.publish(ctx, from, to); err != nil {
			return fmt.Errorf("batch: %w", err)
		}
		if err := p.done(p.core.Next()); err != nil {
			return fmt.Errorf("batch: %w", err)
		}
	}
}

// Wait returns when the bus has every message below seq.
func (p *Pump) Wait(ctx context.Context, seq uint64) error {
	for {
		p.mu.Lock()
		next, moved := p.next, p.moved
		p.mu.Unlock()
		if next >= seq {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// taking stands in Pump.taken while nobody knows where the range being gathered will end.
const taking = uint64(1) << 62

func (p *Pump) take(to uint64) (before uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, p.taken = p.taken, to
	return before
}

// announce notes, also for the time after a crash, that everything before `to` may come to the bus from now on.
func (p *Pump) announce(to uint64) {
	p.take(to)
	p.note(p.Next(), to)
}

// note writes the hint. Without it messages are sent again after a restart, and no more; a disk that is full says so with
// every range.
func (p *Pump) note(next, taken uint64) {
	err := writeHint(p.cfg.Spool, next, taken)
	if err == nil {
		p.unnoted = 0
		return
	}
	if p.unnoted++; p.unnoted&(p.unnoted-1) == 0 { // the first, the second, the fourth, ...: days of it are no flood
		p.log.Warn("noting what is published", "times", p.unnoted, "err", err)
	}
}

// Hold is for spool.Policy: it gives the first message that was not tried to be published, and keeps the Pump where it
// is until release. A range that is sent again must be the one that was sent.
func (p *Pump) Hold() (from uint64, release func()) {
	p.mu.Lock()
	return p.taken, p.mu.Unlock
}

// Next is the first message that is not known to be on the bus.
func (p *Pump) Next() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next
}

// gather fills the batch with the next range of messages, at least one.
func (p *Pump) gather(ctx context.Context, limit int) (from, to uint64, err error) {
	p.batch.Watermarks = nil // the same messages may be gathered again
	p.batch.Reset()
	from = p.core.Next()
	if g, ok := p.gapAt(from); ok {
		p.batch.Gaps = append(p.batch.Gaps, g)
		return g.From, g.To, nil
	}
	if err := p.cfg.Spool.Wait(ctx, from); err != nil {
		return 0, 0, err
	}
	if err := p.seek(from); err != nil {
		if g, ok := p.gapAt(from); ok && errors.Is(err, spool.ErrTrimmed) { // dropped meanwhile
			p.batch.Gaps = append(p.batch.Gaps, g)
			return g.From, g.To, nil
		}
		return 0, 0, err
	}
	due, cancel := context.WithTimeout(ctx, p.cfg.MaxDelay)
	defer cancel()
	producer, bytes := p.cfg.Spool.Producer(), 0
	for n := 0; ; n++ {
		if n > 0 && (n == limit || p.batch.Len()+p.batch.Removed >= p.cfg.MaxRows || bytes >= p.cfg.MaxBytes) {
			return from, p.r.Position() - 1, nil
		}
		seq, body, err := p.nextDue(due)
		if err != nil && n > 0 && ctx.Err() == nil {
			return from, p.r.Position() - 1, nil // the time is over; any other error comes again
		}
		if err != nil {
			return 0, 0, err
		}
		if body == nil { // removed by policy
			bytes += spool.Skip(p.r, &p.batch)
			continue
		}
		if err := sensor.DecodeMessage(&p.msg, body); err != nil {
			return 0, 0, fmt.Errorf("record %d: %w", seq, err)
		}
		if n > 0 && p.batch.Len()+len(p.msg.Observations) > p.cfg.MaxRows {
			return from, seq - 1, nil // it begins the next range
		}
		p.batch.Add(producer, seq, &p.msg)
		bytes += len(body)
	}
}

// nextDue gives the next record, waiting for it while due lasts.
func (p *Pump) nextDue(due context.Context) (seq uint64, body []byte, err error) {
	for {
		seq, body, err = p.r.Next()
		if err != io.EOF {
			return seq, body, err
		}
		if err := p.cfg.Spool.Wait(due, p.r.Position()); err != nil {
			return 0, nil, err
		}
	}
}

// seek makes the reader's next record seq.
func (p *Pump) seek(seq uint64) (err error) {
	if p.r == nil {
		p.r, err = p.cfg.Spool.NewReader(seq)
		return err
	}
	if p.r.Position() == seq {
		return nil
	}
	return p.r.Seek(seq)
}

// gapAt gives the gap that seq lies in, from seq on.
func (p *Pump) gapAt(seq uint64) (sensor.Gap, bool) {
	for _, g := range p.cfg.Spool.Gaps() {
		if g.From <= seq && seq <= g.To {
			g.From = seq
			return g, true
		}
	}
	return sensor.Gap{}, false
}

// publish sends the batch until its range is resolved: the bus has it, or it must be cut.
func (p *Pump) publish(ctx context.Context, from, to uint64) error {
	log, producer, began := bus.LogID(p.cfg.Spool.LogID()), p.cfg.Spool.Producer(), time.Now()
	wait, one := firstWait, from == to || p.batch.Messages == 1
	for attempt := 1; ; attempt++ {
		err := failpoint.Hit(failpoint.BatchProduce)
		if err == nil {
			if err = p.cfg.Bus.Publish(ctx, log, producer, from, to, &p.batch); err == nil {
				err = failpoint.Hit(failpoint.BatchProduced)
			}
		}
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		if one && errors.Is(err, bus.ErrTooLarge) && p.cut() {
			p.log.Warn("a message is too large for the bus: the payload that is kept of it, or of its dead letters, is cut, and cannot be read again", "seq", from, "err", err)
			continue
		}
		if again := p.core.Answered(answer(err), one); !again {
			p.tell(Published{From: from, To: to, Rows: p.batch.Len(), Attempts: attempt, Took: time.Since(began)}, err)
			return nil
		}
		if attempt&(attempt-1) == 0 { // the first, the second, the fourth, ...: days of it are no flood
			p.log.Warn("the bus has not taken a range: sending it again", "from", from, "to", to, "attempt", attempt, "err", err)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, longWait)
	}
}

// keepPayload is what is never cut from a payload: it shows what came, and no bus refuses it.
const keepPayload = 16 << 10

// cut halves the payloads of the batch's dead letters, and those that are kept; false if there is nothing to cut. The bus has
// said no for certain, so the message may be sent in another form.
func (p *Pump) cut() (shorter bool) {
	for i := range p.batch.Payloads {
		if k := &p.batch.Payloads[i]; len(k.Payload) > keepPayload {
			k.Payload, shorter = k.Payload[:max(len(k.Payload)/2, keepPayload)], true
		}
	}
	for i := range p.batch.DeadLetters {
		if d := &p.batch.DeadLetters[i]; len(d.Payload) > keepPayload {
			d.Payload, shorter = d.Payload[:max(len(d.Payload)/2, keepPayload)], true
		}
	}
	return shorter
}

// answer is what an error of Publish means.
func answer(err error) protocol.Answer {
	switch {
	case err == nil:
		return protocol.OK
	case errors.Is(err, bus.ErrTooLarge):
		return protocol.TooLarge
	}
	return protocol.Unknown
}

// tell says that a range is over.
func (p *Pump) tell(r Published, err error) {
	switch {
	case err != nil:
		p.log.Info("range is too large for the bus: halving it", "from", r.From, "to", r.To, "err", err)
	case p.cfg.OnPublish != nil:
		p.cfg.OnPublish(r)
	}
}

// done notes that the bus has everything before next, and frees it.
func (p *Pump) done(next uint64) error {
	p.mu.Lock()
	if p.next == next { // the range was cut
		p.mu.Unlock()
		return nil
	}
	p.next = next
	close(p.moved)
	p.moved = make(chan struct{})
	p.mu.Unlock()
	if err := failpoint.Hit(failpoint.BatchTrim); err != nil {
		return err
	}
	p.note(next, next)
	return p.cfg.Spool.Trim(next)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
