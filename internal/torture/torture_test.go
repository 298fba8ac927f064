package torture

import (
	"bufio"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The judge is of use only if it condemns: each way to break a promise must be found.
func TestJudgeCondemns(t *testing.T) {
	good := entry{kind: kindLive, acked: true, values: 2, sent: 1}
	whole := found{rows: 2, pairs: 2, identities: 2, history: 2}
	for name, c := range map[string]struct {
		e                  entry
		f                  *found
		clock              bool
		fails, lost, twice int
	}{
		"as it should be":         {e: good, f: &whole},
		"sent twice, there twice": {e: entry{kind: kindLive, acked: true, values: 2, sent: 2}, f: &found{rows: 4, pairs: 2, identities: 4, history: 2}},
		"not acknowledged, away":  {e: entry{kind: kindLive, values: 2, sent: 1}},
		"not acknowledged, there": {e: entry{kind: kindLive, values: 2, sent: 1}, f: &whole},
		"a dead letter":           {e: entry{kind: kindLetter, acked: true, sent: 1}, f: &found{letters: 1, messages: 1}},
		"a clock made letters":    {e: good, f: &found{letters: 2, messages: 1}, clock: true},
		"a heartbeat":             {e: entry{kind: kindHeartbeat, acked: true, sent: 1}},
		"relayed three times":     {e: entry{kind: kindLive, acked: true, relayed: true, values: 2, sent: 1}, f: &found{rows: 6, pairs: 2, identities: 6, history: 2}},

		"QoS 2, there twice": {e: entry{kind: kindLive, acked: true, once: true, values: 2, sent: 2}, f: &found{rows: 4, pairs: 2, identities: 4, history: 2}, fails: 1, twice: 1},

		"lost":                      {e: good, fails: 1, lost: 1},
		"lost letter":               {e: entry{kind: kindLetter, acked: true, sent: 1}, fails: 1, lost: 1},
		"half lost":                 {e: good, f: &found{rows: 1, pairs: 1, identities: 1, history: 1}, fails: 1, lost: 1},
		"an identity twice":         {e: good, f: &found{rows: 4, pairs: 2, identities: 2, history: 2}, fails: 1, twice: 1},
		"sent once, there twice":    {e: good, f: &found{rows: 4, pairs: 2, identities: 4, history: 2}, fails: 1, twice: 1},
		"twice in history":          {e: good, f: &found{rows: 2, pairs: 2, identities: 2, history: 4}, fails: 1, twice: 1},
		"letters without reason":    {e: good, f: &found{letters: 2, messages: 1}, fails: 1, lost: 1},
		"a heartbeat that is a row": {e: entry{kind: kindHeartbeat, acked: true, sent: 1}, f: &whole, fails: 1},
		"a letter that is a row":    {e: entry{kind: kindLetter, acked: true, sent: 1}, f: &found{rows: 1, identities: 1, pairs: 1, history: 1}, fails: 1, twice: 1},
	} {
		j := &judge{report: newReport(Config{})}
		got := map[int]*found{}
		if c.f != nil {
			got[7] = c.f
		}
		j.compare([]entry{c.e}, 7, got, c.clock)
		if r := j.report; len(r.Failures) != c.fails || r.Lost != c.lost || r.Double != c.twice {
			t.Errorf("%s: %d lost, %d double, %v", name, r.Lost, r.Double, r.Failures)
		}
	}
	j := &judge{report: newReport(Config{})}
	j.compare(nil, 7, map[int]*found{9: &whole}, false)
	if len(j.report.Failures) != 1 {
		t.Errorf("a message that nobody sent: %v", j.report.Failures)
	}
	j.heartbeats([]entry{{kind: kindHeartbeat, acked: true, sent: 1}, {kind: kindHeartbeat, sent: 1}}, 0)
	j.heartbeats([]entry{{kind: kindHeartbeat, acked: true, sent: 1}}, 2)
	if len(j.report.Failures) != 3 {
		t.Errorf("heartbeats too few and too many: %v", j.report.Failures)
	}
}

// A full spool may have given up as many copies as were sent and are not there, of social's alone.
func TestCopiesGone(t *testing.T) {
	social := entry{kind: kindSocial, acked: true, values: 1, sent: 1}
	again := social
	again.sent = 3
	entries := []entry{social, again, social, {kind: kindGovernment, acked: true, values: 1, sent: 1}}
	got := map[int]*found{7: {rows: 1, pairs: 1}, 8: {rows: 1, pairs: 1}}
	if n, gone := copiesGone(entries, 7, got), absent(entries, 7, got); n != 3 || !slices.Equal(gone, []int{9, 10}) {
		t.Errorf("%d copies, messages %v", n, gone)
	}
}

// The list on disk has each message before it is published.
func TestLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sent.list")
	l, err := openLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := l.add(entry{kind: kindLive}), l.add(entry{kind: kindLetter})
	for range 2 {
		if err := l.sending([]*message{{id: a, topic: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	l.acked(a)
	if onDisk, err := os.ReadFile(path); err != nil || string(onDisk) != "S 1 live x\nS 1 live x\n" {
		t.Errorf("on disk is %q, %v", onDisk, err)
	}
	if m, s, k, q := l.counts(); m != 2 || s != 2 || k != 1 || q != 0 || l.nextID() != 3 || l.since(b)[0].kind != kindLetter {
		t.Errorf("%d messages sent %d times, %d acknowledged", m, s, k)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openLedger(path); err == nil {
		t.Error("a list of another run is taken for one of this")
	}
}

// A plan is a function of seed, round and world: that is what --seed and --round replay.
func TestPlanIsDrawnAgain(t *testing.T) {
	w := &embeddedWorld{run: &process{name: "situ", points: []string{"spool/sync"}, clocked: true, recover: []string{"spool/recover"}}, mqtt: &proxy{name: "p"}}
	cfg := Config{World: Embedded, Seed: 5, Rounds: 1}
	if err := cfg.setDefaults(); err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for k := 1; k <= 200; k++ {
		a := &torturer{cfg: cfg, world: w, report: newReport(cfg), log: slog.New(slog.DiscardHandler)}
		p, q := a.plan(k), a.plan(k)
		if p.String() != q.String() || p.clock != q.clock {
			t.Fatalf("round %d is once %s and once %s", k, p, q)
		}
		for _, s := range p.steps {
			all[s.kind] = true
		}
		if p.flood != nil {
			all[flooding] = true
		}
	}
	if len(all) != len(FaultsOf(Embedded)) {
		t.Errorf("200 rounds have only faults %v", all)
	}
}

// A bad network must be bad: what the proxy swallows never comes, what it cuts is cut inside a packet.
func TestProxy(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got := make(chan string, 10)
	go func() { // an echo that says what it got in whole
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b, _ := io.ReadAll(io.TeeReader(c, c))
				got <- string(b)
			}()
		}
	}()
	p, err := newProxy("x", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", p.addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		return c
	}
	c := dial()
	write(t, c, "hello\n")
	if s, err := bufio.NewReader(c).ReadString('\n'); err != nil || s != "hello\n" {
		t.Fatalf("%q, %v", s, err)
	}
	p.swallow.Store(true)
	p.cutAfter.Store(10)
	write(t, c, "hello?\nabcdef")
	if b, _ := io.ReadAll(c); len(b) > 0 {
		t.Errorf("the answer %q was swallowed, and came", b)
	}
	if s := <-got; s != "hello\nhello?\nabc" {
		t.Errorf("the other end got %q", s)
	}
	p.heal()
	p.refuse.Store(true)
	c = dial()
	if b, _ := io.ReadAll(c); len(b) > 0 {
		t.Errorf("a refused connection said %q", b)
	}
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

func TestSenderMakesAllKinds(t *testing.T) {
	l, err := openLedger(filepath.Join(t.TempDir(), "sent.list"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	s := newSender(1, broker{qos2: true}, l, rand.New(rand.NewPCG(1, 1)), 100)
	kinds, times := map[kind]int{}, map[string]bool{}
	for range 2000 {
		m := s.next()
		e := l.since(m.id)[0]
		kinds[e.kind]++
		if e.kind != kindLetter && e.kind != kindHeartbeat && strings.Count(string(m.payload), "}") != int(e.values)/2 {
			t.Fatalf("%d values in %s", e.values, m.payload)
		}
		for part := range strings.SplitSeq(string(m.payload), "{") {
			if at, _, ok := strings.Cut(part, ","); ok && strings.HasPrefix(at, `"t"`) && times[at] {
				t.Fatalf("time %s comes twice", at)
			} else if ok {
				times[at] = true
			}
		}
	}
	if len(kinds) != int(kindHeartbeat)+1 {
		t.Errorf("kinds %v", kinds)
	}
	if b := appendPublish(nil, &message{topic: "a/b", packet: 258, qos: 1, payload: []byte(strings.Repeat("x", 200))}, true); !slices.Equal(b[:10], []byte{0x3a, 0xcf, 1, 0, 3, 'a', '/', 'b', 1, 2}) {
		t.Errorf("PUBLISH begins %x", b[:10])
	}
}
