package senml

import (
	stdjson "encoding/json"
	"fmt"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

// bench is a pack of n values of one device, each a second after the other.
func bench(n int) Pack {
	p := Pack{Name: "urn:dev:ow:10e2073a01080063:", Time: 1767225600}
	for i := range n {
		p.Records = append(p.Records, Record{Name: fmt.Sprintf("room%d-temp", i%5), Unit: "Cel", Time: float64(i), Value: 20.1 + float64(i)/8})
	}
	return p
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 2, 20} {
		p := bench(n)
		for _, form := range [...]struct {
			p       decode.Protocol
			payload []byte
		}{{JSON(), AppendJSON(nil, p)}, {CBOR(), AppendCBOR(nil, p)}} {
			b.Run(fmt.Sprintf("%s/values%d", form.p.Name, n), func(b *testing.B) {
				d := decoder(b, form.p, decode.Settings{})
				var room []decode.Reading
				var err error
				b.SetBytes(int64(len(form.payload)))
				b.ReportAllocs()
				for b.Loop() {
					if room, err = d.Decode(room[:0], form.payload); err != nil || len(room) != n {
						b.Fatal(len(room), err)
					}
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "values/s")
			})
		}
	}
}

func BenchmarkScan(b *testing.B) {
	b.Run("senml", func(b *testing.B) { decodetest.BenchScan(b, AppendJSON(nil, bench(20))) })
	b.Run("senml-cbor", func(b *testing.B) { decodetest.BenchScan(b, AppendCBOR(nil, bench(20))) })
}

// plain is a record as a general library reads it, before base fields are applied.
type plain struct {
	BaseName string  `json:"bn" cbor:"-2,keyasint"`
	BaseTime float64 `json:"bt" cbor:"-3,keyasint"`
	Name     string  `json:"n" cbor:"0,keyasint"`
	Unit     string  `json:"u" cbor:"1,keyasint"`
	Value    float64 `json:"v" cbor:"2,keyasint"`
	Time     float64 `json:"t" cbor:"6,keyasint"`
}

// BenchmarkLibrary reads the same packs into structs with encoding/json and with fxamacker/cbor, and resolves nothing.
func BenchmarkLibrary(b *testing.B) {
	p := bench(20)
	for _, form := range [...]struct {
		name    string
		payload []byte
		read    func([]byte, any) error
	}{{"encoding-json", AppendJSON(nil, p), stdjson.Unmarshal}, {"fxamacker-cbor", AppendCBOR(nil, p), cbor.Unmarshal}} {
		b.Run(form.name, func(b *testing.B) {
			var room []plain
			b.SetBytes(int64(len(form.payload)))
			b.ReportAllocs()
			for b.Loop() {
				room = room[:0]
				if err := form.read(form.payload, &room); err != nil || len(room) != 20 {
					b.Fatal(len(room), err)
				}
			}
			b.ReportMetric(20*float64(b.N)/b.Elapsed().Seconds(), "values/s")
		})
	}
}
