package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/bustest"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/pkg/sensor"
)

// disk is a broker with a disk, which can be put back to what it was.
type disk struct {
	*world
	dir, addr string
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	d := &disk{dir: filepath.Join(t.TempDir(), "now"), addr: addr}
	d.world = worldOn(t, []string{addr}, testTopic)
	d.start(t)
	return d
}

func (d *disk) start(t *testing.T) {
	t.Helper()
	d.world.cluster = cluster(t, kfake.NumBrokers(1), kfake.DataDir(d.dir), kfake.SyncWrites(),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, d.addr) }))
}

// keep copies the disk while the broker is down; back puts the copy into its place.
func (d *disk) keep(t *testing.T) (back func()) {
	t.Helper()
	d.world.cluster.Close()
	copied := d.dir + ".copy"
	if err := os.CopyFS(copied, os.DirFS(d.dir)); err != nil {
		t.Fatal(err)
	}
	d.start(t)
	return func() {
		t.Helper()
		d.world.cluster.Close()
		if err := errors.Join(os.RemoveAll(d.dir), os.Rename(copied, d.dir)); err != nil {
			t.Fatal(err)
		}
		d.start(t)
	}
}

// publishEach sends each message by itself, so that it has an offset of its own.
func (d *disk) publishEach(t *testing.T, msgs []sensor.Message) {
	t.Helper()
	for i := range msgs {
		d.publish(t, sensor.Live, msgs[i:i+1])
	}
}

// read fetches the first n offsets, one after the other.
func read(t *testing.T, b *Bus, part int32, n int64) {
	t.Helper()
	for at := range n {
		var batch sensor.Batch
		if _, err := b.Fetch(t.Context(), part, at, at+1, 0, &batch); err != nil {
			t.Fatal(err)
		}
	}
}

func outgrown(err error, old bus.LogID) error {
	if !errors.Is(err, protocol.ErrLogShrank) || !errors.Is(err, bus.ErrOffset) {
		return fmt.Errorf("it was not noticed: %w", err)
	}
	if old != (bus.LogID{}) && !strings.Contains(err.Error(), "--kafka-accept "+renamed(old).String()) {
		return fmt.Errorf("it does not say how to go on: %w", err)
	}
	return nil
}

