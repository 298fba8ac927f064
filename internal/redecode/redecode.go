package redecode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// ErrUnderWay: one at a time.
var ErrUnderWay = errors.New("payloads are being read again already; wait until that is done, or stop it")

// Store is what a Redecoder needs of internal/store.
type Store interface {
	PayloadSpans(ctx context.Context, f store.PayloadFilter) ([]store.PayloadSpan, error)
	Payloads(ctx context.Context, f store.PayloadFilter, span int64, after *store.PayloadPlace) ([]sensor.LoggedPayload, *store.PayloadPlace, error)
	Standing(ctx context.Context, list []store.Message) (map[store.Message][]store.Standing, error)
	InsertRevision(ctx context.Context, v *store.Revision, try int) error
	FinishRevisions(ctx context.Context) (int, error)
	FindLetters(ctx context.Context, ids []sensor.Identity) ([]store.LetterRef, error)
	ReadLetters(ctx context.Context, refs []store.LetterRef) ([]store.StoredDeadLetter, error)
	InsertLetterVersions(ctx context.Context, letters []store.StoredDeadLetter) error
}

var _ Store = (*store.Store)(nil)

// Reader reads payloads as they would be read today, but judges their times against their arrival. It is asked for one after
// the other, in order of arrival: what a decoder or a judgement remembers of those before holds as it did then.
type Reader interface {
	Read(k *sensor.LoggedPayload) Reading
}

// Config of a Redecoder.
type Config struct {
	Declare func(context.Context, []sensor.Declaration) error // what readings declared; nil = nobody is told
	Live    func(*sensor.Batch)                               // values that are stored; nil = nobody shows the newest
	Now     func() time.Time
	Logger  *slog.Logger
}

// Options of one run.
type Options struct {
	store.PayloadFilter
	DryRun         bool // say what would be, and store nothing
	RetractRefused bool // what is refused now is taken back, too
	Differences    int  // how many of the first are told
}

// Report counts what has become of payloads so far. In a dry run it says what would be.
type Report struct {
	Total, TotalBytes uint64 // that the filter says
	Payloads, Bytes   uint64 // of them read
	Differ            int    // messages that speak otherwise
	Added             int    // values
	Changed           int
	Retracted         int
	Letters           int                   // dead letters that are resolved
	Refused           map[sensor.Reason]int // values and payloads that are refused now
	FirstRefused      []string
	Cut               int // payloads that were kept in part, and are left as they are
	ByHand            int // messages whose letters were replayed with another clock, left as they are
	Until             time.Time
	Changes           []Change // the first differences
}

// firstRefused bounds how many texts of refusals a report has.
const firstRefused = 5

// Redecoder reads kept payloads again, one run at a time.
type Redecoder struct {
	cfg Config
	mu  sync.Mutex // held by the run
}

// New makes a Redecoder.
func New(cfg Config) *Redecoder {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Redecoder{cfg: cfg}
}

// Run reads what the filter says. tell hears of the report after each page; its error ends the run, as the end of ctx does:
// what is stored by then is whole, and the next run goes on from it.
func (r *Redecoder) Run(ctx context.Context, s Store, reader Reader, o Options, tell func(*Report) error) (*Report, error) {
	if !r.mu.TryLock() {
		return nil, ErrUnderWay
	}
	defer r.mu.Unlock()
	if o.Until == 0 {
		o.Until = r.cfg.Now().UnixMilli() // what comes from now on is read by who receives it
	}
	if !o.DryRun {
		if err := r.Finish(ctx, s); err != nil {
			return nil, err
		}
	}
	spans, err := s.PayloadSpans(ctx, o.PayloadFilter)
	if err != nil {
		return nil, err
	}
	run := &run{Redecoder: r, s: s, reader: reader, o: o, differ: &differ{}, report: Report{Refused: map[sensor.Reason]int{}}, told: map[string]bool{}}
	if o.Since == 0 {
		run.differ.touched = map[sensor.DatastreamID]struct{}{}
	}
	for _, span := range spans {
		run.report.Total, run.report.TotalBytes = run.report.Total+span.Messages, run.report.TotalBytes+span.Bytes
	}
	for _, span := range spans {
		if err := run.span(ctx, span.From, tell); err != nil {
			return &run.report, err
		}
	}
	return &run.report, nil
}

// Finish has the roll-ups follow what a process stored before it died.
func (r *Redecoder) Finish(ctx context.Context, s Store) error {
	n, err := s.FinishRevisions(ctx)
	if n > 0 {
		r.cfg.Logger.Info("roll-ups follow what was read again before a crash", "component", "redecode", "instants", n)
	}
	return err
}

// run is one Run.
type run struct {
	*Redecoder
	s      Store
	reader Reader
	o      Options
	differ *differ
	report Report
	told   map[string]bool // texts of refusals that are in the report
}

func (r *run) span(ctx context.Context, from int64, tell func(*Report) error) error {
	var after *store.PayloadPlace
	for {
		list, next, err := r.s.Payloads(ctx, r.o.PayloadFilter, from, after)
		if err != nil || next == nil {
			return err
		}
		if err := r.page(ctx, list); err != nil {
			return err
		}
		r.report.Until = time.UnixMilli(next.Arrival).UTC()
		if err := tell(&r.report); err != nil {
			return err
		}
		after = next
	}
}

