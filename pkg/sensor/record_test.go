package sensor

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/situ-city/situ/pkg/geo"
)

// fullMessage has every part of a Message, and every difference an Observation may have to the one before it.
func fullMessage() *Message {
	first := Observation{
		Datastream: 1, Thing: 7, Property: 12, Registry: 3, PhenomenonTime: 1767225599000, ResultTime: 1767225599000,
		Result: 35.2, Lon: 1065512340, Lat: 295630100, Cell: 0x8c2a1072b59b1ff, Quality: OutOfRange | Late,
	}
	words := first
	words.Datastream, words.Result, words.Text, words.Quality, words.ResultTime = 2, math.NaN(), "超标", 0, 1767225599500
	moved := first
	moved.Datastream, moved.Thing, moved.Lon, moved.Lat, moved.Cell, moved.Registry, moved.Property = 3, 8, -5, NoPosition+1, 0, 4, 65535
	lost := moved
	lost.Lon, lost.Lat, lost.PhenomenonTime, lost.ResultTime, lost.Result = NoPosition, NoPosition, -1, -2, math.Inf(-1)
	least := 0.5
	return &Message{
		Arrival:      1767225600000,
		Observations: []Observation{first, words, moved, lost},
		DeadLetters: []DeadLetter{
			{Reason: ReasonNumber, Detail: "1e400 is beyond float64", Topic: "situ/v1/a/b/json", Protocol: "json", Owner: "a",
				Thing: "a/b", Field: "pm10", Source: "s", Origin: Origin{Client: "c", User: "u", Broker: "tcp://b:1883", Packet: 65535, QoS: 2}, Readings: "3,5-7", Size: 3, Payload: []byte{0, 0xff, '{'}},
			{Reason: ReasonChecksum},
		},
		Declarations: []Declaration{
			{Thing: &Thing{ID: "a/b", Class: Social, Grade: Open, Placed: true, Location: geo.LonLat{Lon: 106.5, Lat: 29.5},
				Cell: 0x8c2a1072b59b1ff, Division: 500103, Scenes: []string{"x"}, Auto: true, Version: 9}},
			{Datastream: &Datastream{ID: 5, Thing: "a/b", Property: "pm2_5", Statistic: Average, SourceKey: "k", Min: &least, Auto: true}},
		},
	}
}

func TestRecordRoundTrip(t *testing.T) {
	kept := fullMessage()
	kept.Kept = &KeptPayload{Topic: "acme/t/up", Source: "acme", Protocol: "wasm", Named: "acme/-", Client: "c", User: "u", QoS: 2, Part: BackfillPart,
		Size: 70_000, Payload: []byte{0, 0xff, '{'}}
	once := &Message{Arrival: 5, Empty: ReasonHeartbeat, Thing: "a/b", Delivery: Delivery{Session: "u\x00c", Packet: 7, Number: 9, Lanes: 1},
		Kept: &KeptPayload{Topic: "situ/v1/a/b/json"}}
	for name, m := range map[string]*Message{
		"full":      fullMessage(),
		"kept":      kept,
		"kept once": once,
		"zero":      {},
		"heartbeat": {Arrival: 1767225600000, Empty: ReasonHeartbeat},
		"whose":     {Arrival: 1767225600000, Empty: ReasonHeartbeat, Thing: "ecology/-"},
		"one":       {Arrival: -1, Observations: []Observation{{}}},
		"extremes": {Arrival: math.MaxInt64, Observations: []Observation{
			{Datastream: math.MaxUint64, Thing: math.MaxUint64, Property: math.MaxUint16, Registry: math.MaxUint32,
				PhenomenonTime: math.MinInt64, ResultTime: math.MaxInt64, Result: math.Copysign(0, -1),
				Lon: math.MaxInt32, Lat: math.MinInt32, Cell: math.MaxUint64, Quality: math.MaxUint16},
		}},
	} {
		before := append([]byte("before"), 1)
		b := AppendMessage(before, m)
		if !bytes.HasPrefix(b, before) {
			t.Errorf("%s: what stood before is gone", name)
		}
		b = b[len(before):]
		if HasDelivery(b) != (m.Delivery.Number != 0) {
			t.Errorf("%s: has a delivery: %t", name, HasDelivery(b))
		}
		got := Message{Empty: "left over", DeadLetters: make([]DeadLetter, 3), Kept: &KeptPayload{Topic: "left over"}}
		if err := DecodeMessage(&got, b); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if again := AppendMessage(nil, &got); !bytes.Equal(again, b) {
			t.Errorf("%s: %x\nbecame %x", name, b, again)
		}
		sameMessage(t, name, m, &got)
	}
}

