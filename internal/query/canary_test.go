package query

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

var singer = sensor.Producer{Gateway: "gw1", Epoch: 1}

func song(seq uint64) sensor.Identity { return sensor.Identity{Producer: singer, Seq: seq} }

func TestTrack(t *testing.T) {
	type heard struct {
		number, acked, seq uint64
	}
	for name, c := range map[string]struct {
		heard            []heard
		missing, doubled uint64
	}{
		"even":                                  {heard: []heard{{10, 0, 1}, {11, 10, 2}, {12, 11, 3}}},
		"the first one names one before":        {heard: []heard{{10, 9, 1}, {11, 10, 2}}},
		"a number that was never acknowledged":  {heard: []heard{{10, 9, 1}, {12, 10, 2}, {13, 12, 3}}},
		"an acknowledged one is not there":      {heard: []heard{{10, 9, 1}, {12, 11, 2}, {13, 12, 3}}, missing: 1},
		"two of them":                           {heard: []heard{{10, 9, 1}, {12, 11, 2}, {14, 13, 3}}, missing: 2},
		"it is missed once":                     {heard: []heard{{10, 9, 1}, {12, 11, 2}, {13, 11, 3}}, missing: 1},
		"the log is read again":                 {heard: []heard{{10, 9, 1}, {11, 10, 2}, {10, 9, 1}, {11, 10, 2}, {12, 11, 3}}},
		"under another identity":                {heard: []heard{{10, 9, 1}, {11, 10, 2}, {11, 10, 3}}, doubled: 1},
		"what was before the watch is not told": {heard: []heard{{10, 9, 1}, {8, 7, 2}, {11, 10, 3}}},
	} {
		var tr track
		for _, h := range c.heard {
			tr.see(h.number, h.acked, song(h.seq))
		}
		if tr.missing != c.missing || tr.doubled != c.doubled {
			t.Errorf("%s: %d missing, %d doubled; want %d and %d", name, tr.missing, tr.doubled, c.missing, c.doubled)
		}
	}
}

// A track remembers as much as it needs, and no more.
func TestTrackIsBounded(t *testing.T) {
	var tr track
	for n := uint64(1); n <= 10*trackSize; n++ {
		tr.see(n, n-1, song(n))
	}
	if len(tr.seen) > 2*trackSize+1 || tr.missing+tr.doubled != 0 {
		t.Errorf("%d numbers remembered, %d missing, %d doubled", len(tr.seen), tr.missing, tr.doubled)
	}
}

func TestLatencies(t *testing.T) {
	var l latencies
	if p50, p99 := l.quantiles(); p50 != nil || p99 != nil {
		t.Error("nothing has quantiles")
	}
	for i := range 1000 {
		l.add(float64(i))
	}
	if p50, p99 := l.quantiles(); *p50 != 819 || *p99 != 996 {
		t.Errorf("of 640..999: p50 %v, p99 %v", *p50, *p99)
	}
}

// sung is a batch as the bus gives it: of each number its two values.
func sung(at time.Time, numbers ...[2]uint64) *sensor.Batch {
	b := &sensor.Batch{}
	sequence, acked := sensor.CanaryStreams(sensor.CanaryThing("gw1"))
	for _, n := range numbers {
		b.Add(singer, n[0], &sensor.Message{Arrival: at.UnixMilli(), Observations: []sensor.Observation{
			{Datastream: sequence, PhenomenonTime: at.UnixMilli(), Result: float64(n[0])},
			{Datastream: acked, PhenomenonTime: at.UnixMilli(), Result: float64(n[1])}}})
	}
	return b
}

// canaryStore answers with rows that a test gives.
type canaryStore struct {
	Watched
	rows []store.CanaryRow
	err  error
}

func (s *canaryStore) Canary(context.Context, string, int64) ([]store.CanaryRow, error) {
	return s.rows, s.err
}

