package normalize_test

import (
	"fmt"
	"math"
	"reflect"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

var loaded = sync.OnceValues(sensor.LoadCatalogue) // it never changes

func catalogue(t testing.TB) *sensor.Catalogue {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bench is a Normalizer with its ledger and its messages.
type bench struct {
	*normalize.Normalizer
	book       *book
	live, back sensor.Message
}

func newBench(t testing.TB, auto bool) *bench {
	b := &bench{book: ledger()}
	b.Normalizer = normalize.New(normalize.Options{Catalogue: catalogue(t), AutoRegister: auto, Ledger: func() normalize.Ledger { return b.book }})
	return b
}

func (b *bench) send(src normalize.Source, at int64, readings ...decode.Reading) normalize.Outcome {
	b.live.Reset()
	b.back.Reset()
	b.live.Arrival = at
	for i := range readings {
		readings[i].Time = at
	}
	return b.Normalize(&src, readings, []byte("payload"), &b.live, &b.back)
}

func TestDeclarationsAreSentOnce(t *testing.T) {
	b := newBench(t, true)
	src := on("me/shed", "json")
	if o := b.send(src, arrival, value("temperature", 1), value("flux", 2)); o.Declared != 3 {
		t.Fatalf("first message: %+v", o)
	}
	sent := sensor.Message{Declarations: append([]sensor.Declaration(nil), b.live.Declarations...)}
	if o := b.send(src, arrival+1000, value("temperature", 1), value("flux", 2)); o.Declared != 0 || o.Observations != 2 {
		t.Errorf("second message: %+v", o)
	}
	if o := b.send(src, arrival+2000, value("humidity", 1)); o.Declared != 1 {
		t.Errorf("a new name: %+v", o)
	}
	if o := b.send(src, arrival+11*minute, value("temperature", 1)); o.Declared != 2 {
		t.Errorf("unanswered for ten minutes: %+v", o)
	}
	before := b.live.Observations[0].Datastream
	b.book.take(&sent)
	o := b.send(src, arrival+12*minute, value("temperature", 1), value("flux", 2))
	if o.Declared != 0 || b.live.Observations[0].Datastream != before {
		t.Errorf("once the ledger knows: %+v, datastream %s and before %s", o, b.live.Observations[0].Datastream, before)
	}
	if o := b.send(src, arrival+60*minute, value("temperature", 1), value("flux", 2)); o.Declared != 0 {
		t.Errorf("much later: %+v", o)
	}
}

// An auto-registered Thing without place is declared again when a reading brings one: the registry takes it.
func TestPlaceIsDeclaredLater(t *testing.T) {
	b := newBench(t, true)
	src := on("me/walker", "json")
	b.send(src, arrival, value("temperature", 1))
	b.book.take(&b.live)
	o := b.send(src, arrival+1000, at(value("temperature", 1), 106.5, 29.5))
	if o.Declared != 0 { // ten minutes have not passed since the Thing was declared
		t.Errorf("at once: %+v", o)
	}
	o = b.send(src, arrival+11*minute, at(value("temperature", 1), 106.5, 29.5))
	if o.Declared != 1 || b.live.Declarations[0].Thing == nil || !b.live.Declarations[0].Thing.Placed {
		t.Fatalf("later: %+v, %+v", o, b.live.Declarations)
	}
	b.book.take(&b.live)
	if o = b.send(src, arrival+30*minute, at(value("temperature", 1), 106.5, 29.5)); o.Declared != 0 {
		t.Errorf("once placed: %+v", o)
	}
}

func TestChangesOfTheLedgerTakeEffect(t *testing.T) {
	b := newBench(t, false)
	src := on("eco/a1", "json")
	b.send(src, arrival, value("tf", 212))
	if got := b.live.Observations[0].Result; got != 100 {
		t.Fatalf("212 degF: %v", got)
	}
	moved := *b.book.things["eco/a1"]
	moved.Location, moved.Version = geo.LonLat{Lon: 107, Lat: 30}, 80
	b.book.put(&moved, &sensor.Datastream{Property: "temperature", Unit: "K", SourceKey: "tf", Version: 81})
	b.send(src, arrival, value("tf", 300))
	o := b.live.Observations[0]
	if p, _ := o.Position(); o.Result != 26.85 || p != moved.Location || o.Registry != 81 {
		t.Errorf("after the change: %+v", o)
	}
	moved.Retired = true
	retired := moved
	b.book.put(&retired)
	if o := b.send(src, arrival, value("tf", 300)); o.Refused != 1 || b.live.DeadLetters[0].Reason != sensor.ReasonThing {
		t.Errorf("retired: %+v, %+v", o, b.live.DeadLetters)
	}
}

// Payloads keep their order, but need not; and a Thing may have many names.
func TestManyNamesInAnyOrder(t *testing.T) {
	b := newBench(t, true)
	src := on("me/bus", "json")
	ids := map[string]sensor.DatastreamID{}
	for round := range 3 {
		var readings []decode.Reading
		for i := range 300 {
			readings = append(readings, value(fmt.Sprintf("k%d", i*(2*round+1)*7%300), float64(i)))
		}
		if o := b.send(src, arrival+int64(round), readings...); o.Observations != 300 || round > 0 && o.Declared != 0 {
			t.Fatalf("round %d: %+v", round, o)
		}
		for i, o := range b.live.Observations {
			want, known := ids[readings[i].Key]
			if known && o.Datastream != want {
				t.Fatalf("%s is %s and was %s", readings[i].Key, o.Datastream, want)
			}
			ids[readings[i].Key] = o.Datastream
		}
	}
	if len(ids) != 300 {
		t.Errorf("%d names", len(ids))
	}
}

func TestNamesOfAThingAreBounded(t *testing.T) {
	b := newBench(t, true)
	src := on("me/mad", "json")
	for i := range 4096 {
		if o := b.send(src, arrival, value(fmt.Sprint("k", i), 1)); o.Refused != 0 {
			t.Fatalf("name %d: %+v", i, b.live.DeadLetters)
		}
	}
	if o := b.send(src, arrival, value("one more", 1), value("k7", 1)); o.Refused != 1 || o.Observations != 1 || b.live.DeadLetters[0].Reason != sensor.ReasonBound {
		t.Errorf("%+v, %+v", o, b.live.DeadLetters)
	}
}

// A dead letter must not keep what the caller will reuse.
func TestDeadLettersCopyThePayload(t *testing.T) {
	b := newBench(t, false)
	payload := []byte("payload")
	src := on("me/shed", "json")
	b.live.Arrival = arrival
	b.Normalize(&src, []decode.Reading{value("temperature", 1)}, payload, &b.live, &b.back)
	payload[0] = 'X'
	if d := b.live.DeadLetters[0]; string(d.Payload) != "payload" || d.Size != 7 || d.Owner != "me" || d.Client != "c1" || d.Topic != src.Topic {
		t.Errorf("%+v", d)
	}
}

// Whatever comes in: every reading is accounted for, and what leaves can be stored.
func TestEveryReadingIsAccountedFor(t *testing.T) {
	keys := []string{"temperature", "PM2.5", "a34004", "flux", "", "x9", "tf", "rain", "温度", "a\x00"}
	units := []string{"", "", "", "K", "ug/m3", "quux", "°C", "%"}
	numbers := []float64{0, -1, 1e308, -1e308, math.NaN(), math.Inf(1), math.Copysign(0, -1), 5e-324, 21.5}
	things := []sensor.ThingID{"eco/a1", "eco/old", "eco/-", "me/shed", "eco/gcj", "eco/urumqi"}
	b := map[bool]*bench{true: newBench(t, true), false: newBench(t, false)}
	rapid.Check(t, func(t *rapid.T) {
		n := b[rapid.Bool().Draw(t, "auto")]
		src := on(rapid.SampledFrom(things).Draw(t, "thing"), rapid.SampledFrom([]string{"json", "hj212"}).Draw(t, "protocol"))
		src.CRS = geo.CRS(rapid.IntRange(0, 3).Draw(t, "crs"))
		var readings []decode.Reading
		for range rapid.IntRange(0, 8).Draw(t, "readings") {
			key := rapid.SampledFrom(keys).Draw(t, "key")
			r := decode.Reading{
				Key: key, Property: key, Unit: rapid.SampledFrom(units).Draw(t, "unit"),
				Number:    rapid.SampledFrom(numbers).Draw(t, "number"),
				Statistic: sensor.Statistic(rapid.IntRange(0, 9).Draw(t, "statistic")),
				Serial:    rapid.SampledFrom([]string{"", "MN1", "MN2", "#"}).Draw(t, "serial"),
				Time:      rapid.OneOf(rapid.Int64(), rapid.Int64Range(arrival-72*hour, arrival+hour), rapid.Just(int64(0))).Draw(t, "time"),
			}
			if rapid.Bool().Draw(t, "placed") {
				r = at(r, rapid.Float64Range(-200, 200).Draw(t, "lon"), rapid.Float64Range(-100, 100).Draw(t, "lat"))
			}
			if rapid.IntRange(0, 9).Draw(t, "broken") == 0 {
				r.Err = decode.ErrMalformed
			}
			readings = append(readings, r)
		}
		n.live.Reset()
		n.back.Reset()
		n.live.Arrival = arrival
		o := n.Normalize(&src, readings, []byte("payload"), &n.live, &n.back)
		if o.Observations+o.Refused != len(readings) || o.Observations != len(n.live.Observations)+len(n.back.Observations) {
			t.Fatalf("%d readings: %+v", len(readings), o)
		}
		if o.Refused > 0 && len(n.live.DeadLetters) == 0 {
			t.Fatal("refused without a dead letter")
		}
		for _, m := range []*sensor.Message{&n.live, &n.back} {
			for i := range m.Observations {
				checkObservation(t, &m.Observations[i], m == &n.back)
			}
			var again sensor.Message
			if err := sensor.DecodeMessage(&again, sensor.AppendMessage(nil, m)); err != nil || len(again.Observations) != len(m.Observations) {
				t.Fatalf("cannot be stored: %v", err)
			}
		}
	})
}

func checkObservation(t *rapid.T, o *sensor.Observation, backfill bool) {
	p, placed := o.Position()
	switch {
	case o.Datastream == 0 || o.Thing == 0:
		t.Fatalf("without name: %+v", o)
	case math.IsNaN(o.Result) || math.IsInf(o.Result, 0):
		t.Fatalf("no number: %+v", o)
	case placed && !p.Valid():
		t.Fatalf("nowhere on Earth: %+v", o)
	case o.PhenomenonTime > arrival+10*minute || o.PhenomenonTime < 946684800000:
		t.Fatalf("out of time: %+v", o)
	case backfill != (o.PhenomenonTime < arrival-48*hour) || backfill != (o.Quality&sensor.Late != 0):
		t.Fatalf("in the wrong lane: %+v", o)
	}
}

// usual is the payload of DESIGN §11: two values with a position, from a registered Thing.
func usual() []decode.Reading {
	return []decode.Reading{
		at(value("temperature", 21.37), 106.57512, 29.55621), at(value("relative_humidity", 63.5), 106.57512, 29.55621),
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	b := newBench(t, true)
	for name, src := range map[string]normalize.Source{"registered": on("eco/a1", "json"), "not yet": on("me/shed", "json"), "gcj": on("eco/gcj", "json")} {
		readings := usual()
		b.send(src, arrival, readings...)
		payload := []byte("payload")
		again := func() {
			b.live.Reset()
			b.live.Arrival = arrival
			b.Normalize(&src, readings, payload, &b.live, &b.back)
		}
		if n := testing.AllocsPerRun(100, again); n != 0 || len(b.live.Observations) != 2 {
			t.Errorf("%s: %v allocations a message", name, n)
		}
	}
}

// A Normalizer keeps nothing of a message, so that two after each other give what one alone would.
func TestMessagesDoNotTouchEachOther(t *testing.T) {
	one, two := newBench(t, false), newBench(t, false)
	src := on("eco/a1", "json")
	two.send(src, arrival, at(value("humidity", 1), 110, 30), value("flux", 1))
	one.send(src, arrival, value("humidity", 2))
	two.send(src, arrival, value("humidity", 2))
	if !reflect.DeepEqual(one.live.Observations, two.live.Observations) || len(two.live.DeadLetters) != 0 {
		t.Errorf("%+v and %+v", one.live, two.live)
	}
}

// One Thing that speaks two protocols over one connection: "P1" is PM10 in one of them, and nothing in the other.
func TestNamesOfTwoProtocols(t *testing.T) {
	n := newBench(t, false)
	for i := range 3 {
		n.send(on("eco/a1", "sensor-community"), arrival+int64(i), value("P1", 30))
		if len(n.live.Observations) != 1 || n.live.Observations[0].Property != 2 {
			t.Fatalf("sensor-community: %+v", n.live)
		}
		if n.send(on("eco/a1", "json"), arrival+int64(i), value("P1", 30)); len(n.live.Observations) != 0 || len(n.live.DeadLetters) != 1 {
			t.Fatalf("json: %+v", n.live)
		}
	}
}

func BenchmarkNormalize(b *testing.B) {
	registered := usual()
	for i := range registered {
		registered[i].HasPosition = false
	}
	hj := []decode.Reading{hj("a34004", "Rtd", sensor.Instant, 35), hj("a34002", "Rtd", sensor.Instant, 60), hj("a21026", "Rtd", sensor.Instant, 0.012),
		hj("a21004", "Rtd", sensor.Instant, 0.041), hj("a01001", "Rtd", sensor.Instant, 21.3), hj("a01006", "Rtd", sensor.Instant, 98.6)}
	for _, c := range []struct {
		name     string
		src      normalize.Source
		readings []decode.Reading
	}{
		{"json", on("eco/a1", "json"), registered}, {"json-position", on("eco/a1", "json"), usual()},
		{"json-gcj02", on("eco/gcj", "json"), usual()}, {"hj212", on("eco/a1", "hj212"), hj},
	} {
		b.Run(c.name, func(b *testing.B) {
			n := newBench(b, false)
			n.send(c.src, arrival, c.readings...)
			b.ReportAllocs()
			for b.Loop() {
				n.live.Reset()
				n.live.Arrival = arrival
				if o := n.Normalize(&c.src, c.readings, nil, &n.live, &n.back); o.Observations != len(c.readings) {
					b.Fatal(o)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(c.readings)), "ns/value")
		})
	}
}
