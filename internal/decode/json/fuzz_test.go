package json

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

// FuzzDecode checks decodetest.Invariants, and against encoding/json:
//
//   - what it calls invalid is refused, what it calls valid is not refused for its grammar;
//   - an object of plain numbers leaves as the same names with the same float64, in the same order.
func FuzzDecode(f *testing.F) {
	for _, s := range decodetest.Seeds(f, Protocol()) {
		f.Add(s)
	}
	f.Add(usual)
	d := decoder(f, decode.Settings{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := decodetest.Invariants(t, d, payload)
		valid := stdjson.Valid(bytes.TrimPrefix(payload, []byte("\ufeff")))
		switch {
		case !valid && err == nil:
			t.Fatalf("took what is not JSON: %+v", got)
		case valid && errors.Is(err, decode.ErrMalformed), valid && errors.Is(err, decode.ErrTruncated):
			t.Fatalf("refused JSON: %v", err)
		case valid && err == nil:
			compare(t, payload, got)
		}
	})
}

// compare walks a flat object with encoding/json's tokens; anything else than plain numbers ends the comparison.
func compare(t *testing.T, payload []byte, got []decode.Reading) {
	dec := stdjson.NewDecoder(bytes.NewReader(bytes.TrimPrefix(payload, []byte("\ufeff"))))
	dec.UseNumber()
	if open, _ := dec.Token(); open != stdjson.Delim('{') {
		return
	}
	type pair struct {
		name string
		v    float64
	}
	var want []pair
	seen := map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		value, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		number, ok := value.(stdjson.Number)
		key := name.(string)
		if role, _ := roles(key); !ok || role != isValue || seen[key] || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return
		}
		v, err := strconv.ParseFloat(number.String(), 64)
		if err != nil || key == "" || len(key) > MaxKey {
			return
		}
		seen[key] = true
		want = append(want, pair{key, v})
	}
	if len(want) != len(got) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i, w := range want {
		if got[i].Key != w.name || got[i].Number != w.v || got[i].Err != nil {
			t.Fatalf("%+v, want %+v", got[i], w)
		}
	}
}
