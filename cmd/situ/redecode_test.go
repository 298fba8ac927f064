package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/gateway"
)

// plugins writes two versions of a decoder: the first divides temperatures by ten instead of a hundred, and does not know
// what the second value is called.
func plugins(t *testing.T, dir string) (first, second string) {
	t.Helper()
	right, err := os.ReadFile("../../testdata/plugins/acme.wasm")
	if err != nil {
		t.Fatal(err)
	}
	number := func(x float64) []byte {
		return append([]byte{0x44}, binary.LittleEndian.AppendUint64(nil, math.Float64bits(x))...) // f64.const
	}
	word := func(s string) (b []byte) {
		for _, u := range utf16.Encode([]rune(s)) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		return b
	}
	wrong := bytes.Replace(right, number(100), number(10), 1)
	wrong = bytes.Replace(wrong, word("humidity"), word("moisture"), 1)
	if bytes.Count(right, number(100)) != 1 || bytes.Count(right, word("humidity")) != 1 {
		t.Fatal("the example has changed: its constants are not where they were")
	}
	for i, code := range [][]byte{wrong, right} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("v%d.wasm", i+1)), code, 0o600); err != nil {
			t.Fatal(err)
		}
		config := fmt.Sprintf("auto-register: true\ncanary: 0s\nsources:\n- {name: acme, topics: ['acme/{thing}/up'], owner: acme, protocol: wasm, keep: raw, plugin: {file: %s}}\n"+
			"- {name: elsewhere, topics: ['elsewhere/{thing}'], owner: else, protocol: json, time: item.ts * 1000, values: [{property: count, value: payload.n * %d}]}\n",
			filepath.Join(dir, fmt.Sprintf("v%d.wasm", i+1)), i+1)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("v%d.yaml", i+1)), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "v1.yaml"), filepath.Join(dir, "v2.yaml")
}

// loggers publishes what some data loggers say, with every QoS: reports, corrections of them, heartbeats, and what is broken.
func loggers(t *testing.T, l *life, base time.Time) (sent int) {
	t.Helper()
	c := l.Connect(t, "loggers", "", "")
	publish := func(topic string, qos byte, payload []byte) {
		t.Helper()
		if tok := c.Publish(topic, qos, false, payload); !tok.WaitTimeout(apptest.AckTimeout) || tok.Error() != nil {
			t.Fatal("not acknowledged: ", tok.Error())
		}
		sent++
	}
	report := func(serial int, seconds int64, temperature int16, humidity byte) []byte {
		b := binary.BigEndian.AppendUint32([]byte{1}, uint32(serial))
		b = binary.BigEndian.AppendUint32(b, uint32(seconds))
		b = binary.BigEndian.AppendUint16(b, uint16(temperature))
		return binary.BigEndian.AppendUint16(append(b, humidity), 3600)
	}
	for i := range 60 {
		topic := fmt.Sprintf("acme/t%d/up", i%3)
		at := base.Unix() + int64(i*61)
		publish(topic, byte(i%3), report(i%3, at, int16(1500+i), byte(100+i)))
		switch i % 10 {
		case 3: // a correction
			publish(topic, 1, report(i%3, at, int16(2500+i), byte(50+i)))
		case 5:
			publish(topic, 1, []byte{0})
		case 7:
			publish(topic, 1, []byte{1, 2, 3})
		case 9: // of days ago
			publish(topic, 1, report(i%3, at-4*86400, int16(1000+i), byte(i)))
		}
	}
	publish("elsewhere/x", 1, fmt.Appendf(nil, `{"ts":%d,"n":5}`, base.Unix()))
	return sent - 1
}

