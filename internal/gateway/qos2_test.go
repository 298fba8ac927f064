package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// anybody lets every user publish everywhere.
type anybody struct{}

func (anybody) CheckCredential(string, []byte) (registry.TopicScope, bool) { return "*", true }

// house is a gateway whose directory can be copied at any moment, as a kill -9 would leave it.
type house struct {
	dir    string
	addr   string
	spools map[sensor.Lane]*spool.Spool
	stop   func()
}

func openHouse(t *testing.T, dir string, change func(*spool.Config)) *house {
	t.Helper()
	h := &house{dir: dir, spools: map[sensor.Lane]*spool.Spool{}}
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		cfg := spool.Config{Dir: filepath.Join(dir, lane.String()), Gateway: "gw", Lane: lane}
		if change != nil {
			change(&cfg)
		}
		s, err := spool.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		h.spools[lane] = s
	}
	cat, err := sensor.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{Listen: "127.0.0.1:0", Credentials: anybody{}, Protocols: all.Protocols(), Spools: h.spools,
		Sessions: filepath.Join(dir, "mqtt-sessions"),
		Normalizer: func() *normalize.Normalizer {
			return normalize.New(normalize.Options{Catalogue: cat, AutoRegister: true, Ledger: func() normalize.Ledger { return nobody{} }})
		},
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	h.addr = g.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	stopped := false
	h.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, s := range h.spools {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(h.stop)
	return h
}

// nobody is a ledger without entries.
type nobody struct{}

func (nobody) Version() uint64                                   { return 1 }
func (nobody) Thing(sensor.ThingID) (*sensor.Thing, bool)        { return nil, false }
func (nobody) Serial(string, string) (sensor.ThingID, bool)      { return "", false }
func (nobody) DatastreamsOf(sensor.ThingID) []*sensor.Datastream { return nil }

// crash gives the house that stands on what a kill at this moment would leave. No copy is of one moment; the journal goes
// first, since it never has what the spools have not.
func (h *house) crash(t *testing.T) *house {
	t.Helper()
	dir := t.TempDir()
	b, err := os.ReadFile(filepath.Join(h.dir, "mqtt-sessions"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "mqtt-sessions"), b, 0o600)
	}
	for _, lane := range []string{"backfill", "live"} {
		if err == nil {
			err = os.CopyFS(filepath.Join(dir, lane), os.DirFS(filepath.Join(h.dir, lane)))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return openHouse(t, dir, nil)
}

// results are the values in both lanes, in the order of their spools.
func (h *house) results(t *testing.T) (list []int) {
	t.Helper()
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		rd, err := h.spools[lane].NewReader(1)
		if err != nil {
			t.Fatal(err)
		}
		_, next := h.spools[lane].Bounds()
		var m sensor.Message
		for seq := uint64(1); seq < next; seq++ {
			_, body, err := rd.Next()
			if err == nil {
				err = sensor.DecodeMessage(&m, body)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range m.Observations {
				list = append(list, int(o.Result))
			}
		}
		_ = rd.Close()
	}
	return list
}

// phone is an MQTT 3.1.1 client of raw packets, with a persistent session.
type phone struct {
	t *testing.T
	net.Conn
	present bool
}

func call(t *testing.T, addr, client string, clean bool) *phone {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	p := &phone{t: t, Conn: c}
	flags := byte(0)
	if clean {
		flags = 2
	}
	p.send(append([]byte{0x10, byte(12 + len(client)), 0, 4, 'M', 'Q', 'T', 'T', 4, flags, 0, 60, 0, byte(len(client))}, client...))
	kind, body := p.next()
	if kind != 0x20 || len(body) != 2 || body[1] != 0 {
		t.Fatalf("CONNACK %x %x", kind, body)
	}
	p.present = body[0] == 1
	return p
}

func (p *phone) send(b []byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *phone) next() (kind byte, body []byte) {
	p.t.Helper()
	kind, body, err := p.read()
	if err != nil {
		p.t.Fatal("no packet comes: ", err)
	}
	return kind, body
}

func (p *phone) read() (kind byte, body []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(p, head); err != nil {
		return 0, nil, err
	}
	body = make([]byte, head[1]) // none of ours is longer than 127
	_, err = io.ReadFull(p, body)
	return head[0], body, err
}

func publishPacket(qos byte, dup bool, id uint16, value int) []byte {
	return publishText(qos, dup, id, fmt.Sprintf(`{"pm2_5":%d}`, value))
}

func publishText(qos byte, dup bool, id uint16, payload string) []byte {
	topic := "situ/v1/a/b/json"
	head := byte(0x30) | qos<<1
	if dup {
		head |= 8
	}
	rest := append([]byte{0, byte(len(topic))}, topic...)
	rest = append(rest, byte(id>>8), byte(id))
	rest = append(rest, payload...)
	return append([]byte{head, byte(len(rest))}, rest...)
}

func (p *phone) publish(dup bool, id uint16, value int) { p.send(publishPacket(2, dup, id, value)) }

func (p *phone) want(kind byte, id uint16) {
	p.t.Helper()
	if k, body := p.next(); k != kind || len(body) != 2 || body[0] != byte(id>>8) || body[1] != byte(id) {
		p.t.Fatalf("got %x %x, want %x %x", k, body, kind, id)
	}
}

func (p *phone) release(id uint16) { p.send([]byte{0x62, 2, byte(id >> 8), byte(id)}) }

// whole is a message from its PUBLISH to its PUBCOMP.
func (p *phone) whole(dup bool, id uint16, value int) {
	p.t.Helper()
	p.publish(dup, id, value)
	p.want(0x50, id)
	p.finish(id)
}

func (p *phone) finish(id uint16) {
	p.t.Helper()
	p.release(id)
	p.want(0x70, id)
}

const (
	pubrec  = 0x50
	pubcomp = 0x70
)

// Killed between each pair of packets, a message is there once, and its packet id is free for the next one.
func TestQoS2KilledBetweenEachPairOfPackets(t *testing.T) {
	h := openHouse(t, t.TempDir(), nil)
	h.crashed(t, "before CONNECT", false, func(p *phone) { p.whole(false, 5, 1) })
	p := call(t, h.addr, "c", false)
	if p.present {
		t.Error("a session is said to be there at the first CONNECT")
	}
	h.crashed(t, "after CONNACK, PUBLISH lost", false, func(p *phone) { p.whole(true, 5, 1) })
	p.publish(false, 5, 1)
	p.want(pubrec, 5)
	for range 2 { // at once, and when the journal has what nobody waited for
		h.crashed(t, "PUBREC lost", true, func(p *phone) { p.whole(true, 5, 1) })
		h.crashed(t, "PUBREC lost twice", true, func(p *phone) {
			p.publish(true, 5, 1)
			p.want(pubrec, 5)
			p.whole(true, 5, 1)
		})
		h.crashed(t, "after PUBREC", true, func(p *phone) { p.finish(5) })
		h.crashed(t, "after PUBREC, CleanSession", false, nil)
		time.Sleep(300 * time.Millisecond) // not waited for by any condition: both sides of it are right
	}
	p.finish(5)
	h.crashed(t, "PUBCOMP lost", true, func(p *phone) { p.finish(5) })
	h.crashed(t, "after PUBCOMP", true, func(*phone) {})
	p.publish(true, 5, 2) // even with DUP: it was released, so it is another message
	p.want(pubrec, 5)
	if got := h.results(t); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("the spool has %v", got)
	}
}

// crashed goes on in a house that was killed now. then is what the client does there to have value 1 stored and packet 5
// released; nil: it begins a clean session.
func (h *house) crashed(t *testing.T, when string, present bool, then func(*phone)) {
	t.Helper()
	t.Run(when, func(t *testing.T) {
		c := h.crash(t)
		p := call(t, c.addr, "c", then == nil)
		if p.present != present {
			t.Errorf("session present: %v", p.present)
		}
		if then != nil {
			then(p)
		}
		p.whole(false, 5, 3)
		if got := c.results(t); !slices.Equal(got, []int{1, 3}) {
			t.Errorf("the spool has %v", got)
		}
	})
}

// A second connection takes the session over in the middle of a message, and another client of the same user does not.
func TestQoS2Takeover(t *testing.T) {
	h := openHouse(t, t.TempDir(), nil)
	first := call(t, h.addr, "c", false)
	first.publish(false, 7, 1)
	second := call(t, h.addr, "c", false)
	if !second.present {
		t.Error("no session present")
	}
	second.whole(true, 7, 1)
	call(t, h.addr, "other", false).whole(false, 7, 2)
	second.publish(false, 8, 3)
	second.want(pubrec, 8)
	clean := call(t, h.addr, "c", true)
	clean.whole(false, 8, 4)
	if got := h.results(t); !slices.Equal(got, []int{1, 2, 3, 4}) {
		t.Errorf("the spool has %v", got)
	}
}

// PUBREL for a packet whose PUBREC was never due breaks the protocol; a repeat inside one connection is no second message.
func TestQoS2OnOneConnection(t *testing.T) {
	h := openHouse(t, t.TempDir(), nil)
	for _, clean := range []bool{false, true} {
		p := call(t, h.addr, fmt.Sprint("c", clean), clean)
		p.publish(false, 1, 1)
		p.publish(true, 1, 1)
		p.want(pubrec, 1)
		p.want(pubrec, 1)
		p.finish(1)
		p.finish(1) // answered again, though it is not known any more
	}
	if got := h.results(t); !slices.Equal(got, []int{1, 1}) {
		t.Errorf("the spool has %v", got)
	}
}

// Messages that came with QoS 2 used to be of no known class: what a flood of them filled, no policy could give up.
func TestQoS2MessagesHaveTheirClass(t *testing.T) {
	h := openHouse(t, t.TempDir(), nil)
	for _, clean := range []bool{false, true} {
		call(t, h.addr, fmt.Sprint("c", clean), clean).whole(false, 1, 1)
	}
	if held := h.spools[sensor.Live].Held(); held[sensor.Social].Messages != 2 {
		t.Errorf("the spool holds %+v", held)
	}
}

// A message whose one lane had no room is completed when it comes again: neither half is there twice.
func TestQoS2HalfStored(t *testing.T) {
	dir := t.TempDir()
	h := openHouse(t, dir, func(c *spool.Config) {
		if c.Lane == sensor.Live {
			c.MaxBytes, c.SegmentBytes = 8<<10, 4<<10
		}
	})
	p := call(t, h.addr, "c", false)
	value := 100
	for {
		p.send(publishPacket(1, false, uint16(value), value))
		if _, _, err := p.read(); err != nil {
			break // the live lane is full
		}
		value++
	}
	both := fmt.Sprintf(`[{"pm2_5":1},{"t":%d,"pm2_5":2}]`, time.Now().Add(-72*time.Hour).UnixMilli())
	p = call(t, h.addr, "c", false)
	p.send(publishText(2, false, 9, both))
	if k, _, err := p.read(); err == nil && k == pubrec {
		t.Fatal("half a message was acknowledged")
	}
	h.stop()
	h = openHouse(t, dir, nil)
	p = call(t, h.addr, "c", false)
	p.send(publishText(2, true, 9, both))
	p.want(pubrec, 9)
	p.finish(9)
	count := map[int]int{}
	for _, v := range h.results(t) {
		count[v]++
	}
	if count[1] != 1 || count[2] != 1 {
		t.Errorf("the halves are there %d and %d times", count[1], count[2])
	}
}

// station is a client that keeps what MQTT asks a client to keep, and loses its connection often.
type station struct {
	*phone
	unsent  []int
	flying  map[uint16]*message
	order   []uint16
	maximum int
}

type message struct {
	value    int
	qos      byte
	received bool // QoS 2: PUBREC was seen
}

// Many messages in flight, QoS 1 among QoS 2, with connections lost, sessions taken over, and the gateway killed at random:
// QoS 2 ends exactly once, QoS 1 at least once, and each sort in its order.
func TestQoS2ManyInFlightThroughKills(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 2))
	t.Logf("seed %d", seed)
	h := openHouse(t, t.TempDir(), nil)
	s := &station{flying: map[uint16]*message{}, maximum: 40}
	const messages = 1500
	for v := range messages {
		s.unsent = append(s.unsent, v)
	}
	kills := 0
	for len(s.unsent)+len(s.flying) > 0 {
		s.phone = call(t, h.addr, "station", false)
		s.again()
		for n := r.IntN(150); n > 0 && len(s.unsent)+len(s.flying) > 0; n-- {
			s.fill(r)
			s.hear()
		}
		if r.IntN(3) == 0 {
			old := h
			h = h.crash(t)
			old.stop()
			kills++
		} else if r.IntN(2) == 0 {
			_ = s.Close()
		}
	}
	t.Logf("%d kills", kills)
	seen, lastOnce := map[int]int{}, -1
	for _, v := range h.results(t) {
		seen[v]++
		if v%3 != 0 {
			if seen[v] == 1 && v < lastOnce {
				t.Errorf("seed %d: value %d comes behind %d", seed, v, lastOnce)
			}
			lastOnce = max(lastOnce, v)
		}
	}
	for v := range messages {
		if n := seen[v]; n == 0 || v%3 != 0 && n != 1 {
			t.Errorf("seed %d: value %d is there %d times", seed, v, n)
		}
	}
}

