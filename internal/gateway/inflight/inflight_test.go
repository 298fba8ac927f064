package inflight

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a table on real spools, which may be opened again and again.
type rig struct {
	*Table
	cfg  Config
	now  time.Time
	stop func()
}

func newRig(t *testing.T, dir string, change func(*Config)) *rig {
	t.Helper()
	r := &rig{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	r.cfg = Config{Path: filepath.Join(dir, "mqtt-sessions"), Spools: map[sensor.Lane]*spool.Spool{}, Logger: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { return r.now }}
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		s, err := spool.Open(spool.Config{Dir: filepath.Join(dir, lane.String()), Gateway: "gw", Lane: lane})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		r.cfg.Spools[lane] = s
	}
	if change != nil {
		change(&r.cfg)
	}
	r.open(t)
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rig) open(t *testing.T) {
	t.Helper()
	table, err := Open(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Table = table
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- table.Run(ctx) }()
	stopped := false
	r.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
}

// again ends the table and opens it anew.
func (r *rig) again(t *testing.T) {
	t.Helper()
	r.stop()
	r.open(t)
}

func (r *rig) attach(t *testing.T, user, client string, clean bool, want bool) *Conn {
	t.Helper()
	c, present, err := r.Attach(user, client, clean, time.Hour)
	if err != nil || present != want {
		t.Fatalf("attach %s/%s: present %v, %v; want %v", user, client, present, err, want)
	}
	return c
}

// answers hears of messages that are safe.
type answers chan error

func (a answers) Received(uint64)  { a <- nil }
func (a answers) Failed(err error) { a <- err }

// receive publishes one message and reports whether it was a new one.
func (r *rig) receive(t *testing.T, c *Conn, packet uint16) (fresh bool) {
	t.Helper()
	a := make(answers, 1)
	d, err := c.Receive(packet, 65535, a, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d != nil {
		tag, lanes := d.Begin(sensor.Live)
		for _, lane := range lanes {
			body := sensor.AppendMessage(nil, &sensor.Message{Arrival: 1, Empty: sensor.ReasonHeartbeat, Delivery: tag})
			if err := d.Append(r.cfg.Spools[lane], lane, sensor.ClassUnknown, body); err != nil {
				t.Fatal(err)
			}
		}
		d.End(nil)
	}
	if err := <-a; err != nil {
		t.Fatal(err)
	}
	return d != nil
}

func (r *rig) release(t *testing.T, c *Conn, packet uint16) (known bool) {
	t.Helper()
	done := make(chan bool, 1)
	if err := c.Release(packet, func(known bool) { done <- known }); err != nil {
		t.Fatal(err)
	}
	return <-done
}

func TestSessionsOutliveTheProcess(t *testing.T) {
	r := newRig(t, t.TempDir(), nil)
	c := r.attach(t, "u", "c", false, false)
	for packet := range uint16(300) {
		if !r.receive(t, c, packet+1) {
			t.Fatal("a new packet is known")
		}
	}
	for packet := range uint16(200) {
		if !r.release(t, c, packet+1) {
			t.Fatal("a received packet is not known")
		}
	}
	r.again(t)
	if n, packets := r.Counts(); n != 1 || packets != 100 {
		t.Errorf("%d sessions, %d packets", n, packets)
	}
	c = r.attach(t, "u", "c", false, true)
	if r.receive(t, c, 201) || r.release(t, c, 1) || !r.receive(t, c, 1) {
		t.Error("201 is to be a repeat, 1 released and free")
	}
	r.attach(t, "other", "c", false, false) // one user's client id is nothing to another
	r.attach(t, "u", "c", true, false)      // CleanSession
	if _, err := c.Receive(2, 9, nil, 0); !errors.Is(err, ErrTakenOver) {
		t.Errorf("the old connection: %v", err)
	}
	if err := c.Release(2, nil); !errors.Is(err, ErrTakenOver) {
		t.Errorf("the old connection: %v", err)
	}
	r.again(t)
	if n, packets := r.Counts(); n != 2 || packets != 0 {
		t.Errorf("%d sessions, %d packets", n, packets)
	}
}

func TestSessionsEnd(t *testing.T) {
	r := newRig(t, t.TempDir(), func(c *Config) { c.MaxSessions = 3; c.Expiry = 2 * time.Hour })
	c := r.attach(t, "u", "expires", false, false)
	r.receive(t, c, 1)
	c.Detach(time.Hour)
	r.now = r.now.Add(59 * time.Minute)
	c = r.attach(t, "u", "expires", false, true)
	c.Detach(time.Hour)
	r.now = r.now.Add(61 * time.Minute)
	c = r.attach(t, "u", "expires", false, false)
	r.receive(t, c, 1)
	c.Detach(0) // version 5: DISCONNECT with an expiry of 0
	if n, packets := r.Counts(); n != 0 || packets != 0 {
		t.Errorf("%d sessions, %d packets", n, packets)
	}
	for _, client := range []string{"a", "b"} {
		r.attach(t, "one", client, false, false).Detach(time.Hour)
	}
	r.attach(t, "two", "a", false, false).Detach(time.Hour)
	r.attach(t, "two", "b", false, false).Detach(time.Hour) // makes room among its own first
	r.attach(t, "two", "a", false, false)
	r.attach(t, "one", "a", false, true)
	r.attach(t, "one", "b", false, true)
	r.attach(t, "three", "a", false, false) // nobody is gone: it is a session that ends with its connection
	if n, _ := r.Counts(); n != 3 {
		t.Errorf("%d sessions", n)
	}
	r.now = r.now.Add(3 * time.Hour)
	r.sweep()
	if n, _ := r.Counts(); n != 3 {
		t.Errorf("%d sessions after the sweep: those that are connected stay", n)
	}
}

func TestPacketsAreBounded(t *testing.T) {
	r := newRig(t, t.TempDir(), func(c *Config) { c.MaxPackets = 50 })
	c, other := r.attach(t, "u", "c", false, false), r.attach(t, "u", "d", true, false)
	for packet := range uint16(49) {
		r.receive(t, c, packet)
	}
	r.receive(t, other, 1)
	if _, err := c.Receive(1000, 65535, nil, 0); !errors.Is(err, ErrPackets) {
		t.Errorf("beyond the bound of all: %v", err)
	}
	r.release(t, other, 1)
	if _, err := c.Receive(1000, 49, nil, 0); !errors.Is(err, ErrPackets) {
		t.Errorf("beyond the bound of one: %v", err)
	}
	if r.receive(t, c, 1) || !r.receive(t, c, 1000) {
		t.Error("a repeat is not bounded, and there was room for one")
	}
}

// The journal is rewritten when most of it is past, and read at the next start as it is then.
func TestJournalIsRewritten(t *testing.T) {
	r := newRig(t, t.TempDir(), nil)
	c := r.attach(t, "u", strings.Repeat("c", 1000), false, false)
	largest := int64(0)
	for i := range 60 {
		for j := range 40 {
			r.attach(t, "u", fmt.Sprint(strings.Repeat("x", 1000), i, j), false, false).Detach(0)
		}
		r.receive(t, c, uint16(i))
		if i%2 == 0 {
			r.release(t, c, uint16(i))
		}
		info, err := os.Stat(r.cfg.Path)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, info.Size())
	}
	if largest < rewriteFrom || largest > 2*rewriteFrom {
		t.Errorf("the journal grew to %d bytes", largest)
	}
	r.again(t)
	if n, packets := r.Counts(); n != 1 || packets != 30 {
		t.Errorf("%d sessions, %d packets", n, packets)
	}
}

