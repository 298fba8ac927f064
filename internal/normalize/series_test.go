package normalize_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// told is one value of "eco/a1" as it goes in, and what it must be marked with beside unit_assumed.
type told struct {
	after time.Duration // since the one before
	value float64
	want  sensor.Quality
}

// series sends the values one message each, at their time, and compares the marks.
func series(t *testing.T, n *bench, name string, values ...told) {
	t.Helper()
	at := arrival
	for i, v := range values {
		at += v.after.Milliseconds()
		n.send(on("eco/a1", "json"), at, value(name, v.value))
		if len(n.live.Observations) != 1 {
			t.Fatalf("%s: value %d: %+v", name, i, n.live)
		}
		if got := n.live.Observations[0].Quality &^ sensor.UnitAssumed; got != v.want {
			t.Errorf("%s: value %d (%v): %s, want %s", name, i, v.value, got, v.want)
		}
	}
}

const jump = sensor.RateOfChange

func TestRateOfChange(t *testing.T) {
	const min = time.Minute
	for name, values := range map[string][]told{
		"within 3 degrees a minute":                   {{0, 20, 0}, {min, 22.9, 0}, {min, 20, 0}, {10 * min, 45, 0}},
		"a spike marks itself only":                   {{0, 20, 0}, {min, 20.1, 0}, {min, 35, jump}, {min, 20.2, 0}, {min, 20.3, 0}},
		"a new level is confirmed by the next":        {{0, 20, 0}, {min, 40, jump}, {min, 40.1, 0}, {min, 40.2, 0}, {min, 20, jump}, {min, 20, 0}},
		"values that agree with none are all doubted": {{0, 20, 0}, {min, 40, jump}, {min, -10, jump}, {min, 50, jump}, {min, 20.5, 0}},
		"noise of seconds is judged as of a minute":   {{0, 20, 0}, {time.Second, 21.5, 0}, {time.Second, 20, 0}, {time.Second, 24, jump}},
		"after an hour nothing is known":              {{0, -10, 0}, {time.Hour + min, 45, 0}},
		"out of range has a mark of its own":          {{0, 20, 0}, {min, 85, sensor.OutOfRange}, {min, 20.1, 0}},
	} {
		t.Run(name, func(t *testing.T) { series(t, newBench(t, true), "temperature", values...) })
	}
	t.Run("a property without rate", func(t *testing.T) {
		series(t, newBench(t, true), "noise", told{0, 30, 0}, told{time.Second, 110, 0}, told{time.Second, 30, 0})
	})
	t.Run("a quick property", func(t *testing.T) {
		series(t, newBench(t, true), "PM2.5", told{0, 30, 0}, told{min, 300, 0}, told{min, 999, jump})
	})
}

// Older values, and the same instant again, say nothing of how fast a quantity changes, and are not remembered.
func TestOrderOfTime(t *testing.T) {
	n := newBench(t, true)
	send := func(at int64, x float64, want sensor.Quality) {
		t.Helper()
		n.live.Reset()
		n.live.Arrival = arrival + hour
		src := on("eco/a1", "json")
		n.Normalize(&src, []decode.Reading{with(value("temperature", x), func(r *decode.Reading) { r.Time = arrival + at })}, nil, &n.live, &n.back)
		if got := n.live.Observations[0].Quality &^ sensor.UnitAssumed; got != want {
			t.Errorf("%v at %d: %s, want %s", x, at, got, want)
		}
	}
	send(10*minute, 20, 0)
	send(5*minute, 55, 0)  // from a backlog
	send(10*minute, 50, 0) // a correction
	send(11*minute, 20.5, 0)
	send(12*minute, 50, jump)
}

func TestSourceFlagsAndWordsAreNotRemembered(t *testing.T) {
	n := newBench(t, true)
	src := on("eco/a1", "json")
	at := arrival
	for i, r := range []decode.Reading{
		value("temperature", 20), with(value("temperature", 50), func(r *decode.Reading) { r.Quality = sensor.SourceCalib }),
		with(value("temperature", 0), func(r *decode.Reading) { r.Text = "offline" }), value("temperature", 20.5),
	} {
		at += minute
		n.send(src, at, r)
		if q := n.live.Observations[0].Quality; q&(jump|sensor.Stuck) != 0 {
			t.Errorf("reading %d: %s", i, q)
		}
	}
}

