package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// ErrNoHistory: there is no store now.
var ErrNoHistory = errors.New("no history now")

// Store is what a Replayer needs of internal/store.
type Store interface {
	FindLetters(ctx context.Context, ids []sensor.Identity) ([]store.LetterRef, error)
	ReadLetters(ctx context.Context, refs []store.LetterRef) ([]store.StoredDeadLetter, error)
	InsertLetterVersions(ctx context.Context, letters []store.StoredDeadLetter) error
	InsertRepeats(ctx context.Context, b *store.Block) error
	InsertReplayed(ctx context.Context, rows *sensor.Batch, from, to int64) (fresh int, err error)
	InsertBeside(ctx context.Context, b *store.Block) error
	PendingLetters(ctx context.Context) ([]store.PendingLetter, error)
}

// Config of a Replayer.
type Config struct {
	Store   func() Store // nil result: no history now
	Reader  Reader
	Allowed func(user, topic string) bool                     // may user publish there today?
	Declare func(context.Context, []sensor.Declaration) error // what readings declared
	Live    func(*sensor.Batch)                               // after they are: whoever shows the newest
	Now     func() time.Time                                  // nil = time.Now
	Logger  *slog.Logger
}

// Options of one replay.
type Options struct {
	Clock  Clock
	DryRun bool
}

// Replayer replays dead letters, a few at a time and one call after the other.
type Replayer struct {
	cfg  Config
	left chan struct{} // holds a token when a replay was left under way
	mu   sync.Mutex    // held while letters are read, stored and resolved: who comes second finds them resolved
}

// New makes a Replayer.
func New(cfg Config) *Replayer {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Replayer{cfg: cfg, left: make(chan struct{}, 1)}
}

// Bounds on what is in memory at once.
const (
	chunkLetters = 256
	chunkBytes   = 8 << 20
)

// Replay replays the letters named and gives a verdict for each, in their order. On error the verdicts before it hold;
// of the others nothing is known until they are replayed again.
func (r *Replayer) Replay(ctx context.Context, ids []sensor.Identity, o Options) ([]Verdict, error) {
	s := r.cfg.Store()
	if s == nil {
		return nil, ErrNoHistory
	}
	refs, err := s.FindLetters(ctx, ids)
	if err != nil {
		return nil, err
	}
	verdicts := make(map[sensor.Identity]Verdict, len(ids))
	asked := make(map[sensor.Identity]bool, len(ids))
	for _, id := range ids {
		asked[id] = true
	}
	for len(refs) > 0 && err == nil {
		n := chunk(refs)
		err = r.chunk(ctx, s, refs[:n], asked, o, verdicts)
		refs = refs[n:]
	}
	var list []Verdict
	for _, id := range ids {
		v, ok := verdicts[id]
		switch {
		case ok:
			list = append(list, v)
		case err == nil:
			list = append(list, Verdict{ID: id, Status: NotFound, Detail: "there is no such dead letter; 'situ deadletters list' shows their names"})
		}
	}
	return list, err
}

// chunk is how many of refs are taken at once. Those of one message stay together.
func chunk(refs []store.LetterRef) int {
	bytes := 0
	for i := range refs {
		apart := i > 0 && (refs[i].Producer != refs[i-1].Producer || refs[i].Seq != refs[i-1].Seq)
		if apart && (i >= chunkLetters || bytes+refs[i].Size > chunkBytes) {
			return i
		}
		if apart || i == 0 {
			bytes += refs[i].Size
		}
	}
	return len(refs)
}

// chunk replays some letters. What it writes, in this order, makes a crash anywhere harmless: the letters as still open,
// with the times of what is to be stored; the rows, unless they are there; the letters as resolved.
func (r *Replayer) chunk(ctx context.Context, s Store, refs []store.LetterRef, asked map[sensor.Identity]bool, o Options, verdicts map[sensor.Identity]Verdict) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	letters, err := s.ReadLetters(ctx, refs)
	if err != nil {
		return err
	}
	var jobs []job
	for i := range letters {
		if asked[letters[i].Identity] {
			j := plan(letters[i], siblings(letters, i), r.cfg.Reader, r.cfg.Allowed, o.Clock, r.cfg.Now())
			verdicts[j.verdict.ID] = j.verdict
			jobs = append(jobs, j)
		}
	}
	jobs = slices.DeleteFunc(jobs, func(j job) bool { return j.verdict.Status == Already || j.verdict.Status == Unfit })
	if o.DryRun || len(jobs) == 0 {
		return nil
	}
	if err := r.store(ctx, s, jobs); err != nil {
		for _, j := range jobs {
			delete(verdicts, j.verdict.ID)
		}
		r.leave()
		return fmt.Errorf("replay %d dead letters: %w", len(jobs), err)
	}
	return nil
}

