package torture

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// broker is where a sender publishes.
type broker struct {
	addr    func() string
	relayed bool // it hands over to situ, and may do so more than once
	qos2    bool // it takes QoS 2
}

// message is one PUBLISH on its way; it is sent again, with DUP, until it is acknowledged.
type message struct {
	id       int
	topic    string
	payload  []byte
	qos      byte
	packet   uint16
	released bool      // QoS 2: PUBREC has come; what is sent from now on is PUBREL
	at       time.Time // last sent
}

const (
	inFlight   = 200             // messages of one sender without an answer
	ackTimeout = 4 * time.Second // a sensor that hears nothing for so long connects anew
	sendEvery  = 20 * time.Millisecond
	things     = 7 // of a sender
	owners     = 4
	gush       = 12 // large messages at once
	notes      = 16 // of a large message, a thousand bytes each
)

// sender is a client with several Things.
type sender struct {
	n      int
	broker broker
	ledger *ledger
	random *rand.Rand // run's own
	rate   float64    // messages a second

	quiet atomic.Bool  // nothing new; only what is under way is brought to its end
	dup   atomic.Bool  // break the connection behind the next group, so that all of it is sent again
	twice atomic.Bool  // publish the next group twice on the same connection
	once  atomic.Bool  // publish everything with QoS 2
	pours atomic.Int32 // what to flood with, as fast as it is acknowledged

	breakAfter atomic.Int64 // break off behind so many steps of QoS 2's answers; 0 = do not

	lastTime int64 // ms of the last reading; each has a time of its own; run's own

	making sync.Mutex // held while a group is made and sent: who holds it and finds quiet set knows that nothing new comes

	mu     sync.Mutex // guards what follows
	flying []*message // in the order of their first sending
	packet uint16
}

func newSender(n int, b broker, l *ledger, random *rand.Rand, rate int) *sender {
	s := &sender{n: n, broker: b, ledger: l, random: random, rate: float64(rate)}
	s.quiet.Store(true)
	return s
}

// run connects, publishes, and connects again, until ctx ends.
func (s *sender) run(ctx context.Context) {
	for ctx.Err() == nil {
		if c, err := s.dial(ctx); err == nil {
			s.connected(ctx, c)
		}
		select {
		case <-time.After(time.Duration(10+s.random.IntN(60)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// dial connects. Now and then a sensor has lost its memory with its connection: it says so, and what it had not been told
// of is then never sent again, and nothing is promised of it.
func (s *sender) dial(ctx context.Context) (*conn, error) {
	name := fmt.Sprintf("torture-%d", s.n)
	if s.random.IntN(40) == 0 {
		s.mu.Lock()
		s.flying = nil // before: a server that forgets, and cannot say so any more, has forgotten
		s.mu.Unlock()
		c, err := dialMQTT(ctx, s.broker.addr(), name, true)
		if err != nil {
			return nil, err
		}
		_ = c.Close() // the next one may have a memory again
	}
	return dialMQTT(ctx, s.broker.addr(), name, false)
}

// connected lives on one connection until it breaks, or an answer is late, or a fault wants it broken.
func (s *sender) connected(ctx context.Context, c *conn) {
	var reading sync.WaitGroup
	gone := make(chan struct{})
	reading.Go(func() { defer close(gone); s.read(c) })
	defer reading.Wait()
	defer c.Close()
	if err := s.again(c); err != nil {
		return
	}
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	due := 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case <-gone:
			return
		case <-tick.C:
		}
		if s.late() {
			return
		}
		if s.quiet.Load() {
			continue
		}
		due = min(due+s.rate*sendEvery.Seconds(), inFlight/2)
		if s.pours.Load() != nothing {
			due = gush
		}
		n := min(int(due), s.room())
		due -= float64(max(0, n))
		if n > 0 && !s.publish(c, n) {
			return
		}
	}
}

// publish makes and sends n new messages. False: the connection is over.
func (s *sender) publish(c *conn, n int) bool {
	s.making.Lock()
	defer s.making.Unlock()
	if s.quiet.Load() {
		return true
	}
	group := make([]*message, n)
	for i := range group {
		group[i] = s.next()
	}
	if err := s.ledger.sending(group); err != nil {
		return false
	}
	var out []byte
	for _, m := range group {
		out = appendPublish(out, m, false)
	}
	s.fly(group)
	if s.twice.Swap(false) {
		if err := s.ledger.sending(group); err != nil {
			return false
		}
		for _, m := range group {
			out = appendPublish(out, m, true)
		}
	}
	_ = c.SetWriteDeadline(time.Now().Add(ackTimeout))
	_, err := c.Write(out)
	return err == nil && !s.dup.Swap(false)
}

func (s *sender) fly(group []*message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, m := range group {
		m.at = now
	}
	s.flying = append(s.flying, group...)
}

// again sends all that has no answer, in the old order. [MQTT-4.4.0-1, MQTT-4.6.0-1]
func (s *sender) again(c *conn) error {
	s.mu.Lock()
	var out []byte
	var list []*message
	now := time.Now()
	for _, m := range s.flying {
		m.at = now
		if m.released {
			out = appendPubrel(out, m.packet)
			continue
		}
		list = append(list, m)
		out = appendPublish(out, m, true)
	}
	s.mu.Unlock()
	if len(list) > 0 {
		if err := s.ledger.sending(list); err != nil {
			return err
		}
	}
	_ = c.SetWriteDeadline(time.Now().Add(ackTimeout))
	_, err := c.Write(out)
	return err
}

// read takes answers until the connection ends.
func (s *sender) read(c *conn) {
	for {
		typ, b, err := c.read()
		if err != nil {
			return
		}
		if len(b) < 2 {
			continue
		}
		packet := binary.BigEndian.Uint16(b)
		switch typ {
		case packetPuback:
			s.answered(packet)
		case packetPubcomp:
			if s.breaks() { // it never came
				return
			}
			s.answered(packet)
		case packetPubrec:
			if s.breaks() { // it never came: the message is published again
				return
			}
			s.received(packet)
			if s.breaks() { // PUBREL is never sent on this connection
				return
			}
			_ = c.SetWriteDeadline(time.Now().Add(ackTimeout))
			if _, err := c.Write(appendPubrel(nil, packet)); err != nil {
				return
			}
		}
	}
}

// breaks tells, once, that the connection is to be broken here.
func (s *sender) breaks() bool {
	return s.breakAfter.Load() > 0 && s.breakAfter.Add(-1) == 0
}

// answered: the message is the server's now. Another answer to the same packet means nothing.
func (s *sender) answered(packet uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.flying {
		if m.packet == packet {
			s.ledger.acked(m.id)
			s.flying = append(s.flying[:i], s.flying[i+1:]...)
			return
		}
	}
}

// received: QoS 2's first half is over, and the message must never be published again.
func (s *sender) received(packet uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.flying {
		if m.packet == packet && m.qos == 2 && !m.released {
			m.released = true
			s.ledger.acked(m.id)
		}
	}
}

func (s *sender) unacknowledged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.flying)
}

// rest ends the making of new messages.
func (s *sender) rest() {
	s.quiet.Store(true)
	s.making.Lock()
	defer s.making.Unlock()
}

func (s *sender) room() int { return inFlight - s.unacknowledged() }

// late: the oldest message waits for an answer for too long.
func (s *sender) late() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.flying) > 0 && time.Since(s.flying[0].at) > ackTimeout
}

