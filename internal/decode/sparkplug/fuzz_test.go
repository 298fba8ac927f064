package sparkplug

import (
	"testing"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

// on is a Decoder of one topic, for decodetest.Invariants.
type on struct {
	*Decoder
	topic string
}

func (o on) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	return o.DecodeOn(dst, o.topic, payload)
}

// FuzzDecode checks decodetest.Invariants as birth, as data after that birth, and under no topic.
func FuzzDecode(f *testing.F) {
	for _, s := range decodetest.Seeds(f, Protocol()) {
		f.Add(s, s)
	}
	f.Add(certificate(3, 1), reports(3, 1))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d := New()
		_, _ = decodetest.Invariants(t, on{d, birthTopic}, first)
		_, _ = decodetest.Invariants(t, on{d, dataTopic}, second)
		_, _ = decodetest.Invariants(t, on{d, "spBv1.0/plant/DBIRTH/edge1/d"}, second)
		_, _ = decodetest.Invariants(t, on{d, "spBv1.0/plant/NDEATH/edge1"}, first)
		_, _ = decodetest.Invariants(t, d, second)
		if d.bytes < 0 || d.bytes > MaxBytes {
			t.Fatalf("%d bytes are counted", d.bytes)
		}
	})
}

// FuzzAppend: what Append writes is read as it was.
func FuzzAppend(f *testing.F) {
	f.Add("Boiler/Temp", uint64(10), -5.0, "run", uint8(1))
	f.Fuzz(func(t *testing.T, name string, alias uint64, v float64, text string, seq uint8) {
		if name == "" || len(name) > MaxName || !utf8.ValidString(name) || control(name) || alias == 0 || v-v != 0 {
			return
		}
		if text == "" || len(text) > MaxText || !utf8.ValidString(text) {
			return
		}
		d := New()
		got, err := d.DecodeOn(nil, birthTopic, Append(nil, Payload{Time: t0, HasSeq: true, Metrics: []Metric{
			{Name: name, Alias: alias, Type: Double, Number: v}, {Name: name, Type: Text, Text: text}}}))
		if err != nil || len(got) != 2 || got[0].Number != v || got[0].Key != name || got[1].Text != text {
			t.Fatalf("%+v, %v", got, err)
		}
		got, err = d.DecodeOn(nil, dataTopic, Append(nil, Payload{HasSeq: true, Seq: seq, Metrics: []Metric{{Alias: alias, Number: v, Type: Double, Time: t0}}}))
		if err != nil || len(got) != 1 || got[0].Number != v || got[0].Key != name || got[0].Time != t0.UnixMilli() {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}
