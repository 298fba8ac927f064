package hj212

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSettings(t *testing.T) {
	for _, s := range []decode.Settings{{CRC: "maybe"}, {Zone: "Middle/Earth"}, {Encoding: "EBCDIC"}} {
		if _, err := Protocol().New(s); err == nil {
			t.Errorf("%+v passed", s)
		}
	}
	for _, crc := range []string{"", "strict", "variants", "off"} {
		if _, err := Protocol().New(decode.Settings{CRC: crc}); err != nil {
			t.Error(err)
		}
	}
}

func TestKinds(t *testing.T) {
	for cn, want := range map[string]Kind{
		"2011": Data, "2021": Data, "2031": Data, "2041": Data, "2051": Data, "2061": Data, "2071": Data, "2081": Boot,
		"2012": Command, "2022": Command, "1000": Command, "1062": Command, "3011": Command, "3020": Command, "": Command, "x": Command,
		"9011": Acknowledgement, "9014": Acknowledgement, "9015": Heartbeat,
	} {
		if got := (&Frame{CN: cn}).Kind(); got != want {
			t.Errorf("CN %q: %d, want %d", cn, got, want)
		}
	}
	for kind, want := range map[Kind]sensor.Reason{
		Data: sensor.ReasonNoValues, Command: sensor.ReasonCommand, Acknowledgement: sensor.ReasonCommand,
		Boot: sensor.ReasonBirth, Heartbeat: sensor.ReasonHeartbeat,
	} {
		if got := kind.empty(); got != want {
			t.Errorf("%d: %s, want %s", kind, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	zone := beijing(t)
	for text, want := range map[string]int64{
		"20260101080000": 1767225600000, "20260101080000250": 1767225600250, "20240229000000": 1709136000000,
		"": 0, "2026010108000": 0, "202601010800000": 0, "20260101240000": 0, "20260230080000": 0, "2026010108000x": 0,
		"20260101080000x00": 0, "19700101080000": 0, "-2260101080000": 0,
	} {
		got, err := ParseTime(text, zone)
		if got != want || (err != nil) != (want == 0) || err != nil && !errors.Is(err, decode.ErrTime) {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	f := Frame{DataTime: "20260101080000"}
	if ms, err := f.Time(zone); ms != 1767225600000 || err != nil {
		t.Error(ms, err)
	}
}

// Frames arrive on a serial line in pieces; whatever the pieces, the frames come out whole and once.
func TestSplitInPieces(t *testing.T) {
	stream := append([]byte("noise#"), glued(5)...)
	stream = append(stream, "## torn ##"...)
	stream = append(stream, glued(2)...)
	for size := 1; size < 200; size++ {
		var got [][]byte
		var rest []byte
		for piece := stream; len(piece) > 0; {
			n := min(size, len(piece))
			frames, left := Split(append(rest, piece[:n]...))
			for _, f := range frames {
				got = append(got, bytes.Clone(f))
			}
			rest, piece = bytes.Clone(left), piece[n:]
		}
		whole := 0
		for _, f := range got {
			if bytes.Equal(f, Append(nil, station(11))) {
				whole++
			}
		}
		if whole != 7 || len(got) != 8 || len(rest) != 0 { // the eighth is the torn one, for Parse to refuse
			t.Fatalf("pieces of %d: %d frames, %d whole, %q left", size, len(got), whole, rest)
		}
	}
}

// A line without any end must not make its reader keep more and more of it.
func TestSplitIsBounded(t *testing.T) {
	frames, rest := Split([]byte("##0100" + strings.Repeat("x", 1<<20)))
	if len(frames) != 0 || len(rest) > maxFrame {
		t.Errorf("%d frames, %d bytes left", len(frames), len(rest))
	}
	frames, rest = Split([]byte(strings.Repeat("##0100"+strings.Repeat("x", 1<<15), 8) + string(glued(1))))
	if len(frames) != 1 || len(rest) != 0 {
		t.Errorf("%d frames, %d bytes left", len(frames), len(rest))
	}
}

func TestMegabyte(t *testing.T) {
	d := decoder(t, decode.Settings{CRC: "off"})
	for name, payload := range map[string]string{
		"signs":   strings.Repeat("#", 1<<20),
		"starts":  strings.Repeat("##0", 1<<20/3),
		"lines":   strings.Repeat("##\n", 1<<20/3),
		"noise":   strings.Repeat("x", 1<<20),
		"flags":   string(Append(nil, Frame{CN: "2011", Values: reversed(500)})),
		"endless": "##0100" + strings.Repeat("a-b=1;", 1<<20/6),
	} {
		begin := time.Now()
		_, _ = decodetest.Invariants(t, d, []byte(payload))
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	if got, err := d.Decode(nil, glued(1)); err != nil || len(got) != 11 {
		t.Errorf("the next payload: %d readings, %v", len(got), err)
	}
}

// reversed are values with their flags at the end of one group, in the worst order.
func reversed(n int) (v []Value) {
	for i := range n {
		v = append(v, Value{Code: strings.Repeat("a", 1+i%8), Param: "Rtd", Text: "1", Flag: string(rune('A' + i%26))})
	}
	return v
}

func TestNoAllocation(t *testing.T) {
	d := decoder(t, decode.Settings{})
	var room []decode.Reading
	payload := glued(3)
	if n := testing.AllocsPerRun(100, func() { room, _ = d.Decode(room[:0], payload) }); n != 0 {
		t.Errorf("%v allocations to decode", n)
	}
	f := station(11)
	var bytes []byte
	if n := testing.AllocsPerRun(100, func() { bytes = Append(bytes[:0], f) }); n != 0 {
		t.Errorf("%v allocations to append", n)
	}
}

func TestParseRefuses(t *testing.T) {
	for payload, want := range map[string]error{
		"": decode.ErrMalformed, "##": decode.ErrTruncated, "##0100": decode.ErrTruncated, "##0100\r\n": decode.ErrMalformed,
		"##0005junk&&1234\r\n": decode.ErrMalformed, "##0006CP=&&1234\r\n": decode.ErrMalformed,
		"##0010MN=\xff;CP=&&&&1234\r\n": decode.ErrEncoding,
	} {
		if f, err := Parse([]byte(payload)); !errors.Is(err, want) {
			t.Errorf("%q: %+v, %v; want %v", payload, f, err, want)
		}
	}
}
