package normalize_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// Two connections that make up Things and long names share a room: it is never overdrawn, what each message becomes is
// the same as with room without end, and those who go give back what they had.
func TestPreparedThingsShareARoom(t *testing.T) {
	const bytes = 40_000
	room := normalize.NewRoom(bytes)
	free := newBench(t, true)
	pair := []*bench{newBench(t, true), newBench(t, true)}
	for _, b := range pair {
		b.Share(room)
	}
	for i := range 2000 {
		b := pair[i%2]
		src := on(sensor.ThingID(fmt.Sprintf("me/t%d", i%300)), "json")
		long := value(fmt.Sprintf("flux%d%s", i%7, strings.Repeat("x", i%400)), 1)
		b.send(src, arrival+int64(i), value("temperature", 1), long)
		free.send(src, arrival+int64(i), value("temperature", 1), long)
		if len(b.live.Observations) != 2 || b.live.Observations[1] != free.live.Observations[1] {
			t.Fatalf("message %d is %+v, with room without end %+v", i, b.live.Observations, free.live.Observations)
		}
	}
	for _, b := range pair {
		b.Forget()
	}
	if !room.Take(bytes) || room.Take(1) {
		t.Error("after all have gone there is more or less room than at the beginning")
	}
}

// A ledger that is no bigger than the room is prepared once: declarations of what it does not know are not repeated.
func TestRoomThatSufficesForgetsNothing(t *testing.T) {
	b := newBench(t, true)
	b.Share(normalize.NewRoom(1 << 20))
	declared := 0
	for i := range 1000 {
		declared += b.send(on(sensor.ThingID(fmt.Sprintf("me/t%d", i%100)), "json"), arrival+int64(i), value("temperature", 1)).Declared
	}
	if declared != 200 {
		t.Errorf("%d declarations of 100 Things and their 100 Datastreams", declared)
	}
}
