package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
)

// Messages of QoS 2 whose clock is mad, through kills while they are sent and kills while they are replayed: each is a dead
// letter once, and what each becomes is in the history once.
func TestLettersThroughKills(t *testing.T) {
	needEngine(t)
	const messages, clients, kills = 240, 4, 3
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	data, mqtt := apptest.Dir(t), freePort(t)
	life := func() *life { return start(t, data, "--auto-register", "--mqtt", mqtt) }

	l := life()
	var sending sync.WaitGroup
	for n := range clients {
		c := &careful{addr: mqtt, id: fmt.Sprint("clock-", n)}
		sending.Go(func() {
			for i := n; i < messages; i += clients {
				c.publish(fmt.Sprintf(`{"t":"2090-01-01T00:00:00Z","a":%d,"b":%d}`, i, i+messages))
			}
		})
	}
	for range kills {
		<-time.After(time.Duration(random.IntN(700)) * time.Millisecond)
		l.kill()
		l = life()
	}
	sending.Wait()
	l.WaitReady(t)
	apptest.Until(t, 2*time.Minute, func() string {
		got := l.Store(t, "SELECT count() AS n, uniqExact(seq) AS seqs, uniqExact(payload) AS payloads FROM situ.deadletters WHERE idx = 0")[0]
		if got.Int(t, "n") != messages || got.Int(t, "seqs") != messages || got.Int(t, "payloads") != messages {
			return fmt.Sprintf("of %d messages there are %v; twice: %v", messages, got, l.Store(t, `SELECT groupArray((packet, seq, arrival_time)) AS p
				FROM situ.deadletters WHERE idx = 0 GROUP BY payload HAVING count() > 1`))
		}
		return ""
	})

	const ask = `{"reason":"time","time":"arrival","limit":25}`
	for range kills {
		stop, over := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(over)
			for {
				req, err := http.NewRequest(http.MethodPost, l.URL+"/v1/deadletters/replay", strings.NewReader(ask))
				if err != nil {
					return
				}
				req.Header.Set("Authorization", "Bearer "+apptest.Key)
				if res, err := http.DefaultClient.Do(req); err == nil {
					_ = res.Body.Close()
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
		<-time.After(time.Duration(random.IntN(300)) * time.Millisecond)
		l.kill()
		close(stop)
		<-over
		l = life()
		l.WaitReady(t)
	}
	apptest.Until(t, 2*time.Minute, func() string {
		if a := l.Do(t, apptest.Key, http.MethodPost, "/v1/deadletters/replay", ask); a.Status != http.StatusMultiStatus {
			return fmt.Sprint("replay: ", a.Status, a.Body)
		}
		got := l.Store(t, "SELECT countIf(state = 'open') AS open, countIf(pending = 1) AS pending FROM situ.deadletters")[0]
		if got.Int(t, "open")+got.Int(t, "pending") > 0 {
			return fmt.Sprint("dead letters: ", got)
		}
		return ""
	})
	got := l.Store(t, `SELECT count() AS n, uniqExact(gateway, epoch, lane, seq, idx) AS ids, uniqExact(result) AS results,
		countIf(bitAnd(quality, 8) = 0) AS unflagged FROM situ.observations`)[0]
	if got.Int(t, "n") != 2*messages || got.Int(t, "ids") != 2*messages || got.Int(t, "results") != 2*messages || got.Int(t, "unflagged") != 0 {
		t.Errorf("the store has %v, want %d of each", got, 2*messages)
	}
	apptest.Until(t, time.Minute, func() string { // a block is judged some seconds after it was stored
		got := l.Store(t, `SELECT sum(messages) AS messages, sum(with_rows) AS with_rows, sum(unjudged) AS unjudged, sum(missing) + sum(rows_missing) +
			sum(rows_doubled) + sum(letters_missing) AS wrong FROM situ.balance`)[0]
		if got.Int(t, "with_rows") != messages || got.Int(t, "wrong") != 0 || got.Int(t, "unjudged") != 0 {
			return fmt.Sprint("the balance says ", got)
		}
		return ""
	})
	if code := l.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// careful is an MQTT client that does for QoS 2 what the standard asks of a client, no more and no less: one message at a
// time, in a persistent session, on as many connections as it takes. (paho sends a message twice that was in its hands when
// the connection broke, the second time after PUBCOMP, when it is another message to everybody else.)
type careful struct {
	addr, id string
	packet   uint16
	conn     net.Conn
}

// publish returns after PUBCOMP.
func (c *careful) publish(payload string) {
	c.packet++
	id := string([]byte{byte(c.packet >> 8), byte(c.packet)})
	const topic = "situ/v1/me/clock/json"
	body := "\x00" + string(rune(len(topic))) + topic + id + payload // all lengths are below 128
	c.until(func(again bool) string {
		if again {
			return "\x3c" + string(rune(len(body))) + body
		}
		return "\x34" + string(rune(len(body))) + body
	}, "\x50\x02"+id)
	c.until(func(bool) string { return "\x62\x02" + id }, "\x70\x02"+id)
}

// until sends a packet until this answer has come.
func (c *careful) until(packet func(again bool) string, answer string) {
	for again := false; ; again = true {
		if c.conn == nil {
			c.connect()
		}
		if got, err := c.ask(packet(again), len(answer)); err == nil && got == answer {
			return
		}
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *careful) connect() {
	for {
		conn, err := net.Dial("tcp", c.addr)
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			c.conn = conn
			if got, err := c.ask("\x10"+string(rune(12+len(c.id)))+"\x00\x04MQTT\x04\x00\x00\x3c\x00"+string(rune(len(c.id)))+c.id, 4); err == nil && got[3] == 0 {
				return
			}
			_ = conn.Close()
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (c *careful) ask(packet string, answer int) (string, error) {
	if _, err := io.WriteString(c.conn, packet); err != nil {
		return "", err
	}
	got := make([]byte, answer)
	_, err := io.ReadFull(c.conn, got)
	return string(got), err
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
