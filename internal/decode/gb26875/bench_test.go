package gb26875

import (
	"testing"

	"github.com/situ-city/situ/internal/decode"
)

func BenchmarkDecode(b *testing.B) {
	analog := AppendUnit(nil, 3, 20)
	for i := range 20 {
		analog = AppendAnalog(analog, Component{SystemType: 11, System: 1, Type: 99, Zone: 1, Place: uint16(i)}, 4, 6, at)
	}
	for _, c := range []struct {
		name   string
		data   []byte
		values int
	}{
		{"alarm", alarm(b, 1), 10}, {"states20", alarm(b, 20), 200}, {"analog20", analog, 20},
		{"device", []byte{21, 1, 0x09, 0, 0, 8, 1, 1, 26}, 7},
	} {
		b.Run(c.name, func(b *testing.B) {
			d := decoder(b, decode.Settings{})
			payload := packet(b, from(c.data...))
			var room []decode.Reading
			var err error
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				if room, err = d.Decode(room[:0], payload); err != nil || len(room) != c.values {
					b.Fatal(len(room), err)
				}
			}
			b.ReportMetric(float64(c.values)*float64(b.N)/b.Elapsed().Seconds(), "values/s")
		})
	}
}