// sameMessage compares two messages; NaN equals NaN.
func sameMessage(t *testing.T, name string, want, got *Message) {
	t.Helper()
	if want.Arrival != got.Arrival || want.Empty != got.Empty || want.Thing != got.Thing || len(want.Observations) != len(got.Observations) {
		t.Fatalf("%s: %+v, want %+v", name, got, want)
	}
	if !reflect.DeepEqual(want.Kept, got.Kept) || want.Delivery != got.Delivery {
		t.Errorf("%s: kept %+v, delivery %+v, want %+v, %+v", name, got.Kept, got.Delivery, want.Kept, want.Delivery)
	}
	for i := range want.Observations {
		w, g := want.Observations[i], got.Observations[i]
		if math.Float64bits(w.Result) != math.Float64bits(g.Result) {
			t.Errorf("%s: result %d is %v, want %v", name, i, g.Result, w.Result)
		}
		w.Result, g.Result = 0, 0
		if w != g {
			t.Errorf("%s: observation %d is\n%+v, want\n%+v", name, i, g, w)
		}
	}
	for i := range want.DeadLetters {
		if !reflect.DeepEqual(want.DeadLetters[i], got.DeadLetters[i]) {
			t.Errorf("%s: dead letter %+v, want %+v", name, got.DeadLetters[i], want.DeadLetters[i])
		}
	}
	for i := range want.Declarations {
		if !reflect.DeepEqual(want.Declarations[i], got.Declarations[i]) {
			t.Errorf("%s: declaration %+v, want %+v", name, got.Declarations[i], want.Declarations[i])
		}
	}
	if len(want.DeadLetters) != len(got.DeadLetters) || len(want.Declarations) != len(got.Declarations) {
		t.Errorf("%s: %d dead letters and %d declarations, want %d and %d", name,
			len(got.DeadLetters), len(got.Declarations), len(want.DeadLetters), len(want.Declarations))
	}
}

