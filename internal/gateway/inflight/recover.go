package inflight

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// ErrJournal: the file is not a journal of this version, or broken before its end.
var ErrJournal = errors.New("not a journal of MQTT sessions")

// recover makes the table what it was: the journal, then what the spools hold beyond it.
func (t *Table) recover() error {
	b, err := os.ReadFile(t.cfg.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t.number = uint64(t.cfg.Clock().UnixMicro()) // beyond all numbers of a journal that somebody took away
		t.noted = t.number + 1
		return t.journal.rewrite(t.cfg.Path, t.everything())
	case err != nil:
		return err
	}
	r := recovery{t: t, byNumber: map[uint32]*session{}}
	if err := r.journal(b); err != nil {
		return fmt.Errorf("%s: %w; remove it to begin with no session: QoS 2 messages that were under way may then be there twice", t.cfg.Path, err)
	}
	for lane := range sensor.Lane(lanes) {
		if err := r.tags(t.cfg.Spools[lane], lane); err != nil {
			return err
		}
	}
	r.finish()
	return t.journal.rewrite(t.cfg.Path, t.everything())
}

// recovery is what is known while the files are read.
type recovery struct {
	t        *Table
	byNumber map[uint32]*session
	logs     [lanes][16]byte
	at       [lanes]uint64
	found    map[uint64]*Delivery // by number
	highest  uint64
}

// journal reads the frames. A torn last one is left out: whoever waited for it was not told.
func (r *recovery) journal(b []byte) error {
	rest, ok := strings.CutPrefix(string(b), magic)
	if !ok {
		return ErrJournal
	}
	for len(rest) > 0 {
		entries, after, whole := cutFrame(rest)
		if !whole {
			if !torn(rest) {
				return fmt.Errorf("broken at byte %d, before its end: %w", len(b)-len(rest), ErrJournal)
			}
			return nil
		}
		if err := r.entries([]byte(entries)); err != nil {
			return fmt.Errorf("frame at byte %d: %w", len(b)-len(rest), err)
		}
		rest = after
	}
	return nil
}

func cutFrame(s string) (entries, rest string, whole bool) {
	if len(s) < frameHeader {
		return "", "", false
	}
	n, sum := binary.LittleEndian.Uint32([]byte(s[:4])), binary.LittleEndian.Uint32([]byte(s[4:8]))
	if n > maxFrame || int(n) > len(s)-frameHeader {
		return "", "", false
	}
	entries, rest = s[frameHeader:frameHeader+int(n)], s[frameHeader+int(n):]
	return entries, rest, crc32.Checksum([]byte(entries), castagnoli) == sum
}

// torn reports whether a broken frame may be the last write: no whole frame begins anywhere behind it.
func torn(s string) bool {
	for i := 1; i+frameHeader < len(s); i++ {
		if entries, _, whole := cutFrame(s[i:]); whole && entries != "" {
			return false
		}
	}
	return true
}

func (r *recovery) entries(b []byte) error {
	for len(b) > 0 {
		kind := b[0]
		e := reader{b: b[1:]}
		switch kind {
		case entrySession:
			number, expiry := uint32(e.uvarint()), time.Duration(e.uvarint())*time.Second
			r.session(number, expiry, string(e.bytes(int(e.uvarint()))))
		case entryReceived, entryReleased:
			number, packet := uint32(e.uvarint()), uint16(e.uvarint())
			if s := r.byNumber[number]; s != nil && kind == entryReceived {
				s.packets[packet] = nil
			} else if s != nil {
				delete(s.packets, packet)
			}
		case entryEnded:
			number := uint32(e.uvarint())
			if s := r.byNumber[number]; s != nil {
				delete(r.t.sessions, s.name)
				delete(r.byNumber, number)
			}
		case entrySettled:
			n := e.uvarint()
			r.t.settled[n] = struct{}{}
			r.highest = max(r.highest, n)
		case entryNoted:
			r.noted(&e)
		default:
			return fmt.Errorf("entry of kind %d: %w; it was written by a newer situ: use that one", kind, ErrJournal)
		}
		if e.bad {
			return fmt.Errorf("entry of kind %d is too short: %w", kind, ErrJournal)
		}
		b = e.b
	}
	return nil
}

func (r *recovery) session(number uint32, expiry time.Duration, name string) *session {
	s := r.byNumber[number]
	if s == nil {
		user, _, _ := strings.Cut(name, "\x00")
		s = &session{name: name, user: user, number: number, packets: map[uint16]*Delivery{}}
		r.byNumber[number], r.t.sessions[name] = s, s
		r.t.last = max(r.t.last, number)
	}
	s.expiry = expiry
	return s
}

func (r *recovery) noted(e *reader) {
	r.t.noted = e.uvarint()
	r.highest = max(r.highest, r.t.noted-1)
	for lane := range lanes {
		copy(r.logs[lane][:], e.bytes(16))
		r.at[lane] = e.uvarint()
	}
}

// tags looks for QoS 2 messages that the journal does not know to be settled.
func (r *recovery) tags(s *spool.Spool, lane sensor.Lane) error {
	first, next := s.Bounds()
	from := max(first, r.at[lane])
	if r.logs[lane] != s.LogID() {
		from = first // another log stands in its place
	}
	if from >= next {
		return nil
	}
	in, err := s.NewReader(from)
	if err != nil {
		return err
	}
	defer in.Close()
	var m sensor.Message
	for {
		seq, body, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !sensor.HasDelivery(body) {
			continue
		}
		if err := sensor.DecodeMessage(&m, body); err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		r.tag(m.Delivery, lane, seq)
	}
}

func (r *recovery) tag(tag sensor.Delivery, lane sensor.Lane, seq uint64) {
	r.highest = max(r.highest, tag.Number)
	if _, settled := r.t.settled[tag.Number]; settled || tag.Number < r.t.noted {
		return
	}
	d := r.found[tag.Number]
	if d == nil {
		s := r.t.sessions[tag.Session]
		if s == nil { // its entry was not written yet
			s = r.session(r.t.last+1, r.t.cfg.Expiry, tag.Session)
		}
		d = &Delivery{t: r.t, s: s, packet: tag.Packet, number: tag.Number, total: tag.Lanes}
		for lane := range r.at {
			d.from[lane] = r.at[lane]
		}
		if r.found == nil {
			r.found = map[uint64]*Delivery{}
		}
		r.found[tag.Number] = d
	}
	d.total |= tag.Lanes
	d.appended |= bit(lane)
	d.stored |= bit(lane)
}

// finish takes over what was found: whole messages as received, others as to be completed.
func (r *recovery) finish() {
	t := r.t
	var numbers []uint64
	for n := range r.found {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers { // the later delivery of a packet id is the one that counts
		d := r.found[n]
		if old := d.s.packets[d.packet]; old != nil {
			t.open.Remove(old.at)
		}
		d.s.packets[d.packet] = nil
		if d.stored != d.total {
			d.s.packets[d.packet] = d
			d.at = t.open.PushBack(d)
		} else {
			t.settled[n] = struct{}{}
		}
	}
	t.number = max(r.highest, t.noted)
	now := t.cfg.Clock()
	for _, s := range t.sessions {
		t.packets += len(s.packets)
		s.since = now
		s.at = t.gone.PushBack(s)
	}
}

// reader walks an entry.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}
