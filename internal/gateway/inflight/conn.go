package inflight

import (
	"container/list"
	"errors"
	"time"

	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// Conn is one connection's hold on its session.
type Conn struct {
	t *Table
	s *session
	n uint64
}

// Waiter is told when a message is safe, or that it will not be. It must not block.
type Waiter interface {
	Received(token uint64)
	Failed(err error)
}

// Delivery is one QoS 2 message on its way to the disk. It is the spool.Acker of its records.
type Delivery struct {
	t       *Table
	s       *session
	packet  uint16
	number  uint64 // 0: its session ends with its connection, and its records bear no tag
	at      *list.Element
	from    [lanes]uint64 // its records are not before these
	working bool          // a connection is handing it to the spools
	unsure  bool          // a spool failed with it: it may be there after the next start, and nobody knows now

	appended, stored, total uint8 // lanes, as bits
	waiting                 []waiting
}

// waiting is a PUBLISH that has had no PUBREC: the first, or one that came again meanwhile.
type waiting struct {
	to    Waiter
	token uint64
}

const lanes = 2

func bit(l sensor.Lane) uint8 { return 1 << l }

// Receive takes note of a QoS 2 PUBLISH. With d != nil the caller hands the message to the spools, by d.Begin, d.Append
// and d.End. Without, it is there already or on its way; `to` is told when its PUBREC is due, perhaps before Receive
// returns. limit bounds this session's unreleased packets.
func (c *Conn) Receive(packet uint16, limit int, to Waiter, token uint64) (d *Delivery, err error) {
	t := c.t
	c.s.hand.Lock()
	defer func() {
		if d == nil {
			c.s.hand.Unlock() // else End does
		}
	}()
	t.mu.Lock()
	d, known := c.s.packets[packet]
	switch {
	case c.s.conn != c.n:
		err = ErrTakenOver
	case t.err != nil:
		err = t.err
	case known && d != nil && d.unsure:
		err = ErrFailed
	case !known && (len(c.s.packets) >= limit || t.packets >= t.cfg.MaxPackets):
		err = ErrPackets
	}
	if err != nil {
		t.mu.Unlock()
		return nil, err
	}
	if known && d == nil {
		t.mu.Unlock()
		to.Received(token)
		return nil, nil
	}
	if !known {
		d = &Delivery{t: t, s: c.s, packet: packet}
		c.s.packets[packet] = d
		t.packets++
		t.track(d)
	}
	d.waiting = append(d.waiting, waiting{to, token})
	if d.working || d.total != 0 && d.appended == d.total { // another connection's hands are on it, or the spools'
		d = nil
	} else {
		d.working = true
	}
	t.mu.Unlock()
	return d, nil
}

// track gives a delivery its number, if it is to be found after a crash; t.mu is held.
func (t *Table) track(d *Delivery) {
	if !d.s.durable() {
		return
	}
	t.number++
	d.number = t.number
	for lane, s := range t.cfg.Spools {
		_, d.from[lane] = s.Bounds()
	}
	d.at = t.open.PushBack(d)
}

// Begin says in which lanes the message has something. It gives the tag for its records, and the lanes that are to be
// appended to: an earlier try may have reached one of two.
func (d *Delivery) Begin(in ...sensor.Lane) (tag sensor.Delivery, missing []sensor.Lane) {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	d.total = d.appended
	for _, l := range in {
		if d.appended&bit(l) == 0 {
			missing = append(missing, l)
			d.total |= bit(l)
		}
	}
	if len(missing) == 0 { // the time rule has moved all into lanes that took an earlier part: rather twice than lost
		missing = in
		for _, l := range in {
			d.stored &^= bit(l)
		}
	}
	if d.number != 0 {
		tag = sensor.Delivery{Session: d.s.name, Packet: d.packet, Number: d.number, Lanes: d.total}
	}
	return tag, missing
}

// Append hands one lane's record to its spool, as a message of an owner class. A lane that took it is not asked again for
// this message. (Should a policy remove the record before its tag is settled, a repeat is stored again: once, and a gap.)
func (d *Delivery) Append(s *spool.Spool, lane sensor.Lane, class sensor.OwnerClass, body []byte) error {
	d.t.mu.Lock()
	d.appended |= bit(lane)
	d.t.mu.Unlock()
	err := s.AppendAs(class, body, spool.Ack{To: d, Token: uint64(lane)})
	if err != nil {
		d.t.mu.Lock()
		d.appended &^= bit(lane)
		d.t.mu.Unlock()
	}
	return err
}

// End says that the caller has done what it could. What no spool has taken is forgotten; after an error whoever waits is
// told to have the client send again.
func (d *Delivery) End(err error) {
	defer d.s.hand.Unlock()
	d.t.mu.Lock()
	d.working = false
	d.drop()
	var told []waiting
	if err != nil {
		told, d.waiting = d.waiting, nil
	}
	d.t.mu.Unlock()
	for _, w := range told {
		w.to.Failed(err)
	}
}

// drop forgets a delivery of which nothing is in a spool; t.mu is held.
func (d *Delivery) drop() {
	if d.appended != 0 || d.working || d.s.packets[d.packet] != d {
		return
	}
	delete(d.s.packets, d.packet)
	d.t.packets--
	d.t.settle(d)
}

// Acked implements spool.Acker.
func (d *Delivery) Acked(lane uint64, err error) {
	t := d.t
	t.mu.Lock()
	l := sensor.Lane(lane)
	if err != nil {
		if errors.Is(err, spool.ErrFull) { // it is certainly not there
			d.appended &^= bit(l)
			d.drop()
		} else { // it may be: were its number settled now, a repeat would be taken for a new message after the next start
			d.unsure = true
		}
		told := d.waiting
		d.waiting = nil
		t.mu.Unlock()
		for _, w := range told {
			w.to.Failed(err)
		}
		return
	}
	d.stored |= bit(l)
	if d.stored != d.total || d.s.packets[d.packet] != d { // it waits for its other lane, or for nobody: its session has ended
		t.mu.Unlock()
		return
	}
	d.s.packets[d.packet] = nil
	if d.at != nil {
		t.pending = appendReceived(t.pending, d.s.number, d.packet)
		t.settle(d)
	}
	told := d.waiting
	d.waiting = nil
	t.mu.Unlock()
	for _, w := range told {
		w.to.Received(w.token)
	}
}

// Release takes a PUBREL; done is called when PUBCOMP is due, perhaps before Release returns. known is false for a packet
// that is not received: PUBCOMP answers that too [MQTT-4.3.3-2], since it may have been released before a crash.
func (c *Conn) Release(packet uint16, done func(known bool)) error {
	t := c.t
	t.mu.Lock()
	d, known := c.s.packets[packet]
	switch {
	case c.s.conn != c.n:
		t.mu.Unlock()
		return ErrTakenOver
	case known && d != nil:
		t.mu.Unlock()
		return ErrUnderway
	case !known:
		if c.s.durable() { // its release may be on its way to the disk: PUBCOMP must not overtake it
			t.soon(func() { done(false) })
			t.mu.Unlock()
		} else {
			t.mu.Unlock()
			done(false)
		}
		return nil
	}
	delete(c.s.packets, packet)
	t.packets--
	if !c.s.durable() {
		t.mu.Unlock()
		done(true)
		return nil
	}
	t.pending = appendReleased(t.pending, c.s.number, packet)
	t.soon(func() { done(true) })
	t.mu.Unlock()
	return nil
}

// Detach says that the connection is gone. keep is how long the session shall last from now.
func (c *Conn) Detach(keep time.Duration) {
	t, s := c.t, c.s
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.conn != c.n {
		return
	}
	s.conn = 0
	if keep = min(keep, t.cfg.Expiry); keep <= 0 || !s.durable() {
		t.end(s)
		return
	}
	if keep != s.expiry {
		s.expiry = keep
		t.note(s)
	}
	s.since = t.cfg.Clock()
	s.at = t.gone.PushBack(s)
}
