package inflight

import (
	"container/list"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// Defaults of Config.
const (
	DefaultMaxSessions = 1 << 16
	DefaultMaxPackets  = 1 << 20
	DefaultExpiry      = 7 * 24 * time.Hour
)

var (
	// ErrTakenOver: another connection has the session by now.
	ErrTakenOver = errors.New("the session was taken over by another connection")
	// ErrPackets: no more unreleased QoS 2 packets are remembered.
	ErrPackets = errors.New("too many QoS 2 messages are received and not released")
	// ErrUnderway: PUBREL for a packet that has had no PUBREC.
	ErrUnderway = errors.New("PUBREL before PUBREC")
	// ErrClosed: the table no longer writes.
	ErrClosed = errors.New("MQTT sessions are closed")
	// ErrFailed: the disk failed; what it holds is unknown.
	ErrFailed = errors.New("session journal failed")
)

// Config of a Table. Zero values mean the defaults.
type Config struct {
	Path        string // of the journal; "" = nothing outlives the process
	Spools      map[sensor.Lane]*spool.Spool
	MaxSessions int
	MaxPackets  int
	Expiry      time.Duration // longest time that a session outlives its connection
	Clock       func() time.Time
	Logger      *slog.Logger
}

// Table is all sessions. Its methods may be called from any goroutine.
type Table struct {
	cfg     Config
	journal journal // nobody's but Open's and Run's

	mu       sync.Mutex // guards what follows, and all sessions and deliveries
	sessions map[string]*session
	gone     list.List // *session without a connection, the longest gone first
	packets  int       // in all sessions
	last     uint32    // number of the newest session
	number   uint64    // of the newest delivery
	open     list.List // *Delivery whose journal entry is not written, by rising number
	settled  map[uint64]struct{}
	noted    uint64   // numbers below it are settled, as the journal says
	pending  []byte   // journal entries not yet written
	then     []func() // to be called when they are synced
	lazy     bool     // pending holds something that nobody waits for
	err      error    // why nothing more is taken
	wake     chan struct{}
	over     chan struct{} // closed when Run has returned
}

// session is one client of one user.
type session struct {
	name    string
	user    string
	number  uint32               // in the journal; 0 = not in it
	packets map[uint16]*Delivery // nil: its message is safe; else on its way
	expiry  time.Duration
	conn    uint64        // number of the connection that has it; 0 = none
	conns   uint64        // connections it ever had
	since   time.Time     // it is gone
	at      *list.Element // in gone

	hand sync.Mutex // held while a connection hands a message to the spools; taken before Table.mu
}

func (s *session) durable() bool { return s.number != 0 }

// Open reads the journal and the end of the spools.
func Open(cfg Config) (*Table, error) {
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = DefaultMaxSessions
	}
	if cfg.MaxPackets == 0 {
		cfg.MaxPackets = DefaultMaxPackets
	}
	if cfg.Expiry == 0 {
		cfg.Expiry = DefaultExpiry
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	t := &Table{cfg: cfg, sessions: map[string]*session{}, settled: map[uint64]struct{}{}, wake: make(chan struct{}, 1), over: make(chan struct{})}
	if cfg.Path == "" {
		return t, nil
	}
	if err := t.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("open MQTT sessions: %w", err), t.journal.close())
	}
	return t, nil
}

// Close lets the journal go, where Run is not called.
func (t *Table) Close() error { return t.journal.close() }

// Counts tells how many sessions and packets are remembered.
func (t *Table) Counts() (sessions, packets int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.sessions), t.packets
}

