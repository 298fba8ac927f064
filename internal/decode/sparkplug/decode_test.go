package sparkplug

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

var t0 = time.UnixMilli(1767225600000)

// certificate is an NBIRTH of n metrics with the aliases 10, 11, ...
func certificate(n int, bdSeq float64) []byte {
	p := Payload{Time: t0, HasSeq: true, Metrics: []Metric{{Name: "bdSeq", Type: Int64, Number: bdSeq, Time: t0}}}
	for i := range n {
		p.Metrics = append(p.Metrics, Metric{Name: fmt.Sprintf("Pump %d/Temp", i), Alias: uint64(10 + i), Type: Double, Unit: "°C", Time: t0})
	}
	return Append(nil, p)
}

func reports(n int, seq uint8) []byte {
	p := Payload{Time: t0, HasSeq: true, Seq: seq}
	for i := range n {
		p.Metrics = append(p.Metrics, Metric{Alias: uint64(10 + i), Type: Double, Number: float64(i) + 0.5, Time: t0})
	}
	return Append(nil, p)
}

const (
	birthTopic = "spBv1.0/plant/NBIRTH/edge1"
	dataTopic  = "spBv1.0/plant/NDATA/edge1"
)

// A node is asked for its birth when data comes before it or after a gap, once in AskEvery, and no longer once it came.
func TestAsk(t *testing.T) {
	d := New()
	now := t0.UnixMilli()
	step := func(topic string, payload []byte, want bool) []decode.Reading {
		t.Helper()
		now += 1000
		rs, err := d.DecodeOn(nil, topic, payload)
		if err != nil {
			t.Fatal(err)
		}
		to, request, ok := d.Ask(now)
		if ok != want {
			t.Fatalf("ask %t, want %t", ok, want)
		}
		if !ok {
			return rs
		}
		s, err := survey(request)
		if to != "spBv1.0/plant/NCMD/edge1" || err != nil || s.hasSeq || s.time != uint64(now) || !bytes.Contains(request, []byte("Node Control/Rebirth")) {
			t.Fatalf("%s %q %+v %v", to, request, s, err)
		}
		return rs
	}
	if rs := step(dataTopic, reports(1, 3), true); !errors.Is(rs[0].Err, decode.ErrUnsupported) {
		t.Fatalf("%+v", rs)
	}
	step(dataTopic, reports(1, 4), false) // asked a second ago
	now += AskEvery
	step(dataTopic, reports(1, 5), false) // it did not answer
	now += AskEvery
	step(dataTopic, reports(1, 6), true)
	step(birthTopic, certificate(2, 7), false)
	if rs := step(dataTopic, reports(2, 1), false); rs[1].Number != 1.5 || rs[1].Key != "Pump 1/Temp" || rs[1].Unit != "Cel" || rs[1].Serial != "plant/edge1" {
		t.Fatalf("%+v", rs)
	}
	step(dataTopic, reports(2, 1), false) // a redelivery
	step(dataTopic, reports(2, 3), false) // 2 comes late
	step(dataTopic, reports(2, 4), false)
	step(dataTopic, reports(2, 2), false)
	now += AskEvery + ReorderTimeout
	step(dataTopic, reports(2, 5), false)
	if rs := step(dataTopic, reports(2, 8), false); rs[0].Err != nil { // a gap
		t.Fatalf("%+v", rs)
	}
	now += ReorderTimeout
	if rs := step(dataTopic, reports(2, 9), true); rs[0].Err != nil {
		t.Fatalf("%+v", rs)
	}
	step(birthTopic, certificate(2, 8), false)
	step(dataTopic, reports(3, 1), false) // an alias that this birth does not give, and asked seconds ago
	now += AskEvery
	step(dataTopic, reports(3, 2), true)
	step(birthTopic, certificate(3, 8), false)
	now += AskEvery
	for i := range 600 { // seq goes round
		step(dataTopic, reports(1, uint8(i+1)), false)
	}
	step("spBv1.0/plant/DDATA/edge1/gate", reports(1, uint8(601%256)), true) // a device without birth
	if _, _, ok := New().Ask(now); ok {
		t.Error("a decoder that has seen nothing asks")
	}
}

