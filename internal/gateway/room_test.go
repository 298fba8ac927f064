package gateway

import (
	"fmt"
	"testing"

	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// Connections together keep no more of topics and Things than the process has room for, and give it back at their end.
func TestConnectionsShareTheRoomOfWhatIsPrepared(t *testing.T) {
	r := newRig(t, func(c *Config, o *normalize.Options) { c.Prepared, o.AutoRegister = 1<<20, true })
	workers := make([]*worker, 50)
	for i := range workers {
		workers[i] = r.g.newWorker(nil)
		for n := range 200 {
			if parts := workers[i].build(fmt.Sprintf("situ/v1/a/t%d-%d/json", i, n), []byte(`{"temperature":1}`), sensor.Origin{}); parts != 1 || len(workers[i].live.Observations) != 1 {
				t.Fatalf("worker %d, message %d: %d parts, %+v", i, n, parts, workers[i].live)
			}
		}
	}
	topics := 0
	for _, w := range workers {
		topics += len(w.routes)
	}
	if topics == 0 || topics*routeBytes > 1<<20 {
		t.Errorf("%d topics are remembered", topics)
	}
	for _, w := range workers {
		w.close()
	}
	if !r.g.room.Take(1<<20-1<<20/memoryPart) || r.g.room.Take(1) {
		t.Error("not all room was given back")
	}
}

// A device that connects for each message is judged by what it sent before, over another connection.
func TestAConnectionHandsOnWhatItsThingsAreJudgedBy(t *testing.T) {
	r := newRig(t, func(_ *Config, o *normalize.Options) { o.AutoRegister = true })
	const at = 1_704_164_400_000 // long ago: the same on every day
	for i, c := range []struct {
		celsius int
		want    sensor.Quality
	}{{20, 0}, {21, 0}, {45, sensor.RateOfChange}, {21, 0}} {
		w := r.g.newWorker(nil)
		w.build("situ/v1/a/b/json", fmt.Appendf(nil, `{"t":%d,"temperature":%d}`, at+i*60_000, c.celsius), sensor.Origin{})
		if len(w.back.Observations) != 1 || w.back.Observations[0].Quality&sensor.RateOfChange != c.want {
			t.Errorf("connection %d: %+v", i, w.back.Observations)
		}
		w.close()
	}
}
