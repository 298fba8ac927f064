package arrowipc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

var producer = sensor.Producer{Gateway: "gw-1.东", Epoch: 3, Lane: sensor.Backfill}

// fill makes n messages from seq 1 on, each with rows; every seventh has other things too or instead.
func fill(seed uint64, n int) *sensor.Batch {
	r := rand.New(rand.NewPCG(seed, 1))
	b := &sensor.Batch{}
	for seq := uint64(1); seq <= uint64(n); seq++ {
		at := 1_760_000_000_000 + int64(seq)*20
		m := sensor.Message{Arrival: at}
		switch {
		case seq%7 == 0:
			m.Empty, m.Thing = sensor.ReasonHeartbeat, "a/-"
		case seq%11 == 0:
			m.DeadLetters = []sensor.DeadLetter{{Reason: sensor.ReasonChecksum, Detail: "\u2028<>&", Payload: []byte{0, 0xff, byte(seq)}, Size: 3}}
			fallthrough
		case seq%5 == 0:
			m.Declarations = []sensor.Declaration{{Thing: &sensor.Thing{ID: "o/t"}}}
			fallthrough
		default:
			for range r.IntN(3) + 1 {
				m.Observations = append(m.Observations, observation(r, at))
			}
		}
		if seq%3 == 0 {
			m.Kept = &sensor.KeptPayload{Topic: "acme/t/up", Source: "acme", Named: "acme/t", Size: 5, Payload: []byte{byte(seq), 0, 0xff, '{', '}'}}
		}
		b.Add(producer, seq, &m)
	}
	return b
}

func observation(r *rand.Rand, at int64) sensor.Observation {
	o := sensor.Observation{
		Datastream: sensor.DatastreamID(r.Uint64()), Thing: sensor.ThingKey(r.IntN(1000)), Property: sensor.PropertyNumber(r.IntN(50)),
		Registry: r.Uint32N(9), PhenomenonTime: at - r.Int64N(1000), Result: math.Round(r.NormFloat64()*100) / 10,
		Lon: r.Int32(), Lat: -r.Int32(), Cell: geo.Cell(r.Uint64()), Quality: sensor.Quality(r.IntN(1 << 14)),
	}
	o.ResultTime = o.PhenomenonTime
	if r.IntN(10) == 0 {
		o.Text, o.Result = "状态\x00", math.NaN()
	}
	return o
}

