package ingester

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// memLog is a log in memory. One that carries repeats is what a topic looks like after a gateway's retries.
type memLog struct {
	id bus.LogID

	mu    sync.Mutex // guards what follows
	parts map[int32][]logged
	first map[int32]int64
	grown chan struct{} // closed and replaced at every append
	away  error         // what reading gives; nil = messages. Set before it begins
}

type logged struct {
	p   sensor.Producer
	seq uint64
	m   sensor.Message
}

func newLog(id byte) *memLog {
	return &memLog{id: bus.LogID{id}, parts: map[int32][]logged{0: nil}, first: map[int32]int64{}, grown: make(chan struct{})}
}

func (l *memLog) append(part int32, m ...logged) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parts[part] = append(l.parts[part], m...)
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *memLog) ID(context.Context, int32) (bus.LogID, error) { return l.id, nil }

func (l *memLog) Partitions(context.Context) ([]int32, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []int32
	for p := range l.parts {
		all = append(all, p)
	}
	return all, nil
}

func (l *memLog) Bounds(_ context.Context, part int32) (first, next int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first[part], int64(len(l.parts[part])), nil
}

func (l *memLog) Fetch(ctx context.Context, part int32, from, to int64, maxRows int, b *sensor.Batch) (int64, error) {
	for {
		if l.away != nil {
			return from, l.away
		}
		l.mu.Lock()
		messages, first, grown := l.parts[part], l.first[part], l.grown
		l.mu.Unlock()
		if from < first || from > int64(len(messages)) {
			return from, bus.ErrOffset
		}
		at, start := from, weight(b)
		for ; at < int64(len(messages)) && (to == 0 || at < to) && (maxRows == 0 || weight(b)-start < maxRows); at++ {
			m := messages[at]
			b.Add(m.p, m.seq, &m.m)
		}
		if at > from {
			return at, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return from, fmt.Errorf("fetch: %w", ctx.Err())
		}
	}
}

// memGroup keeps positions over restarts.
type memGroup struct {
	log *memLog

	mu         sync.Mutex // guards what follows
	at         map[int32]bus.Position
	commits    int
	full       int // so many commits find the disk full
	generation int
	anyOwner   bool // ablation: a zombie may commit
	forgetful  bool // ablation: metadata is not kept

	unanswered int         // so many commits are done and get no answer
	sent       []time.Time // when commits were
}

func newGroup(l *memLog) *memGroup { return &memGroup{log: l, at: map[int32]bus.Position{}} }

func (g *memGroup) Consume(ctx context.Context, handle func(context.Context, bus.Assignment) error) error {
	g.mu.Lock()
	g.generation++
	generation := g.generation
	g.mu.Unlock()
	parts, err := g.log.Partitions(ctx)
	if err != nil {
		return err
	}
	eg, ctx := errgroup.WithContext(ctx)
	for _, p := range parts {
		eg.Go(func() error { return handle(ctx, &memAssignment{g, p, generation}) })
	}
	return eg.Wait()
}

type memAssignment struct {
	g          *memGroup
	part       int32
	generation int
}

func (a *memAssignment) Partition() int32 { return a.part }

func (a *memAssignment) Committed(context.Context) (bus.Position, error) {
	a.g.mu.Lock()
	defer a.g.mu.Unlock()
	if p, ok := a.g.at[a.part]; ok {
		return p, nil
	}
	return bus.Position{Offset: -1}, nil
}

func (a *memAssignment) Commit(_ context.Context, p bus.Position) error {
	a.g.mu.Lock()
	defer a.g.mu.Unlock()
	if a.generation != a.g.generation && !a.g.anyOwner {
		return bus.ErrGeneration
	}
	if a.g.full > 0 {
		a.g.full--
		return fmt.Errorf("write: %w", syscall.ENOSPC)
	}
	if a.g.forgetful {
		p.Meta = ""
	}
	a.g.at[a.part] = p
	a.g.commits++
	a.g.sent = append(a.g.sent, time.Now())
	if a.g.unanswered > 0 {
		a.g.unanswered--
		return bus.ErrUnanswered
	}
	return nil
}

// memStore has the tables' promises and no more: a token seen before swallows its rows; doubtful rows are compared by
// identity; blocks are found again.
type memStore struct {
	mu      sync.Mutex // guards what follows
	rows    []sensor.Identity
	result  map[sensor.Identity]float64
	tokens  map[string]bool
	blocks  map[string]*store.Block
	repeats map[store.Pair]bool
	stored  map[store.Pair]int // rows of a pair
	letters map[sensor.Identity]bool

	noTokens, noIdentity, noWatermarks, noRecord bool // ablations
}

func newStore() *memStore {
	return &memStore{result: map[sensor.Identity]float64{}, tokens: map[string]bool{}, blocks: map[string]*store.Block{},
		repeats: map[store.Pair]bool{}, stored: map[store.Pair]int{}, letters: map[sensor.Identity]bool{}}
}

// loseTokens is what a power cut does to the engine's memory of tokens, which is not synced.
func (s *memStore) loseTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

func (s *memStore) InsertRepeats(_ context.Context, b *store.Block) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range b.Repeats {
		s.repeats[p] = true
	}
	return nil
}

