package normalize_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// once is one connection of one message, as a battery device has it; the marks of its first value come back.
func once(t *testing.T, m *normalize.Memory, room *normalize.Room, at int64, values ...any) sensor.Quality {
	t.Helper()
	n := newBench(t, true)
	n.Share(room)
	n.Recall(m)
	for i := 0; i < len(values); i += 2 {
		n.send(on("eco/a1", "json"), at, value(values[i].(string), values[i+1].(float64)))
	}
	q := n.live.Observations[0].Quality &^ sensor.UnitAssumed
	n.Leave()
	return q
}

func TestMemoryFromOneConnectionToTheNext(t *testing.T) {
	m, room := normalize.NewMemory(1<<20), normalize.NewRoom(1<<20)
	for i, c := range []struct {
		value float64
		want  sensor.Quality
	}{{20, 0}, {20.5, 0}, {45, jump}, {20.6, 0}, {45, jump}, {45.1, 0}, {20, jump}} {
		if got := once(t, m, room, arrival+int64(i)*minute, "temperature", c.value); got != c.want {
			t.Errorf("connection %d: %s, want %s", i, got, c.want)
		}
	}
	stuck := 0
	for i := range 200 {
		if once(t, m, room, arrival+int64(i)*minute, "noise", 52.1)&sensor.Stuck != 0 {
			stuck++
		}
	}
	if stuck != 79 {
		t.Errorf("%d of 200 equal values are stuck, want those after two hours: 79", stuck)
	}
	if !room.Take(1 << 20) {
		t.Error("connections that have ended still have room")
	}
	if got := once(t, nil, nil, arrival, "temperature", -30.0); got != 0 {
		t.Errorf("without memory: %s", got)
	}
}

// The clock too: one message a connection, half an hour behind.
func TestMemoryOfClocks(t *testing.T) {
	m := normalize.NewMemory(1 << 20)
	for i := range 10 {
		n := newBench(t, true)
		n.Recall(m)
		n.live.Arrival = arrival + int64(i)*minute
		src := on("eco/a1", "json")
		r := timed("humidity", n.live.Arrival-30*minute, 0)
		n.Normalize(&src, append(usual()[:0:0], r), nil, &n.live, &n.back)
		if got := n.live.Observations[0].Quality&sensor.ClockSkew != 0; got != (i >= 4) {
			t.Errorf("connection %d: %v", i, got)
		}
		n.Leave()
	}
}

// However many Things come by, a Memory takes no more than it may, and still remembers.
func TestMemoryIsBounded(t *testing.T) {
	const room = 20_000
	m := normalize.NewMemory(room)
	for i := range 1000 {
		n := newBench(t, true)
		n.Recall(m)
		n.send(on(sensor.ThingID(fmt.Sprintf("me/t%d", i)), "json"), arrival, value("temperature", 20))
		n.Leave()
		if taken := normalize.MemoryBytes(m); taken > room || i > 100 && taken < room/2 {
			t.Fatalf("after %d Things %d bytes are taken", i, taken)
		}
	}
	tiny := normalize.NewMemory(10)
	once(t, tiny, nil, arrival, "temperature", 20.0)
	if got := normalize.MemoryBytes(tiny); got != 0 {
		t.Errorf("%d bytes of 10", got)
	}
}

// Connections come and go at the same time.
func TestMemoryIsShared(t *testing.T) {
	m, c := normalize.NewMemory(50_000), catalogue(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			b := ledger()
			var live, back sensor.Message
			for i := range 300 {
				n := normalize.New(normalize.Options{Catalogue: c, AutoRegister: true, Ledger: func() normalize.Ledger { return b }})
				n.Recall(m)
				live.Reset()
				live.Arrival = arrival + int64(i)*minute
				src := on(sensor.ThingID(fmt.Sprintf("me/t%d", (i+g)%40)), "json")
				r := value("temperature", 20)
				r.Time = live.Arrival
				n.Normalize(&src, append(usual()[:0:0], r), nil, &live, &back)
				n.Leave()
			}
		})
	}
	wg.Wait()
	if taken := normalize.MemoryBytes(m); taken <= 0 || taken > 50_000 {
		t.Errorf("%d bytes are taken", taken)
	}
}
