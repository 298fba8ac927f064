package cnemc

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/sensor"
)

// FuzzDecode checks decodetest.Invariants under every setting, and that a strict source never gives more.
func FuzzDecode(f *testing.F) {
	for _, s := range decodetest.Seeds(f, Protocol()) {
		f.Add(s)
	}
	strict, usual := decoder(f, decode.Settings{Strict: true}), decoder(f, decode.Settings{})
	gb := decoder(f, decode.Settings{Encoding: "gb18030", Zone: "UTC"})
	f.Fuzz(func(t *testing.T, payload []byte) {
		a, errA := decodetest.Invariants(t, strict, payload)
		b, errB := decodetest.Invariants(t, usual, payload)
		_, _ = decodetest.Invariants(t, gb, payload)
		if decode.ReasonOf(errB) != sensor.ReasonBound && (len(b) > len(a) && errA == nil || errA == nil && errB != nil) {
			t.Fatalf("strict %d %v, usual %d %v", len(a), errA, len(b), errB)
		}
	})
}

// FuzzRows: the cells that Append writes are read back.
func FuzzRows(f *testing.F) {
	f.Add("a", "b,c", `d"e`, "f\r\ng")
	f.Add("", " ", `"`, "")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		row := []string{a, b, c, d}
		if slices.ContainsFunc(row, func(s string) bool { return !utf8.ValidString(s) || strings.HasPrefix(s, "\ufeff") }) {
			return
		}
		text := Append(Append(nil, row...), row...)
		r := rows{b: text, comma: ','}
		for range 2 {
			ok, err := r.next()
			if !ok || err != nil || len(r.cells) != len(row) {
				t.Fatalf("%q: %q, %v", text, r.cells, err)
			}
			for i := range row {
				if got := string(r.cells[i]); got != row[i] {
					t.Fatalf("%q: %q, want %q", text, got, row[i])
				}
			}
		}
		if ok, err := r.next(); ok || err != nil {
			t.Fatalf("%q: a third row", text)
		}
	})
}
