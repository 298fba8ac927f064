package decodetest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// FuzzSplit checks what cuts a stream into frames: frames and rest lie in the stream in order, no longer than they may
// be; a stream that comes in two parts, cut anywhere, gives the same sound frames. Noise and torn frames may fall into
// other pieces, since what has not come yet cannot be known.
func FuzzSplit(f *testing.F, p decode.Protocol, split func(stream []byte) (frames [][]byte, rest []byte), sound func(frame []byte) bool, longest int) {
	for _, s := range Seeds(f, p) {
		f.Add(s, len(s)/2)
		f.Add(slices.Concat(s[:len(s)/2], s, s), len(s))
	}
	f.Fuzz(func(t *testing.T, stream []byte, at int) {
		mine := bytes.Clone(stream)
		whole, rest := split(mine)
		if !bytes.Equal(mine, stream) {
			t.Fatal("stream changed")
		}
		from := 0
		for _, frame := range append(slices.Clone(whole), rest) {
			i := bytes.Index(stream[from:], frame)
			if i < 0 || len(frame) > longest {
				t.Fatalf("%q in %q", frame, stream)
			}
			from += i + len(frame)
		}
		if at < 0 || at > len(stream) {
			return
		}
		first, left := split(stream[:at])
		second, _ := split(append(bytes.Clone(left), stream[at:]...))
		broken := func(frame []byte) bool { return !sound(frame) }
		parts := slices.DeleteFunc(append(first, second...), broken)
		if whole = slices.DeleteFunc(whole, broken); !slices.EqualFunc(parts, whole, bytes.Equal) {
			t.Fatalf("%q cut at %d gives %q, whole %q", stream, at, parts, whole)
		}
	})
}

// Pieces cuts a stream that arrives so many bytes at a time, and counts what comes out. Nothing may be left at its end.
func Pieces(t *testing.T, split func(stream []byte) (frames [][]byte, rest []byte), stream []byte, size int) map[string]int {
	t.Helper()
	var rest []byte
	counts := map[string]int{}
	for len(stream) > 0 {
		n := min(size, len(stream))
		frames, left := split(append(rest, stream[:n]...))
		for _, f := range frames {
			counts[string(f)]++
		}
		rest, stream = bytes.Clone(left), stream[n:]
	}
	if len(rest) > 0 {
		t.Errorf("pieces of %d: %q left", size, rest)
	}
	return counts
}

// Looser decodes a payload by a strict and by a looser decoder, and checks that the looser one never gives less.
func Looser(t *testing.T, strict, looser decode.Decoder, payload []byte) {
	t.Helper()
	a, errA := Invariants(t, strict, payload)
	b, errB := Invariants(t, looser, payload)
	if decode.ReasonOf(errB) != sensor.ReasonBound && (good(b) < good(a) || errA == nil && errB != nil) {
		t.Fatalf("strict %d %v, looser %d %v", len(a), errA, len(b), errB)
	}
}

func good(rs []decode.Reading) (n int) {
	for _, r := range rs {
		if r.Err == nil {
			n++
		}
	}
	return n
}