func encode(t testing.TB, b *sensor.Batch) []byte {
	t.Helper()
	e, err := NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	v, err := e.Append(nil, producer, b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func decoder(t testing.TB) *Decoder {
	t.Helper()
	d, err := NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// same compares all fields, NaN equal to itself.
func same(t *testing.T, got, want *sensor.Batch) {
	t.Helper()
	g, w := reflect.ValueOf(*got), reflect.ValueOf(*want)
	for i := range g.NumField() {
		if a, b := fmt.Sprintf("%+v", g.Field(i)), fmt.Sprintf("%+v", w.Field(i)); a != b && g.Type().Field(i).Name != "Declarations" {
			t.Fatalf("%s is\n%.300s\nwant\n%.300s", g.Type().Field(i).Name, a, b)
		}
	}
	if !reflect.DeepEqual(got.Declarations, want.Declarations) {
		t.Fatal("declarations differ")
	}
}

func TestRoundTrip(t *testing.T) {
	d := decoder(t)
	e, err := NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2, 7, 100, 5000, 1} { // one Encoder and Decoder for all
		want := fill(uint64(n), n)
		v, err := e.Append([]byte("before"), producer, want)
		if err != nil {
			t.Fatal(err)
		}
		var got sensor.Batch
		if err := d.Decode(&got, producer, 1, uint64(n), v[len("before"):]); err != nil {
			t.Fatal(err)
		}
		same(t, &got, want)
	}
}

func TestOnlyRest(t *testing.T) {
	want := &sensor.Batch{}
	want.See(producer, 5, 90)
	want.Gaps = []sensor.Gap{{Producer: producer, From: 5, To: 90, At: 7, Reason: "spool_full"}}
	var got sensor.Batch
	if err := decoder(t).Decode(&got, producer, 5, 90, encode(t, want)); err != nil {
		t.Fatal(err)
	}
	same(t, &got, want)
}

// TestArrowReads lets Arrow's own reader take the stream, as pyarrow and ClickHouse do.
func TestArrowReads(t *testing.T) {
	b := fill(1, 500)
	r, err := ipc.NewReader(bytes.NewReader(encode(t, b)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if j, ok := r.Schema().Metadata().GetValue("situ.rest"); !ok || !bytes.HasPrefix([]byte(j), []byte(`{"dead_letters":[{"seq":11,`)) {
		t.Fatalf("metadata %.80s", j)
	}
	rows := 0
	for r.Next() {
		rec := r.Record()
		seq, text := rec.Column(colSeq).(*array.Uint64), rec.Column(colText).(*array.String)
		at := rec.Column(colArrivalTime).(*array.Timestamp)
		gw := rec.Column(colGateway).(*array.String)
		for i := range int(rec.NumRows()) {
			if seq.Value(i) != b.Seq[rows+i] || text.Value(i) != b.Text[rows+i] || gw.Value(i) != producer.Gateway || int64(at.Value(i)) != b.ArrivalTime[rows+i] {
				t.Fatalf("row %d differs", rows+i)
			}
		}
		rows += int(rec.NumRows())
	}
	if r.Err() != nil || rows != b.Len() {
		t.Fatalf("%d of %d rows, %v", rows, b.Len(), r.Err())
	}
}

// TestWatermark gives what a reader that has seen a part of the range still lacks.
func TestWatermark(t *testing.T) {
	all := fill(2, 60)
	v := encode(t, all)
	d := decoder(t)
	for seen := range uint64(62) {
		got := sensor.Batch{Watermarks: map[sensor.Producer]uint64{producer: seen}}
		if err := d.Decode(&got, producer, 1, 60, v); err != nil {
			t.Fatal(err)
		}
		if want := min(int(seen), 60); got.Duplicates != want || got.Messages != 60-want || got.Watermarks[producer] != max(seen, 60) {
			t.Fatalf("%d seen: %d duplicates, %d messages", seen, got.Duplicates, got.Messages)
		}
		rows := 0
		for _, s := range all.Seq {
			if s > seen {
				rows++
			}
		}
		if got.Len() != rows || rows > 0 && got.Seq[0] <= seen {
			t.Fatalf("%d seen: %d rows, want %d", seen, got.Len(), rows)
		}
	}
}

func TestRefuses(t *testing.T) {
	b := fill(3, 50)
	v := encode(t, b)
	other := producer
	other.Epoch++
	d := decoder(t)
	for name, decode := range map[string]func(*sensor.Batch) error{
		"another producer":   func(b *sensor.Batch) error { return d.Decode(b, other, 1, 50, v) },
		"range too short":    func(b *sensor.Batch) error { return d.Decode(b, producer, 1, 40, v) },
		"range begins later": func(b *sensor.Batch) error { return d.Decode(b, producer, 3, 50, v) },
		"no range":           func(b *sensor.Batch) error { return d.Decode(b, producer, 0, 50, v) },
		"empty":              func(b *sensor.Batch) error { return d.Decode(b, producer, 1, 50, nil) },
		"cut":                func(b *sensor.Batch) error { return d.Decode(b, producer, 1, 50, v[:len(v)-9]) },
		"a byte more":        func(b *sensor.Batch) error { return d.Decode(b, producer, 1, 50, append(bytes.Clone(v), 0)) },
	} {
		var got sensor.Batch
		if err := decode(&got); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
		if got.Len() != 0 || got.Messages != 0 || len(got.Empties) != 0 {
			t.Errorf("%s: the batch was changed", name)
		}
	}
	e, err := NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Append(nil, other, b); !errors.Is(err, ErrFormat) {
		t.Errorf("rows of another producer: %v", err)
	}
	if _, err := e.Append(nil, producer, fill(4, MaxRows)); !errors.Is(err, ErrRows) {
		t.Errorf("too many rows: %v", err)
	}
}

// TestEveryByteFlipped: the headers' CRC catches this first, but the decoder must not rely on it.
func TestEveryByteFlipped(t *testing.T) {
	v := encode(t, fill(5, 8))
	d := decoder(t)
	for at := range v {
		bad := bytes.Clone(v)
		bad[at] ^= 1 << (at % 8)
		var b sensor.Batch
		if err := d.Decode(&b, producer, 1, 8, bad); err != nil && b.Messages != 0 {
			t.Fatalf("flip at %d: error and changed batch", at)
		}
	}
}

// FuzzDecode: no panic, no message out of nothing, memory bounded.
func FuzzDecode(f *testing.F) {
	f.Add(encode(f, fill(1, 20)), uint64(1), uint64(20))
	f.Add(encode(f, &sensor.Batch{}), uint64(1), uint64(1))
	f.Add(binary.LittleEndian.AppendUint32([]byte{0xff, 0xff, 0xff, 0xff}, 1<<31-1), uint64(1), uint64(2))
	d := decoder(f)
	f.Fuzz(func(t *testing.T, v []byte, from, to uint64) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var b sensor.Batch
		err := d.Decode(&b, producer, from, to, v)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<30 {
			t.Fatalf("%d bytes took %d", len(v), used)
		}
		if err != nil && (b.Len() != 0 || b.Messages != 0) {
			t.Fatal("changed on error")
		}
		if b.Len() > MaxRows {
			t.Fatal("too many rows")
		}
		for _, s := range b.Seq {
			if s < from || s > to {
				t.Fatal("row out of range")
			}
		}
	})
}

// realistic is what a gateway sends: two values a message, few Things, values with one decimal.
func realistic(rows int) *sensor.Batch {
	r := rand.New(rand.NewPCG(1, 1))
	b := &sensor.Batch{}
	for seq := uint64(1); b.Len() < rows; seq++ {
		at := 1_760_000_000_000 + int64(seq)/50
		thing := r.IntN(5000)
		m := sensor.Message{Arrival: at}
		for k := range 2 {
			m.Observations = append(m.Observations, sensor.Observation{
				Datastream: sensor.DatastreamID(uint64(thing*2+k) * 0x9e3779b97f4a7c15), Thing: sensor.ThingKey(uint64(thing) * 0xc2b2ae3d27d4eb4f),
				Property: sensor.PropertyNumber(k + 1), Registry: 7, PhenomenonTime: at - 500, ResultTime: at - 500,
				Result: math.Round(r.NormFloat64()*100) / 10, Lon: 1_065_000_000 + int32(thing)*71, Lat: 295_000_000 + int32(thing)*53,
			})
		}
		b.Add(producer, seq, &m)
	}
	return b
}

func BenchmarkEncode(b *testing.B) {
	for _, rows := range []int{1000, 10_000, 50_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			in := realistic(rows)
			e, err := NewEncoder()
			if err != nil {
				b.Fatal(err)
			}
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				if out, err = e.Append(out[:0], producer, in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*in.Len()), "ns/row")
			b.ReportMetric(float64(len(out))/float64(in.Len()), "bytes/row")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, rows := range []int{1000, 10_000, 50_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			in := realistic(rows)
			v := encode(b, in)
			d := decoder(b)
			var out sensor.Batch
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				clear(out.Watermarks)
				if err := d.Decode(&out, producer, 1, uint64(in.Messages), v); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*in.Len()), "ns/row")
		})
	}
}
