package decodetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
)

// Invariants decodes payload and checks what holds for every protocol and every input:
//
//  1. no panic;
//  2. the payload is not written to;
//  3. what stood in dst before stays, and on error dst comes back as it was;
//  4. no more readings than bytes, and never more than decode.MaxReadings;
//  5. the readings do not alias the payload: they survive its being overwritten;
//  6. a reading without Err has a name and a finite number or a text, all in UTF-8; one with Err has a cause of package decode;
//  7. decoding the same again, with every name known by now, gives the same.
//
// It returns the readings, which are the caller's to look at, or nil and the error.
func Invariants(tb testing.TB, d decode.Decoder, payload []byte) ([]decode.Reading, error) {
	tb.Helper()
	before := decode.Reading{Key: "before", Number: 42}
	dst := append(make([]decode.Reading, 0, 8), before)
	mine := bytes.Clone(payload)
	out, err := d.Decode(dst, mine)
	if !bytes.Equal(mine, payload) {
		tb.Fatalf("payload changed to %q", mine)
	}
	if len(out) == 0 || out[0] != before {
		tb.Fatalf("dst changed to %+v", out)
	}
	if err != nil {
		if len(out) != 1 {
			tb.Fatalf("dst has %d readings after the error %v", len(out)-1, err)
		}
		checkErr(tb, err)
		return nil, err
	}
	readings := slices.Clone(out[1:])
	if len(readings) > min(len(payload), decode.MaxReadings) {
		tb.Fatalf("%d readings out of %d bytes", len(readings), len(payload))
	}
	text := fmt.Sprintf("%+v", readings)
	for i := range mine {
		mine[i] = 'X'
	}
	if after := fmt.Sprintf("%+v", readings); after != text {
		tb.Fatalf("readings alias the payload:\n%s\n%s", text, after)
	}
	for i := range readings {
		check(tb, &readings[i])
	}
	again, err := d.Decode(nil, payload)
	if err != nil || fmt.Sprintf("%+v", again) != text {
		tb.Fatalf("a second time gives %+v, %v\nfirst: %s", again, err, text)
	}
	return readings, nil
}

func check(tb testing.TB, r *decode.Reading) {
	tb.Helper()
	switch {
	case r.Err != nil:
		checkErr(tb, r.Err)
	case r.Key == "" || r.Property == "":
		tb.Fatalf("a value without name: %+v", *r)
	case math.IsNaN(r.Number) || math.IsInf(r.Number, 0):
		tb.Fatalf("not finite: %+v", *r)
	}
	for _, s := range []string{r.Serial, r.Key, r.Property, r.Text, r.Unit} {
		if !utf8.ValidString(s) {
			tb.Fatalf("%q is not UTF-8 in %+v", s, *r)
		}
	}
	if !strings.Contains(r.Key, r.Property) {
		tb.Fatalf("property %q is no part of key %q", r.Property, r.Key)
	}
	if r.HasPosition && !r.Position.Valid() {
		tb.Fatalf("position outside the world: %+v", *r)
	}
}

func checkErr(tb testing.TB, err error) {
	tb.Helper()
	for _, cause := range []error{
		decode.ErrTruncated, decode.ErrChecksum, decode.ErrMalformed, decode.ErrUnsupported, decode.ErrEncoding,
		decode.ErrNumber, decode.ErrPosition, decode.ErrTime, decode.ErrBound, decode.ErrEmpty, decode.ErrPlugin, decode.ErrThing,
	} {
		if errors.Is(err, cause) {
			return
		}
	}
	tb.Fatalf("error without a cause of package decode: %v", err)
}
