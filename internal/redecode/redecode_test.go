package redecode_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/redecode"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

func seeded(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// What stands after payloads were read again is what the newer decoder alone would have given; the same again, and a third
// version and back, too.
func TestEndsAsTheNewerDecoderAlone(t *testing.T) {
	list, arrivals := publishes(seeded(t), 50, 2)
	c, want := newCity(t, version1, list, arrivals, nil), newCity(t, version2, list, arrivals, nil)
	before := c.rows(t, "SELECT * EXCEPT (judgement) FROM ~history")
	dry := c.run(t, version2, redecode.Options{DryRun: true, Differences: 3})
	if got := c.rows(t, "SELECT * EXCEPT (judgement) FROM ~history"); strings.Join(got, "\n") != strings.Join(before, "\n") {
		t.Fatal("a dry run changed the history")
	}
	done := c.run(t, version2, redecode.Options{})
	t.Log(done.Words())
	for _, change := range dry.Changes {
		t.Log(change.Line())
	}
	if len(dry.Changes) != 3 || dry.Words() != done.Words() || done.Added == 0 || done.Changed == 0 || done.Retracted == 0 || done.Letters == 0 {
		t.Fatalf("dry run: %s\nrun: %s", dry.Words(), done.Words())
	}
	c.like(t, want)
	if open := c.rows(t, "SELECT * FROM ~deadletters WHERE state = 'open'"); len(open) > 0 {
		t.Errorf("%d letters are open, the first %s", len(open), open[0])
	}
	rows := c.rows(t, "SELECT * FROM ~observations")
	if again := c.run(t, version2, redecode.Options{}); again.Differ != 0 || again.Letters != 0 {
		t.Errorf("the same again: %s", again.Words())
	}
	if got := c.rows(t, "SELECT * FROM ~observations"); len(got) != len(rows) {
		t.Errorf("%d rows after the same again, before %d", len(got), len(rows))
	}
	back := c.run(t, version1, redecode.Options{RetractRefused: true})
	t.Log("back:", back.Words())
	c.like(t, newCity(t, version1, list, arrivals, nil))
	c.run(t, version2, redecode.Options{})
	c.like(t, want)
	c.even(t)
}

// Killed before or after any of its inserts, and run again by the next process, it ends the same.
func TestKilledAnywhere(t *testing.T) {
	random := seeded(t)
	list, arrivals := publishes(random, 12, 2)
	want := newCity(t, version2, list, arrivals, nil)
	var m *mortal
	c := newCity(t, version1, list, arrivals, func(conn driver.Conn) driver.Conn {
		m = &mortal{Conn: conn, left: math.MaxInt}
		return m
	})
	deaths := 0
	for n := 1; ; n++ {
		m.left, m.after, c.settled = n, random.IntN(2) == 0, false
		_, err := newRedecoder().Run(t.Context(), c.Store, reread(t, version2), redecode.Options{RetractRefused: true}, quiet)
		m.left = math.MaxInt
		if err == nil {
			break
		}
		if deaths++; !errors.Is(err, errDead) {
			t.Fatal(err)
		}
		if n%4 == 0 { // the next process may do nothing but finish
			must(t, newRedecoder().Finish(t.Context(), c.Store))
			c.settle(t)
		}
		c.run(t, version2, redecode.Options{RetractRefused: true})
		c.run(t, version1, redecode.Options{RetractRefused: true}) // so that there is something to do again
	}
	t.Logf("%d deaths", deaths)
	if deaths < 4 { // repeats, revised, rows, marks, and what is beside them
		t.Errorf("only %d deaths: this test shows nothing", deaths)
	}
	c.run(t, version2, redecode.Options{RetractRefused: true})
	c.like(t, want)
	c.even(t)
}

// What is refused now stays as it was, unless it is told to go.
func TestRefusedStays(t *testing.T) {
	list, arrivals := publishes(seeded(t), 40, 1)
	c, want := newCity(t, version2, list, arrivals, nil), newCity(t, version2, list, arrivals, nil)
	kept := c.run(t, version3, redecode.Options{})
	if kept.Differ != 0 || kept.Refused[sensor.ReasonMalformed] == 0 || len(kept.FirstRefused) == 0 {
		t.Fatalf("%s %v", kept.Words(), kept.FirstRefused)
	}
	c.like(t, want)
	gone := c.run(t, version3, redecode.Options{RetractRefused: true})
	if gone.Retracted == 0 || gone.Added > 0 {
		t.Errorf("%s", gone.Words())
	}
	c.like(t, newCity(t, version3, list, arrivals, nil))
}

// Filters read what they say and nothing else.
func TestFilters(t *testing.T) {
	list, arrivals := publishes(seeded(t), 80, 1)
	c := newCity(t, version1, list, arrivals, nil)
	for name, o := range map[string]store.PayloadFilter{
		"another source":   {Source: "other"},
		"situ's own":       {Source: store.OwnTopics},
		"another protocol": {Protocol: "hj212"},
		"another Thing":    {Thing: "acme/t9"},
		"later":            {Since: arrivals[79] + 1},
		"earlier":          {Until: arrivals[0]},
	} {
		if r := c.run(t, version2, redecode.Options{PayloadFilter: o}); r.Total != 0 || r.Payloads != 0 || r.Differ != 0 {
			t.Errorf("%s: %s", name, r.Words())
		}
	}
	some := store.PayloadFilter{Source: "acme", Protocol: "json", Thing: "acme/t1", Since: arrivals[10], Until: arrivals[70]}
	r := c.run(t, version2, redecode.Options{PayloadFilter: some})
	if r.Payloads == 0 || r.Payloads != r.Total || r.Differ == 0 {
		t.Errorf("%s", r.Words())
	}
	if n := c.rows(t, "SELECT DISTINCT thing FROM ~observations WHERE revision > 0"); len(n) != 1 {
		t.Errorf("%d Things were read again", len(n))
	}
	if n := c.rows(t, fmt.Sprintf("SELECT 1 FROM ~observations WHERE revision > 0 AND toUnixTimestamp64Milli(arrival_time) NOT BETWEEN %d AND %d",
		arrivals[10], arrivals[70]-1)); len(n) != 0 {
		t.Errorf("%d rows of other times were read again", len(n))
	}
}

// One at a time, and a caller who leaves ends it.
func TestOneAtATime(t *testing.T) {
	list, arrivals := publishes(seeded(t), 20, 3)
	c := newCity(t, version1, list, arrivals, nil)
	r := newRedecoder()
	leaves := errors.New("left")
	_, err := r.Run(t.Context(), c.Store, reread(t, version2), redecode.Options{}, func(*redecode.Report) error {
		if _, err := r.Run(t.Context(), c.Store, reread(t, version2), redecode.Options{}, quiet); !errors.Is(err, redecode.ErrUnderWay) {
			t.Errorf("%v", err)
		}
		return leaves
	})
	if !errors.Is(err, leaves) {
		t.Errorf("%v", err)
	}
}
