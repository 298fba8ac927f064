package normalize_test

import (
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// heard is one message: when it arrived and what time it told, in minutes.
type heard struct{ arrived, told float64 }

// steady is a message every so many minutes whose time is off by so many.
func steady(n int, every, behind float64) (list []heard) {
	for i := range n {
		at := float64(i) * every
		list = append(list, heard{at, at - behind})
	}
	return list
}

// skewed sends them and counts the marks of the last ones.
func skewed(t *testing.T, st sensor.Statistic, list []heard, last int) (marked int) {
	t.Helper()
	n := newBench(t, true)
	src := on("eco/a1", "json")
	for i, h := range list {
		n.live.Reset()
		n.live.Arrival = arrival + int64(h.arrived*60_000)
		r := value("humidity", 50+float64(i%7))
		r.Time, r.Statistic = arrival+int64(h.told*60_000), st
		n.Normalize(&src, []decode.Reading{r, r}, nil, &n.live, &n.back)
		if len(n.live.Observations) != 2 {
			t.Fatalf("message %d: %+v", i, n.live)
		}
		if i >= len(list)-last && n.live.Observations[1].Quality&sensor.ClockSkew != 0 {
			marked++
		}
	}
	return marked
}

func TestClockSkew(t *testing.T) {
	// Offline for a day, then all of it at once, ten a second, then live again.
	backlog := steady(20, 1, 0.05)
	for i := range 1200 {
		backlog = append(backlog, heard{1220 + float64(i)/600, 20 + float64(i)})
	}
	back := len(backlog)
	for i := range 10 {
		backlog = append(backlog, heard{1223 + float64(i), 1223 + float64(i) - 0.05})
	}
	// It was set right after twenty messages.
	mended := steady(20, 1, 30)
	for i := range 20 {
		mended = append(mended, heard{20 + float64(i), 20 + float64(i)})
	}
	for name, c := range map[string]struct {
		list []heard
		st   sensor.Statistic
		last int
		want int
	}{
		"a good clock": {steady(100, 1, 0.1), sensor.Instant, 100, 0}, "4 minutes are allowed": {steady(100, 1, 4), sensor.Instant, 100, 0},
		"half an hour behind, known from the fifth message": {steady(30, 1, 30), sensor.Instant, 30, 26},
		"8 hours behind: a zone":                            {steady(30, 1, 480), sensor.Instant, 25, 25},
		"an hourly value, published at the next hour":       {steady(30, 60, 75), sensor.Instant, 30, 0},
		"an hourly value 3 hours behind":                    {steady(30, 60, 180), sensor.Instant, 25, 25},
		"a mean tells the beginning of its interval":        {steady(30, 1, 30), sensor.Average, 30, 0},
		"two messages are not enough":                       {steady(4, 1, 30), sensor.Instant, 4, 0},
		"a backlog says nothing of the clock":               {backlog[:back], sensor.Instant, back, 0},
		"nor of the time after it":                          {backlog, sensor.Instant, len(backlog), 0},
		"a clock that was set right":                        {mended, sensor.Instant, 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := skewed(t, c.st, c.list, c.last); got != c.want {
				t.Errorf("%d of the last %d are marked, want %d", got, c.last, c.want)
			}
		})
	}
}

// A sender of no time has no clock; what is late goes to the other lane and says nothing of it.
func TestNoClockNoSkew(t *testing.T) {
	n := newBench(t, true)
	src := on("eco/a1", "json")
	for i := range 30 {
		n.live.Reset()
		n.live.Arrival = arrival + int64(i)*minute
		late := timed("humidity", n.live.Arrival-50*hour, 0)
		n.Normalize(&src, []decode.Reading{timed("temperature", 0, 0), late}, nil, &n.live, &n.back)
		if q := n.live.Observations[0].Quality; q&sensor.ClockSkew != 0 || q&sensor.NoTime == 0 {
			t.Fatalf("message %d: %s", i, q)
		}
	}
	for i := range n.back.Observations {
		if n.back.Observations[i].Quality&sensor.ClockSkew != 0 {
			t.Fatalf("late %d: %s", i, n.back.Observations[i].Quality)
		}
	}
}

// The message with which a clock is found wrong says so, with how far it is off, and the one with which it is right again.
func TestClockOutcome(t *testing.T) {
	n := newBench(t, true)
	src := on("eco/a1", "json")
	var found []normalize.Outcome
	list := steady(20, 1, 30)
	for i := range 20 {
		list = append(list, heard{20 + float64(i), 20 + float64(i)})
	}
	for _, h := range list {
		n.live.Reset()
		n.back.Reset()
		n.live.Arrival = arrival + int64(h.arrived*60_000)
		if o := n.Normalize(&src, []decode.Reading{timed("humidity", arrival+int64(h.told*60_000), 0)}, nil, &n.live, &n.back); o.Clock != "" {
			found = append(found, o)
		}
	}
	if len(found) != 2 || !found[0].ClockWrong || found[0].Clock != "eco/a1" || found[0].ClockBehind != 30*minute || found[1].ClockWrong {
		t.Errorf("%+v", found)
	}
}
