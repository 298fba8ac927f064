package sensorthings

import (
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func decoder(tb testing.TB, s decode.Settings) *Decoder {
	tb.Helper()
	d, err := New(s)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}
