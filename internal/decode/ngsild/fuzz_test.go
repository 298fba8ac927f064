package ngsild

import (
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

// FuzzDecode checks decodetest.Invariants in both modes.
func FuzzDecode(f *testing.F) {
	for _, s := range decodetest.Seeds(f, Protocol()) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		_, _ = decodetest.Invariants(t, decoder(t, decode.Settings{}), payload)
		_, _ = decodetest.Invariants(t, decoder(t, decode.Settings{Strict: true}), payload)
	})
}
