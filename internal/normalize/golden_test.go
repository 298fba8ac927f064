package normalize_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

var update = flag.Bool("update", false, "rewrite testdata/golden.txt")

// arrival is 2026-01-01T08:00:00Z in every case.
const arrival = int64(1767254400000)

const (
	minute = int64(60_000)
	hour   = 60 * minute
)

// journey is one message: what comes in, and by what name the golden file knows it.
type journey struct {
	name     string
	auto     bool
	source   normalize.Source
	readings []decode.Reading
}

func on(thing sensor.ThingID, protocol string) normalize.Source {
	return normalize.Source{Topic: "situ/v1/" + string(thing) + "/" + protocol, Protocol: protocol, Origin: sensor.Origin{Client: "c1"}, Thing: thing}
}

// value is an instant of now.
func value(key string, x float64) decode.Reading {
	return decode.Reading{Key: key, Property: key, Number: x, Time: arrival}
}

func with(r decode.Reading, change func(*decode.Reading)) decode.Reading { change(&r); return r }

func at(r decode.Reading, lon, lat float64) decode.Reading {
	r.Position, r.HasPosition = geo.LonLat{Lon: lon, Lat: lat}, true
	return r
}

func hj(code, param string, st sensor.Statistic, x float64) decode.Reading {
	return decode.Reading{Serial: "MN1", Key: code + "-" + param, Property: code, Statistic: st, Number: x, Time: arrival}
}

// ledger is what the cases find registered.
func ledger() *book {
	b := &book{version: 70}
	jiefangbei := geo.LonLat{Lon: 106.5751, Lat: 29.5562}
	b.put(&sensor.Thing{ID: "eco/a1", Placed: true, Location: jiefangbei, Original: jiefangbei, Cell: 0x8c40197196097ff, Serial: "MN1", Version: 7},
		&sensor.Datastream{Property: "temperature", Unit: "[degF]", SourceKey: "tf", Version: 9},
		&sensor.Datastream{Property: "pm10", Unit: "mg/m3", Version: 8},
		&sensor.Datastream{Property: "so2", SourceKey: "a21026", Unit: "ug/m3", Max: ptr(50), Version: 10},
		&sensor.Datastream{Property: "flow", Statistic: sensor.Sum, SourceKey: "w00000-Cou", Unit: "L/s"},
		&sensor.Datastream{SourceKey: "x9", Unit: "mV"},
		&sensor.Datastream{Property: "rainfall", Version: 11},
		&sensor.Datastream{Property: "traffic_speed", SourceKey: "speed", Unit: "m/s", Min: ptr(0), Max: ptr(100), Version: 12},
	)
	b.put(&sensor.Thing{ID: "eco/nowhere", Version: 3})
	b.put(&sensor.Thing{ID: "eco/old", Retired: true, Version: 4})
	gcj := geo.FromWGS84(jiefangbei, geo.GCJ02)
	b.put(&sensor.Thing{ID: "eco/gcj", Placed: true, CRS: geo.GCJ02, Original: gcj, Location: jiefangbei, Version: 5})
	urumqi := geo.LonLat{Lon: 87.6168, Lat: 43.8256}
	b.put(&sensor.Thing{ID: "eco/urumqi", Placed: true, Location: urumqi, Original: urumqi, Version: 6})
	return b
}

func ptr(x float64) *float64 { return &x }