// The bytes are a format of disks (docs/formats/spool.md): a change of this line is a new version.
func TestRecordBytes(t *testing.T) {
	m := &Message{Arrival: 1767225600000, Observations: []Observation{
		{Datastream: 0x0102030405060708, Thing: 0x1112131415161718, Property: 12, Registry: 1, PhenomenonTime: 1767225599000,
			ResultTime: 1767225599000, Result: 35.5, Lon: 1, Lat: 2},
		{Datastream: 2, Thing: 0x1112131415161718, Property: 300, Registry: 1, PhenomenonTime: 1767225600000,
			ResultTime: 1767225600001, Lon: 1, Lat: 2, Quality: NoTime},
	}}
	want := []byte{
		1,                                  // version
		0x80, 0xa0, 0xd5, 0xed, 0xee, 0x66, // arrival, zigzag
		0, // no reason to be empty
		2, // observations
		1 | 4 | 64,
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, // thing
		8, 7, 6, 5, 4, 3, 2, 1, // datastream
		12,         // property
		0xcf, 0x0f, // phenomenonTime - arrival = -1000
		0, 0, 0, 0, 0, 0xc0, 0x41, 0x40, // 35.5
		1, 0, 0, 0, 2, 0, 0, 0, // position
		1, // registry
		8 | 16,
		2, 0, 0, 0, 0, 0, 0, 0,
		0xac, 0x02, // property 300
		0,                      // phenomenonTime = arrival
		2,                      // resultTime one millisecond later
		0, 0, 0, 0, 0, 0, 0, 0, // 0
		0x80, 0x20, // quality NoTime
		0, 0, // no dead letters, no declarations
	}
	if got := AppendMessage(nil, m); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// Version 2 differs in one text; records of version 1 are read as ever.
func TestRecordOfAKnownThing(t *testing.T) {
	m := &Message{Arrival: 3, Empty: ReasonBirth, Thing: "a/b"}
	want := []byte{2, 6, 5, 'b', 'i', 'r', 't', 'h', 3, 'a', '/', 'b', 0, 0, 0}
	if got := AppendMessage(nil, m); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	m.Thing = "left over"
	if err := DecodeMessage(m, []byte{1, 6, 5, 'b', 'i', 'r', 't', 'h', 0, 0, 0}); err != nil || m.Empty != ReasonBirth || m.Thing != "" {
		t.Errorf("version 1: %+v, %v", m, err)
	}
	if err := DecodeMessage(m, []byte{3, 6, 0, 0, 0, 0}); !errors.Is(err, ErrRecord) {
		t.Errorf("version 3: %v", err)
	}
}

// Every record cut short, and every record with bytes behind it, is refused.
func TestRecordRefuses(t *testing.T) {
	whole := AppendMessage(nil, fullMessage())
	var m Message
	for n := range whole {
		if err := DecodeMessage(&m, whole[:n]); !errors.Is(err, ErrRecord) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(whole), err)
		}
	}
	if err := DecodeMessage(&m, append(bytes.Clone(whole), 0)); !errors.Is(err, ErrRecord) {
		t.Errorf("a byte behind the end: %v", err)
	}
	for name, b := range map[string][]byte{
		"a version to come":           {2, 0, 0, 0, 0, 0},
		"more rows than bytes":        {1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f},
		"a text longer than the rest": {1, 0, 0xff, 0xff, 0x03},
		"a number without end":        {1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80},
		"a dead letter of bad JSON":   {1, 0, 0, 0, 1, 1, '{', 0},
		"a declaration of bad words":  append(append([]byte{1, 0, 0, 0, 0, 1, 33}, `{"thing":{"owner_class":"nobody"}`...), '}'),
	} {
		if err := DecodeMessage(&m, b); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A Message is decoded again and again into the same memory: nothing of the one before may show through.
func TestRecordReusesMemory(t *testing.T) {
	full, small := AppendMessage(nil, fullMessage()), AppendMessage(nil, &Message{Arrival: 5, Observations: []Observation{{Datastream: 1}}})
	var m Message
	for range 2 {
		if err := DecodeMessage(&m, full); err != nil {
			t.Fatal(err)
		}
		if err := DecodeMessage(&m, small); err != nil {
			t.Fatal(err)
		}
		sameMessage(t, "small after full", &Message{Arrival: 5, Observations: []Observation{{Datastream: 1}}}, &m)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := DecodeMessage(&m, small); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations to decode numbers", n)
	}
}

// Texts are copies: the segment they came from may be unmapped or overwritten.
func TestRecordDoesNotAlias(t *testing.T) {
	b := AppendMessage(nil, fullMessage())
	var m Message
	if err := DecodeMessage(&m, b); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = 'X'
	}
	sameMessage(t, "after overwriting", fullMessage(), &m)
}

// FuzzDecodeMessage: no panic on any bytes; every refusal is ErrRecord; what is taken has a fixed written form, which
// reads back as the same; rows cost at least 19 bytes each, so that memory is bounded by the record.
func FuzzDecodeMessage(f *testing.F) {
	f.Add(AppendMessage(nil, fullMessage()))
	f.Add(AppendMessage(nil, &Message{}))
	f.Add(AppendMessage(nil, &Message{Arrival: 1767225600000, Empty: ReasonBirth}))
	f.Add(AppendMessage(nil, &Message{Arrival: 1, Kept: &KeptPayload{Topic: "a", Size: 3, Payload: []byte("abc")}}))
	var m, again Message // reused on purpose
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := DecodeMessage(&m, b); err != nil {
			if !errors.Is(err, ErrRecord) {
				t.Fatal(err)
			}
			return
		}
		if len(m.Observations) > len(b)/19 {
			t.Fatalf("%d rows out of %d bytes", len(m.Observations), len(b))
		}
		once := AppendMessage(nil, &m)
		if err := DecodeMessage(&again, once); err != nil {
			t.Fatalf("%x became %x: %v", b, once, err)
		}
		if twice := AppendMessage(nil, &again); !bytes.Equal(once, twice) {
			t.Fatalf("not stable:\n%x\n%x", once, twice)
		}
		sameMessage(t, "written", &m, &again)
	})
}

