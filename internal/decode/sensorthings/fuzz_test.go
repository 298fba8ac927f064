package sensorthings

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
		for _, s := range []decode.Settings{{}, {Strict: true}} {
			d := decoder(t, s)
			_, _ = d.Decode(nil, payload) // what it says of Datastreams is known from here on
			_, _ = decodetest.Invariants(t, d, payload)
		}
	})
}