var journeys = []journey{
	{name: "HJ 212: kPa by the standard, mg/m3 by the standard, ug/m3 by the standard; names and statistics stay apart", source: on("eco/a1", "hj212"), readings: []decode.Reading{
		hj("a01006", "Rtd", sensor.Instant, 101.02), hj("a21004", "Avg", sensor.Average, 0.0315), hj("a34004", "Rtd", sensor.Instant, 35),
		hj("a34004", "Avg", sensor.Average, 33), hj("04", "Rtd", sensor.Instant, 1.1), hj("e20201", "Rtd", sensor.Instant, 18)}},
	{name: "what the owner declared goes before the standard: by code for every statistic, by property alone", source: on("eco/a1", "hj212"), readings: []decode.Reading{
		hj("a21026", "Rtd", sensor.Instant, 58), hj("a21026", "Avg", sensor.Average, 49), hj("a34002", "Rtd", sensor.Instant, 0.0694)}},
	{name: "sums and counts of an interval are not in the property's unit, unless the owner says in which", source: on("eco/a1", "hj212"), readings: []decode.Reading{
		hj("a21026", "Cou", sensor.Sum, 12), hj("a01006", "ValidNum", sensor.Count, 10), hj("w00000", "Cou", sensor.Sum, 1500)}},
	{name: "the payload's unit goes before the declared one", source: on("eco/a1", "json"), readings: []decode.Reading{
		value("tf", 212), with(value("tf", 20), func(r *decode.Reading) { r.Unit = "°C" }), with(value("x9", 1.5), func(r *decode.Reading) { r.Unit = "V" })}},
	{name: "no unit anywhere: the canonical one, marked; not where there is only one", source: on("eco/a1", "json"), readings: []decode.Reading{
		value("PM2.5", 35), value("ph", 7.1), value("smoke_alarm", 1), value("noise", 61)}},
	{name: "an owner who declares no unit means the property's own; an owner's name for a property", source: on("eco/a1", "json"), readings: []decode.Reading{
		value("rain", 4.2), value("speed", 10), value("speed", 28)}},
	{name: "a name that says its unit, everywhere or in one protocol; the owner's and the payload's word go before it", source: on("eco/a1", "ecowitt"), readings: []decode.Reading{
		value("tempf", 68), value("baromrelin", 29.92), value("windspeedmph", 10), value("temp1f", 39.2), with(value("tempinf", 20), func(r *decode.Reading) { r.Unit = "Cel" })}},
	{name: "parts by volume are not mass", source: on("eco/a1", "json"), readings: []decode.Reading{
		with(value("o3", 40), func(r *decode.Reading) { r.Unit = "ppb" }), value("o3", 80),
		with(value("hcho", 40), func(r *decode.Reading) { r.Unit = "ppb" }), with(value("battery", 3.6), func(r *decode.Reading) { r.Unit = "V" })}},
	{name: "an unknown name without auto-register; its neighbour stands", source: on("eco/a1", "json"), readings: []decode.Reading{
		value("flux", 1), value("humidity", 50)}},
	{name: "an unknown Thing and an unknown name with auto-register: used at once, declared", auto: true, source: on("me/shed", "json"), readings: []decode.Reading{
		at(value("temperature", 21.5), 106.5516, 29.563), at(with(value("flux", 1), func(r *decode.Reading) { r.Unit = "mV" }), 106.5516, 29.563),
		at(with(value("flux", 2), func(r *decode.Reading) { r.Unit = "V" }), 106.5516, 29.563)}},
	{name: "an unknown Thing without auto-register: one dead letter for the message", source: on("me/shed", "json"), readings: []decode.Reading{
		value("temperature", 21.5), value("humidity", 50)}},
	{name: "a retired Thing", source: on("eco/old", "json"), readings: []decode.Reading{value("temperature", 21.5)}},
	{name: "only the frame names the Thing", source: on("eco/-", "hj212"), readings: []decode.Reading{hj("a01001", "Rtd", sensor.Instant, 9.5)}},
	{name: "the topic's Thing is not registered, the serial is", source: on("eco/box", "hj212"), readings: []decode.Reading{hj("a01001", "Rtd", sensor.Instant, 9.5)}},
	{name: "a serial nobody registered, and none at all", source: on("eco/-", "hj212"), readings: []decode.Reading{
		with(hj("a01001", "Rtd", sensor.Instant, 9.5), func(r *decode.Reading) { r.Serial = "MN2" }), value("temperature", 1)}},
	{name: "a serial nobody registered, with auto-register", auto: true, source: on("eco/-", "hj212"), readings: []decode.Reading{
		with(hj("a01001", "Rtd", sensor.Instant, 9.5), func(r *decode.Reading) { r.Serial = "MN2" })}},
	{name: "a serial that cannot be a name, with auto-register", auto: true, source: on("eco/-", "hj212"), readings: []decode.Reading{
		with(hj("a01001", "Rtd", sensor.Instant, 9.5), func(r *decode.Reading) { r.Serial = "MN 2/#" })}},
	{name: "a broken frame has no serial; its own error counts", source: on("eco/-", "hj212"), readings: []decode.Reading{
		{Err: &decode.Error{Protocol: "hj212", Offset: 17, Err: decode.ErrChecksum}}}},
	{name: "the time rule: none, fast within a minute, fast within ten, beyond, before 2000, late, just not late", source: on("eco/a1", "json"), readings: []decode.Reading{
		timed("t1", 0, 0), timed("t2", arrival+minute, 0), timed("t3", arrival+10*minute, 0), timed("t4", arrival+10*minute+1, 0),
		timed("t5", 946684799999, 0), timed("t6", arrival-48*hour-1, 0), timed("t7", arrival-48*hour, 0),
		timed("t8", -1<<63, 0), timed("t9", 1<<63-1, 0)}},
	{name: "a result time is kept, and judged by the same rule", source: on("eco/a1", "json"), readings: []decode.Reading{
		timed("r1", arrival-hour, arrival-minute), timed("r2", arrival, arrival+hour), timed("r3", arrival, 5)}},
	{name: "numbers that are none, and one that overflows in conversion", source: on("eco/a1", "json"), readings: []decode.Reading{
		value("humidity", math.NaN()), value("humidity", math.Inf(-1)), with(value("tvoc", 1e308), func(r *decode.Reading) { r.Unit = "kg/m3" })}},
	{name: "words", source: on("eco/a1", "json"), readings: []decode.Reading{
		with(value("temperature", 0), func(r *decode.Reading) { r.Text = "offline" })}},
	{name: "ranges: the property's, and the Datastream's own", source: on("eco/a1", "hj212"), readings: []decode.Reading{
		hj("a01002", "Rtd", sensor.Instant, 100), hj("a01002", "Rtd", sensor.Instant, 100.1), hj("a21026", "Rtd", sensor.Instant, 51)}},
	{name: "the source's own flags stay", source: on("eco/a1", "hj212"), readings: []decode.Reading{
		with(hj("a01002", "Rtd", sensor.Instant, 40), func(r *decode.Reading) { r.Quality = sensor.SourceCalib | sensor.ChecksumWrong })}},
	{name: "payload position: near the registered one, and away", source: on("eco/a1", "json"), readings: []decode.Reading{
		at(value("humidity", 50), 106.5752, 29.5562), at(value("humidity", 50), 106.5757, 29.5562)}},
	{name: "GCJ-02 by the source, by the Thing, and BD-09 by the source", source: func() normalize.Source {
		s := on("eco/gcj", "json")
		s.Name, s.CRS = "buses", geo.BD09
		return s
	}(), readings: []decode.Reading{at(value("humidity", 50), 106.5853, 29.5594)}},
	{name: "GCJ-02 by the Thing: no step of half a kilometre, so it does not move", source: on("eco/gcj", "json"), readings: []decode.Reading{
		func() decode.Reading {
			p := geo.FromWGS84(geo.LonLat{Lon: 106.5751, Lat: 29.5562}, geo.GCJ02)
			return at(value("humidity", 50), p.Lon, p.Lat)
		}()}},
	{name: "positions that cannot be: swapped, outside, not a number; without a fix the registered place holds", source: on("eco/a1", "json"), readings: []decode.Reading{
		at(value("humidity", 50), 29.5562, 106.5751), at(value("humidity", 51), 10657.51, 2955.62), at(value("humidity", 52), math.NaN(), 29), at(value("humidity", 53), 0, 0)}},
	{name: "swapped where both orders are places: refused only beside the registered place", source: on("eco/urumqi", "json"), readings: []decode.Reading{
		at(value("humidity", 50), 43.8256, 87.6168), at(value("humidity", 51), 44.9, 87.6168)}},
	{name: "a Thing without place", source: on("eco/nowhere", "json"), readings: []decode.Reading{value("humidity", 50), at(value("humidity", 50), 106.5, 29.5)}},
	{name: "names that cannot be kept", auto: true, source: on("eco/a1", "json"), readings: []decode.Reading{
		value("", 1), value("a\x00b", 1), value("\xff", 1), value(strings.Repeat("k", 513), 1)}},
	{name: "more refusals than a message may keep apart", source: on("eco/a1", "json"), readings: func() (rs []decode.Reading) {
		for i := range 40 {
			rs = append(rs, value(fmt.Sprintf("flux%d", i), 1))
		}
		return rs
	}()},
	{name: "no readings", source: on("eco/a1", "json")},
}

