package hj212

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// report is a frame of n pollutants, and what stands in its CP.
func report(n int, qn string) (f Frame, cp []byte) {
	f = station(n)
	f.QN = qn
	whole := Append(nil, f)
	from := bytes.Index(whole, []byte("CP=&&")) + 5
	return f, whole[from : from+bytes.Index(whole[from:], []byte("&&"))]
}

// cut makes n packets of a report of about one size: anywhere, or between groups with the separator left out, as devices do.
func cut(r *rand.Rand, f Frame, cp []byte, n int) (packets [][]byte) {
	f.Flag, f.DataTime, f.Fields, f.Values = "7", "", nil, nil
	f.PNUM = fmt.Sprint(n)
	anywhere := r.IntN(2) == 0
	for i := range n {
		f.PNO = fmt.Sprint(i + 1)
		size := len(cp)
		if i < n-1 {
			size = min(len(cp), 1+r.IntN(1+2*len(cp)/(n-i)))
		}
		part, rest := cp[:size], cp[size:]
		if j := bytes.IndexByte(rest, ';'); !anywhere && j >= 0 {
			part, rest = cp[:size+j], rest[j+1:]
		} else if !anywhere {
			part, rest = cp, nil
		}
		cp = rest
		head := appendHeader([]byte("##0000"), &f)
		packets = append(packets, seal(append(append(append(head, "CP=&&"...), part...), "&&"...), 0))
	}
	return packets
}

// Packets in any order, sent again or not, of several reports at once, become the readings of the reports in one piece.
func TestAssembly(t *testing.T) {
	const seed = 20260101
	d := decoder(t, decode.Settings{CRC: "strict"})
	for round := range 2000 {
		r := rand.New(rand.NewPCG(seed, uint64(round)))
		want := map[string][]decode.Reading{}
		var stream [][]byte
		for i := range 1 + r.IntN(3) {
			qn := fmt.Sprintf("2026010108000%d125", i)
			f, cp := report(2+r.IntN(12), qn)
			readings, err := d.Decode(nil, Append(nil, f))
			if err != nil {
				t.Fatal(err)
			}
			want[qn] = readings
			packets := cut(r, f, cp, 2+r.IntN(4))
			stream = append(stream, packets...)
			stream = append(stream, packets[:r.IntN(2)]...) // sent again
		}
		r.Shuffle(len(stream), func(i, k int) { stream[i], stream[k] = stream[k], stream[i] })
		var a Assembly
		frames := 0
		var ready []Ready
		for i, b := range stream {
			ready = append(ready, a.Step(b, noon.Add(time.Duration(i)*time.Second))...)
		}
		for _, x := range append(ready, a.Flush()...) {
			frames += len(x.Frames)
			qn := x.Frames[0].QN
			if x.Missing > 0 { // the second copy of a packet whose report is done
				continue
			}
			got, err := d.Decode(nil, x.Payload)
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want[qn]) {
				t.Fatalf("seed %d round %d: %q\n%+v, %v\nwant %+v", seed, round, x.Payload, got, err, want[qn])
			}
			delete(want, qn)
		}
		if len(want) > 0 || frames != len(stream) || a.held != 0 {
			t.Fatalf("seed %d round %d: %d reports missing, %d of %d frames to answer, %d bytes held", seed, round, len(want), frames, len(stream), a.held)
		}
	}
}

func TestAssemblyWaits(t *testing.T) {
	f, cp := report(5, "20260101080003125")
	packets := cut(rand.New(rand.NewPCG(1, 1)), f, cp, 3)
	a := Assembly{Wait: 10 * time.Second}
	if r := a.Step(packets[0], noon); len(r) != 0 {
		t.Fatalf("%+v", r)
	}
	if at, ok := a.Next(); !ok || !at.Equal(noon.Add(10*time.Second)) {
		t.Errorf("next at %v, %t", at, ok)
	}
	if r := a.Expire(noon.Add(9999 * time.Millisecond)); len(r) != 0 {
		t.Fatalf("%+v", r)
	}
	a.Step(packets[2], noon.Add(9*time.Second))
	r := a.Expire(noon.Add(10 * time.Second))
	if len(r) != 1 || r[0].Missing != 1 || len(r[0].Frames) != 2 || !bytes.Equal(r[0].Payload, append(bytes.Clone(packets[0]), packets[2]...)) {
		t.Fatalf("%+v", r)
	}
	if _, ok := a.Next(); ok || a.held != 0 {
		t.Error("something is still waited for")
	}
}

