package query

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// The two places where a canary is looked for.
const (
	stageLive   = "live"   // applied to the live state
	stageSelect = "select" // in the answer of a SELECT
)

// Canaries watches what becomes of the gateways' canaries (internal/gateway: Canary): how long a reading takes from its
// PUBLISH to the live state and to SQL, whether one that was acknowledged is missing, whether one is there twice. It
// knows a canary from the first message of its gateway on.
type Canaries struct {
	logger *slog.Logger
	clock  func() time.Time
	began  int64 // Unix ms; what was published before says nothing about how long it takes
	took   *prometheus.HistogramVec

	mu      sync.Mutex // guards what follows
	byName  map[string]*watched
	streams map[sensor.DatastreamID]*watched // of the sequence
}

// watched is one gateway's canary.
type watched struct {
	gateway      string
	acknowledged sensor.DatastreamID
	live, sql    track
	liveMS       latencies
	sqlMS        latencies
	asked        time.Time // when SQL was asked last
	waiting      int64     // since when SQL is behind, Unix ms; 0 = it is not
}

// CanaryState is what is known of one gateway's canary.
type CanaryState struct {
	Gateway     string   `json:"gateway"`
	AgeS        *float64 `json:"age_s" doc:"since the PUBLISH of the newest reading in the live state"`
	SelectAgeS  *float64 `json:"select_age_s" doc:"of the newest in SQL"`
	LiveP50MS   *float64 `json:"live_p50_ms" doc:"PUBLISH to live state, over the last 360 readings"`
	LiveP99MS   *float64 `json:"live_p99_ms"`
	SelectP50MS *float64 `json:"select_p50_ms" doc:"PUBLISH to the answer of a SELECT; looked for ten times a second"`
	SelectP99MS *float64 `json:"select_p99_ms"`
	Missing     uint64   `json:"missing" doc:"acknowledged readings that did not come, since the start"`
	Doubled     uint64   `json:"doubled" doc:"readings that came twice, since the start"`
}

// NewCanaries makes a watch and registers its metrics.
func NewCanaries(reg prometheus.Registerer, logger *slog.Logger, clock func() time.Time) *Canaries {
	c := &Canaries{logger: logger, clock: clock, began: clock().UnixMilli(), byName: map[string]*watched{}, streams: map[sensor.DatastreamID]*watched{},
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "situ_canary_seconds",
			Help: "Time from the canary's PUBLISH to the live state, and to the answer of a SELECT.", Buckets: prometheus.ExponentialBuckets(0.002, 2, 16)},
			[]string{"gateway", "stage"})}
	reg.MustRegister(c.took, canaryCollector{c})
	return c
}

// Seen is told of every batch that the live state has applied.
func (c *Canaries) Seen(b *sensor.Batch, at time.Time) {
	if c == nil || b.Len() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range b.Producers {
		c.know(p.Gateway)
	}
	for i, id := range b.Datastream {
		if b.Property[i] != 0 { // nearly every row
			continue
		}
		w := c.streams[id]
		if w == nil || b.Producers[b.Producer[i]].Gateway != w.gateway {
			continue
		}
		acknowledged := uint64(0)
		if j := i + 1; j < b.Len() && b.Seq[j] == b.Seq[i] && b.Datastream[j] == w.acknowledged {
			acknowledged = uint64(b.Result[j])
		}
		who := sensor.Identity{Producer: b.Producers[b.Producer[i]], Seq: b.Seq[i]}
		c.reached(&w.live, &w.liveMS, w, stageLive, uint64(b.Result[i]), acknowledged, b.PhenomenonTime[i], who, at)
	}
}

func (c *Canaries) know(gateway string) {
	if c.byName[gateway] != nil {
		return
	}
	sequence, acknowledged := sensor.CanaryStreams(sensor.CanaryThing(gateway))
	w := &watched{gateway: gateway, acknowledged: acknowledged}
	c.byName[gateway], c.streams[sequence] = w, w
}

// reached notes a reading at one of the places; c.mu is held.
func (c *Canaries) reached(t *track, window *latencies, w *watched, stage string, number, acknowledged uint64, published int64, who sensor.Identity, at time.Time) {
	missing, doubled := t.missing, t.doubled
	if !t.see(number, acknowledged, who) && t.doubled == doubled {
		return
	}
	if t.missing > missing || t.doubled > doubled {
		c.logger.Error("the canary did not come as it should", "component", "query", "gateway", w.gateway, "stage", stage, "number", number,
			"acknowledged", acknowledged, "missing", t.missing, "doubled", t.doubled)
	}
	if number == t.newest {
		t.time = published
	}
	if took := at.UnixMilli() - published; published >= c.began && took >= 0 {
		window.add(float64(took))
		c.took.WithLabelValues(w.gateway, stage).Observe(float64(took) / 1000)
	}
}