func timed(key string, t, resultTime int64) decode.Reading {
	return decode.Reading{Key: "humidity", Property: "humidity", Number: 50, Time: t, ResultTime: resultTime, Serial: ""}
}

func TestGolden(t *testing.T) {
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	divisions, err := geo.LoadDivisions()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, j := range journeys {
		b := ledger()
		n := normalize.New(normalize.Options{Catalogue: catalogue, Divisions: divisions, AutoRegister: j.auto, Ledger: func() normalize.Ledger { return b }})
		var live, backfill sensor.Message
		live.Arrival = arrival
		o := n.Normalize(&j.source, j.readings, []byte("payload"), &live, &backfill)
		fmt.Fprintf(&out, "# %s\n", j.name)
		print(&out, "live", &live)
		print(&out, "backfill", &backfill)
		fmt.Fprintf(&out, "outcome observations=%d refused=%d declared=%d nofix=%d\n\n", o.Observations, o.Refused, o.Declared, o.NoFix)
		if got := len(live.Observations) + len(backfill.Observations); got != o.Observations || got+o.Refused != len(j.readings) {
			t.Errorf("%s: %d readings became %d observations and %d refusals", j.name, len(j.readings), got, o.Refused)
		}
		if backfill.Arrival != arrival || len(backfill.DeadLetters)+len(backfill.Declarations) != 0 {
			t.Errorf("%s: backfill %+v", j.name, backfill)
		}
	}
	if *update {
		if err := os.WriteFile("testdata/golden.txt", []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		got, want := strings.Split(out.String(), "\n"), strings.Split(string(want), "\n")
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("line %d:\n got %s\nwant %s\n(go test -update rewrites the file)", i+1, got[i], want[i])
			}
		}
		t.Fatalf("%d lines, want %d", len(got), len(want))
	}
}

