package sl651

import (
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
)

// hourly is an hourly report: twelve rainfalls, twelve levels, three values.
func hourly(tb testing.TB) []byte {
	f := river(tb)
	f.Function = 0x34
	f.Body = AppendTime(f.Body, time.Date(2026, 1, 1, 7, 5, 0, 0, time.UTC))
	f.Body = append(f.Body, 0xF4, 12<<3, 5, 0, 0, 0, 20, 0, 0, 1, 2, 0, 0, 0, 0xF5, 24<<3)
	for i := range byte(12) {
		f.Body = append(f.Body, 0x01, 0x10+i)
	}
	f.Body = AppendTime(f.Body, time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC))
	f.Body = number(tb, number(tb, number(tb, f.Body, 0x39, 10.49), 0x26, 104.5), 0x38, 12.34)
	return frame(tb, f)
}

func BenchmarkDecode(b *testing.B) {
	four := river(b)
	for id, v := range map[byte]float64{0x39: 10.49, 0x20: 4, 0x26: 104.5, 0x38: 12.34} {
		four.Body = number(b, four.Body, id, v)
	}
	text := four
	text.Text, text.Body = true, []byte("ST 0050600123 H TT 2601010800 Z 10.490 PJ 4.0 PT 104.5 VT 12.34 ")
	for _, c := range []struct {
		name    string
		payload []byte
		values  int
	}{
		{"timed4", frame(b, four), 4}, {"text4", frame(b, text), 4}, {"hourly27", hourly(b), 27},
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
