package sl651

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// packetsOf cuts a frame's body into n packets.
func packetsOf(t testing.TB, f Frame, n int) (packets [][]byte) {
	t.Helper()
	body := f.Body
	for i := 1; i <= n; i++ {
		f.Total, f.Number, f.End, f.Body = n, i, etb, body[(i-1)*len(body)/n:i*len(body)/n]
		if i == n {
			f.End = etx
		}
		packets = append(packets, frame(t, f))
	}
	return packets
}

// Packets in any order, sent again or not, of several stations at once, become the readings of the bodies in one piece.
func TestAssembly(t *testing.T) {
	const seed = 20260102
	d := decoder(t, decode.Settings{CRC: "strict"})
	for round := range 1000 {
		r := rand.New(rand.NewPCG(seed, uint64(round)))
		want := map[string]string{}
		var stream [][]byte
		for i := range 1 + r.IntN(3) {
			f := river(t, number(t, number(t, nil, 0x39, 10.49), 0x20, float64(i))...)
			f.Station = fmt.Sprintf("005060012%d", i)
			readings, err := d.Decode(nil, frame(t, f))
			if err != nil {
				t.Fatal(err)
			}
			want[f.Station] = fmt.Sprint(readings)
			stream = append(stream, packetsOf(t, f, 2+r.IntN(6))...)
		}
		r.Shuffle(len(stream), func(i, k int) { stream[i], stream[k] = stream[k], stream[i] })
		var a Assembly
		for i, b := range stream {
			ready, _ := a.Step(b, noon.Add(time.Duration(i)*time.Second))
			for _, x := range ready {
				got, err := d.Decode(nil, x.Payload)
				if err != nil || fmt.Sprint(got) != want[x.Frames[0].Station] || len(x.Missing) > 0 {
					t.Fatalf("seed %d round %d: %X: %+v, %v", seed, round, x.Payload, got, err)
				}
				delete(want, x.Frames[0].Station)
			}
		}
		if len(want) > 0 || a.held != 0 {
			t.Fatalf("seed %d round %d: %d bodies missing, %d bytes held", seed, round, len(want), a.held)
		}
	}
}

// A packet that did not come is asked for when the last one has come; sent again, it completes the body.
func TestAssemblyAsksAgain(t *testing.T) {
	packets := packetsOf(t, river(t, number(t, nil, 0x39, 10.49)...), 4)
	var a Assembly
	bad := slices.Clone(packets[1])
	bad[20] ^= 1
	for i, b := range [][]byte{packets[0], bad, packets[3]} {
		ready, lack := a.Step(b, noon)
		switch i {
		case 1: // not to be used: it goes on to be seen
			if len(ready) != 1 || !bytes.Equal(ready[0].Payload, bad) {
				t.Errorf("%+v", ready)
			}
		case 2:
			if len(ready) != 0 || !slices.Equal(lack.Numbers, []int{2, 3}) || lack.Lead == nil || lack.Lead.Serial != 7 {
				t.Fatalf("%+v, %+v", ready, lack)
			}
			f, err := Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			ask, ok := Refuse(nil, &f, lack.Lead, lack.Numbers[0], noon)
			if q, err := Parse(ask); !ok || err != nil || q.End != nak || q.Number != 2 || q.Serial != 7 {
				t.Errorf("%X: %+v, %v", ask, q, err)
			}
		}
	}
	if ready, lack := a.Step(packets[1], noon); len(ready) != 0 || len(lack.Numbers) != 0 {
		t.Errorf("%+v, %+v", ready, lack)
	}
	ready, _ := a.Step(packets[2], noon)
	if len(ready) != 1 || len(ready[0].Frames) != 4 || len(ready[0].Missing) != 0 {
		t.Fatalf("%+v", ready)
	}
	last, lead := &ready[0].Frames[3], &ready[0].Frames[0]
	answer, ok := Reply(nil, last, lead, noon, HangUp)
	if f, err := Parse(answer); !ok || err != nil || f.End != eot || f.Number != 4 || f.Total != 4 || f.Serial != 7 {
		t.Errorf("%X: %+v, %v", answer, f, err)
	}
}

func TestAssemblyWaits(t *testing.T) {
	packets := packetsOf(t, river(t, number(t, nil, 0x39, 10.49)...), 3)
	a := Assembly{Wait: 10 * time.Second}
	a.Step(packets[2], noon)
	a.Step(packets[0], noon.Add(9*time.Second))
	if at, ok := a.Next(); !ok || !at.Equal(noon.Add(19*time.Second)) {
		t.Errorf("next at %v, %t", at, ok)
	}
	if r := a.Expire(noon.Add(18 * time.Second)); len(r) != 0 {
		t.Fatalf("%+v", r)
	}
	r := a.Expire(noon.Add(19 * time.Second))
	if len(r) != 1 || !slices.Equal(r[0].Missing, []int{2}) || len(r[0].Frames) != 2 || !bytes.Equal(r[0].Payload, append(bytes.Clone(packets[0]), packets[2]...)) {
		t.Fatalf("%+v", r)
	}
	if _, ok := a.Next(); ok || a.held != 0 {
		t.Error("something is still waited for")
	}
}

// Neither bodies nor bytes pile up, whatever a station sends, and everything comes out again.
func TestAssemblyIsBounded(t *testing.T) {
	a := Assembly{Sets: 8, Bytes: 300_000}
	in, out := 0, 0
	for i := range 2000 {
		f := Frame{Station: fmt.Sprintf("%010d", i%300), Function: 0x36, Sent: "260101080003", Total: 4095, Number: 1 + i/300, Body: make([]byte, i)}
		in++
		ready, _ := a.Step(frame(t, f), noon)
		for _, r := range ready {
			out += len(r.Frames)
		}
		if len(a.open) > 8 || a.held > 300_000 {
			t.Fatalf("%d bodies, %d bytes", len(a.open), a.held)
		}
	}
	for _, r := range a.Flush() {
		out += len(r.Frames)
	}
	if in != out || a.held != 0 {
		t.Errorf("%d frames in, %d out, %d bytes held", in, out, a.held)
	}
}
