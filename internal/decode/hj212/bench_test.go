package hj212

import (
	"fmt"
	"testing"

	"github.com/situ-city/situ/internal/decode"
)

// station is a frame of an air station: n pollutants, each with its instant and its flag.
func station(n int) Frame {
	f := Frame{QN: "20260101080003125", ST: "22", CN: "2011", PW: "123456", MN: "SITU00000001", Flag: "4", DataTime: "20260101080000"}
	for i := range n {
		f.Values = append(f.Values, Value{Code: fmt.Sprintf("a%05d", 21000+i), Param: "Rtd", Text: fmt.Sprintf("%d.%d", 10+i, i%10), Flag: "N"})
	}
	return f
}

func BenchmarkDecode(b *testing.B) {
	minute := station(0)
	minute.CN = "2051"
	for i := range 6 {
		for _, p := range []string{"Avg", "Min", "Max", "Cou"} {
			minute.Values = append(minute.Values, Value{Code: fmt.Sprintf("a%05d", 21000+i), Param: p, Text: "23.125", Flag: "N"})
		}
	}
	for _, c := range []struct {
		name    string
		payload []byte
		values  int
	}{
		{"values2", Append(nil, station(2)), 2},
		{"values11", Append(nil, station(11)), 11},
		{"minute24", Append(nil, minute), 24},
		{"glued10", glued(10), 110},
	} {
		b.Run(c.name, func(b *testing.B) {
			d := decoder(b, decode.Settings{})
			var room []decode.Reading
			var err error
			b.SetBytes(int64(len(c.payload)))
			b.ReportAllocs()
			for b.Loop() {
				if room, err = d.Decode(room[:0], c.payload); err != nil || len(room) != c.values {
					b.Fatal(len(room), err)
				}
			}
			b.ReportMetric(float64(c.values)*float64(b.N)/b.Elapsed().Seconds(), "values/s")
		})
	}
}

func glued(n int) (payload []byte) {
	for range n {
		payload = Append(payload, station(11))
	}
	return payload
}

func BenchmarkChecksum(b *testing.B) {
	frame := Append(nil, station(11))
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		checksum(frame)
	}
}

func BenchmarkAppend(b *testing.B) {
	f := station(11)
	var room []byte
	b.ReportAllocs()
	for b.Loop() {
		room = Append(room[:0], f)
	}
}
