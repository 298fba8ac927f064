package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	kafkago "github.com/segmentio/kafka-go"
	wire "github.com/segmentio/kafka-go/protocol"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/protocol"
)

// A log that went backwards is shorter than what was read of it, but not for long: gateways go on, and soon the same
// offsets are there again, with other messages. So a position is more than a number here: it comes with the mark of the
// message before it, and so does the end of the block that it announces. Whoever begins at a position looks whether that
// message is still there, and looks again whenever the log may have changed under it: after each new connection (a
// broker cannot be put back to an older copy without losing those it has), and where another leader's messages begin.
//
// It cannot look when retention has freed the message meanwhile.

// mark tells one message from any other that may take its offset.
type mark struct {
	at  int64 // its offset
	sum uint64
}

// markOf takes what two messages do not have in common: who made it, of what, and when it was published.
func markOf(rec *kafkago.Record) mark {
	var h xxhash.Digest
	h.Reset()
	var ms [8]byte
	binary.LittleEndian.PutUint64(ms[:], uint64(rec.Time.UnixMilli()))
	_, _ = h.Write(ms[:]) // never fails
	for i := range rec.Headers {
		_, _ = h.WriteString(rec.Headers[i].Key)
		_, _ = h.Write(rec.Headers[i].Value)
	}
	return mark{rec.Offset, h.Sum64()}
}

// noMark is before an offset that nobody read up to.
var noMark = mark{at: -1}

// maxMark is the length of the longest mark: two numbers of 64 bits, decimal and hexadecimal.
const maxMark = 19 + 1 + 16

func (m mark) String() string {
	return strconv.FormatInt(m.at, 10) + "-" + strconv.FormatUint(m.sum, 16)
}

func parseMark(s string) (m mark, ok bool) {
	at, sum, ok := strings.Cut(s, "-")
	var errs [2]error
	m.at, errs[0] = strconv.ParseInt(at, 10, 64)
	m.sum, errs[1] = strconv.ParseUint(sum, 16, 64)
	return m, ok && errs[0] == nil && errs[1] == nil && m.at >= 0
}

// trail is what this process has read of a partition last.
type trail struct {
	ends   []end
	leader int32 // of the last message, as Kafka counts a partition's leaders
	dialed int64 // number of connections when it was last looked at
}

// end is an offset where a Fetch stopped, and the message before it.
type end struct {
	next int64
	last mark
}

// maxEnds bounds a trail. Blocks that are not committed yet have fewer, by far.
const maxEnds = 8192

// trail gives a partition's. The lock is held.
func (b *Bus) trail(part int32) *trail {
	t := b.trails[part]
	if t == nil {
		t = &trail{leader: -1}
		b.trails[part] = t
	}
	return t
}