func TestJournalDamage(t *testing.T) {
	r := newRig(t, t.TempDir(), nil)
	c := r.attach(t, "u", "c", false, false)
	for packet := range uint16(3) {
		r.receive(t, c, packet)
		r.release(t, c, packet) // each is a frame
	}
	r.receive(t, c, 9)
	r.stop()
	whole, err := os.ReadFile(r.cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	open := func(content []byte) error {
		if err := os.WriteFile(r.cfg.Path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		table, err := Open(r.cfg)
		if err != nil {
			return err
		}
		defer table.Close()
		if n, packets := table.Counts(); n != 1 || packets != 1 {
			return fmt.Errorf("%d sessions, %d packets", n, packets)
		}
		return nil
	}
	if err := open(whole); err != nil {
		t.Error(err)
	}
	for cut := 1; cut < 12; cut++ { // the last frame is torn: what it said is found by the tag in the spool
		if err := open(whole[:len(whole)-cut]); err != nil {
			t.Errorf("%d bytes less: %v", cut, err)
		}
	}
	flipped := bytes.Clone(whole)
	flipped[len(magic)+frameHeader+2] ^= 1
	for name, content := range map[string][]byte{"flipped": flipped, "foreign": []byte("hello"), "empty": {},
		"newer": frame(bytes.Clone(whole), []byte{99})} {
		err := open(content)
		if !errors.Is(err, ErrJournal) || !strings.Contains(err.Error(), r.cfg.Path) || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Remove(r.cfg.Path); err != nil {
		t.Fatal(err)
	}
	table, err := Open(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if n, packets := table.Counts(); n != 0 || packets != 0 {
		t.Errorf("without a journal there are %d sessions, %d packets", n, packets)
	}
}

// A disk whose sync fails ends it: what is on it is not known.
func TestBrokenDisk(t *testing.T) {
	r := newRig(t, t.TempDir(), nil)
	c := r.attach(t, "u", "c", false, false)
	r.receive(t, c, 1)
	r.stop()
	table, err := Open(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.journal.f.Close(); err != nil { // writes, and the cut that mends a failed write, are refused from now on
		t.Fatal(err)
	}
	c, _, err = table.Attach("u", "c", false, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Release(1, func(bool) { t.Error("PUBCOMP although the release is not on disk") }); err != nil {
		t.Fatal(err)
	}
	if err := table.Run(t.Context()); !errors.Is(err, ErrFailed) {
		t.Errorf("Run ended with %v", err)
	}
	if _, err := c.Receive(2, 9, nil, 0); !errors.Is(err, ErrFailed) {
		t.Errorf("Receive: %v", err)
	}
	if _, _, err := table.Attach("u", "d", false, time.Hour); !errors.Is(err, ErrFailed) {
		t.Errorf("Attach: %v", err)
	}
}

// A spool whose sync fails ends the process, and its last records are there after the next start, or not. A message that
// is there must be known then, however much the journal could still be written after the failure.
func TestSpoolFails(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, nil)
	c := r.attach(t, "u", "c", false, false)
	r.receive(t, c, 1)
	env := map[string]string{failpoint.Env: "spool/synced=error:EIO", failpoint.EnvBy: "1"}
	if err := failpoint.Arm(func(key string) string { return env[key] }, 1, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	defer failpoint.Disarm()
	a := make(answers, 1)
	publish := func() error {
		d, err := c.Receive(2, 9, a, 0)
		if err != nil {
			return err
		}
		tag, _ := d.Begin(sensor.Live)
		body := sensor.AppendMessage(nil, &sensor.Message{Arrival: 1, Empty: sensor.ReasonHeartbeat, Delivery: tag})
		err = d.Append(r.cfg.Spools[sensor.Live], sensor.Live, sensor.ClassUnknown, body)
		d.End(err)
		return errors.Join(err, <-a)
	}
	if err := publish(); !errors.Is(err, spool.ErrFailed) {
		t.Fatalf("a spool that cannot sync says %v", err)
	}
	if err := publish(); !errors.Is(err, ErrFailed) {
		t.Errorf("sent again to a process that is ending: %v", err)
	}
	r.release(t, c, 1) // the journal is written once more
	r.stop()
	failpoint.Disarm()
	for _, s := range r.cfg.Spools {
		_ = s.Close() // the error of before
	}
	r = newRig(t, dir, nil)
	if n, _ := r.cfg.Spools[sensor.Live].Bounds(); n != 1 {
		t.Fatalf("the spool begins at %d", n)
	}
	if _, next := r.cfg.Spools[sensor.Live].Bounds(); next != 3 {
		t.Fatalf("the record whose sync failed is not there; next is %d", next)
	}
	c = r.attach(t, "u", "c", false, true)
	if r.receive(t, c, 2) {
		t.Error("a message that is in the spool is taken for a new one")
	}
	if !r.receive(t, c, 1) {
		t.Error("a packet id that was released is taken for a repeat")
	}
}

func BenchmarkReceiveAndRelease(b *testing.B) {
	dir := b.TempDir()
	cfg := Config{Path: filepath.Join(dir, "j"), Spools: map[sensor.Lane]*spool.Spool{}, Logger: slog.New(slog.DiscardHandler)}
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		s, err := spool.Open(spool.Config{Dir: filepath.Join(dir, lane.String()), Gateway: "gw", Lane: lane})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		cfg.Spools[lane] = s
	}
	table, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- table.Run(ctx) }()
	defer func() { cancel(); <-done }()
	c, _, err := table.Attach("u", "c", false, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	const window = 1000
	safe, free := make(answers, window), make(chan bool, window)
	var body []byte
	for n := 0; b.Loop(); n++ {
		d, err := c.Receive(uint16(n%window), 65535, safe, 0)
		if err != nil {
			b.Fatal(err)
		}
		tag, _ := d.Begin(sensor.Live)
		body = sensor.AppendMessage(body[:0], &sensor.Message{Arrival: 1, Empty: sensor.ReasonHeartbeat, Delivery: tag})
		if err := d.Append(cfg.Spools[sensor.Live], sensor.Live, sensor.ClassUnknown, body); err != nil {
			b.Fatal(err)
		}
		d.End(nil)
		if n%window == window-1 {
			for range window {
				<-safe
			}
			for packet := range uint16(window) {
				if err := c.Release(packet, func(bool) { free <- true }); err != nil {
					b.Fatal(err)
				}
			}
			for range window {
				<-free
			}
		}
	}
}
