package rollup_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/situ-city/situ/internal/rollup"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// town is a dozen stations within three kilometres, each with a temperature that is expected every minute.
type town struct {
	*world
	now time.Time
}

var midnight = time.Date(2026, 10, 14, 16, 0, 0, 0, time.UTC) // in Beijing: a judged day begins

const minute = 60_000

func newTown(t *testing.T, things int) *town {
	w := &town{world: newStore(t, seed()), now: midnight.Add(time.Hour + 6*time.Minute)}
	must(t, w.SyncProperties(t.Context(), []sensor.ObservedProperty{{Number: 1, Code: "temperature", Unit: "Cel", Min: -40, Max: 60, Worse: "both"}}))
	for i := range things {
		thing := sensor.Thing{ID: sensor.ThingID(fmt.Sprintf("meteo/t%d", i)), Class: sensor.Government, Grade: sensor.Open, Division: 500103, Version: 5}
		w.things = append(w.things, thing)
		w.streams = append(w.streams, sensor.Datastream{ID: sensor.NewDatastreamID(thing.ID, "temperature", sensor.Instant, "k"), Thing: thing.ID,
			Property: "temperature", SourceKey: "k", Interval: time.Minute, Version: 5})
		w.numbers = append(w.numbers, 1)
	}
	must(t, w.SyncRegistry(t.Context(), w.things, w.streams))
	return w
}

// say is a result of station i, so many minutes after midnight, produced so many seconds later.
func (w *town) say(i, minutes int, result float64, later int64) sensor.Observation {
	at := midnight.UnixMilli() + int64(minutes)*minute
	return sensor.Observation{Datastream: w.streams[i].ID, Thing: w.streams[i].Thing.Key(), Property: w.numbers[i], PhenomenonTime: at,
		ResultTime: at + 1000*later, Result: result, Lon: 1_065_500_000 + int32(i)*20_000, Lat: 295_600_000 + int32(i%3)*20_000}
}

// hear stores what all stations but some said in an hour: 20 degrees and a bit, each its own.
func (w *town) hear(t *testing.T, hour int, silent ...int) {
	t.Helper()
	var list []sensor.Observation
	for i := range w.streams {
		if slices.Contains(silent, i) {
			continue
		}
		for m := range 60 {
			list = append(list, w.say(i, hour*60+m, 20+float64(i)/10+float64(m%3)/10, 0))
		}
	}
	w.tell(t, list...)
}

func (w *town) tell(t *testing.T, list ...sensor.Observation) {
	t.Helper()
	w.insert(t, w.block(list))
}

