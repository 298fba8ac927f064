package bustest

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

const arrival = 1_760_000_000_000

// Messages makes n messages of every kind: values, words, places, flags, dead letters, declarations, empties.
func Messages(seed uint64, n int) []sensor.Message {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]sensor.Message, n)
	for i := range out {
		m := &out[i]
		m.Arrival = arrival + int64(i)*10 + r.Int64N(10)
		switch i % 10 {
		case 3:
			m.DeadLetters = []sensor.DeadLetter{deadLetter(r)}
		case 5:
			m.Empty = sensor.ReasonHeartbeat
		case 7:
			m.Declarations = []sensor.Declaration{declaration(r)}
		case 8:
			m.Observations = observations(r, m.Arrival, 1)
			m.DeadLetters = []sensor.DeadLetter{deadLetter(r), deadLetter(r)}
			m.Declarations = []sensor.Declaration{declaration(r)}
		default:
			m.Observations = observations(r, m.Arrival, 1+r.IntN(4))
		}
		if i%7 == 2 { // of every kind
			m.Kept = kept(r)
		}
	}
	return out
}

// Huge makes one message of n values that no compressor makes small.
func Huge(n int) sensor.Message {
	r := rand.New(rand.NewPCG(99, 1))
	return sensor.Message{Arrival: arrival, Observations: observations(r, arrival, n)}
}

func observations(r *rand.Rand, at int64, n int) []sensor.Observation {
	thing := sensor.ThingKey(r.Uint64())
	out := make([]sensor.Observation, n)
	for i := range out {
		o := sensor.Observation{
			Datastream: sensor.DatastreamID(r.Uint64()), Thing: thing, Property: sensor.PropertyNumber(r.IntN(40)),
			Registry: uint32(r.IntN(3)), PhenomenonTime: at - r.Int64N(60_000), Result: r.NormFloat64() * 30,
			Lon: sensor.NoPosition, Lat: sensor.NoPosition, Quality: sensor.Quality(r.IntN(2) * r.IntN(64)),
		}
		o.ResultTime = o.PhenomenonTime + int64(r.IntN(2)*r.IntN(1000))
		if r.IntN(3) > 0 {
			o.Lon, o.Lat = 1_065_000_000+r.Int32N(1e6), 295_000_000+r.Int32N(1e6)
			o.Cell = geo.Cell(0x8c<<52 | r.Uint64()>>12)
		}
		if r.IntN(9) == 0 {
			o.Result, o.Text = math.NaN(), fmt.Sprintf("状态 %d \"x\"\x00", r.IntN(5))
		}
		out[i] = o
	}
	return out
}

func deadLetter(r *rand.Rand) sensor.DeadLetter {
	p := make([]byte, r.IntN(60))
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return sensor.DeadLetter{
		Reason: sensor.ReasonMalformed, Detail: "offset 3: \u2028 <&> unexpected", Topic: "situ/v1/o/t/json",
		Owner: "o", Origin: sensor.Origin{Client: fmt.Sprintf("c%d", r.IntN(9)), User: "u", Packet: uint16(r.Uint32()), QoS: 1},
		Readings: "0-2,7", Size: len(p), Payload: p,
	}
}

func kept(r *rand.Rand) *sensor.KeptPayload {
	p := make([]byte, 1+r.IntN(60))
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return &sensor.KeptPayload{Topic: "acme/t7/up", Source: "acme", Protocol: "wasm", Named: "acme/t7", Client: fmt.Sprintf("c%d", r.IntN(9)), User: "u", QoS: 2,
		Part: sensor.Part(r.IntN(3)), Size: len(p), Payload: p}
}

func declaration(r *rand.Rand) sensor.Declaration {
	return sensor.Declaration{Datastream: &sensor.Datastream{ID: sensor.DatastreamID(r.Uint64()), SourceKey: "a34004-Rtd"}}
}

// Same compares all that a batch tells, whatever the order of its dictionary.
func Same(t *testing.T, got, want *sensor.Batch) {
	t.Helper()
	g, w := lines(got), lines(want)
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Errorf("line %d is\n%s\nwant\n%s", i, g[i], w[i])
			return
		}
	}
	if len(g) != len(w) {
		t.Errorf("%d lines, want %d", len(g), len(w))
	}
}

func lines(b *sensor.Batch) []string {
	out := []string{fmt.Sprintf("messages %d duplicates %d", b.Messages, b.Duplicates)}
	for i := range b.Len() {
		id, arrival, o := b.Row(i)
		out = append(out, fmt.Sprintf("row %+v %d %+v", id, arrival, o))
	}
	for _, d := range b.DeadLetters {
		out = append(out, fmt.Sprintf("dead letter %+v", d))
	}
	for _, d := range b.Declarations {
		j, err := json.Marshal(d)
		out = append(out, fmt.Sprintf("declaration %s %v", j, err))
	}
	for _, k := range b.Payloads {
		out = append(out, fmt.Sprintf("payload %+v", k))
	}
	for _, e := range b.Empties {
		out = append(out, fmt.Sprintf("empty %+v", e))
	}
	for _, g := range b.Gaps {
		out = append(out, fmt.Sprintf("gap %+v", g))
	}
	return out
}