// again sends what is in flight once more, in its order [MQTT-4.4.0-1].
func (s *station) again() {
	for _, id := range s.order {
		switch m := s.flying[id]; {
		case m.received:
			s.release(id)
		default:
			s.send(publishPacket(m.qos, true, id, m.value))
		}
	}
}

// fill sends new messages; every third is QoS 1.
func (s *station) fill(r *rand.Rand) {
	for len(s.flying) < s.maximum && len(s.unsent) > 0 {
		m := &message{value: s.unsent[0], qos: 2}
		if m.value%3 == 0 {
			m.qos = 1
		}
		id := uint16(1 + r.IntN(60))
		for s.flying[id] != nil {
			id = 1 + id%60
		}
		s.unsent = s.unsent[1:]
		s.flying[id] = m
		s.order = append(s.order, id)
		s.send(publishPacket(m.qos, false, id, m.value))
	}
}

// hear takes one answer.
func (s *station) hear() {
	s.t.Helper()
	kind, body := s.next()
	id := uint16(body[0])<<8 | uint16(body[1])
	m := s.flying[id]
	switch {
	case m == nil:
		s.t.Fatalf("answer %x for packet %d, which is not in flight", kind, id)
	case kind == pubrec && m.qos == 2:
		m.received = true
		s.release(id)
	case kind == 0x40 && m.qos == 1, kind == pubcomp && m.received:
		delete(s.flying, id)
		s.order = slices.DeleteFunc(s.order, func(o uint16) bool { return o == id })
	default:
		s.t.Fatalf("answer %x for packet %d, which is %+v", kind, id, *m)
	}
}

// A client as people use it.
func TestQoS2WithPaho(t *testing.T) {
	h := openHouse(t, t.TempDir(), nil)
	o := paho.NewClientOptions().AddBroker("tcp://" + h.addr).SetClientID("paho").SetCleanSession(false).SetAutoReconnect(false)
	c := paho.NewClient(o)
	if tok := c.Connect(); tok.Wait() && tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	defer c.Disconnect(50)
	var toks []paho.Token
	for i := range 500 {
		toks = append(toks, c.Publish("situ/v1/a/b/json", 2, false, fmt.Sprintf(`{"pm2_5":%d}`, i)))
	}
	for i, tok := range toks {
		if !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
			t.Fatalf("message %d: %v", i, tok.Error())
		}
	}
	if got := h.results(t); len(got) != 500 || !slices.IsSorted(got) {
		t.Errorf("%d values", len(got))
	}
}