// What births may keep is bounded, and what was unused longest goes first.
func TestBirthsAreBounded(t *testing.T) {
	d := New()
	for i := range MaxNodes + 10 {
		if _, err := d.DecodeOn(nil, fmt.Sprintf("spBv1.0/plant/NBIRTH/edge%d", i), certificate(1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.nodes) != MaxNodes || d.bytes > MaxBytes {
		t.Errorf("%d nodes, %d bytes", len(d.nodes), d.bytes)
	}
	for node, known := range map[string]bool{"edge0": false, fmt.Sprintf("edge%d", MaxNodes+9): true} {
		rs, err := d.DecodeOn(nil, "spBv1.0/plant/NDATA/"+node, reports(1, 1))
		if err != nil || (rs[0].Err == nil) != known {
			t.Errorf("%s: %+v, %v", node, rs, err)
		}
	}
	d = New()
	for i := range 100 { // devices with many metrics
		if _, err := d.DecodeOn(nil, fmt.Sprintf("spBv1.0/p%d/NBIRTH/e", i), certificate(decode.MaxReadings-1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if d.bytes > MaxBytes || len(d.nodes) < 2 || len(d.nodes) == 100 {
		t.Errorf("%d nodes, %d bytes", len(d.nodes), d.bytes)
	}
}

func TestTopics(t *testing.T) {
	for topic, want := range map[string]address{
		"spBv1.0/g/NBIRTH/e":         {birth, "g", "e", "", true},
		"spBv1.0/g/DDATA/e/d":        {data, "g", "e", "d", true},
		"site/7/spBv1.0/g/NDEATH/e":  {death, "g", "e", "", true},
		"spBv1.0/g/DCMD/e/d":         {command, "g", "e", "d", true},
		"spBv1.0/STATE/host":         {kind: state, named: true},
		"xspBv1.0/g/NBIRTH/e":        {node: "xspBv1.0/g/NBIRTH/e"},
		"spBv1.0/g/NBIRTH/e/d":       {node: "spBv1.0/g/NBIRTH/e/d"},
		"spBv1.0/g/DBIRTH/e":         {node: "spBv1.0/g/DBIRTH/e"},
		"spBv1.0/g/OTHER/e":          {node: "spBv1.0/g/OTHER/e"},
		"spBv1.0":                    {node: "spBv1.0"},
		"situ/v1/plant/p7/sparkplug": {node: "situ/v1/plant/p7/sparkplug"},
	} {
		if got := parse(topic); got != want {
			t.Errorf("%s: %+v, want %+v", topic, got, want)
		}
	}
}

func TestSteadyStateAllocations(t *testing.T) {
	d := New()
	if _, err := d.DecodeOn(nil, birthTopic, certificate(20, 1)); err != nil {
		t.Fatal(err)
	}
	room, payload := make([]decode.Reading, 0, 64), reports(20, 1)
	if n := testing.AllocsPerRun(100, func() { room, _ = d.DecodeOn(room[:0], dataTopic, payload) }); n > 0 || len(room) != 20 || room[3].Err != nil {
		t.Errorf("%v allocations for %d values", n, len(room))
	}
}

func TestShortest(t *testing.T) {
	for f, want := range map[float32]float64{21.3: 21.3, 0.1: 0.1, -2.5: -2.5, 0: 0, 16777216: 16777216, 1234.5678: 1234.5677} {
		if got := shortest(f); float32(got) != f || want != got && f != 1234.5678 {
			t.Errorf("%v: %v, want %v", f, got, want)
		}
	}
}

// What 3.0.0 demands of a message is demanded by a strict source.
func TestStrict(t *testing.T) {
	whole := Payload{Time: t0, HasSeq: true, Metrics: []Metric{{Name: "bdSeq", Type: Int64, Time: t0}, {Name: "Temp", Type: Double, Number: 20, Time: t0}}}
	for name, k := range map[string]struct {
		topic  string
		change func(p *Payload)
		says   string
	}{
		"whole":               {birthTopic, func(*Payload) {}, ""},
		"another topic":       {"situ/v1/plant/p7/sparkplug", func(*Payload) {}, "topic"},
		"no timestamp":        {birthTopic, func(p *Payload) { p.Time = time.Time{} }, "timestamp"},
		"no seq":              {birthTopic, func(p *Payload) { p.HasSeq = false }, "seq"},
		"no bdSeq":            {birthTopic, func(p *Payload) { p.Metrics = p.Metrics[1:] }, "bdSeq"},
		"a death without":     {"spBv1.0/plant/NDEATH/edge1", func(p *Payload) { p.Metrics = p.Metrics[1:] }, "bdSeq"},
		"a death":             {"spBv1.0/plant/NDEATH/edge1", func(p *Payload) { p.Time, p.HasSeq = time.Time{}, false }, ""},
		"a birth of a device": {"spBv1.0/plant/DBIRTH/edge1/gate", func(p *Payload) { p.Metrics = p.Metrics[1:] }, ""},
	} {
		p := whole
		k.change(&p)
		payload := Append(nil, p)
		if _, err := New().DecodeOn(nil, k.topic, payload); err != nil {
			t.Errorf("%s: tolerant: %v", name, err)
		}
		d, err := Protocol().New(decode.Settings{Strict: true})
		if err != nil {
			t.Fatal(err)
		}
		var why *decode.Error
		if _, err := decode.DecodeOn(d, nil, k.topic, payload); (err != nil) != (k.says != "") || errors.As(err, &why) && why.Field != k.says {
			t.Errorf("%s: %v", name, err)
		}
	}
	d, err := Protocol().New(decode.Settings{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	whole.Metrics[1].Type = Unknown
	rs, err := decode.DecodeOn(d, nil, birthTopic, Append(nil, whole))
	if err != nil || len(rs) != 1 || !errors.Is(rs[0].Err, decode.ErrMalformed) {
		t.Errorf("a metric without data type: %+v, %v", rs, err)
	}
}
