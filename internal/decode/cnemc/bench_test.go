package cnemc

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"testing"

	"github.com/situ-city/situ/internal/decode"
)

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("stations%d", n), func(b *testing.B) {
			d := decoder(b, decode.Settings{})
			payload := nation(n)
			var room []decode.Reading
			var err error
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				if room, err = d.Decode(room[:0], payload); err != nil || len(room) != n*15 {
					b.Fatal(len(room), err)
				}
			}
			b.ReportMetric(float64(n*15)*float64(b.N)/b.Elapsed().Seconds(), "values/s")
		})
	}
}

// BenchmarkEncodingCSV reads the same numbers with the standard library, without names, units, times or positions.
func BenchmarkEncodingCSV(b *testing.B) {
	payload := nation(100)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		r := csv.NewReader(bytes.NewReader(payload))
		r.ReuseRecord = true
		n = 0
		for {
			row, err := r.Read()
			if err != nil {
				break
			}
			for _, cell := range row[7:] {
				if _, err := strconv.ParseFloat(cell, 64); err == nil {
					n++
				}
			}
		}
		if n != 1500 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "values/s")
}
