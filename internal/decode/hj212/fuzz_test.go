package hj212

import (
	"bytes"
	"slices"
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/sensor"
)

// FuzzDecode checks decodetest.Invariants under every CRC setting, and that a looser setting never gives less.
func FuzzDecode(f *testing.F) {
	for _, s := range decodetest.Seeds(f, Protocol()) {
		f.Add(s)
	}
	strict, usual, off := decoder(f, decode.Settings{CRC: "strict"}), decoder(f, decode.Settings{}), decoder(f, decode.Settings{CRC: "off"})
	gb := decoder(f, decode.Settings{CRC: "off", Encoding: "gb18030", Zone: "UTC"})
	f.Fuzz(func(t *testing.T, payload []byte) {
		decodetest.Looser(t, strict, usual, payload)
		decodetest.Looser(t, usual, off, payload)
		_, _ = decodetest.Invariants(t, gb, payload)
	})
}

// FuzzAppend: what Parse reads, Append writes so that Parse reads the same and Decode finds the same readings, now with
// the right length and CRC.
func FuzzAppend(f *testing.F) {
	for _, s := range decodetest.Seeds(f, Protocol()) {
		f.Add(s)
	}
	off, strict := decoder(f, decode.Settings{CRC: "off"}), decoder(f, decode.Settings{CRC: "strict"})
	f.Fuzz(func(t *testing.T, payload []byte) {
		frame, err := Parse(payload)
		if err != nil || slices.ContainsFunc(frame.Values, func(v Value) bool { return v.Param == "" || v.Code == "" }) {
			return // items that are no values have no written form
		}
		written := Append([]byte("before"), frame)
		if !bytes.HasPrefix(written, []byte("before##")) {
			t.Fatalf("%q", written)
		}
		written = written[len("before"):]
		again, err := Parse(written)
		if len(written) > maxFrame-2 && decode.ReasonOf(err) == sensor.ReasonBound {
			return
		}
		if err != nil || !again.Checksum.OK || again.Actual != again.Declared {
			t.Fatalf("%q\nbecame %q: %+v, %v", payload, written, again, err)
		}
		again.Declared, again.Actual, again.Checksum = frame.Declared, frame.Actual, frame.Checksum
		if !equal(frame, again) {
			t.Fatalf("%+v\nbecame %+v\nby %q", frame, again, written)
		}
		if start, end, _, ok := next(payload, 0); ok && plain(&frame) {
			a, errA := off.Decode(nil, payload[start:end])
			if errA != nil && (decode.ReasonOf(errA) == sensor.ReasonTruncated || frame.CN == "" || len(frame.CN) != 4) {
				return // Parse shows what Decode judges
			}
			b, errB := strict.Decode(nil, written)
			compareReadings(t, a, b, errA, errB)
		}
	})
}

func equal(a, b Frame) bool {
	if !slices.Equal(a.Extra, b.Extra) || !slices.Equal(a.Fields, b.Fields) || !slices.Equal(a.Values, b.Values) {
		return false
	}
	return [9]string{a.QN, a.ST, a.CN, a.PW, a.MN, a.Flag, a.PNUM, a.PNO, a.DataTime} ==
		[9]string{b.QN, b.ST, b.CN, b.PW, b.MN, b.Flag, b.PNUM, b.PNO, b.DataTime}
}

// plain: the readings do not depend on the order of items, which Append makes its own: at most one time, and every
// item a value that is there.
func plain(f *Frame) bool {
	times := 0
	for _, x := range f.Fields {
		if x.Name == "DataTime" || x.Name == "AlarmTime" {
			times++
		}
	}
	if times > 0 {
		return false
	}
	for _, v := range f.Values {
		if use, _ := lookParam([]byte(v.Param)); use == asSample || use == asNothing || v.Text == "" {
			return false
		}
	}
	return true
}

func compareReadings(t *testing.T, a, b []decode.Reading, errA, errB error) {
	if (errA == nil) != (errB == nil) || len(a) != len(b) {
		t.Fatalf("%d readings, %v; written %d, %v", len(a), errA, len(b), errB)
	}
	for i := range a {
		x, y := a[i], b[i]
		if (x.Err == nil) != (y.Err == nil) || y.Quality&(sensor.ChecksumWrong|sensor.LengthWrong) != 0 {
			t.Fatalf("%+v\nwritten %+v", x, y)
		}
		x.Quality &^= sensor.ChecksumWrong | sensor.LengthWrong
		x.Err, y.Err = nil, nil
		if x != y {
			t.Fatalf("%+v\nwritten %+v", x, y)
		}
	}
}

// FuzzSplit: frames and rest lie in the stream in order; a stream cut anywhere gives the same frames in two steps;
// rest is bounded; no frame holds another.
func FuzzSplit(f *testing.F) {
	f.Add(glued(3), 40)
	for _, s := range decodetest.Seeds(f, Protocol()) {
		f.Add(s, len(s)/2)
	}
	f.Fuzz(func(t *testing.T, stream []byte, at int) {
		mine := bytes.Clone(stream)
		whole, rest := Split(mine)
		if !bytes.Equal(mine, stream) {
			t.Fatal("stream changed")
		}
		from := 0
		for _, frame := range append(slices.Clone(whole), rest) {
			i := bytes.Index(stream[from:], frame)
			if i < 0 || len(frame) > maxFrame || bytes.Count(frame, []byte("##")) > 1 {
				t.Fatalf("%q in %q", frame, stream)
			}
			from += i + len(frame)
		}
		if at < 0 || at > len(stream) || len(stream) > maxFrame {
			return
		}
		first, left := Split(stream[:at])
		second, end := Split(append(bytes.Clone(left), stream[at:]...))
		if !slices.EqualFunc(append(first, second...), whole, bytes.Equal) || !bytes.Equal(end, rest) {
			t.Fatalf("%q cut at %d gives %q and %q, whole %q; left %q, %q", stream, at, first, second, whole, end, rest)
		}
	})
}