func (s *memStore) InsertRows(_ context.Context, b *store.Block, doubtful bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := map[sensor.Identity]bool{}
	if doubtful && !s.noIdentity {
		for _, id := range s.rows {
			there[id] = true
		}
	} else if s.tokens[b.Token()] && !s.noTokens {
		return nil
	}
	s.tokens[b.Token()] = true
	for i := range b.Batch.Len() {
		id, _, o := b.Batch.Row(i)
		if !there[id] {
			s.rows = append(s.rows, id)
			s.result[id] = o.Result
			s.stored[store.Pair{Datastream: o.Datastream, PhenomenonTime: o.PhenomenonTime}]++
		}
	}
	return nil
}

func (s *memStore) InsertBeside(_ context.Context, b *store.Block) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range b.Batch.DeadLetters {
		s.letters[l.Identity] = true
	}
	return nil
}

func (s *memStore) InsertBlock(_ context.Context, b *store.Block) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.noRecord {
		s.blocks[b.Token()] = &store.Block{Log: b.Log, Partition: b.Partition, From: b.From, To: b.To, Watermarks: maps.Clone(b.Watermarks)}
	}
	return nil
}

func (s *memStore) NewestBlock(_ context.Context, log string, part int32, to int64) (newest store.StoredBlock, found bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.blocks {
		if b.Log == log && b.Partition == part && b.To <= to && (!found || b.To > newest.To) {
			newest, found = store.StoredBlock{From: b.From, To: b.To, Watermarks: maps.Clone(b.Watermarks)}, true
		}
	}
	if s.noWatermarks {
		newest.Watermarks = nil
	}
	return newest, found, nil
}

func (s *memStore) Watermarks(_ context.Context, except string) (map[sensor.Producer]uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[sensor.Producer]uint64{}
	for _, b := range s.blocks {
		for p, seq := range b.Watermarks {
			if b.Log != except {
				all[p] = max(all[p], seq)
			}
		}
	}
	return all, nil
}

func (s *memStore) NewestTimes(_ context.Context, each func(sensor.DatastreamID, int64)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.stored {
		each(p.Datastream, p.PhenomenonTime)
	}
	return nil
}

// count is the number of rows of each identity.
func (s *memStore) count() map[sensor.Identity]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[sensor.Identity]int{}
	for _, id := range s.rows {
		n[id]++
	}
	return n
}

var errCrash = errors.New("the process is gone")

// bomb ends a process at one of its calls: before the call has had its effect, or after it, before anybody knows.
type bomb struct {
	mu    sync.Mutex // guards what follows
	calls int
	at    int // the call it goes off at; <0 = never
	after bool
	dead  bool
	kill  context.CancelFunc
	names []string // calls so far
}

func (b *bomb) around(name string, do func() error) error {
	b.mu.Lock()
	if b.dead {
		b.mu.Unlock()
		return errCrash
	}
	hit := b.calls == b.at
	b.calls++
	b.names = append(b.names, name)
	if hit {
		b.dead = true
		b.kill()
	}
	b.mu.Unlock()
	if hit && !b.after {
		return errCrash
	}
	err := do()
	if hit {
		return errCrash
	}
	return err
}

// mortal puts a bomb around everything that lasts.
type mortal struct {
	Store
	bus.Group
	bomb *bomb
}

func (m mortal) InsertRepeats(ctx context.Context, b *store.Block) error {
	return m.bomb.around("repeats", func() error { return m.Store.InsertRepeats(ctx, b) })
}

func (m mortal) InsertRows(ctx context.Context, b *store.Block, doubtful bool) error {
	return m.bomb.around("rows", func() error { return m.Store.InsertRows(ctx, b, doubtful) })
}

func (m mortal) InsertBeside(ctx context.Context, b *store.Block) error {
	return m.bomb.around("beside", func() error { return m.Store.InsertBeside(ctx, b) })
}

func (m mortal) InsertBlock(ctx context.Context, b *store.Block) error {
	return m.bomb.around("record", func() error { return m.Store.InsertBlock(ctx, b) })
}

func (m mortal) Consume(ctx context.Context, handle func(context.Context, bus.Assignment) error) error {
	return m.Group.Consume(ctx, func(ctx context.Context, a bus.Assignment) error {
		return handle(ctx, mortalAssignment{a, m.bomb})
	})
}

type mortalAssignment struct {
	bus.Assignment
	bomb *bomb
}

func (a mortalAssignment) Commit(ctx context.Context, p bus.Position) error {
	return a.bomb.around("commit", func() error { return a.Assignment.Commit(ctx, p) })
}

// life runs an ingester until `done` says so, or until it goes off at a call. It reports whether it went off.
func life(l bus.Log, g bus.Group, s Store, opt Options, b *bomb, done func() bool) (crashed bool, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.kill = cancel
	m := mortal{s, g, b}
	opt.Log, opt.Group, opt.Store = l, m, m
	if opt.Linger == 0 {
		opt.Linger = 50 * time.Millisecond
	}
	in, err := New(opt)
	if err != nil {
		return false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()
	for {
		select {
		case err := <-ended:
			if b.dead {
				err = nil // what the dead say
			}
			return b.dead, err
		case <-time.After(10 * time.Millisecond):
			if done() {
				cancel()
			}
		}
	}
}

// sleepyStore stops in its first insert until it is woken.
type sleepyStore struct {
	Store
	once         sync.Once
	asleep, wake chan struct{}
}

func (s *sleepyStore) InsertRows(ctx context.Context, b *store.Block, doubtful bool) error {
	s.once.Do(func() {
		close(s.asleep)
		<-s.wake
	})
	return s.Store.InsertRows(ctx, b, doubtful)
}
