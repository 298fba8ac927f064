package geohazard

import (
	"fmt"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

// FuzzDecode checks decodetest.Invariants.
func FuzzDecode(f *testing.F) {
	for _, s := range decodetest.Seeds(f, Protocol()) {
		f.Add(s)
	}
	usual, other := decoder(f, decode.Settings{}), decoder(f, decode.Settings{Encoding: "gb18030", Zone: "UTC", Strict: true})
	f.Fuzz(func(t *testing.T, payload []byte) {
		_, _ = decodetest.Invariants(t, usual, payload)
		_, _ = decodetest.Invariants(t, other, payload)
	})
}

// FuzzAppend: a value written for any code is read back under it.
func FuzzAppend(f *testing.F) {
	f.Add("SN1", uint8(1), 10.86, int64(1767225600000))
	d := decoder(f, decode.Settings{Strict: true})
	f.Fuzz(func(t *testing.T, device string, number uint8, v float64, ms int64) {
		for _, c := range device {
			if c < ' ' || c > '~' || c == '"' || c == '\\' {
				return
			}
		}
		_, code := kindOf(device)
		if v-v != 0 || ms < 1 || ms > 4e12 || device == "" || len(device) > maxSerial || code || roles[device] != none || device == "bodies" || device == "header" {
			return
		}
		p := Point{Code: fmt.Sprintf("L1_LF_%d", number), At: time.UnixMilli(ms), Values: []float64{v}}
		got, err := decodetest.Invariants(t, d, Append(nil, device, []Point{p}))
		if err != nil || len(got) != 1 || got[0].Number != v || got[0].Time != ms || got[0].Serial != device || got[0].Key != p.Code {
			t.Fatalf("%q %v at %d: %+v, %v", device, v, ms, got, err)
		}
	})
}