// judged settles at so many hours after midnight and gives what was judged, a line each.
func (w *town) judged(t *testing.T, hours int) []string {
	t.Helper()
	w.now = midnight.Add(time.Duration(hours)*time.Hour + 6*time.Minute)
	worker, err := rollup.New(rollup.Options{Store: w.Store, Now: func() time.Time { return w.now }})
	must(t, err)
	must(t, worker.Settle(t.Context()))
	rows, err := w.conn.Query(t.Context(), `SELECT concat(judgement, ' ', thing, ' ', toString(intDiv(toUnixTimestamp(window) - {at:UInt32}, 3600)), 'h',
			multiIf(judgement = 'missing', concat(' ', toString(arrived), '/', toString(expected), ' gap ', toString(longest_gap)),
				judgement = 'neighbour', concat(' ', toString(others), ' others ', toString(round(value, 2)), ' not ', toString(round(reference, 2)), ' ', toString(round(deviation))),
				judgement = 'repeat', concat(' ', toString(again)),
				concat(' ', toString(intDiv(toUnixTimestamp(phenomenon_time) - toUnixTimestamp(window), 60)), 'min ', toString(value), ' not ', toString(reference), ' ', toString(again))))
		FROM judgements ORDER BY window, thing, judgement, phenomenon_time`, clickhouse.Named("at", uint32(midnight.Unix())))
	must(t, err)
	defer rows.Close()
	var list []string
	for rows.Next() {
		var line string
		must(t, rows.Scan(&line))
		list = append(list, line)
	}
	must(t, rows.Err())
	return list
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// A station that is silent, one that says too little, and each of them withdrawn when it has been made up for.
func TestMissing(t *testing.T) {
	w := newTown(t, 6)
	w.hear(t, 0)
	same(t, "the first hour promises nothing", w.judged(t, 1))
	w.hear(t, 1, 3, 4)
	var some []sensor.Observation
	for m := range 60 {
		if m < 20 || m >= 50 {
			some = append(some, w.say(4, 60+m, 20, 0))
		}
	}
	w.tell(t, some...)
	same(t, "a silent hour and half of one", w.judged(t, 2), "missing meteo/t3 1h 0/60 gap 3600", "missing meteo/t4 1h 30/60 gap 1860")
	// Nobody says anything: no row marks the hour.
	all := w.judged(t, 3)
	if len(all) != 2+6 {
		t.Errorf("an hour of silence of all: %q", all)
	}
	w.hear(t, 2)
	some = some[:0]
	for m := range 54 { // six of sixty may be absent
		some = append(some, w.say(3, 60+m, 20, 0))
	}
	w.tell(t, some...)
	same(t, "made up for", w.judged(t, 3), "missing meteo/t4 1h 30/60 gap 1860")
	// A process that stood still finds what was silent meanwhile.
	all = w.judged(t, 27)
	if n := len(all) - 1; n != 24*6 {
		t.Errorf("%d judgements of a day's silence, want %d", n, 24*6)
	}
	w.months(t, 27, "meteo/t4 26 2 1560 90") // in service from the second hour on
}

// months compares the rates of a station, "thing hours heard expected arrived", rates and grades with what follows from them.
func (w *town) months(t *testing.T, hours int, want string) {
	t.Helper()
	var got string
	var online, arrival float64
	var grade uint8
	must(t, w.conn.QueryRow(t.Context(), `SELECT concat(thing, ' ', toString(sum(hours)), ' ', toString(sum(heard)), ' ', toString(sum(expected)), ' ', toString(sum(arrived))),
			any(assumeNotNull(online_rate)), any(assumeNotNull(arrival_rate)), any(assumeNotNull(online_grade))
		FROM thing_months WHERE thing = {thing:String} GROUP BY thing`, clickhouse.Named("thing", strings.Fields(want)[0])).Scan(&got, &online, &arrival, &grade))
	if got != want {
		t.Errorf("%q after %d hours, want %q", got, hours, want)
	}
	var thing string
	var in, heard, expected, arrived float64
	if _, err := fmt.Sscan(want, &thing, &in, &heard, &expected, &arrived); err != nil {
		t.Fatal(err)
	}
	if math.Abs(online-heard/in) > 1e-9 || math.Abs(arrival-arrived/expected) > 1e-9 {
		t.Errorf("%s: rates %v and %v", want, online, arrival)
	}
}

// One that is far off its neighbours is marked, a ring that moves together is not, nor one whose edge an event has reached.
func TestNeighbours(t *testing.T) {
	w := newTown(t, 12)
	w.hear(t, 0, 5)
	var hot []sensor.Observation
	for m := range 60 {
		hot = append(hot, w.say(5, m, 35, 0))
	}
	w.tell(t, hot...)
	same(t, "one is hot", w.judged(t, 1), "neighbour meteo/t5 0h 11 others 35 not 20.75 10")
	// It is corrected, hours later: the judgement goes with its reason.
	for i := range hot {
		hot[i].Result, hot[i].ResultTime = 20.5, hot[i].ResultTime+3600_000
	}
	w.tell(t, hot...)
	got := w.judged(t, 1)
	if len(got) != 60 || !strings.HasPrefix(got[0], "correction meteo/t5 0h 0min 20.5 not 35 1") {
		t.Errorf("corrected: %d judgements, %q", len(got), got[:min(3, len(got))])
	}
	hits := []int{12, 6, 4} // of twelve, in an hour each
	for i, hit := range hits {
		var event []sensor.Observation
		for k := range w.streams {
			for m := range 60 {
				result := 20 + float64(k)/10
				if k < hit {
					result += 25
				}
				event = append(event, w.say(k, (i+1)*60+m, result, 0))
			}
		}
		w.tell(t, event...)
	}
	if got := w.judged(t, len(hits)+1); len(got) != 60 {
		t.Errorf("events: %d judgements, %q", len(got), got[:3])
	}
	few := newTown(t, 3)
	few.hear(t, 0, 1)
	few.tell(t, few.say(1, 3, 55, 0))
	same(t, "too few to say", few.judged(t, 1))
}

// A doubted result disagrees with nobody, and a Thing that drove about is no neighbour.
func TestNeighboursLeaveOut(t *testing.T) {
	w := newTown(t, 8)
	w.hear(t, 0, 2, 3)
	var list []sensor.Observation
	for m := range 60 {
		doubted, moving := w.say(2, m, 55, 0), w.say(3, m, 45, 0)
		doubted.Quality = sensor.OutOfRange
		moving.Lon += int32(m) * 1_000_000
		list = append(list, doubted, moving)
	}
	w.tell(t, list...)
	same(t, "doubted, moving", w.judged(t, 1))
}

// What is sent again: the same, another result of the same resultTime, a later resultTime, an earlier one that comes late.
func TestRepeats(t *testing.T) {
	w := newTown(t, 4)
	w.hear(t, 0)
	w.tell(t, w.say(0, 7, 20.1, 0), w.say(0, 8, 20.2, 0))
	w.tell(t, w.say(0, 7, 20.1, 0))
	w.tell(t, w.say(1, 9, 25, 0))
	w.tell(t, w.say(2, 10, 22, 60))
	want := []string{"repeat meteo/t0 0h 3", "contradiction meteo/t1 0h 9min 25 not 20.1 1", "correction meteo/t2 0h 10min 22 not 20.3 1"}
	same(t, "sent again", w.judged(t, 1), want...)
	w.tell(t, w.say(2, 10, 99, 30)) // an older correction, late: it loses
	want[2] = "correction meteo/t2 0h 10min 22 not 99 2"
	same(t, "an older correction", w.judged(t, 1), want...)
	w.tell(t, w.say(1, 9, 24, 90)) // the contradiction is settled
	want[1] = "correction meteo/t1 0h 9min 24 not 25 2"
	same(t, "settled", w.judged(t, 1), want...)
}

// A Thing whose owner named only properties: the template's promise is kept by whichever Datastream comes most often, and
// by nobody as long as nothing has come.
func TestTemplatesPromise(t *testing.T) {
	w := newTown(t, 1)
	thing := sensor.Thing{ID: "meteo/new", Version: 6}
	template := sensor.Datastream{ID: sensor.NewDatastreamID(thing.ID, "temperature", sensor.Instant, ""), Thing: thing.ID, Property: "temperature", Interval: time.Minute, Version: 6}
	must(t, w.SyncRegistry(t.Context(), []sensor.Thing{thing}, []sensor.Datastream{template}))
	w.hear(t, 0)
	w.hear(t, 1)
	w.hear(t, 2)
	w.judged(t, 1)
	same(t, "silent from the start", w.judged(t, 3), "missing meteo/new 2h 0/60 gap 3600")
	stream := template
	stream.SourceKey, stream.Auto, stream.Version = "a01001-Rtd", true, 7
	stream.ID = sensor.NewDatastreamID(thing.ID, "temperature", sensor.Instant, stream.SourceKey)
	rare := stream
	rare.Statistic, rare.SourceKey = sensor.Average, "a01001-Avg"
	rare.ID = sensor.NewDatastreamID(thing.ID, "temperature", sensor.Average, rare.SourceKey)
	must(t, w.SyncRegistry(t.Context(), nil, []sensor.Datastream{stream, rare}))
	w.streams, w.numbers = append(w.streams, stream, rare), append(w.numbers, 1, 1)
	w.hear(t, 3, 2)
	w.tell(t, w.say(2, 200, 20, 0))
	same(t, "it speaks", w.judged(t, 4), "missing meteo/new 2h 0/60 gap 3600")
	var id uint64
	must(t, w.conn.QueryRow(t.Context(), "SELECT datastream FROM judgements").Scan(&id))
	if id != uint64(template.ID) {
		t.Errorf("Datastream %x, want the template's while there was no other", id)
	}
	w.hear(t, 4)
	w.tell(t, w.say(1, 150, 20, 0)) // one of the silent hour: judged anew, under the name that it has now
	same(t, "one came late", w.judged(t, 5), "missing meteo/new 2h 1/60 gap 1800")
	must(t, w.conn.QueryRow(t.Context(), "SELECT datastream FROM judgements").Scan(&id))
	if id != uint64(stream.ID) {
		t.Errorf("Datastream %x, want %x", id, stream.ID)
	}
}

// What comes every hour is judged by the day; a retired Thing promises nothing; nobody is missing before it was declared.
func TestDaysAndRetired(t *testing.T) {
	w := newTown(t, 3)
	for i := range w.streams {
		w.streams[i].Interval, w.streams[i].Version = time.Hour, 8
	}
	w.things[2].Retired, w.things[2].Version = true, 8
	must(t, w.SyncRegistry(t.Context(), w.things, w.streams))
	var list []sensor.Observation
	for i := range 3 {
		for h := -3; h < 24; h++ {
			if i == 0 || h < 10 {
				list = append(list, w.say(i, h*60+30, 20, 0))
			}
		}
	}
	w.tell(t, list...)
	same(t, "a day", w.judged(t, 25), "missing meteo/t1 0h 10/24 gap 52200")
	w.months(t, 25, "meteo/t1 27 12 27 12")
	list = list[:0]
	for h := 10; h < 24; h++ {
		list = append(list, w.say(1, h*60+20, 20, 0))
	}
	w.tell(t, list...)
	same(t, "made up for", w.judged(t, 25))
	w.months(t, 25, "meteo/t1 27 26 27 26")
}

// What history and the roll-ups show of a correction, of one that comes to a window long closed, and of one that loses.
func TestCorrectionsReplace(t *testing.T) {
	w := newTown(t, 3)
	w.hear(t, 0)
	w.judged(t, 30)
	series := func(from, to int, result float64, later int64) {
		var list []sensor.Observation
		for m := from; m < to; m++ {
			list = append(list, w.say(1, m, result, later))
		}
		w.tell(t, list...)
	}
	mean := func() (history, hour float64, n uint64) {
		must(t, w.conn.QueryRow(t.Context(), `SELECT avg(result), count() FROM history WHERE thing = 'meteo/t1' AND phenomenon_time < {to:DateTime64(3, 'UTC')}`,
			clickhouse.Named("to", "2026-10-14 17:00:00.000")).Scan(&history, &n))
		must(t, w.conn.QueryRow(t.Context(), `SELECT mean FROM datastream_1h WHERE thing = 'meteo/t1' ORDER BY window LIMIT 1`).Scan(&hour))
		return history, hour, n
	}
	for _, c := range []struct {
		result float64
		later  int64
		want   float64
	}{{30, 600, 30}, {99, 300, 30}, {31, 900, 31}, {31, 900, 31}} {
		series(0, 60, c.result, c.later)
		w.judged(t, 30)
		if history, hour, n := mean(); math.Abs(history-c.want) > 1e-9 || math.Abs(hour-c.want) > 1e-9 || n != 60 {
			t.Errorf("after %v: history %v, hour %v of %d, want %v of 60", c, history, hour, n, c.want)
		}
	}
	w.check(t, false)
	var bits uint8
	var n uint64
	must(t, w.conn.QueryRow(t.Context(), "SELECT judgement, count() FROM history WHERE thing = 'meteo/t1' GROUP BY judgement").Scan(&bits, &n))
	if store.Judgement(bits) != store.Correction || n != 60 {
		t.Errorf("history says %d of %d rows", bits, n)
	}
}

// The evidence adds up: no two workers, no order of blocks makes another set of judgements.
func TestJudgementsDoNotDependOnOrder(t *testing.T) {
	var first []string
	for round := range 2 {
		w := newTown(t, 6)
		var parts []*store.Block
		for hour := range 3 {
			for i := range w.streams {
				var list []sensor.Observation
				for m := range 60 {
					if (i*7+hour*5+m)%11 < 9-i {
						list = append(list, w.say(i, hour*60+m, 20+float64((i*i*i)%50), int64(m%2)*60))
						if m%5 == 0 {
							list = append(list, w.say(i, hour*60+m, 21, 30))
						}
					}
				}
				parts = append(parts, w.block(list))
			}
		}
		w.judged(t, 1) // the clock begins before anything is there, in both
		if round == 1 {
			slices.Reverse(parts)
		}
		for i, b := range parts {
			w.insert(t, b)
			if i%8 == 0 {
				w.judged(t, 4)
			}
		}
		got := w.judged(t, 4)
		if len(got) < 10 {
			t.Fatalf("only %q", got)
		}
		if round == 0 {
			first = got
			continue
		}
		same(t, "in another order", got, first...)
	}
}

// rejudged judges everything once more, from nothing, and wants to see the same as before: what came late, was corrected or
// was under way when a worker died has left nothing behind and is not forgotten.
func (w *world) rejudged(t *testing.T) {
	t.Helper()
	dump := func() (list []string) {
		for _, query := range []string{
			`SELECT toString(tuple(* EXCEPT (version, made_at))) FROM judgement_windows FINAL ORDER BY span, window, kind, shard`,
			`SELECT toString(tuple(* EXCEPT version)) FROM thing_day_rates FINAL ORDER BY day, shard`,
		} {
			rows, err := w.conn.Query(t.Context(), query)
			must(t, err)
			for rows.Next() {
				var line string
				must(t, rows.Scan(&line))
				list = append(list, line)
			}
			must(t, rows.Err())
			must(t, rows.Close())
		}
		return list
	}
	before := dump()
	must(t, w.conn.Exec(t.Context(), `INSERT INTO rollup_dirty (level, window, span, region, marked, at)
		SELECT DISTINCT 3, window, 3600, 18446744073709551615, (SELECT max(version) + 1 FROM rollup_clock), now() FROM judgement_windows WHERE span = 3600`))
	for _, table := range []string{"judgement_windows", "thing_day_rates"} {
		must(t, w.conn.Exec(t.Context(), "TRUNCATE TABLE "+table))
	}
	must(t, w.worker(t, w.Store).Settle(t.Context()))
	after := dump()
	if len(before) < 24 {
		t.Errorf("only %d rows of judgements", len(before))
	}
	same(t, "judged again from nothing", after, before...)
}
