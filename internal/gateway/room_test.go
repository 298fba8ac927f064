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