// Two things that look like a fault: the owner declares another unit (the number changes its meaning), and a device is
// taken to another place.
func TestWhatChangesIsNotAJump(t *testing.T) {
	n := newBench(t, true)
	src := on("eco/a1", "json")
	n.send(src, arrival, value("tf", 68))
	d := *n.book.streams["eco/a1"][0]
	d.Unit = "Cel"
	n.book.put(n.book.things["eco/a1"], &d)
	n.send(src, arrival+minute, value("tf", 40))
	if o := n.live.Observations[0]; o.Result != 40 || o.Quality != 0 {
		t.Errorf("in the new unit: %+v", o)
	}
	n.send(src, arrival+2*minute, at(value("tf", 10), 106.6, 29.6))
	if q := n.live.Observations[0].Quality; q != sensor.Moving {
		t.Errorf("elsewhere: %s", q)
	}
	n.send(src, arrival+3*minute, value("tf", 10))
	if q := n.live.Observations[0].Quality; q != jump {
		t.Errorf("back in place, 30 degrees away from the value there: %s", q)
	}
}

// run sends the same value every so often and tells after how many it was first marked as stuck, -1 = never.
func run(n *bench, name string, x float64, every time.Duration, count int) int {
	for i := range count {
		n.send(on("eco/a1", "json"), arrival+int64(i)*every.Milliseconds(), value(name, x))
		if n.live.Observations[0].Quality&sensor.Stuck != 0 {
			return i
		}
	}
	return -1
}

func TestStuck(t *testing.T) {
	for name, c := range map[string]struct {
		property string
		value    float64
		every    time.Duration
		count    int
		want     int
	}{
		"12 hours of one temperature are natural, one minute more is not": {"temperature", 21.3, time.Minute, 2000, 721},
		"not before it has come again ten times":                          {"temperature", 21.3, 2 * time.Hour, 50, 10},
		"nobody knows what was between values half of it apart":           {"temperature", 21.3, 7 * time.Hour, 50, -1},
		"the end of a range: fog":                                         {"humidity", 100, time.Minute, 3000, -1},
		"the end of a range: night":                                       {"solar_radiation", 0, time.Minute, 3000, -1},
		"a counter":                                                       {"energy", 5, time.Hour, 3000, -1},
		"a state":                                                         {"smoke_alarm", 0.5, time.Hour, 3000, -1},
		"a microphone that hears the same for two hours":                  {"noise", 52.1, time.Minute, 200, 121},
	} {
		t.Run(name, func(t *testing.T) {
			if got := run(newBench(t, true), c.property, c.value, c.every, c.count); got != c.want {
				t.Errorf("stuck at value %d, want %d", got, c.want)
			}
		})
	}
	t.Run("an expected interval makes it longer", func(t *testing.T) {
		n := newBench(t, true)
		n.book.put(n.book.things["eco/a1"], &sensor.Datastream{Property: "noise", Interval: time.Hour})
		if got := run(n, "noise", 52.1, 30*time.Minute, 100); got != 21 {
			t.Errorf("stuck at value %d, want 21: more than ten hours", got)
		}
	})
	t.Run("another value ends it", func(t *testing.T) {
		n := newBench(t, true)
		run(n, "noise", 52.1, time.Minute, 200)
		n.send(on("eco/a1", "json"), arrival+200*minute, value("noise", 52.2))
		if q := n.live.Observations[0].Quality; q&sensor.Stuck != 0 {
			t.Error(q)
		}
	})
}

func TestUnitSuspect(t *testing.T) {
	for _, c := range []struct {
		property string
		value    float64
		want     bool
	}{
		{"PM2.5", 35_000, true},                                                                     // ng for ug
		{"PM2.5", 5_000_000, false},                                                                 // no
		{"temperature", 327.67, false},                                                              // 0.3 degrees is no reading of an instrument that tells 0.1 apart: a probe's error code
		{"voltage", 230_000, true},                                                                  // mV for V
		{"battery_voltage", 3054, true}, {"water_level", 160_230, true}, {"pressure", 1.0132, true}, // bar for hPa
		{"pressure", 101.3, false}, // kPa is a tenth
		{"pH", 7100, false},        // nothing else is measured in pH
		{"humidity", 50, false}, {"smoke_alarm", 2, false},
	} {
		n := newBench(t, true)
		n.send(on("eco/a1", "json"), arrival, value(c.property, c.value))
		q := n.live.Observations[0].Quality
		if got := q&sensor.UnitSuspect != 0; got != c.want || got && q&sensor.OutOfRange == 0 {
			t.Errorf("%s %v: %s", c.property, c.value, q)
		}
		if n.live.Observations[0].Result != c.value {
			t.Errorf("%s: corrected to %v", c.property, n.live.Observations[0].Result)
		}
	}
}

