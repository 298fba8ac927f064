// Package spool is the gateway's disk log of one lane (step 4 of 8): what it holds is never lost.
//
// In: bodies of messages (sensor.AppendMessage) from many connections at once. Out: the same bodies, in order,
// each numbered by a seq that has no hole and no repeat. A caller is told through its Ack when its record is on
// disk, and only then may it say so to the sender. Form on disk: docs/formats/spool.md.
//
// Appends gather in memory; one writer goroutine writes and syncs them together (group commit) and then calls
// the Acks in order. What may be refused: ErrFull (the bound in bytes, or the disk, is reached), ErrTooLarge,
// ErrClosed, and after an error of write or sync ErrFailed, for ever: what the disk holds after a failed fsync
// is unknown, so the process has to start anew and read what is there.
//
// Callers: internal/gateway appends; internal/bus/inproc and internal/batch read and trim.
// The package never looks into a body and never decides what may be trimmed.
package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/situ-city/situ/pkg/sensor"
)

var (
	// ErrFull: the bound in bytes is reached or the disk is full. Nothing was stored; later may succeed.
	ErrFull = errors.New("spool is full")
	// ErrTooLarge: a body of no bytes or of more than MaxBody.
	ErrTooLarge = errors.New("record of a size the spool does not take")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("spool is closed")
	// ErrFailed: the disk refused a write or a sync; the spool takes nothing more until it is opened again.
	ErrFailed = errors.New("spool has stopped after an error of the disk")
	// ErrCorrupt: a record that had been acknowledged cannot be read. Somebody has to look.
	ErrCorrupt = errors.New("spool is damaged")
	// ErrLocked: another process has the directory.
	ErrLocked = errors.New("spool is in use by another process")
	// ErrIdentity: the directory belongs to another gateway or lane, or is older than what the caller knows.
	ErrIdentity = errors.New("spool is not the one expected")
	// ErrVersion: the directory was written by a newer situ.
	ErrVersion = errors.New("spool was written by a newer situ")
	// ErrTrimmed: the record asked for has been freed.
	ErrTrimmed = errors.New("record has been freed")
	// ErrBeyond: the record asked for lies behind the end.
	ErrBeyond = errors.New("record is not written yet")
)

// Defaults of Config.
const (
	DefaultMaxBytes     = 8 << 30
	DefaultSegmentBytes = 64 << 20
	DefaultCommitDelay  = 5 * time.Millisecond
	DefaultCommitBytes  = 1 << 20
	DefaultPendingBytes = 16 << 20
)

// MaxBody is the longest body of a record.
const MaxBody = 16 << 20

// Config of one lane's spool. Zero values mean the defaults above.
type Config struct {
	Dir     string // the lane's own directory, made if absent
	Gateway string // "" = the name kept in Dir, or one made up on the first open
	Lane    sensor.Lane

	// PreviousEpoch is the highest epoch that the caller knows was ever used by this gateway and lane (from the
	// bus's commits, say). A spool made anew gets a higher one; a spool found with a lower one is refused.
	PreviousEpoch uint32

	MaxBytes     int64 // bound of all segments and of what waits
	SegmentBytes int64 // size at which a new segment begins
	PendingBytes int   // bound of what waits in memory; an Append beyond it blocks until there is room

	// A commit starts as soon as something waits, but not within CommitDelay of the start of the one before,
	// unless CommitBytes wait. So a lone message waits for one sync and nothing else, and a flood costs
	// 1/CommitDelay syncs a second (one costs about 0.1 ms of CPU).
	CommitDelay time.Duration // negative = none
	CommitBytes int

	Sync       SyncMode
	DropOldest bool // when full, free the oldest segment and leave a gap record instead of refusing

	Clock    func() time.Time // of epochs, segments and gaps; nil = time.Now
	OnCommit func(Commit)     // after the Acks of each commit, on the writer's goroutine; must not block
	Logger   *slog.Logger     // nil = silent

	fs filesystem // tests break it on purpose; nil = the real one
}

// Commit tells of one group commit.
type Commit struct {
	Records int
	Bytes   int
	Wrote   time.Duration // write
	Synced  time.Duration // fdatasync
	Used    int64         // bytes of the spool after it
}

// Acker learns what became of an append. Acked is called exactly once for each Append that returned nil, in the
// order of the log, on the writer's goroutine (perhaps before Append returns): it must not block nor call the spool.
type Acker interface {
	Acked(token uint64, err error)
}

// Ack says whom to tell, and by which token. To may be nil. It is a value so that an append allocates nothing.
type Ack struct {
	To    Acker
	Token uint64
}

