package gateway

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// A connection that once sent a large batch, or made up topics, used to keep that memory until it ended: more than a
// megabyte for 4,000 readings, 640 MB for 10,000 topics of 64 KiB. Ten thousand connections must fit.
func TestAConnectionKeepsNothingOfWhatWasLarge(t *testing.T) {
	r := newRig(t, nil)
	batch := "[" + strings.Repeat(`{"t":1764000000000,"temperature":1},`, 3999) + `{"t":1764000000001,"temperature":2}]`
	for _, c := range []struct {
		name string
		send func(w *worker) error
	}{
		{"one large batch", func(w *worker) error {
			return w.append(w.build("situ/v1/a/b/json", []byte(batch), sensor.Origin{Client: "c"}), spool.Ack{})
		}},
		{"a large payload of nonsense", func(w *worker) error {
			return w.append(w.build("situ/v1/a/b/json", []byte(strings.Repeat("x", MaxPayload)), sensor.Origin{Client: "c"}), spool.Ack{})
		}},
		{"topics that are none", func(w *worker) error {
			for i := range 100 { // the spool, which all share, is not asked
				w.build(strings.Repeat("x", 60_000)+fmt.Sprint(i), []byte("x"), sensor.Origin{Client: "c"})
			}
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := r.g.newWorker(nil)
			for range 4 { // what all connections share has grown before: the spool's two buffers
				if err := c.send(other); err != nil {
					t.Fatal(err)
				}
				committed := make(told, 1)
				if err := other.append(other.build("situ/v1/a/b/json", []byte("{}"), sensor.Origin{}), spool.Ack{To: committed}); err != nil {
					t.Fatal(err)
				}
				<-committed
			}
			w := r.g.newWorker(nil)
			before := heap()
			if err := c.send(w); err != nil {
				t.Fatal(err)
			}
			kept := int64(0)
			for range 500 { // the spool has the message a little longer
				if kept = heap() - before; kept < 300<<10 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if kept >= 300<<10 {
				t.Errorf("keeps %d KiB", kept>>10)
			}
			runtime.KeepAlive(w)
		})
	}
}

// told is an Acker that says so.
type told chan error

func (c told) Acked(_ uint64, err error) { c <- err }

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
