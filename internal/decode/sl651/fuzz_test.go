package sl651

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/sensor"
)

// FuzzDecode checks decodetest.Invariants under every CRC setting, and that a looser one never gives less.
func FuzzDecode(f *testing.F) {
	for _, s := range decodetest.Seeds(f, Protocol()) {
		f.Add(s)
	}
	strict, usual := decoder(f, decode.Settings{CRC: "strict"}), decoder(f, decode.Settings{})
	off := decoder(f, decode.Settings{CRC: "off", Encoding: "gb18030", Zone: "UTC"})
	never := decoder(f, decode.Settings{Strict: true})
	f.Fuzz(func(t *testing.T, payload []byte) {
		decodetest.Looser(t, strict, usual, payload)
		_, _ = decodetest.Invariants(t, off, payload)
		_, _ = decodetest.Invariants(t, never, payload)
	})
}

// FuzzBody: what stands in a body does not depend on what the frame around it looked like: Decode finds the same in the
// frame that Append makes of it.
func FuzzBody(f *testing.F) {
	f.Add(byte(0x32), false, river(f, number(f, nil, 0x39, 10.49)...).Body)
	f.Add(byte(0x31), true, []byte("ST 0050600123 H TT 2601010800 DRH01 Z PJ 1.5 0.5 M 1 "))
	for _, s := range decodetest.Seeds(f, Protocol()) {
		if fr, err := Parse(s); err == nil {
			f.Add(fr.Function, fr.Text, fr.Body)
		}
	}
	d := decoder(f, decode.Settings{CRC: "strict"})
	f.Fuzz(func(t *testing.T, function byte, text bool, body []byte) {
		one := Frame{Text: text, Station: "0050600123", Function: function, Serial: 7, Sent: "260101080003", Body: body}
		b, err := Append(nil, one)
		if err != nil {
			return
		}
		got, err := decodetest.Invariants(t, d, b)
		if err == nil && len(got) == 0 && d.Empty() == "" {
			t.Fatalf("%X: nothing, for no reason", b)
		}
		back, err := Parse(b)
		if err != nil || !back.Checksum.OK || !bytes.Equal(back.Body, body) {
			t.Fatalf("%X: %+v, %v", b, back, err)
		}
	})
}

// FuzzAppend: what Parse shows, Append writes so that Parse shows the same, now with the right length and CRC.
func FuzzAppend(f *testing.F) {
	for _, s := range decodetest.Seeds(f, Protocol()) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		fr, err := Parse(payload)
		if err != nil {
			return
		}
		written, err := Append([]byte("before"), fr)
		if err != nil && decode.ReasonOf(err) == sensor.ReasonBound {
			return
		}
		if err != nil || !bytes.HasPrefix(written, []byte("before")) {
			t.Fatalf("%+v: %q, %v", fr, written, err)
		}
		again, err := Parse(written[len("before"):])
		if err != nil || !again.Checksum.OK || again.Actual != again.Declared {
			t.Fatalf("%X\nbecame %X: %+v, %v", payload, written, again, err)
		}
		again.Declared, again.Actual, again.Checksum = fr.Declared, fr.Actual, fr.Checksum
		if !reflect.DeepEqual(fr, again) {
			t.Fatalf("%+v\nbecame %+v", fr, again)
		}
	})
}

// FuzzNumber: a number written for any element is read back, rounded to the element's decimals.
func FuzzNumber(f *testing.F) {
	f.Add(byte(0x39), 10.4904)
	f.Add(byte(0x32), -0.5)
	d := decoder(f, decode.Settings{Strict: true})
	f.Fuzz(func(t *testing.T, id byte, v float64) {
		group, err := AppendNumber(nil, id, v)
		if err != nil || elements[id].use == asGate || elements[id].use == asNothing {
			return
		}
		fr := Frame{Station: "0050600123", Function: 0x32, Sent: "260101080003", Body: group}
		b, err := Append(nil, fr)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodetest.Invariants(t, d, b)
		if err != nil || len(got) > 1 || len(got) == 0 && v == v {
			t.Fatalf("%02X %v: %+v, %v", id, v, got, err)
		}
		if v != v || got[0].Text != "" {
			return
		}
		again, err := AppendNumber(nil, id, got[0].Number)
		if err != nil || !bytes.Equal(again, group) && !(got[0].Number == 0 && v < 0) {
			t.Fatalf("%02X %v: read as %v: %X, %X, %v", id, v, got[0].Number, group, again, err)
		}
	})
}

func FuzzSplit(f *testing.F) { decodetest.FuzzSplit(f, Protocol(), Split, format.Sound, maxFrame) }