// TestOutgrown: a log that went backwards has grown past the position by the time somebody begins there.
func TestOutgrown(t *testing.T) {
	for name, c := range map[string]struct {
		kept, position, announced int64
	}{
		"before the position":      {kept: 2, position: 4},
		"inside what is announced": {kept: 3, position: 2, announced: 5},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			part := d.Partition(sensor.Live)
			msgs := bustest.Messages(1, 20)
			d.publishEach(t, msgs[:c.kept])
			back := d.keep(t)
			d.publishEach(t, msgs[c.kept:6])
			id, err := d.bus.ID(t.Context(), part)
			if err != nil {
				t.Fatal(err)
			}
			at := bus.Position{Offset: c.position}
			if c.announced > 0 {
				at.Meta = (&protocol.Intent{Version: 1, Log: id.String(), From: c.position, To: c.announced}).Encode()
			}
			if err := d.consume(t, d.bus.Group("g"), func(ctx context.Context, a bus.Assignment) error {
				read(t, d.bus, part, 6)
				return a.Commit(ctx, at)
			}); err != nil {
				t.Fatal(err)
			}
			same := connect(t, d.brokers, d.topic)
			d.members = append(d.members, same)
			if p, err := same.Group("g").Committed(t.Context(), part); err != nil || p != at {
				t.Fatalf("nothing happened yet, and the group stands at %+v, %v", p, err)
			}
			back()
			d.publishEach(t, msgs[6:20])
			if _, _, err := same.Bounds(t.Context(), part); err != nil { // it has lost its connections
				t.Fatal(err)
			}
			// The group's positions went back as well. Where they did not, they are what they were, with the marks of before:
			if err := d.consume(t, d.bus.Group("g"), func(ctx context.Context, a bus.Assignment) error {
				mine := a.(*assignment)
				before := &assignment{g: &Group{same, "g"}, part: part, generation: mine.generation, member: mine.member, id: id}
				err := bus.ErrUnanswered
				for errors.Is(err, bus.ErrUnanswered) { // of a connection that was lost, too
					err = before.Commit(ctx, at)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			for range 2 { // it stays so, however often a supervisor starts it again
				fresh := connect(t, d.brokers, d.topic)
				d.members = append(d.members, fresh)
				err := d.consume(t, fresh.Group("g"), func(ctx context.Context, a bus.Assignment) error {
					_, err := a.Committed(ctx)
					return err
				})
				if err := outgrown(err, id); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestOutgrownMeanwhile: it happens while a reader holds a position in memory.
func TestOutgrownMeanwhile(t *testing.T) {
	d := newDisk(t)
	part := d.Partition(sensor.Live)
	msgs := bustest.Messages(1, 20)
	d.publishEach(t, msgs[:2])
	back := d.keep(t)
	d.publishEach(t, msgs[2:5])
	reader := connect(t, d.brokers, d.topic)
	d.members = append(d.members, reader)
	read(t, reader, part, 5)
	back()
	d.publishEach(t, msgs[5:20])
	var b sensor.Batch
	next, err := reader.Fetch(t.Context(), part, 5, 0, 0, &b)
	if err := outgrown(err, bus.LogID{}); err != nil || next != 5 || b.Messages != 0 {
		t.Fatalf("next %d, %d messages, %v", next, b.Messages, err)
	}
	if _, err := reader.Fetch(t.Context(), part, 1, 5, 0, &b); outgrown(err, bus.LogID{}) != nil { // what comes before is as it was
		t.Fatalf("what was read up to 5 is another now: %v", err)
	}
}

// TestSameLog: a broker that was away and has what it had holds nobody up, nor does one that has freed what was read.
func TestSameLog(t *testing.T) {
	d := newDisk(t)
	part := d.Partition(sensor.Live)
	msgs := bustest.Messages(1, 20)
	d.publishEach(t, msgs[:5])
	if err := d.consume(t, d.bus.Group("g"), func(ctx context.Context, a bus.Assignment) error {
		read(t, d.bus, part, 5)
		return a.Commit(ctx, bus.Position{Offset: 5, Meta: "x"})
	}); err != nil {
		t.Fatal(err)
	}
	d.cluster.Close()
	d.start(t)
	d.publishEach(t, msgs[5:10])
	var b sensor.Batch
	if next, err := d.bus.Fetch(t.Context(), part, 5, 6, 0, &b); err != nil || next != 6 {
		t.Fatalf("next %d, %v", next, err)
	}
	for _, freed := range []int64{0, 5} {
		if err := d.cluster.DeleteRecords(d.topic, part, freed); err != nil {
			t.Fatal(err)
		}
		fresh := connect(t, d.brokers, d.topic)
		d.members = append(d.members, fresh)
		if p, err := fresh.Group("g").Committed(t.Context(), part); err != nil || p != (bus.Position{Offset: 5, Meta: "x"}) {
			t.Errorf("the group stands at %+v, %v", p, err)
		}
		if next, err := fresh.Fetch(t.Context(), part, 5, 6, 0, &b); err != nil || next != 6 {
			t.Errorf("next %d, %v", next, err)
		}
	}
}

func TestHead(t *testing.T) {
	name := bus.LogID{1, 2}.String()
	for s, want := range map[string]string{
		name:                     "[]",
		name + ";5-1f":           "[5-1f]",
		name + ";5-1f;77-2":      "[5-1f 77-2]",
		name + ";x;-3-1;7-g;8-8": "[8-8]",
		name + ";9223372036854775807-ffffffffffffffff": "[9223372036854775807-ffffffffffffffff]",
	} {
		h := parseHead(s)
		if got := fmt.Sprint(h.marks); h.log != name || got != want {
			t.Errorf("%s is read as %s with %s", s, h.log, got)
		}
	}
	if n := len(";" + mark{1<<63 - 1, 1<<64 - 1}.String()); n != 1+maxMark {
		t.Errorf("a mark takes %d bytes, %d are kept for it", n, 1+maxMark)
	}
}

// TestTrailIsBounded: a reader that never commits.
func TestTrailIsBounded(t *testing.T) {
	b := &Bus{trails: map[int32]*trail{}}
	for next := int64(1); next <= 3*maxEnds; next++ {
		if err := b.leave(0, next, mark{next - 1, 1}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.trails[0].ends); n > maxEnds || b.before(0, 3*maxEnds) == noMark {
		t.Errorf("%d ends are kept", n)
	}
	b.forget(0, 3*maxEnds)
	if n := len(b.trails[0].ends); n != 1 {
		t.Errorf("%d ends are left after the last one was committed", n)
	}
}
