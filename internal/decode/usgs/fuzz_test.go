package usgs

import (
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func FuzzDecode(f *testing.F) { decodetest.Fuzz(f, Protocol(), "") }