func twoValues() *Message {
	return &Message{Arrival: 1767225600000, Observations: []Observation{
		{Datastream: 1, Thing: 7, Property: 1, Registry: 3, PhenomenonTime: 1767225599000, ResultTime: 1767225599000, Result: 21.37, Lon: 1065512340, Lat: 295630100},
		{Datastream: 2, Thing: 7, Property: 2, Registry: 3, PhenomenonTime: 1767225599000, ResultTime: 1767225599000, Result: 63.5, Lon: 1065512340, Lat: 295630100},
	}}
}

func BenchmarkAppendMessage(b *testing.B) {
	m := twoValues()
	var room []byte
	b.ReportAllocs()
	for b.Loop() {
		room = AppendMessage(room[:0], m)
	}
	b.ReportMetric(float64(len(room)), "B/message")
}

func BenchmarkDecodeMessage(b *testing.B) {
	record := AppendMessage(nil, twoValues())
	var m Message
	b.ReportAllocs()
	for b.Loop() {
		if err := DecodeMessage(&m, record); err != nil {
			b.Fatal(err)
		}
	}
}

func TestTrimPayload(t *testing.T) {
	long := []byte(strings.Repeat("x", MaxDeadLetterPayload+1))
	if got := TrimPayload(long); len(got) != MaxDeadLetterPayload {
		t.Errorf("%d bytes kept", len(got))
	}
	short := []byte("abc")
	got := TrimPayload(short)
	short[0] = 'X'
	if string(got) != "abc" {
		t.Errorf("%q is no copy", got)
	}
}

func TestTopicOwner(t *testing.T) {
	for topic, want := range map[string]string{
		"situ/v1/cq-eco/station-7/json": "cq-eco", "situ/v1/a": "a", "situ/v1/": "", "situ/v2/a/b/c": "", "other/topic": "", "": "",
	} {
		if got := TopicOwner(topic); got != want {
			t.Errorf("%s: %q, want %q", topic, got, want)
		}
	}
}

// Whose a message was that a full spool gives up: of heartbeats and of what came with QoS 2 it used to be nobody's, in 1970.
func TestPeekMessage(t *testing.T) {
	const arrival = 1795456800123
	o := Observation{Thing: ThingID("a/b").Key(), Datastream: 1, PhenomenonTime: arrival, ResultTime: arrival}
	tag := Delivery{Session: "u\x00c", Packet: 1, Number: 7, Lanes: 1}
	for name, c := range map[string]struct {
		m     Message
		thing ThingKey
		owner string
	}{
		"a reading":                {Message{Observations: []Observation{o}}, o.Thing, ""},
		"a reading with QoS 2":     {Message{Observations: []Observation{o}, Delivery: tag}, o.Thing, ""},
		"a dead letter":            {Message{DeadLetters: []DeadLetter{{Owner: "a"}}}, 0, "a"},
		"a heartbeat":              {Message{Empty: ReasonHeartbeat, Thing: "a/b"}, o.Thing, ""},
		"a heartbeat with QoS 2":   {Message{Empty: ReasonHeartbeat, Thing: "a/b", Delivery: tag}, o.Thing, ""},
		"a heartbeat of some of a": {Message{Empty: ReasonHeartbeat, Thing: "a/-"}, 0, "a"},
		"a heartbeat of nobody":    {Message{Empty: ReasonHeartbeat}, 0, ""},
	} {
		c.m.Arrival = arrival
		at, thing, owner := PeekMessage(AppendMessage(nil, &c.m))
		if at != arrival || thing != c.thing || owner != c.owner {
			t.Errorf("%s: arrived %d, of Thing %d, owner %q", name, at, thing, owner)
		}
	}
	if at, thing, owner := PeekMessage([]byte("no message")); at != 0 || thing != 0 || owner != "" {
		t.Errorf("of no message: %d, %d, %q", at, thing, owner)
	}
}