const (
	day     = 24 * 3600 * 1000 // ms
	twoDays = 3 * day          // older than two days is the backfill lane; three leave room for clocks
)

// next makes a message. Its id is the result of each of its values, so that SQL finds it.
func (s *sender) next() *message {
	k := s.kind()
	thing := fmt.Sprintf("tort%d/s%d-%d", s.n%owners, s.n, s.random.IntN(things))
	if s.pours.Load() != nothing {
		k, thing = s.large()
	}
	var back []int64 // how long before now each reading is
	switch k {
	case kindLive:
		back = []int64{0}
	case kindBackfill:
		back = []int64{twoDays}
	case kindMixed:
		back = []int64{0, twoDays}
	case kindMonths:
		back = []int64{0, 40 * day, 80 * day}
	case kindLarge:
		back = make([]int64, 40)
	}
	m := &message{topic: "situ/v1/" + thing + "/json", qos: 1}
	if s.broker.qos2 && (s.random.IntN(5) == 0 || s.once.Load()) {
		m.qos = 2
	}
	values := 2 * len(back)
	if k == kindSocial || k == kindGovernment {
		values = 1
	}
	m.id = s.ledger.add(entry{kind: k, values: uint16(values), relayed: s.broker.relayed, once: m.qos == 2})
	m.payload = s.payload(m.id, k, back)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packet = max(1, s.packet+1) // more numbers than can be in flight
	m.packet = s.packet
	return m
}

func (s *sender) kind() kind {
	switch n := s.random.IntN(100); {
	case n < 60:
		return kindLive
	case n < 75:
		return kindBackfill
	case n < 80:
		return kindMixed
	case n < 84:
		return kindMonths
	case n < 86:
		return kindLarge
	case n < 94:
		return kindLetter
	}
	return kindHeartbeat
}

// large is what floods are made of.
func (s *sender) large() (kind, string) {
	if s.pours.Load() == governments || s.random.IntN(4) == 0 {
		return kindGovernment, fmt.Sprintf("%s/s%d", governmentOwner, s.n)
	}
	return kindSocial, fmt.Sprintf("%s/s%d", socialOwner, s.n)
}

func (s *sender) payload(id int, k kind, back []int64) []byte {
	switch k {
	case kindLetter:
		return fmt.Appendf(nil, `{"t":%d,"water_level":%d,"temperature":`, s.time(), id) // cut off
	case kindHeartbeat:
		return fmt.Appendf(nil, `{"t":%d,"water_level":null}`, s.time())
	}
	var b strings.Builder
	if k == kindSocial || k == kindGovernment {
		fmt.Fprintf(&b, `{"t":%d,"water_level":%d`, s.time(), id)
		for i := range notes {
			fmt.Fprintf(&b, `,"note%d":"%d %s"`, i, id, strings.Repeat("x", 1000))
		}
		b.WriteByte('}')
		return []byte(b.String())
	}
	for i, ms := range back {
		b.WriteByte("[,"[min(i, 1)])
		fmt.Fprintf(&b, `{"t":%d,"water_level":%d,"temperature":%d,"lon":106.%02d,"lat":29.5}`, s.time()-ms, id, id, 40+s.n)
	}
	b.WriteByte(']')
	return []byte(b.String())
}

// time is now, and never the same twice.
func (s *sender) time() int64 {
	s.lastTime = max(s.lastTime+1, time.Now().UnixMilli())
	return s.lastTime
}