// message is a payload on its way.
type message struct {
	store.Message
	reading Reading
	letters []store.StoredDeadLetter
	part    sensor.Part
	retract bool
}

// page reads some payloads, compares, and stores what differs. A page is finished when its caller is told to stop: it is short,
// and what is finished needs not be found again.
func (r *run) page(ctx context.Context, list []sensor.LoggedPayload) error {
	letters, err := r.letters(ctx, list)
	if err != nil {
		return err
	}
	var messages []message
	for i := range list {
		k := &list[i]
		r.report.Payloads++
		r.report.Bytes += uint64(k.Size)
		if len(k.Payload) < k.Size {
			r.report.Cut++
			continue
		}
		m := message{Message: store.Message{Producer: k.Producer, Seq: k.Seq, Arrival: k.Arrival}, reading: r.reader.Read(k), part: k.Part}
		m.letters = letters[m.Message]
		if byHand(m.letters) {
			r.report.ByHand++
			continue
		}
		r.refused(&m)
		m.retract = len(m.reading.Refused) == 0 || r.o.RetractRefused
		messages = append(messages, m)
	}
	changes, err := r.compare(ctx, messages)
	if err != nil {
		return err
	}
	r.count(changes)
	if !r.o.DryRun {
		if err := ctx.Err(); err != nil {
			return err
		}
		return r.store(context.WithoutCancel(ctx), messages, changes)
	}
	for i := range messages {
		r.report.Letters += len(resolvable(&messages[i]))
	}
	return nil
}

// compare gives what messages say otherwise than they do.
func (r *run) compare(ctx context.Context, messages []message) (changes []Change, err error) {
	list := make([]store.Message, len(messages))
	for i := range messages {
		list[i] = messages[i].Message
	}
	stands, err := r.s.Standing(ctx, list)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		m := &messages[i]
		changes = r.differ.compare(changes, m.Message, stands[m.Message], m.reading.Observations, m.retract)
	}
	return changes, nil
}

// mostTries bounds how often rows are inserted that are not there afterwards.
const mostTries = 3

// store makes the messages speak as they should, and looks whether they do.
func (r *run) store(ctx context.Context, messages []message, changes []Change) error {
	for try := 0; len(changes) > 0; try++ {
		if try > mostTries {
			return fmt.Errorf("%d values that were read again are still missing after %d inserts", len(changes), try)
		}
		v := new(store.Revision)
		for i := range changes {
			v.Append(changes[i].Message, changes[i].Now)
		}
		if err := r.s.InsertRevision(ctx, v, try); err != nil {
			return fmt.Errorf("store %d values that were read again: %w", v.Len(), err)
		}
		r.show(changes)
		var list []store.Message
		for i := range changes {
			list = append(list, changes[i].Message)
		}
		stands, err := r.s.Standing(ctx, list)
		if err != nil {
			return err
		}
		changes = missing(changes, stands)
	}
	return r.settle(ctx, messages)
}

// show gives what is on no older day to whoever shows the newest.
func (r *run) show(changes []Change) {
	if r.cfg.Live == nil {
		return
	}
	b := new(sensor.Batch)
	for i := range changes {
		if c := &changes[i]; !c.Now.Retracted && c.Now.Quality&sensor.Late == 0 {
			b.AppendRow(b.ProducerIndex(c.Message.Producer), c.Message.Seq, c.Now.Idx, c.Message.Arrival, &c.Now.Observation)
		}
	}
	if b.Len() > 0 {
		r.cfg.Live(b)
	}
}

// settle resolves letters, and passes on what was declared.
func (r *run) settle(ctx context.Context, messages []message) error {
	var declared []sensor.Declaration
	var letters []store.StoredDeadLetter
	for i := range messages {
		declared = append(declared, messages[i].reading.Declarations...)
		letters = append(letters, r.resolve(&messages[i])...)
	}
	if len(declared) > 0 && r.cfg.Declare != nil {
		if err := r.cfg.Declare(ctx, declared); err != nil {
			return fmt.Errorf("declare: %w", err)
		}
	}
	if len(letters) == 0 {
		return nil
	}
	r.report.Letters += len(letters)
	return r.s.InsertLetterVersions(ctx, letters)
}

// count notes what differs.
func (r *run) count(changes []Change) {
	var last store.Message
	for i := range changes {
		c := &changes[i]
		if i == 0 || c.Message != last {
			r.report.Differ++
		}
		last = c.Message
		switch c.Kind {
		case Added:
			r.report.Added++
		case Changed:
			r.report.Changed++
		case Retracted:
			r.report.Retracted++
		}
		if len(r.report.Changes) < r.o.Differences {
			r.report.Changes = append(r.report.Changes, *c)
		}
	}
}

// refused notes what is refused now; of a PUBLISH that became two messages, once.
func (r *run) refused(m *message) {
	if m.part == sensor.BackfillPart {
		return
	}
	for i := range m.reading.Refused {
		d := &m.reading.Refused[i]
		r.report.Refused[d.Reason]++
		if text := string(d.Reason) + ": " + d.Detail; len(r.report.FirstRefused) < firstRefused && !r.told[text] {
			r.told[text] = true
			id := sensor.Identity{Producer: m.Producer, Seq: m.Seq}
			r.report.FirstRefused = append(r.report.FirstRefused, id.Name()+": "+text)
		}
	}
}