// From PUBLISH to live state, to SELECT, on /metrics and in the status.
func TestCanaries(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	reg := prometheus.NewRegistry()
	c := NewCanaries(reg, slog.New(slog.DiscardHandler), func() time.Time { return now })
	if len(c.List()) != 0 || len(c.behind()) != 0 {
		t.Error("a canary before the first")
	}
	published := now
	now = now.Add(30 * time.Millisecond)
	c.Seen(sung(published, [2]uint64{10, 0}, [2]uint64{11, 10}), now)
	now = now.Add(470 * time.Millisecond)
	due := c.behind()
	if len(due) != 1 || due[0].gateway != "gw1" {
		t.Fatalf("to be asked: %+v", due)
	}
	row := func(n, acked, copies uint64) store.CanaryRow {
		return store.CanaryRow{Identity: song(n), Sequence: n, Acknowledged: acked, Time: published.UnixMilli(), Copies: copies}
	}
	c.found("gw1", []store.CanaryRow{row(10, 0, 1), row(11, 10, 1)})
	if len(c.behind()) != 0 {
		t.Error("SQL has everything, and is asked again")
	}
	s := c.List()[0]
	if s.Gateway != "gw1" || *s.AgeS != 0.5 || *s.LiveP50MS != 30 || *s.SelectP99MS != 500 || s.Missing+s.Doubled != 0 {
		t.Errorf("%+v: live %v, select %v", s, *s.LiveP50MS, *s.SelectP99MS)
	}
	now = now.Add(10 * time.Second)
	c.Seen(sung(now, [2]uint64{13, 12}), now)
	c.found("gw1", []store.CanaryRow{row(10, 0, 1), row(11, 10, 1), row(13, 12, 2)})
	want := `
# HELP situ_canary_double_total Canaries that came this far twice.
# TYPE situ_canary_double_total counter
situ_canary_double_total{gateway="gw1",stage="live"} 0
situ_canary_double_total{gateway="gw1",stage="select"} 1
# HELP situ_canary_missing_total Acknowledged canaries that did not come this far.
# TYPE situ_canary_missing_total counter
situ_canary_missing_total{gateway="gw1",stage="live"} 1
situ_canary_missing_total{gateway="gw1",stage="select"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "situ_canary_missing_total", "situ_canary_double_total"); err != nil {
		t.Error(err)
	}
	if s := c.List()[0]; s.Missing != 1 || s.Doubled != 1 {
		t.Errorf("%+v", s)
	}
}

// A SELECT that is waited for too long is asked less often, and an error of it ends nothing.
func TestCanariesAskSeldomerWhenLate(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	c := NewCanaries(prometheus.NewRegistry(), slog.New(slog.DiscardHandler), func() time.Time { return now })
	c.Seen(sung(now, [2]uint64{10, 0}), now)
	asked := 0
	for range 600 { // a minute
		now = now.Add(canaryLook)
		asked += len(c.behind())
	}
	if asked < 50 || asked > 51+30 {
		t.Errorf("asked %d times in a minute", asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	s := &canaryStore{err: errors.New("away")}
	if err := c.Watch(ctx, func() Watched {
		if calls++; calls == 3 {
			cancel()
		}
		return s
	}); err != nil {
		t.Error(err)
	}
}

// Rows of others cost nothing and change nothing.
func TestCanariesIgnoreOthers(t *testing.T) {
	c := NewCanaries(prometheus.NewRegistry(), slog.New(slog.DiscardHandler), time.Now)
	b := &sensor.Batch{}
	sequence, _ := sensor.CanaryStreams(sensor.CanaryThing("gw1"))
	b.Add(sensor.Producer{Gateway: "gw2"}, 1, &sensor.Message{Observations: []sensor.Observation{{Datastream: sequence, Result: 1}, {Datastream: 5, Property: 3}}})
	c.Seen(b, time.Now())
	if len(c.List()) != 0 {
		t.Error("another gateway sang for gw1")
	}
}