// What is no packet, or cannot be read, goes through at once.
func TestAssemblyLetsPass(t *testing.T) {
	var a Assembly
	one := Append(nil, station(2))
	broken := bytes.Replace(Append(nil, Frame{CN: "2011", PNUM: "2", PNO: "1", Values: station(1).Values}), []byte("=10.0"), []byte("=10.1"), 1)
	for _, b := range [][]byte{one, []byte("##junk\r\n"), broken, Append(nil, Frame{CN: "2011", PNUM: "1", PNO: "1"}),
		Append(nil, Frame{CN: "2011", PNUM: "2", PNO: "3"}), Append(nil, Frame{CN: "2011", PNUM: "9999", PNO: "1"})} {
		if r := a.Step(b, noon); len(r) != 1 || !bytes.Equal(r[0].Payload, b) || r[0].Missing != 0 {
			t.Errorf("%q: %+v", b, r)
		}
	}
}

// Neither reports nor bytes pile up, whatever a device sends, and everything comes out again.
func TestAssemblyIsBounded(t *testing.T) {
	a := Assembly{Sets: 8, Bytes: 20_000}
	in, out := 0, 0
	for i := range 3000 {
		f := Frame{QN: fmt.Sprint(i % 700), CN: "2011", MN: "SITU00000001", PNUM: "50", PNO: fmt.Sprint(1 + i%3),
			Values: []Value{{Code: "a34004", Param: "Rtd", Text: strings.Repeat("1", 1+i%900)}}}
		in++
		for _, r := range a.Step(Append(nil, f), noon) {
			out += len(r.Frames)
		}
		if len(a.open) > 8 || a.held > 20_000 {
			t.Fatalf("%d reports, %d bytes", len(a.open), a.held)
		}
	}
	for _, r := range a.Flush() {
		out += len(r.Frames)
	}
	if in != out || a.held != 0 {
		t.Errorf("%d frames in, %d out, %d bytes held", in, out, a.held)
	}
}

// A report longer than a frame may be becomes several frames, each with the time.
func TestAssemblyOfALongReport(t *testing.T) {
	f, cp := report(600, "20260101080003125")
	want := 600
	packets := cut(rand.New(rand.NewPCG(7, 7)), f, cp, 20)
	var a Assembly
	var ready []Ready
	for _, p := range packets {
		ready = append(ready, a.Step(p, noon)...)
	}
	if len(ready) != 1 || ready[0].Missing != 0 {
		t.Fatalf("%+v", ready)
	}
	frames, rest := Split(ready[0].Payload)
	if len(frames) < 2 || len(rest) != 0 {
		t.Errorf("%d frames, %d bytes left", len(frames), len(rest))
	}
	got, err := decoder(t, decode.Settings{CRC: "strict"}).Decode(nil, ready[0].Payload)
	if err != nil || len(got) != want {
		t.Fatalf("%d readings, %v", len(got), err)
	}
	for _, r := range got {
		if r.Err != nil || r.Time != got[0].Time || r.Time == 0 {
			t.Fatalf("%+v", r)
		}
	}
}

// FuzzAssembly: nothing that a device sends makes it panic, hold more than its bounds, or swallow a frame that can be read.
func FuzzAssembly(f *testing.F) {
	one, cp := report(3, "20260101080003125")
	f.Add(bytes.Join(cut(rand.New(rand.NewPCG(3, 3)), one, cp, 3), nil), uint16(5))
	f.Fuzz(func(t *testing.T, stream []byte, step uint16) {
		a := Assembly{Sets: 2, Bytes: 4096}
		frames, _ := Split(stream)
		now, out := noon, 0
		var ready []Ready
		for _, b := range frames {
			now = now.Add(time.Duration(step) * time.Millisecond)
			ready = append(ready, a.Step(b, now)...)
			if len(a.open) > 2 || a.held > 4096 {
				t.Fatalf("%d reports, %d bytes", len(a.open), a.held)
			}
		}
		for _, r := range append(ready, a.Flush()...) {
			out += max(1, len(r.Frames))
			if len(r.Payload) == 0 {
				t.Fatalf("%+v", r)
			}
		}
		if out > len(frames) || len(frames) > 0 && out == 0 {
			t.Fatalf("%d frames, %d out", len(frames), out)
		}
	})
}