// Pauses between two SELECTs that look for a canary.
const (
	canaryLook     = 100 * time.Millisecond
	canaryLookLate = 2 * time.Second // when it has been waited for longer than canaryLate
	canaryLate     = 5 * time.Second
	canaryOverlap  = 2 * time.Minute // numbers of the last while are looked at again: a double comes later than its first
)

// Watch looks for the canaries in SQL until ctx ends. It asks only while SQL is behind the live state.
func (c *Canaries) Watch(ctx context.Context, rows func() Watched) error {
	tick := time.NewTicker(canaryLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		s := rows()
		if s == nil {
			continue
		}
		for _, ask := range c.behind() {
			list, err := s.Canary(ctx, ask.gateway, ask.after)
			if err != nil {
				if ctx.Err() == nil {
					c.logger.Debug("look for the canary", "component", "query", "gateway", ask.gateway, "err", err)
				}
				continue
			}
			c.found(ask.gateway, list)
		}
	}
}

// question is one SELECT that is due.
type question struct {
	gateway string
	after   int64
}

// behind gives the canaries that SQL does not have yet and that are due to be looked for.
func (c *Canaries) behind() (due []question) {
	now := c.clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.byName {
		if w.live.newest == 0 || w.sql.newest >= w.live.newest {
			w.waiting = 0
			continue
		}
		if w.waiting == 0 {
			w.waiting = now.UnixMilli()
		}
		if now.UnixMilli()-w.waiting > canaryLate.Milliseconds() && now.Sub(w.asked) < canaryLookLate {
			continue
		}
		w.asked = now
		after := w.sql.time - canaryOverlap.Milliseconds()
		if w.sql.newest == 0 {
			after = c.began - 2*canaryOverlap.Milliseconds()
		}
		due = append(due, question{w.gateway, after})
	}
	return due
}

// found notes what SQL has.
func (c *Canaries) found(gateway string, list []store.CanaryRow) {
	at := c.clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.byName[gateway]
	for i := range list {
		r := &list[i]
		_, known := w.sql.seen[r.Sequence]
		c.reached(&w.sql, &w.sqlMS, w, stageSelect, r.Sequence, r.Acknowledged, r.Time, r.Identity, at)
		if r.Copies > 1 && !known {
			w.sql.doubled += r.Copies - 1
			c.logger.Error("the canary is stored more than once", "component", "query", "gateway", gateway, "number", r.Sequence, "copies", r.Copies)
		}
	}
}

// List tells of every canary that has been heard, by the gateway's name.
func (c *Canaries) List() []CanaryState {
	list := []CanaryState{}
	now := c.clock().UnixMilli()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(c.byName)) {
		w := c.byName[name]
		if w.live.newest == 0 {
			continue // a gateway without
		}
		s := CanaryState{Gateway: name, AgeS: ageOf(&w.live, now), SelectAgeS: ageOf(&w.sql, now),
			Missing: max(w.live.missing, w.sql.missing), Doubled: max(w.live.doubled, w.sql.doubled)}
		s.LiveP50MS, s.LiveP99MS = w.liveMS.quantiles()
		s.SelectP50MS, s.SelectP99MS = w.sqlMS.quantiles()
		list = append(list, s)
	}
	return list
}

func ageOf(t *track, now int64) *float64 {
	if t.newest == 0 {
		return nil
	}
	age := max(float64(now-t.time)/1000, 0)
	return &age
}

// canaryCollector makes the numbers that are asked, not counted.
type canaryCollector struct{ c *Canaries }

var (
	canaryAge     = prometheus.NewDesc("situ_canary_age_seconds", "Time since the PUBLISH of the newest canary that has come this far.", []string{"gateway", "stage"}, nil)
	canaryMissing = prometheus.NewDesc("situ_canary_missing_total", "Acknowledged canaries that did not come this far.", []string{"gateway", "stage"}, nil)
	canaryDouble  = prometheus.NewDesc("situ_canary_double_total", "Canaries that came this far twice.", []string{"gateway", "stage"}, nil)
)

// Describe sends nothing: the collector is unchecked, its metrics are all made in Collect.
func (canaryCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (k canaryCollector) Collect(out chan<- prometheus.Metric) {
	now := k.c.clock().UnixMilli()
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	for name, w := range k.c.byName {
		if w.live.newest == 0 {
			continue
		}
		for stage, t := range map[string]*track{stageLive: &w.live, stageSelect: &w.sql} {
			if age := ageOf(t, now); age != nil {
				out <- prometheus.MustNewConstMetric(canaryAge, prometheus.GaugeValue, *age, name, stage)
			}
			out <- prometheus.MustNewConstMetric(canaryMissing, prometheus.CounterValue, float64(t.missing), name, stage)
			out <- prometheus.MustNewConstMetric(canaryDouble, prometheus.CounterValue, float64(t.doubled), name, stage)
		}
	}
}
