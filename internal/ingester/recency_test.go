package ingester

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

func batchOf(pairs ...store.Pair) *sensor.Batch {
	b := new(sensor.Batch)
	for _, p := range pairs {
		b.Datastream, b.PhenomenonTime = append(b.Datastream, p.Datastream), append(b.PhenomenonTime, p.PhenomenonTime)
	}
	return b
}

// Whatever comes in whatever order, a pair that was there before is always told.
func TestRecencyNeverCallsAStoredTimeNew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, stored := newRecency(), map[store.Pair]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				if rapid.Bool().Draw(t, "same process") {
					r.forgetHoles()
				} else {
					r = newRecency()
				}
				for p := range stored {
					r.loaded(p.Datastream, p.PhenomenonTime)
				}
			}
			p := store.Pair{Datastream: sensor.DatastreamID(rapid.IntRange(1, 2).Draw(t, "d")), PhenomenonTime: int64(rapid.IntRange(-30, 30).Draw(t, "t"))}
			told := len(r.repeats(nil, batchOf(p))) == 1
			if stored[p] && !told {
				t.Fatalf("%+v is stored and was called new", p)
			}
			stored[p] = true
		}
	})
}

func TestRecencyKnowsTheUsualAsNew(t *testing.T) {
	rising := func(from, to, by int64) (all []store.Pair) {
		for at := from; at < to; at += by {
			all = append(all, store.Pair{Datastream: 1, PhenomenonTime: at})
		}
		return all
	}
	r := newRecency()
	r.loaded(1, 500)
	for _, c := range []struct {
		name string
		in   []store.Pair
		want int
	}{
		{"rising after a restart", rising(501, 1000, 60), 0},
		{"a Datastream nobody knew", []store.Pair{{Datastream: 2, PhenomenonTime: 5}, {Datastream: 2, PhenomenonTime: 1}}, 0},
		{"online again after a day", rising(86_400, 86_500, 60), 0},
		{"and the day's backlog, rising", rising(1000, 86_400, 600), 0},
		{"the same backlog again", rising(1000, 86_400, 600), 143},
		{"two of an instant in one block", []store.Pair{{Datastream: 3, PhenomenonTime: 1}, {Datastream: 3, PhenomenonTime: 1}}, 1},
		{"older than the restart", rising(1, 400, 100), 4},
	} {
		if got := len(r.repeats(nil, batchOf(c.in...))); got != c.want {
			t.Errorf("%s: %d of %d are told as possible repeats, want %d", c.name, got, len(c.in), c.want)
		}
	}
}

func BenchmarkRecency(b *testing.B) {
	r := newRecency()
	batch := new(sensor.Batch)
	for i := range 100_000 {
		batch.Datastream = append(batch.Datastream, sensor.DatastreamID(i%20_000*7919))
		batch.PhenomenonTime = append(batch.PhenomenonTime, int64(i))
	}
	var dst []store.Pair
	for b.Loop() {
		dst = r.repeats(dst[:0], batch)
		for i := range batch.PhenomenonTime {
			batch.PhenomenonTime[i] += 100_000
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/row")
}
