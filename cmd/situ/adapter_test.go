package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/decode/hj212"
)

// startAdapter runs `situ adapter hj212` and gives where it listens.
func startAdapter(t *testing.T, broker string) (addr string) {
	t.Helper()
	var out, log apptest.Lines
	cmd := exec.Command(program(t), "adapter", "hj212", "--owner", "ecology", "--listen", "127.0.0.1:0", "--broker", "tcp://"+broker)
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil || t.Failed() || strings.Contains(log.String(), "DATA RACE") {
			t.Errorf("situ adapter ended with %v:\n%s%s", err, out.String(), tail(log.String(), 40))
		}
	})
	apptest.Until(t, time.Minute, func() string {
		rest, ok := out.After("hj212  ")
		if !ok {
			return "situ adapter has not said where it listens"
		}
		addr, _, _ = strings.Cut(rest, " ")
		return ""
	})
	return addr
}

// dataLogger is a station of HJ 212 over TCP: it sends a minute's frame, in pieces, until it is answered with 9014.
type dataLogger struct {
	t    *testing.T
	addr string
	conn net.Conn
	in   *bufio.Reader
}

func (d *dataLogger) frame(n int) []byte {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Minute)
	return hj212.Append(nil, hj212.Frame{QN: at.Format("20060102150405") + fmt.Sprintf("%03d", n%1000), ST: "22", CN: "2051", PW: "123456",
		MN: "88888880000001", Flag: "5", DataTime: at.Format("20060102150405"),
		Values: []hj212.Value{{Code: "a34004", Param: "Avg", Text: fmt.Sprint(n), Flag: "N"}}})
}

// send gives false if the connection broke, or no answer came in time.
func (d *dataLogger) send(n int) bool {
	if d.conn == nil {
		c, err := net.Dial("tcp", d.addr)
		if err != nil {
			d.t.Fatal(err)
		}
		d.conn, d.in = c, bufio.NewReader(c)
	}
	f := d.frame(n)
	_ = d.conn.SetDeadline(time.Now().Add(3 * time.Second))
	for _, part := range [][]byte{f[:n%len(f)], f[n%len(f):]} {
		if _, err := d.conn.Write(part); err != nil {
			return d.broken()
		}
	}
	for {
		line, err := d.in.ReadString('\n')
		if err != nil {
			return d.broken()
		}
		answer, err := hj212.Parse([]byte(line))
		if err != nil || answer.CN != "9014" {
			d.t.Fatalf("answered %q, %v", line, err)
		}
		if sent, _ := hj212.Parse(f); answer.QN == sent.QN {
			return true // else it is the answer to what was sent before the last break
		}
	}
}

func (d *dataLogger) broken() bool {
	_ = d.conn.Close()
	d.conn = nil
	return false
}

// TestAdapter: a station that speaks HJ 212 over TCP, while situ run is killed under it again and again. What was answered
// is in SQL; what was not is sent again, and is there once in history.
func TestAdapter(t *testing.T) {
	needEngine(t)
	data, mqtt := apptest.Dir(t), freePort(t)
	args := []string{"--auto-register", "--mqtt", mqtt}
	l := start(t, data, args...)
	l.WaitReady(t)
	d := &dataLogger{t: t, addr: startAdapter(t, mqtt)}
	const frames, kills = 300, 3
	again := 0
	for n := 1; n <= frames; n++ {
		if n%(frames/(kills+1)) == 0 && n < frames {
			l.kill() // the next frames meet a broker that is not there, and then one that is another process
			if d.send(n) {
				t.Error("answered with nobody there to acknowledge")
			}
			again++
			l = start(t, data, args...)
		}
		apptest.Until(t, time.Minute, func() string {
			if d.send(n) {
				return ""
			}
			again++
			return fmt.Sprintf("frame %d is not answered", n)
		})
	}
	t.Logf("%d frames answered, %d times sent again", frames, again)
	l.WaitReady(t)
	apptest.Until(t, time.Minute, func() string {
		r := l.SQL(t, `SELECT count() AS n, uniqExact(result) AS results, max(result) AS last, uniqExact(thing) AS things, min(thing) AS who,
			min(property) AS of, min(statistic) AS kind FROM history WHERE owner = 'ecology'`)[0]
		if r.Int(t, "n") != frames || r.Int(t, "results") != frames || r.Int(t, "last") != frames {
			return fmt.Sprintf("history has %v, %d frames were answered", r, frames)
		}
		if r.String("who") != "ecology/88888880000001" || r.String("of") != "pm2_5" || r.String("kind") != "avg" || r.Int(t, "things") != 1 {
			t.Errorf("history has %v", r)
		}
		return ""
	})
}