// leave notes the message before an offset. Who knows of another one there has read another log.
func (b *Bus) leave(part int32, next int64, last mark) error {
	was := b.before(part, next)
	if last == noMark || last == was {
		return nil
	}
	if was != noMark {
		return b.another(part, was.at, "holds another message")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.trail(part)
	if len(t.ends) >= maxEnds {
		t.ends = append(t.ends[:0], t.ends[maxEnds/2:]...)
	}
	t.ends = append(t.ends, end{next, last})
	return nil
}

// before gives the mark of the message before an offset, noMark if none was read that ends there.
func (b *Bus) before(part int32, next int64) mark {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.trails[part]; t != nil {
		for i := len(t.ends) - 1; i >= 0; i-- {
			if t.ends[i].next == next {
				return t.ends[i].last
			}
		}
	}
	return noMark
}

// forget lets go of what is before a committed offset.
func (b *Bus) forget(part int32, committed int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.trail(part)
	n := 0
	for _, e := range t.ends {
		if e.next >= committed {
			t.ends[n] = e
			n++
		}
	}
	t.ends = t.ends[:n]
}

// dialer counts connections.
type dialer struct {
	net.Dialer
	count atomic.Int64
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.count.Add(1)
	return d.DialContext(ctx, network, address)
}

// unchanged looks, where there is reason to, whether the message before `from` is still the one that was read. It is asked
// after an answer has come and before it is used, so that the answer cannot be of a later log than the one looked at.
func (b *Bus) unchanged(ctx context.Context, part int32, from int64, answer kafkago.RecordReader) error {
	dialed := b.dialer.count.Load()
	first, last := leaders(answer)
	b.mu.Lock()
	t := b.trail(part)
	same := t.dialed == dialed && (first < 0 || first == t.leader)
	b.mu.Unlock()
	if m := b.before(part, from); !same && m != noMark {
		if err := b.look(ctx, part, m); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.dialed = dialed; last >= 0 {
		t.leader = last
	}
	return nil
}

// leaders gives the numbers of the leaders that took the first and the last messages of an answer; -1: it has none.
func leaders(answer kafkago.RecordReader) (first, last int32) {
	stream, ok := answer.(*wire.RecordStream)
	if !ok {
		return -1, -1
	}
	first, last = -1, -1
	for _, batch := range stream.Records {
		if r, ok := batch.(*wire.RecordBatch); ok {
			if last = r.PartitionLeaderEpoch; first < 0 {
				first = last
			}
		}
	}
	return first, last
}

// look reads a message once more, and says so if another has its place. One that retention has freed passes.
func (b *Bus) look(ctx context.Context, part int32, m mark) error {
	r, err := b.client.Fetch(ctx, &kafkago.FetchRequest{
		Topic: b.cfg.Topic, Partition: int(part), Offset: m.at, MinBytes: 1, MaxBytes: 1, MaxWait: fetchWait, // the first message comes whole
	})
	if err == nil {
		err = r.Error
	}
	if errors.Is(err, kafkago.OffsetOutOfRange) {
		return nil // freed; or the log ends before it, which whoever reads on is told
	}
	if err != nil {
		return err
	}
	for {
		rec, err := r.Records.ReadRecord()
		if err == io.EOF {
			return b.another(part, m.at, "holds no message")
		}
		if err != nil {
			return err
		}
		now := markOf(rec)
		at := rec.Time.UTC().Format(time.RFC3339Nano)
		closeRecord(rec)
		switch {
		case now.at < m.at: // a broker begins with the whole of what was published together
		case now != m:
			return b.another(part, m.at, "holds a message of "+at)
		default:
			return nil
		}
	}
}

func (b *Bus) another(part int32, at int64, now string) error {
	return final{fmt.Errorf("topic %s, partition %d: offset %d %s, not the message that was read there: %w: %w",
		b.cfg.Topic, part, at, now, protocol.ErrLogShrank, bus.ErrOffset)}
}

// A commit's metadata: the log's name, the marks of the messages before the position and before the end of the block it
// announces, each if there is one, and what the bus's user says.
//
//	0123456789abcdef0123456789abcdef;499-1f;731-2e {"v":1,...}

// head is what stands before the space.
type head struct {
	log   string
	marks []mark
}

func parseHead(s string) head {
	log, rest, _ := strings.Cut(s, ";")
	h := head{log: log}
	for s := range strings.SplitSeq(rest, ";") {
		if m, ok := parseMark(s); ok {
			h.marks = append(h.marks, m)
		}
	}
	return h
}

// headOf is for a position of part, in the log of that name.
func (b *Bus) headOf(log bus.LogID, part int32, p bus.Position) string {
	s := log.String()
	for _, next := range [...]int64{p.Offset, protocol.Announced(p.Meta)} {
		if m := b.before(part, next); m != noMark {
			s += ";" + m.String()
		}
	}
	return s
}

// resume looks whether the messages are there that a committed position names, and goes on from what they were.
func (b *Bus) resume(ctx context.Context, part int32, p bus.Position, marks []mark) error {
	announced := protocol.Announced(p.Meta)
	for _, m := range marks {
		if err := b.retry(ctx, "look at what was read last", func(ctx context.Context) error { return b.look(ctx, part, m) }); err != nil {
			return err
		}
		next := p.Offset
		if m.at >= next {
			next = announced
		}
		if err := b.leave(part, next, m); err != nil {
			return err
		}
	}
	return nil
}
