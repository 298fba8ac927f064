package senml

import (
	"bytes"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

// FuzzJSON checks decodetest.Invariants in both modes.
func FuzzJSON(f *testing.F) {
	for _, s := range decodetest.Seeds(f, JSON()) {
		f.Add(s)
	}
	tolerant, strict := decoder(f, JSON(), decode.Settings{}), decoder(f, JSON(), decode.Settings{Strict: true})
	f.Fuzz(func(t *testing.T, payload []byte) {
		_, _ = decodetest.Invariants(t, tolerant, payload)
		_, _ = decodetest.Invariants(t, strict, payload)
	})
}

// FuzzCBOR checks decodetest.Invariants, and against fxamacker/cbor: what that calls malformed is not taken.
func FuzzCBOR(f *testing.F) {
	for _, s := range decodetest.Seeds(f, CBOR()) {
		f.Add(s)
	}
	library, err := cbor.DecOptions{MaxNestedLevels: 256, MaxArrayElements: 1 << 27, MaxMapPairs: 1 << 27}.DecMode()
	if err != nil {
		f.Fatal(err)
	}
	tolerant, strict := decoder(f, CBOR(), decode.Settings{}), decoder(f, CBOR(), decode.Settings{Strict: true})
	f.Fuzz(func(t *testing.T, payload []byte) {
		_, _ = decodetest.Invariants(t, strict, payload)
		got, err := decodetest.Invariants(t, tolerant, payload)
		wrong := library.Wellformed(payload)
		if err == nil && wrong != nil && !loose(payload) {
			t.Fatalf("took %+v of what is not CBOR: %v", got, wrong)
		}
		if wrong == nil && errors.Is(err, decode.ErrTruncated) {
			t.Fatalf("refused CBOR: %v", err)
		}
	})
}

// loose: inside what is skipped, the parts of a string and the number of items in a map of indefinite length are not
// looked at.
func loose(payload []byte) bool { return bytes.ContainsAny(payload, "\x5f\x7f\xbf") }

// FuzzAppend: what is decoded from a written pack are its values, in both forms.
func FuzzAppend(f *testing.F) {
	f.Add("urn:dev:ow:10e2073a01080063:", 1767225600.0, "temp", "Cel", -5.0, 23.1, "")
	f.Add("", 0.0, "/3303/0/5700", "", 0.0, 1e300, "超标")
	j, c := decoder(f, JSON(), decode.Settings{}), decoder(f, CBOR(), decode.Settings{})
	f.Fuzz(func(t *testing.T, base string, bt float64, name, unit string, at, v float64, text string) {
		if bt-bt != 0 || at-at != 0 || v-v != 0 || !valid(base, name, unit, text) {
			return
		}
		p := Pack{Name: base, Time: bt, Records: []Record{{Name: name, Unit: unit, Time: at, Value: v, Text: text}}}
		a, errA := decodetest.Invariants(t, j, AppendJSON(nil, p))
		b, errB := decodetest.Invariants(t, c, AppendCBOR(nil, p))
		if errA != nil || errB != nil || len(a) != len(b) || len(a) > 1 {
			t.Fatalf("%+v %v\n%+v %v", a, errA, b, errB)
		}
		if len(a) == 0 || a[0].Err != nil && b[0].Err != nil {
			return
		}
		if a[0] != b[0] || a[0].Text != text || text == "" && a[0].Number != v {
			t.Fatalf("%+v\n%+v", a[0], b[0])
		}
	})
}

func valid(texts ...string) bool {
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return false
		}
	}
	return true
}