// A plug-in is mended: what it made of what came before is read again, through a kill of situ, and the history is the one of a
// city that had the mended plug-in from the beginning.
func TestRedecode(t *testing.T) {
	needEngine(t)
	first, second := plugins(t, t.TempDir())
	base := time.Now().Add(-5 * time.Hour).Truncate(time.Second)
	const history = `SELECT thing, property, source_key, unit, toString(phenomenon_time) AS at, toString(result_time) AS told, result, quality, lane FROM history
		WHERE owner = 'acme' ORDER BY ALL`
	city := func(data, config string) *life {
		l := start(t, data, "--config", config)
		l.WaitReady(t)
		return l
	}
	settled := func(l *life, n int) {
		t.Helper()
		apptest.Until(t, time.Minute, func() string {
			got := l.SQL(t, "SELECT count() AS n, uniqExact(gateway, epoch, lane, seq) AS messages FROM payloads WHERE source = 'acme'")[0]
			if got.Int(t, "n") != int64(n) || got.Int(t, "messages") != int64(n) {
				return fmt.Sprintf("%d payloads were acknowledged, kept are %v", n, got)
			}
			return ""
		})
	}
	mended := city(apptest.Dir(t), second)
	n := loggers(t, mended, base)
	settled(mended, n)
	want := mended.SQL(t, history)
	mended.stop(t)

	data := apptest.Dir(t)
	l := city(data, first)
	if m := loggers(t, l, base); m != n {
		t.Fatalf("%d sent, then %d", n, m)
	}
	settled(l, n)
	redecode := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(program(t), append([]string{"redecode", "--url", l.URL, "--key", apptest.Key}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("situ redecode: %v\n%s", err, out)
		}
		return string(out)
	}
	dry := redecode("--with", second, "--dry-run", "--differences", "4", "--source", "acme")
	for _, said := range []string{"-> none", "and ", "dry run, nothing is stored", "refused truncated"} {
		if said = strings.ReplaceAll(said, "refused truncated", "truncated"); !strings.Contains(dry, said) {
			t.Errorf("the dry run does not say %q:\n%s", said, dry)
		}
	}
	if fmt.Sprint(l.SQL(t, history)) == fmt.Sprint(want) {
		t.Fatal("both versions give the same: this shows nothing")
	}
	cut := exec.Command(program(t), "redecode", "--url", l.URL, "--key", apptest.Key, "--with", second, "--source", "acme")
	if err := cut.Start(); err != nil {
		t.Fatal(err)
	}
	<-time.After(150 * time.Millisecond)
	l.kill()
	_ = cut.Wait() // it may have been quick
	l = city(data, first)
	done := redecode("--with", second, "--source", "acme")
	if got := l.SQL(t, history); fmt.Sprint(got) != fmt.Sprint(want) {
		for i := range min(len(got), len(want)) {
			if fmt.Sprint(got[i]) != fmt.Sprint(want[i]) {
				t.Errorf("row %d is\n%v, want\n%v", i, got[i], want[i])
				break
			}
		}
		t.Fatalf("%d rows, want %d\n%s", len(got), len(want), done)
	}
	raw := l.Store(t, "SELECT count() AS n, countIf(retracted = 1) AS gone FROM situ.observations")[0]
	if again := redecode("--with", second); !strings.Contains(again, " 0 messages otherwise") {
		t.Errorf("the same again: %s", again)
	}
	if now := l.Store(t, "SELECT count() AS n, countIf(retracted = 1) AS gone FROM situ.observations")[0]; fmt.Sprint(now) != fmt.Sprint(raw) || raw.Int(t, "gone") == 0 {
		t.Errorf("raw rows: %v, before %v", now, raw)
	}
	if got := l.SQL(t, "SELECT result FROM history WHERE owner = 'else'")[0].Float(t, "result"); got != 5 {
		t.Errorf("what nobody kept is %v now, was 5", got)
	}
	t.Logf("%d payloads\n%s", n, done)
}

// What a configuration file says of its sources reaches the server whole, without their passwords.
func TestRedecodeWith(t *testing.T) {
	dir := t.TempDir()
	_, second := plugins(t, dir)
	text, err := os.ReadFile("../../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("```yaml\n"))
	text, _, _ = bytes.Cut(text, []byte("```"))
	documented := filepath.Join(dir, "documented.yaml")
	if err := os.WriteFile(documented, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{second, documented} {
		with, err := app.RedecodeWith(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := app.NewerSources(with, t.TempDir())
		if err == nil {
			err = gateway.CheckSources(got, all.Protocols())
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", file, err, with.Config)
		}
		if len(got) == 0 || strings.Contains(with.Config, "/run/secrets") {
			t.Errorf("%s", with.Config)
		}
	}
}
