package decodetest

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/situ-city/situ/internal/decode"
)

// onTopic gives every payload the same topic.
type onTopic struct {
	decode.Decoder
	decode.Topical
	topic string
}

func (d onTopic) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	return d.DecodeOn(dst, d.topic, payload)
}

// OnTopic makes a decoder of one that asks for the topic. Others, and "", it leaves as they are.
func OnTopic(d decode.Decoder, topic string) decode.Decoder {
	if t, ok := d.(decode.Topical); ok && topic != "" {
		return onTopic{d, t, topic}
	}
	return d
}

// Fuzz checks Invariants, beginning with the protocol's cases.
func Fuzz(f *testing.F, p decode.Protocol, topic string) {
	for _, s := range Seeds(f, p) {
		f.Add(s)
	}
	var decoders []decode.Decoder
	for _, strict := range []bool{false, true} {
		d, err := p.New(decode.Settings{Strict: strict})
		if err != nil {
			f.Fatal(err)
		}
		decoders = append(decoders, OnTopic(d, topic))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, d := range decoders {
			_, _ = Invariants(t, d, payload)
		}
	})
}

// Bench measures one payload that becomes so many readings.
func Bench(b *testing.B, p decode.Protocol, topic string, payload []byte, readings int) {
	d, err := p.New(decode.Settings{})
	if err != nil {
		b.Fatal(err)
	}
	d = OnTopic(d, topic)
	var room []decode.Reading
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if room, err = d.Decode(room[:0], payload); err != nil || len(room) != readings {
			b.Fatal(len(room), err)
		}
	}
	b.ReportMetric(float64(readings)*float64(b.N)/b.Elapsed().Seconds(), "readings/s")
}

// BenchMap is the obvious way to read a payload of JSON: into a map with encoding/json, looking at nothing.
func BenchMap(b *testing.B, payload []byte) {
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		var m map[string]any
		if err := json.Unmarshal(payload, &m); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchScan is the floor under every decoder of a payload: a loop that looks at each byte once.
func BenchScan(b *testing.B, payload []byte) {
	quotes := 0
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		for _, c := range payload {
			if c == '"' {
				quotes++
			}
		}
	}
	if quotes < 0 {
		b.Fatal(quotes)
	}
}

// Case gives the payload of a golden case, for benchmarks.
func Case(tb testing.TB, p decode.Protocol, name string) []byte {
	return file(tb, root(p), filepath.Join(name, "payload"))
}
