package gb26875

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

// FuzzDecode checks decodetest.Invariants under every setting, and that a looser one never gives less.
func FuzzDecode(f *testing.F) {
	for _, s := range decodetest.Seeds(f, Protocol()) {
		f.Add(s)
	}
	strict, usual := decoder(f, decode.Settings{Strict: true}), decoder(f, decode.Settings{})
	off := decoder(f, decode.Settings{CRC: "off", Encoding: "utf-8", Zone: "UTC"})
	f.Fuzz(func(t *testing.T, payload []byte) {
		decodetest.Looser(t, strict, usual, payload)
		_, _ = decodetest.Invariants(t, off, payload)
	})
}

// FuzzData: any data unit in a right packet keeps the invariants, and if nothing comes of it, there is a reason.
func FuzzData(f *testing.F) {
	for _, s := range decodetest.Seeds(f, Protocol()) {
		if p, err := Parse(s); err == nil {
			f.Add(p.Command, p.Data)
		}
	}
	d := decoder(f, decode.Settings{Strict: true})
	f.Fuzz(func(t *testing.T, command byte, data []byte) {
		p := from(data...)
		p.Command = command
		b, err := Append(nil, p)
		if err != nil {
			return
		}
		got, err := decodetest.Invariants(t, d, b)
		if err == nil && len(got) == 0 && d.Empty() == "" {
			t.Fatalf("%X: nothing, for no reason", b)
		}
	})
}

// FuzzAppend: what Parse shows, Append writes so that Parse shows the same, now with the right length and sum.
func FuzzAppend(f *testing.F) {
	for _, s := range decodetest.Seeds(f, Protocol()) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		p, err := Parse(payload)
		if err != nil {
			return
		}
		written, err := Append([]byte("before"), p)
		if err != nil || !bytes.HasPrefix(written, []byte("before")) {
			t.Fatalf("%+v: %q, %v", p, written, err)
		}
		again, err := Parse(written[len("before"):])
		if err != nil || again.Sum != again.Right || again.Declared != len(again.Data) {
			t.Fatalf("%X\nbecame %X: %+v, %v", payload, written, again, err)
		}
		again.Declared, again.Sum, again.Right = p.Declared, p.Sum, p.Right
		if !reflect.DeepEqual(p, again) {
			t.Fatalf("%+v\nbecame %+v", p, again)
		}
	})
}

func FuzzSplit(f *testing.F) { decodetest.FuzzSplit(f, Protocol(), Split, packets.Sound, maxPacket) }
