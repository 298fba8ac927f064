package ecowitt

import (
	"net/url"
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func BenchmarkDecode(b *testing.B) {
	decodetest.Bench(b, Protocol(), "", decodetest.Case(b, Protocol(), "outdoor"), 25)
}

// BenchmarkNetURL is the obvious way, as far as into a map of texts.
func BenchmarkNetURL(b *testing.B) {
	payload := decodetest.Case(b, Protocol(), "outdoor")
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := url.ParseQuery(string(payload)); err != nil {
			b.Fatal(err)
		}
	}
}