// Alone, nothing depends on what came before.
func TestAlone(t *testing.T) {
	b := ledger()
	n := normalize.New(normalize.Options{Catalogue: catalogue(t), AutoRegister: true, Alone: true, Ledger: func() normalize.Ledger { return b }})
	var live, back sensor.Message
	for i := range 2000 {
		live.Reset()
		live.Arrival = arrival + int64(i)*minute
		src := on("eco/a1", "json")
		n.Normalize(&src, []decode.Reading{timed("temperature", live.Arrival-20*minute, 0)}, nil, &live, &back)
		if q := live.Observations[0].Quality &^ sensor.UnitAssumed; q != 0 {
			t.Fatalf("message %d: %s", i, q)
		}
	}
}

// Whatever comes: values are kept as they are, marks are only set on those that may have them, and values that stay
// within their rate are never marked.
func TestSeriesProperties(t *testing.T) {
	c := catalogue(t)
	p, _ := c.ByCode("temperature")
	rapid.Check(t, func(rt *rapid.T) {
		n := newBench(t, true)
		at, x := arrival, 20.0
		for range rapid.IntRange(2, 60).Draw(rt, "values") {
			gap := rapid.Int64Range(1, 2*hour).Draw(rt, "gap")
			most := p.Rate * float64(min(max(gap, minute), hour)) / 1000
			wild := rapid.Bool().Draw(rt, "wild")
			step := most
			if wild {
				step = 200
			}
			next := math.Round(10*(x+rapid.Float64Range(-step, step).Draw(rt, "change"))) / 10
			at += gap
			n.send(on("eco/a1", "json"), at, value("temperature", next))
			o := n.live.Observations[0]
			out := next < p.Min || next > p.Max
			switch {
			case o.Result != next:
				rt.Fatalf("%v became %v", next, o.Result)
			case out != (o.Quality&sensor.OutOfRange != 0) || out && o.Quality&(jump|sensor.Stuck) != 0:
				rt.Fatalf("%v: %s", next, o.Quality)
			case !out && math.Abs(next-x) <= most && gap <= hour && o.Quality&jump != 0:
				rt.Fatalf("%v after %v, %d ms: %s", next, x, gap, o.Quality)
			}
			if !out && o.Quality&jump == 0 { // else x stays what the next one is held against
				x = next
			}
		}
	})
}

// What the owner declares of one Datastream, or of a Thing's property, goes before the catalogue.
func TestDeclaredLimits(t *testing.T) {
	limit := func(x float64) *float64 { return &x }
	declare := func(d sensor.Datastream) *bench {
		n := newBench(t, true)
		n.book.put(n.book.things["eco/a1"], &d)
		return n
	}
	const min = time.Minute
	series(t, declare(sensor.Datastream{Property: "temperature", Rate: limit(0.5)}), "temperature", told{0, 20, 0}, told{min, 45, 0}, told{min, 10, jump})
	series(t, declare(sensor.Datastream{Property: "temperature", Rate: limit(0)}), "temperature", told{0, 20, 0}, told{min, 49, 0}, told{min, -10, 0})
	series(t, declare(sensor.Datastream{SourceKey: "flux", Rate: limit(0.1)}), "flux", told{0, 20, 0}, told{min, 25, 0}, told{min, 60, jump})
	for still, want := range map[float64]int{3600: 61, 0: -1, 24 * 3600: 1441} {
		if got := run(declare(sensor.Datastream{Property: "temperature", StillS: limit(still)}), "temperature", 21.3, min, 2000); got != want {
			t.Errorf("may stay the same for %v s: stuck at value %d, want %d", still, got, want)
		}
	}
}