func print(out *strings.Builder, lane string, m *sensor.Message) {
	for i := range m.Observations {
		o := &m.Observations[i]
		where := "nowhere"
		if p, ok := o.Position(); ok {
			where = fmt.Sprintf("%.7f,%.7f", p.Lon, p.Lat)
		}
		fmt.Fprintf(out, "%s ds=%s property=%d result=%v", lane, o.Datastream, o.Property, o.Result)
		if o.Text != "" {
			fmt.Fprintf(out, " text=%q", o.Text)
		}
		fmt.Fprintf(out, " at=%s", time.Duration(o.PhenomenonTime-arrival)*time.Millisecond)
		if o.ResultTime != o.PhenomenonTime {
			fmt.Fprintf(out, " produced=%s", time.Duration(o.ResultTime-arrival)*time.Millisecond)
		}
		fmt.Fprintf(out, " place=%s cell=%s registry=%d %s\n", where, o.Cell, o.Registry, o.Quality)
	}
	for i := range m.DeadLetters {
		d := &m.DeadLetters[i]
		fmt.Fprintf(out, "%s dead reason=%s thing=%s field=%.20q kept=%d/%d\n  %s\n", lane, d.Reason, d.Thing, d.Field, len(d.Payload), d.Size, d.Detail)
	}
	for _, d := range m.Declarations {
		if t := d.Thing; t != nil {
			fmt.Fprintf(out, "%s declares thing %s serial=%s placed=%v %s original=%v location=%v division=%s auto=%v\n", lane, t.ID, t.Serial, t.Placed, t.CRS, t.Original, t.Location, t.Division, t.Auto)
		}
		if s := d.Datastream; s != nil {
			fmt.Fprintf(out, "%s declares datastream %s %s property=%s %s key=%.20q unit=%s auto=%v\n", lane, s.ID, s.Thing, s.Property, s.Statistic, s.SourceKey, s.Unit, s.Auto)
		}
	}
}
