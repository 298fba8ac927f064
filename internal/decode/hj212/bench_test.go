package hj212

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
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
		{"values10", Append(nil, station(10)), 10},
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

func BenchmarkScan(b *testing.B) { decodetest.BenchScan(b, Append(nil, station(10))) }

// BenchmarkSplit is the obvious way, as no library reads these frames: the CRC bit by bit as the standard prints it,
// strings.Split and strconv.ParseFloat; flags and times are left as they are.
func BenchmarkSplit(b *testing.B) {
	payload := Append(nil, station(10))
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		frame := strings.TrimSpace(string(payload))
		data, sum := frame[6:len(frame)-4], frame[len(frame)-4:]
		crc := uint16(0xffff)
		for i := range len(data) {
			crc = crc>>8 ^ uint16(data[i])
			for range 8 {
				if odd := crc & 1; odd == 1 {
					crc = crc>>1 ^ 0xa001
				} else {
					crc >>= 1
				}
			}
		}
		_, cp, _ := strings.Cut(strings.TrimSuffix(data, "&&"), "&&")
		values := map[string]float64{}
		for _, group := range strings.Split(cp, ";") {
			for _, item := range strings.Split(group, ",") {
				key, value, _ := strings.Cut(item, "=")
				if x, err := strconv.ParseFloat(value, 64); err == nil && strings.HasSuffix(key, "-Rtd") {
					values[key] = x
				}
			}
		}
		if len(values) != 10 || fmt.Sprintf("%04X", crc) != sum {
			b.Fatal(values, sum)
		}
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
