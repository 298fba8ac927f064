package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/situ-city/situ/internal/app/apptest"
)

// What was acknowledged is in history once, whatever is killed when: the whole of situ, or the store alone.
func TestKilledAnytime(t *testing.T) {
	needEngine(t)
	rounds := 5
	if s := os.Getenv("SITU_KILLS"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatalf("SITU_KILLS=%q: %v", s, err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	data := apptest.Dir(t)
	senders := make([]*sender, 4)
	for i := range senders {
		senders[i] = &sender{id: i, base: time.Now().Add(-time.Hour).UnixMilli()}
	}
	for round := range rounds {
		if round%5 == 4 { // while it starts: recovery must bear being killed too
			l := begin(t, data, "--auto-register")
			pause(random, 1000)
			l.kill()
			continue
		}
		l := start(t, data, "--auto-register")
		var sending sync.WaitGroup
		for _, s := range senders {
			sending.Go(func() { s.send(l.MQTT) })
		}
		if round%2 == 1 {
			pause(random, 1500)
			killStore(t, l)
		}
		pause(random, 1500)
		if round%5 == 2 { // told to stop, with all senders at full speed
			if code := l.stop(t); code != 0 {
				t.Errorf("exit code %d after SIGINT under load", code)
			}
		} else {
			l.kill()
		}
		sending.Wait()
	}
	l := start(t, data, "--auto-register")
	for _, s := range senders { // a sensor sends again what was not acknowledged
		s.finish(t, l.MQTT)
	}
	messages, published := 0, 0
	for _, s := range senders {
		messages += len(s.messages)
		for _, m := range s.messages {
			published += m.sent
		}
	}
	t.Logf("%d kills; %d messages, published %d times", rounds, messages, published)
	if published == messages {
		t.Log("no kill hit a message between PUBLISH and PUBACK")
	}
	l.WaitReady(t)
	checkHistory(t, l, senders)
	checkRaw(t, l, senders)
	checkLetters(t, l, senders)
	if code := l.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// pause lets a random time pass: the instant of the kill is the fault that is tried.
func pause(random *rand.Rand, most int) {
	<-time.After(time.Duration(random.IntN(most)) * time.Millisecond)
}

// killStore kills the store process and waits until another one answers in its place.
func killStore(t *testing.T, l *life) {
	t.Helper()
	var victim int
	apptest.Until(t, time.Minute, func() string {
		if victim = child(l.cmd.Process.Pid); victim == 0 {
			return "situ run has no store process"
		}
		return ""
	})
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatalf("kill the store: %v", err)
	}
	apptest.Until(t, time.Minute, func() string {
		if now := child(l.cmd.Process.Pid); now == 0 || now == victim {
			return "the store was not started again"
		}
		return ""
	})
}

// child gives the one child of a process, 0 when there is none.
func child(parent int) int {
	list, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range list {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // gone
		}
		_, rest, _ := strings.Cut(string(b), ") ") // behind the name: state, parent, ...
		f := strings.Fields(rest)
		if len(f) > 1 && f[0] != "Z" && f[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
			return pid
		}
	}
	return 0
}

// sender is a gateway of sensors: it numbers its messages, and knows of each how often it was sent and whether it was
// acknowledged.
type sender struct {
	id       int
	base     int64 // time of message 0, Unix ms
	messages []*message
}

type message struct {
	topic, payload string
	pairs          []pair // what SQL must show
	letter         bool   // it is malformed, and must be a dead letter
	sent           int
	acked          bool
}

// pair is one value: which Thing and property, when, and how much.
type pair struct {
	thing, property string
	at              int64
	result          float64
}

const (
	twoDays = 49 * 3600 * 1000 // older than this is the backfill lane
	window  = 40               // messages in flight a connection
)

// next makes message n: most hold two values of now, some old ones, some both, some cannot be read.
func (s *sender) next() *message {
	n := len(s.messages)
	thing := fmt.Sprintf("kill/s%d-%d", s.id, n%7)
	m := &message{topic: "situ/v1/" + thing + "/json"}
	value := func(at int64) string {
		x := float64(n%400) / 10
		m.pairs = append(m.pairs, pair{thing, "temperature", at, x}, pair{thing, "humidity", at, x + 1})
		return fmt.Sprintf(`{"t":%d,"temperature":%g,"humidity":%g}`, at, x, x+1)
	}
	now := s.base + int64(n)
	switch {
	case n%13 == 12:
		m.letter = true
		m.payload = fmt.Sprintf(`{"t":%d,"temperature":`, now) // cut off
	case n%11 == 10:
		m.payload = "[" + value(now) + "," + value(now-twoDays) + "]"
	case n%7 == 6:
		m.payload = value(now - twoDays)
	default:
		m.payload = value(now)
	}
	s.messages = append(s.messages, m)
	return m
}

// send publishes until the connection breaks: first what was not acknowledged before, then new messages.
func (s *sender) send(addr string) {
	c, err := apptest.Dial(addr, fmt.Sprintf("kill-%d", s.id), "", "")
	if err != nil {
		return // killed already
	}
	defer c.Disconnect(0)
	again := s.unacknowledged()
	s.publish(c, func() *message {
		if !c.IsConnectionOpen() {
			return nil
		}
		if len(again) > 0 {
			m := again[0]
			again = again[1:]
			return m
		}
		return s.next()
	})
}

func (s *sender) unacknowledged() (list []*message) {
	for _, m := range s.messages {
		if !m.acked {
			list = append(list, m)
		}
	}
	return list
}

// publish sends what next gives until it gives nil, with a bounded number in flight.
func (s *sender) publish(c paho.Client, next func() *message) {
	type flight struct {
		m   *message
		tok paho.Token
	}
	flights := make(chan flight, window)
	var collecting sync.WaitGroup
	collecting.Go(func() {
		for f := range flights {
			if f.tok.WaitTimeout(apptest.AckTimeout) && f.tok.Error() == nil {
				f.m.acked = true
			}
		}
	})
	for m := next(); m != nil; m = next() {
		m.sent++
		flights <- flight{m, c.Publish(m.topic, 1, false, m.payload)}
	}
	close(flights)
	collecting.Wait()
}

// finish sends what was never acknowledged, and it must be now.
func (s *sender) finish(t *testing.T, addr string) {
	t.Helper()
	c, err := apptest.Dial(addr, fmt.Sprintf("kill-%d", s.id), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(50)
	again := s.unacknowledged()
	s.publish(c, func() *message {
		if len(again) == 0 {
			return nil
		}
		m := again[0]
		again = again[1:]
		return m
	})
	if left := s.unacknowledged(); len(left) > 0 {
		t.Fatalf("%d messages are not acknowledged although nothing is killed; the first: %s %s", len(left), left[0].topic, left[0].payload)
	}
}

// checkHistory asks SQL as an analyst does: every acknowledged value, once, and nothing else.
func checkHistory(t *testing.T, l *life, senders []*sender) {
	t.Helper()
	want := map[pair]bool{}
	for _, s := range senders {
		for _, m := range s.messages {
			for _, p := range m.pairs {
				want[p] = true
			}
		}
	}
	apptest.Until(t, time.Minute, func() string {
		n := l.SQL(t, "SELECT count() AS n FROM history WHERE owner = 'kill'")[0].Int(t, "n")
		if n < int64(len(want)) {
			return fmt.Sprintf("history has %d values, %d were acknowledged", n, len(want))
		}
		return ""
	})
	got := map[pair]int{}
	for _, s := range senders { // by sender: an answer has a bound
		for _, r := range l.SQL(t, fmt.Sprintf(`SELECT thing, property, toUnixTimestamp64Milli(phenomenon_time) AS t, result
			FROM history WHERE owner = 'kill' AND startsWith(thing, 'kill/s%d-')`, s.id)) {
			got[pair{r.String("thing"), r.String("property"), r.Int(t, "t"), r.Float(t, "result")}]++
		}
	}
	wrong := 0
	for p := range want {
		if got[p] != 1 {
			if wrong++; wrong <= 10 {
				t.Errorf("acknowledged value %+v is in history %d times", p, got[p])
			}
		}
	}
	for p := range got {
		if !want[p] {
			if wrong++; wrong <= 10 {
				t.Errorf("history has %+v, which nobody sent", p)
			}
		}
	}
	t.Logf("%d values in history, each as sent", len(want)-wrong)
}

// checkRaw looks behind the views: each publication is one message and each message's values are stored once, so a
// value stands in the raw table at most as often as it was published.
func checkRaw(t *testing.T, l *life, senders []*sender) {
	t.Helper()
	sums := l.Store(t, `SELECT count() AS n, uniqExact(gateway, epoch, lane, seq, idx) AS identities,
		(SELECT sum(observations) FROM situ.ingest_blocks FINAL) AS counted,
		(SELECT count() FROM situ.ingest_blocks AS a FINAL JOIN situ.ingest_blocks AS b FINAL ON a.log = b.log AND a.partition = b.partition
			WHERE a.block_from < b.block_from AND b.block_from < a.block_to) AS overlaps FROM situ.observations`)[0]
	if sums.Int(t, "n") != sums.Int(t, "identities") || sums.Int(t, "n") != sums.Int(t, "counted") || sums.Int(t, "overlaps") != 0 {
		t.Errorf("rows, identities, rows by the blocks' own count, overlapping blocks: %v", sums)
	}
	sent := map[pair]int{}
	for _, s := range senders {
		for _, m := range s.messages {
			for _, p := range m.pairs {
				sent[p] += m.sent
			}
		}
	}
	for _, r := range l.Store(t, `SELECT dictGet('situ.thing_dict', 'id', thing) AS thing, dictGet('situ.property_dict', 'code', property) AS property,
		toUnixTimestamp64Milli(phenomenon_time) AS t, result, count() AS n FROM situ.observations GROUP BY ALL HAVING n > 1`) {
		p := pair{r.String("thing"), r.String("property"), r.Int(t, "t"), r.Float(t, "result")}
		if n := r.Int(t, "n"); n > int64(sent[p]) {
			t.Errorf("%+v was published %d times and is stored %d times", p, sent[p], n)
		}
	}
}

// checkLetters: what could not be read and was acknowledged is a dead letter, once a publication at most.
func checkLetters(t *testing.T, l *life, senders []*sender) {
	t.Helper()
	got := map[string]int64{}
	for _, r := range l.Store(t, "SELECT topic, payload, count() AS n FROM situ.deadletters GROUP BY ALL") {
		got[r.String("topic")+" "+r.String("payload")] = r.Int(t, "n")
	}
	for _, s := range senders {
		for _, m := range s.messages {
			if n := got[m.topic+" "+m.payload]; m.letter && (n < 1 || n > int64(m.sent)) {
				t.Errorf("%s %s was published %d times and is a dead letter %d times", m.topic, m.payload, m.sent, n)
			}
		}
	}
}