// siblings are the letters of the message of letters[i].
func siblings(letters []store.StoredDeadLetter, i int) []store.StoredDeadLetter {
	same := func(l *store.StoredDeadLetter) bool {
		return l.Producer == letters[i].Producer && l.Seq == letters[i].Seq
	}
	first, last := i, i+1
	for first > 0 && same(&letters[first-1]) {
		first--
	}
	for last < len(letters) && same(&letters[last]) {
		last++
	}
	return letters[first:last]
}

// store writes what the jobs came to.
func (r *Replayer) store(ctx context.Context, s Store, jobs []job) error {
	rows, from, to, declared := gather(jobs)
	if rows.Len() > 0 {
		if err := s.InsertLetterVersions(ctx, intents(jobs)); err != nil {
			return err
		}
		if err := r.rows(ctx, s, rows, from, to); err != nil {
			return err
		}
	}
	if len(declared) > 0 && r.cfg.Declare != nil {
		if err := r.cfg.Declare(ctx, declared); err != nil {
			return fmt.Errorf("declare: %w", err)
		}
	}
	if err := s.InsertLetterVersions(ctx, outcomes(jobs)); err != nil {
		return err
	}
	if rows.Len() > 0 && r.cfg.Live != nil {
		r.cfg.Live(rows)
	}
	return nil
}

func (r *Replayer) rows(ctx context.Context, s Store, rows *sensor.Batch, from, to int64) error {
	b := &store.Block{Batch: rows}
	for i := range rows.Len() { // history looks for a second row of an instant only where it is told to
		b.Repeats = append(b.Repeats, store.Pair{Datastream: rows.Datastream[i], PhenomenonTime: rows.PhenomenonTime[i]})
	}
	if err := s.InsertRepeats(ctx, b); err != nil {
		return err
	}
	fresh, err := s.InsertReplayed(ctx, rows, from, to)
	if err != nil {
		return err
	}
	r.cfg.Logger.Info("dead letters replayed", "component", "deadletter", "rows", rows.Len(), "there", rows.Len()-fresh)
	return s.InsertBeside(ctx, b) // marks the roll-ups that are stale now, of all rows: a replay before may have died here
}

// gather puts the jobs' rows into columns. from and to cover all that their letters ever meant to store.
func gather(jobs []job) (rows *sensor.Batch, from, to int64, declared []sensor.Declaration) {
	rows = new(sensor.Batch)
	for _, j := range jobs {
		declared = append(declared, j.declared...)
		for i := range j.rows {
			rows.AppendRow(rows.ProducerIndex(j.letter.Producer), j.letter.Seq, j.rows[i].idx, j.letter.Arrival, &j.rows[i].o)
		}
		if j.letter.RowsTo == 0 {
			continue
		}
		if to == 0 {
			from, to = j.letter.RowsFrom, j.letter.RowsTo
		}
		from, to = min(from, j.letter.RowsFrom), max(to, j.letter.RowsTo)
	}
	return rows, from, to, declared
}

// intents are the letters as they were, with the times of what is to be stored.
func intents(jobs []job) (letters []store.StoredDeadLetter) {
	for _, j := range jobs {
		if len(j.rows) == 0 {
			continue
		}
		l := j.was
		l.Pending, l.Tries, l.Version = true, j.letter.Tries, j.was.Version+1
		l.RowsFrom, l.RowsTo, l.Detail = j.letter.RowsFrom, j.letter.RowsTo, j.clock.note(l.Detail)
		letters = append(letters, l)
	}
	return letters
}

// outcomes are the letters as they are now.
func outcomes(jobs []job) (letters []store.StoredDeadLetter) {
	for _, j := range jobs {
		l := j.letter
		l.Version = j.was.Version + 2
		if l.Pending { // refused now: what was left under way is so still
			l.Detail = j.then.note(l.Detail)
		}
		letters = append(letters, l)
	}
	return letters
}