// Spool is the open log of one lane. Its methods may be called from any goroutine.
type Spool struct {
	cfg    Config
	log    *slog.Logger
	fs     filesystem
	unlock func() error

	producer sensor.Producer
	logID    [16]byte

	mu      sync.Mutex // guards the fields down to room
	pending group      // what the next commit will write
	used    int64      // bytes on disk, in the commit that runs, and waiting
	pressAt int64      // bytes in use from which RunPolicy wants to know; 0 = there is no policy
	noRoom  error      // why the last append or commit was refused, nil since one was taken
	fullAt  int64      // bytes in use then, 0 = it was the disk that was full
	idle    bool       // the writer sleeps until a first record comes
	closed  bool
	err     error // ErrFailed, wrapping its cause
	room    sync.Cond

	segMu    sync.Mutex // guards the fields down to advanced
	segments []*segment // oldest first; the last one is written to; never empty
	meta     meta
	ended    error         // why there will be no further record
	advanced chan struct{} // closed when there is one, or ended is set; nil when nobody waits

	trimMu sync.Mutex // one trim at a time, so that files go in order
	metaMu sync.Mutex // one change of the meta file at a time
	thinMu sync.Mutex // one segment is rewritten at a time; taken before all others

	active file     // of the last segment; this and last are the writer's own
	last   *segment //
	wake   chan struct{}
	press  chan struct{} // holds a token when more is in use than pressAt
	failed chan struct{}
	done   chan struct{} // the writer has returned
}

// Open reads what is in cfg.Dir, checks every record, cuts a torn tail and starts the writer, which Close ends.
// (The writer starts here and not in a Run because a spool without one would take records and never answer.)
func Open(cfg Config) (*Spool, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := makeDir(cfg.fs, cfg.Dir); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	unlock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Spool{
		cfg: cfg, log: cfg.Logger, fs: cfg.fs, unlock: unlock,
		wake: make(chan struct{}, 1), press: make(chan struct{}, 1), failed: make(chan struct{}), done: make(chan struct{}),
	}
	s.room.L = &s.mu
	s.pending.reset()
	if err := s.recover(); err != nil {
		if s.active != nil {
			_ = s.active.Close()
		}
		_ = unlock()
		return nil, fmt.Errorf("open spool %s: %w", cfg.Dir, err)
	}
	for _, seg := range s.segments {
		s.used += seg.size
	}
	go s.write()
	return s, nil
}

func (c Config) withDefaults() Config {
	c.MaxBytes = or(c.MaxBytes, DefaultMaxBytes)
	c.SegmentBytes = or(c.SegmentBytes, min(DefaultSegmentBytes, c.MaxBytes/4))
	c.PendingBytes = or(c.PendingBytes, DefaultPendingBytes)
	c.CommitDelay = max(0, or(c.CommitDelay, DefaultCommitDelay))
	c.CommitBytes = or(c.CommitBytes, DefaultCommitBytes)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.fs == nil {
		c.fs = disk{}
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.Dir == "":
		return errors.New("spool: Dir is empty")
	case c.SegmentBytes*2 > c.MaxBytes:
		// Space is freed by whole segments, and never the one being written.
		return fmt.Errorf("spool %s: SegmentBytes %d is more than half of MaxBytes %d", c.Dir, c.SegmentBytes, c.MaxBytes)
	case c.SegmentBytes < 4<<10:
		return fmt.Errorf("spool %s: SegmentBytes %d is less than 4096", c.Dir, c.SegmentBytes)
	case c.Gateway != "" && !validGateway(c.Gateway):
		return fmt.Errorf("spool %s: gateway name %q is not 1 to 64 of [A-Za-z0-9._-]", c.Dir, c.Gateway)
	}
	return nil
}

// Close writes what waits, answers every Ack, and lets the directory go. It returns the error the spool failed with.
func (s *Spool) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.done
		return nil
	}
	s.closed = true
	s.room.Broadcast()
	s.mu.Unlock()
	s.poke()
	<-s.done
	s.end(ErrClosed)
	err := s.Err()
	if e := s.active.Close(); err == nil && e != nil {
		err = fmt.Errorf("close spool %s: %w", s.cfg.Dir, e)
	}
	return errors.Join(err, s.unlock())
}

// Producer is the identity of the lane's messages.
func (s *Spool) Producer() sensor.Producer { return s.producer }

// LogID names this incarnation of the log.
func (s *Spool) LogID() [16]byte { return s.logID }

// Dir is the lane's directory.
func (s *Spool) Dir() string { return s.cfg.Dir }

// Failed is closed when the spool has stopped after an error of the disk; Err then tells which.
func (s *Spool) Failed() <-chan struct{} { return s.failed }

// Err is nil while the spool works.
func (s *Spool) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Used tells how many bytes the spool holds and how many it may.
func (s *Spool) Used() (used, limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.cfg.MaxBytes
}

// path of a file of the spool.
func (s *Spool) path(name string) string { return filepath.Join(s.cfg.Dir, name) }

func or[T int | int64 | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}
