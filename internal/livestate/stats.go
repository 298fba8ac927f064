package livestate

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// counters are guarded by State.mu.
type counters struct {
	rows     uint64 // given to Apply
	backfill uint64 // refused: lane backfill
	older    uint64 // refused: not newer than what is held (also repeats)
	unheld   uint64 // refused: too many Datastreams unknown to the registry
	unplaced uint64 // positions H3 has no cell for
	moves    uint64
	expired  uint64
	placed   int   // Things with a position
	arrival  int64 // newest arrivalTime
}

// rate is rows a second over the last ticks.
type rate struct {
	at   int64
	rows uint64
	perS float64
}

func (r *rate) sample(now int64, rows uint64) {
	if r.at == 0 {
		r.at, r.rows = now, rows
		return
	}
	if elapsed := now - r.at; elapsed >= 900 {
		r.perS += 0.4 * (float64(rows-r.rows)*1000/float64(elapsed) - r.perS)
		r.at, r.rows = now, rows
	}
}

// Stats are the numbers of the whole state.
type Stats struct {
	Observations uint64  // rows given to Apply since the start
	Rate         float64 // of them a second, smoothed over some seconds
	Backfill     uint64  // refused: lane backfill
	Older        uint64  // refused: repeats, and values older than the latest
	Unheld       uint64  // refused: too many unknown Datastreams
	Datastreams  int
	Unresolved   int // of them not known to the registry
	Things       int
	Placed       int
	Nodes        int // cells, over all properties, strata and resolutions
	Moves        uint64
	Expired      uint64    // values that grew stale
	NewestArrive time.Time // zero: nothing has come yet
	Version      uint64
}

// Stats gives the numbers of this moment.
func (s *State) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := &s.counters
	st := Stats{
		Observations: c.rows, Rate: s.rate.perS, Backfill: c.backfill, Older: c.older, Unheld: c.unheld,
		Datastreams: len(s.streams), Unresolved: len(s.unresolved), Things: len(s.things), Placed: c.placed,
		Nodes: len(s.nodes) - len(s.freed), Moves: c.moves, Expired: c.expired, Version: s.version,
	}
	if c.arrival > 0 {
		st.NewestArrive = time.UnixMilli(c.arrival)
	}
	return st
}

// Register publishes the state's metrics. now is asked at each scrape.
func (s *State) Register(reg prometheus.Registerer, now func() time.Time) {
	reg.MustRegister(&collector{state: s, now: now})
}

type collector struct {
	state *State
	now   func() time.Time
}

// Describe sends nothing: the collector is unchecked, its metrics are all made in Collect.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	st := c.state.Stats()
	one := func(name, help string, kind prometheus.ValueType, v float64, labels ...string) {
		var keys, values []string
		if len(labels) == 2 {
			keys, values = labels[:1], labels[1:]
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("situ_livestate_"+name, help, keys, nil), kind, v, values...)
	}
	one("observations_total", "Rows given to the live state.", prometheus.CounterValue, float64(st.Observations))
	const refused = "Rows that did not become a latest value."
	one("refused_total", refused, prometheus.CounterValue, float64(st.Backfill), "reason", "backfill")
	one("refused_total", refused, prometheus.CounterValue, float64(st.Older), "reason", "older")
	one("refused_total", refused, prometheus.CounterValue, float64(st.Unheld), "reason", "unknown_datastreams_bound")
	one("expired_total", "Latest values that grew stale.", prometheus.CounterValue, float64(st.Expired))
	one("moves_total", "Changes of a Thing's position.", prometheus.CounterValue, float64(st.Moves))
	one("datastreams", "Datastreams with a latest value.", prometheus.GaugeValue, float64(st.Datastreams))
	one("unresolved_datastreams", "Datastreams the registry does not know (yet).", prometheus.GaugeValue, float64(st.Unresolved))
	one("things", "Things that have reported.", prometheus.GaugeValue, float64(st.Things))
	one("placed_things", "Things with a position.", prometheus.GaugeValue, float64(st.Placed))
	one("cells", "Cells over all properties, strata and resolutions.", prometheus.GaugeValue, float64(st.Nodes))
	if !st.NewestArrive.IsZero() {
		one("age_seconds", "Age of the newest arrival.", prometheus.GaugeValue, c.now().Sub(st.NewestArrive).Seconds())
	}
}
