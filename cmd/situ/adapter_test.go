package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/decode/gb26875"
	"github.com/situ-city/situ/internal/decode/hj212"
	"github.com/situ-city/situ/internal/decode/sl651"
)

// startAdapter runs `situ adapter PROTOCOL` and gives where it listens.
func startAdapter(t *testing.T, broker, protocol, owner string, more ...string) (addr string) {
	t.Helper()
	var out, log apptest.Lines
	cmd := exec.Command(program(t), append([]string{"adapter", protocol, "--owner", owner, "--listen", "127.0.0.1:0", "--broker", "tcp://" + broker}, more...)...)
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
		rest, ok := out.After(protocol + "  ")
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
	d := &dataLogger{t: t, addr: startAdapter(t, mqtt, "hj212", "ecology")}
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

// TestAdapterProtocols: a hydrological station that speaks SL 651 over TLS, and a fire unit that speaks GB/T 26875.3, reach
// the history, and are answered as their standards have it. /metrics of an adapter tells.
func TestAdapterProtocols(t *testing.T) {
	needEngine(t)
	l := start(t, apptest.Dir(t), "--auto-register")
	mqtt := strings.TrimPrefix(l.MQTT, "tcp://")
	cert, key, roots := selfSigned(t)
	metrics := freePort(t)
	station, err := tls.Dial("tcp", startAdapter(t, mqtt, "sl651", "water", "--tls-cert", cert, "--tls-key", key), &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer station.Close()
	unit, err := net.Dial("tcp", startAdapter(t, mqtt, "gb26875", "fire", "--metrics", metrics))
	if err != nil {
		t.Fatal(err)
	}
	defer unit.Close()
	now := time.Now().In(time.FixedZone("", 8*3600)).Truncate(time.Minute)
	body, err := sl651.AppendStation(nil, "0050600123", 'H')
	if err == nil {
		body, err = sl651.AppendNumber(sl651.AppendTime(body, now), 0x39, 10.49)
	}
	if err != nil {
		t.Fatal(err)
	}
	report, err := sl651.Append(nil, sl651.Frame{Center: 1, Station: "0050600123", Function: 0x32, Serial: 7, Sent: now.Format("060102150405"), Body: body})
	if err != nil {
		t.Fatal(err)
	}
	data := gb26875.AppendAnalog(gb26875.AppendUnit(nil, 3, 1), gb26875.Component{SystemType: 1, System: 3, Type: 40, Zone: 10, Place: 2}, 3, 215, now)
	alarm, err := gb26875.Append(nil, gb26875.Packet{Serial: 9, Version: [2]byte{1, 2}, Time: gb26875.Label(now), Source: 0x379, Target: 1, Command: gb26875.Send, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := sl651.Parse(ask(t, station, report, sl651.Split))
	if err != nil || !answer.Down || answer.Serial != 7 || answer.Function != 0x32 || !answer.Checksum.OK {
		t.Errorf("%+v, %v", answer, err)
	}
	confirmed, err := gb26875.Parse(ask(t, unit, alarm, gb26875.Split))
	if err != nil || confirmed.Command != gb26875.Confirm || confirmed.Serial != 9 || confirmed.Target != 0x379 || confirmed.Sum != confirmed.Right {
		t.Errorf("%+v, %v", confirmed, err)
	}
	l.WaitReady(t)
	apptest.Until(t, time.Minute, func() string {
		rows := l.SQL(t, "SELECT thing, source_key AS k, result AS r, unit AS u FROM history WHERE owner IN ('water', 'fire') ORDER BY owner DESC")
		if len(rows) != 2 {
			return fmt.Sprintf("history has %v", rows)
		}
		if r := rows[0]; r.String("thing") != "water/0050600123" || r.String("k") != "Z" || r.Float(t, "r") != 10.49 || r.String("u") != "m" {
			t.Errorf("%v", r)
		}
		if r := rows[1]; r.String("thing") != "fire/000000000379" || r.String("k") != "temperature-1.3-40.10.2" || r.Float(t, "r") != 21.5 {
			t.Errorf("%v", r)
		}
		return ""
	})
	got, err := http.Get("http://" + metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	for _, want := range []string{`situ_adapter_frames_total{protocol="gb26875"} 1`, `situ_adapter_answers_total{protocol="gb26875"} 1`, `situ_adapter_connections{protocol="gb26875"} 1`} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("/metrics without %q, %v", want, err)
		}
	}
}

// ask sends a frame in two pieces and reads the answer.
func ask(t *testing.T, c net.Conn, frame []byte, split func([]byte) ([][]byte, []byte)) []byte {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	for _, part := range [][]byte{frame[:5], frame[5:]} {
		if _, err := c.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	var got []byte
	for room := make([]byte, 256); ; {
		n, err := c.Read(room)
		got = append(got, room[:n]...)
		if frames, _ := split(got); len(frames) > 0 {
			return frames[0]
		}
		if err != nil {
			t.Fatalf("no answer, but %X, %v", got, err)
		}
	}
}

// selfSigned makes a certificate for localhost, its key, and who trusts it.
func selfSigned(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key, roots = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := errors.Join(os.WriteFile(cert, text, 0o600), os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)); err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(text)
	return cert, key, roots
}
