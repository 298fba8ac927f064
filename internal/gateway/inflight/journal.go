package inflight

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"

	"github.com/situ-city/situ/pkg/sensor"
)

// The journal (docs/formats/sessions.md): a magic number, then frames of uint32 length, uint32 CRC-32C and entries. A
// frame is in whole or not at all. Numbers are little endian; varints as in Protocol Buffers.
const magic = "situMQ1\n"

const (
	frameHeader = 8
	maxFrame    = 64 << 20
)

// Entries.
const (
	entrySession  = 1 // number, expiry in seconds, text name: there is such a session
	entryReceived = 2 // number, packet
	entryReleased = 3 // number, packet
	entryEnded    = 4 // number
	entrySettled  = 5 // delivery: its tag in a spool says nothing any more
	entryNoted    = 6 // delivery: all below are settled; then 16 bytes log id and the first record to look at, for each lane
)

func appendSession(b []byte, s *session) []byte {
	b = binary.AppendUvarint(append(b, entrySession), uint64(s.number))
	b = binary.AppendUvarint(b, uint64(s.expiry/time.Second))
	b = binary.AppendUvarint(b, uint64(len(s.name)))
	return append(b, s.name...)
}

func appendPacket(b []byte, entry byte, number uint32, packet uint16) []byte {
	b = binary.AppendUvarint(append(b, entry), uint64(number))
	return binary.AppendUvarint(b, uint64(packet))
}

func appendReceived(b []byte, number uint32, packet uint16) []byte {
	return appendPacket(b, entryReceived, number, packet)
}

func appendReleased(b []byte, number uint32, packet uint16) []byte {
	return appendPacket(b, entryReleased, number, packet)
}

func appendEnded(b []byte, number uint32) []byte {
	return binary.AppendUvarint(append(b, entryEnded), uint64(number))
}

func appendSettled(b []byte, delivery uint64) []byte {
	return binary.AppendUvarint(append(b, entrySettled), delivery)
}

// appendNoted notes where to look for tags at the next start, and forgets what is below; t.mu is held.
func (t *Table) appendNoted(b []byte) []byte {
	below, at := t.number+1, t.standing()
	if e := t.open.Front(); e != nil {
		below, at = e.Value.(*Delivery).number, e.Value.(*Delivery).from
	}
	t.noted = below
	t.journal.at = at
	for n := range t.settled {
		if n < below {
			delete(t.settled, n)
		}
	}
	b = binary.AppendUvarint(append(b, entryNoted), below)
	for lane := range sensor.Lane(lanes) {
		id := t.cfg.Spools[lane].LogID()
		b = append(b, id[:]...)
		b = binary.AppendUvarint(b, at[lane])
	}
	return b
}

// standing is the record that each spool will write next.
func (t *Table) standing() (at [lanes]uint64) {
	for lane, s := range t.cfg.Spools {
		_, at[lane] = s.Bounds()
	}
	return at
}

// journal is the file. It belongs to Open, then to Run.
type journal struct {
	f    *os.File
	size int64 // of what is whole
	says int64 // bytes that a rewritten journal had
	at   [lanes]uint64
	buf  []byte
}

func (j *journal) close() error {
	if j.f == nil {
		return nil
	}
	f := j.f
	j.f = nil
	return f.Close()
}

// Moments of the writer.
const (
	lazyFor     = 100 * time.Millisecond // what nobody waits for
	noteEvery   = 10 * time.Second
	noteRecords = 50_000 // of the spools that would have to be read at the next start
	noteNumbers = 1024
	retryAfter  = time.Second
	rewriteFrom = 1 << 20 // bytes
)

// Run writes the journal until ctx ends. An error of the disk's sync ends it: what the disk holds then is unknown.
func (t *Table) Run(ctx context.Context) error {
	defer close(t.over)
	if t.cfg.Path == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(noteEvery)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-t.wake:
			if !t.awaited() {
				pause(ctx, t.wake, lazyFor)
			}
			err = t.flush(ctx, false)
		case <-tick.C:
			t.sweep()
			err = t.flush(ctx, false)
		case <-ctx.Done():
			err = t.flush(ctx, true)
			return errors.Join(t.stop(err), t.journal.close())
		}
		if err != nil {
			return errors.Join(t.stop(err), t.journal.close())
		}
	}
}