// Attach gives a new connection its session. keep is how long the session shall outlive the connection (0 = not at all),
// clean that nothing of an earlier one is wanted. present says that there was one [MQTT-3.2.2-2]. What is forgotten here is
// forgotten on disk too when Attach returns.
func (t *Table) Attach(user, client string, clean bool, keep time.Duration) (c *Conn, present bool, err error) {
	name := user + "\x00" + client
	t.mu.Lock()
	if t.err != nil {
		t.mu.Unlock()
		return nil, false, t.err
	}
	s := t.sessions[name]
	old := s
	if s != nil && s.conn == 0 && t.cfg.Clock().Sub(s.since) > s.expiry {
		clean = true
	}
	var forgotten chan struct{}
	if s != nil && clean {
		forgotten = t.end(s)
		s = nil
	}
	present = s != nil
	if s == nil {
		s = &session{name: name, user: user, packets: map[uint16]*Delivery{}}
		if keep > 0 && t.cfg.Path != "" && t.room(user) {
			t.add(s)
		}
	} else if s.at != nil {
		t.gone.Remove(s.at)
		s.at = nil
	}
	if keep = min(keep, t.cfg.Expiry); keep != s.expiry {
		s.expiry = keep
		t.note(s)
	}
	s.conns++
	s.conn = s.conns
	c = &Conn{t: t, s: s, n: s.conn}
	t.mu.Unlock()
	if old != nil { // what the connection before has in its hands goes before what comes now [MQTT-4.6.0-6]
		old.hand.Lock()
		old.hand.Unlock()
	}
	if forgotten != nil {
		select {
		case <-forgotten:
		case <-t.over:
			return nil, false, ErrClosed
		}
	}
	return c, present, nil
}

// add makes s a session of the journal; t.mu is held.
func (t *Table) add(s *session) {
	t.last++
	s.number = t.last
	t.sessions[s.name] = s
}

// note writes what the journal says of a session itself; t.mu is held.
func (t *Table) note(s *session) {
	if s.durable() {
		t.pending = appendSession(t.pending, s)
		t.lazily()
	}
}

// room sees to it that there may be one session more; t.mu is held.
func (t *Table) room(user string) bool {
	if len(t.sessions) < t.cfg.MaxSessions {
		return true
	}
	var oldest *session
	for e := t.gone.Front(); e != nil; e = e.Next() {
		s := e.Value.(*session)
		if oldest == nil {
			oldest = s
		}
		if s.user == user {
			oldest = s
			break
		}
	}
	if oldest == nil {
		return false
	}
	t.end(oldest)
	return true
}

// end forgets a session. The channel is closed when the disk has forgotten it, and nil if there was nothing to forget;
// t.mu is held.
func (t *Table) end(s *session) (forgotten chan struct{}) {
	if s.at != nil {
		t.gone.Remove(s.at)
		s.at = nil
	}
	s.conn = 0
	if len(s.packets) > 0 {
		forgotten = make(chan struct{})
	}
	for _, d := range s.packets {
		t.packets--
		if d != nil {
			t.settle(d)
		}
	}
	if s.durable() {
		delete(t.sessions, s.name)
		t.pending = appendEnded(t.pending, s.number)
		if forgotten != nil {
			t.soon(func() { close(forgotten) })
		} else {
			t.lazily()
		}
	} else if forgotten != nil {
		close(forgotten)
	}
	s.packets, s.number = map[uint16]*Delivery{}, 0
	return forgotten
}

// settle notes that a delivery's number is nothing to look for any more; t.mu is held.
func (t *Table) settle(d *Delivery) {
	if d.at == nil {
		return
	}
	t.open.Remove(d.at)
	d.at = nil
	t.settled[d.number] = struct{}{}
	t.pending = appendSettled(t.pending, d.number)
	t.lazily()
}

// soon has pending written at once, and calls then when it is synced; t.mu is held.
func (t *Table) soon(then func()) {
	t.then = append(t.then, then)
	t.poke()
}

// lazily has pending written with the next thing that somebody waits for, or after a moment; t.mu is held.
func (t *Table) lazily() {
	if !t.lazy {
		t.lazy = true
		t.poke()
	}
}

func (t *Table) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// sweep forgets sessions that are gone for too long.
func (t *Table) sweep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.cfg.Clock()
	for e := t.gone.Front(); e != nil; {
		s := e.Value.(*session)
		e = e.Next()
		if now.Sub(s.since) > s.expiry {
			t.end(s)
		}
	}
}