// stop refuses everything from now on.
func (t *Table) stop(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = ErrClosed
	if err != nil {
		t.err = fmt.Errorf("%w: %w", ErrFailed, err)
		return t.err
	}
	return nil
}

func pause(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

func (t *Table) awaited() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.then) > 0
}

// flush writes and syncs what is pending, and tells who waits. A write that fails is tried again until ctx ends.
func (t *Table) flush(ctx context.Context, last bool) error {
	t.mu.Lock()
	if t.number+1-t.noted >= noteNumbers && t.oldestOpen() > t.noted || t.standsFar() || last {
		t.pending = t.appendNoted(t.pending)
	}
	entries, then := t.pending, t.then
	t.pending, t.then, t.lazy = nil, nil, false
	rewrite := len(entries) > 0 && t.journal.size > rewriteFrom && t.journal.size > 4*t.journal.says
	if rewrite {
		entries = t.everything()
	}
	t.mu.Unlock()
	for n := 1; len(entries) > 0; n++ {
		err := t.write(entries, rewrite)
		var full errNotWritten
		if err == nil {
			break
		}
		if !errors.As(err, &full) {
			return err
		}
		if ctx.Err() != nil {
			return nil // nobody was told
		}
		if n&(n-1) == 0 { // the first, the second, the fourth, ...: days of it are no flood
			t.cfg.Logger.Warn("the journal of MQTT sessions cannot be written; QoS 2 waits", "component", "gateway", "try", n, "err", err)
		}
		pause(ctx, nil, retryAfter)
	}
	for _, f := range then {
		f()
	}
	return nil
}

func (t *Table) oldestOpen() uint64 {
	if e := t.open.Front(); e != nil {
		return e.Value.(*Delivery).number
	}
	return t.number + 1
}

// standsFar reports whether the spools have moved far beyond what the journal says, with nothing in between; t.mu is held.
func (t *Table) standsFar() bool {
	if t.open.Len() > 0 {
		return false
	}
	for lane, at := range t.standing() {
		if at > t.journal.at[lane]+noteRecords {
			return true
		}
	}
	return false
}

// errNotWritten is an error after which the file is what it was.
type errNotWritten struct{ error }

func (e errNotWritten) Unwrap() error { return e.error }

func (t *Table) write(entries []byte, rewrite bool) error {
	if rewrite {
		return t.journal.rewrite(t.cfg.Path, entries)
	}
	return t.journal.append(entries)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func frame(b, entries []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(entries)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(entries, castagnoli))
	return append(b, entries...)
}

func (j *journal) append(entries []byte) error {
	j.buf = frame(j.buf[:0], entries)
	if _, err := j.f.WriteAt(j.buf, j.size); err != nil {
		if cut := j.f.Truncate(j.size); cut != nil {
			return errors.Join(err, cut)
		}
		return errNotWritten{err}
	}
	if err := j.f.Sync(); err != nil {
		return err
	}
	j.size += int64(len(j.buf))
	return nil
}

// rewrite puts a new journal in the place of the old one.
func (j *journal) rewrite(path string, entries []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return errNotWritten{err}
	}
	content := frame([]byte(magic), entries)
	if _, err = f.Write(content); err != nil {
		return errNotWritten{errors.Join(err, f.Close(), os.Remove(tmp))}
	}
	if err = f.Sync(); err == nil {
		if err = os.Rename(tmp, path); err == nil {
			err = syncDir(filepath.Dir(path))
		}
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	err = j.close()
	j.f, j.size, j.says = f, int64(len(content)), int64(len(content))
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// everything is a journal that says all there is to know; t.mu is held.
func (t *Table) everything() (b []byte) {
	for _, s := range t.sessions {
		b = appendSession(b, s)
		for packet, d := range s.packets {
			if d == nil {
				b = appendReceived(b, s.number, packet)
			}
		}
	}
	b = t.appendNoted(b)
	for n := range t.settled {
		b = appendSettled(b, n)
	}
	return b
}
