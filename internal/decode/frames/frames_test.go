package frames

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/decode"
)

// toy frames are ">>", a digit for the number of letters, the letters, and the first letter again as checksum.
var toy = Format{
	Sign: '>', Max: 13,
	Find: func(b []byte, from int) int {
		if i := bytes.Index(b[min(from, len(b)):], []byte(">>")); i >= 0 {
			return from + i
		}
		return -1
	},
	Maybe: func(b []byte, from int) int {
		if n := len(b); n > from && b[n-1] == '>' {
			return n - 1
		}
		return len(b)
	},
	Measure: func(b []byte) (int, Condition) {
		if len(b) < 3 {
			return 0, More
		}
		n := int(b[2]-'0') + 4
		switch {
		case b[2]-'1' > 8:
			return 0, Broken
		case len(b) < n:
			return n, More
		case b[n-1] < 'a':
			return n, Broken
		}
		return n, Whole
	},
	Right: func(frame []byte) bool { return frame[3] == frame[len(frame)-1] },
}

func TestSplit(t *testing.T) {
	for _, c := range []struct{ stream, frames, rest string }{
		{"", "", ""},
		{">>3abca", ">>3abca", ""},
		{"noise>>3abca\r\n>>1xx", ">>3abca >>1xx", ""},
		{">>>3abca", ">>3abca", ""},                            // noise that ends with the sign
		{">>3abca>>9abc", ">>3abca", ">>9abc"},                 // the second one is not here yet
		{">>3abca>", ">>3abca", ">"},                           // perhaps a beginning
		{">>9ab>>3abca", ">>9ab >>3abca", ""},                  // torn, its end is yet to come
		{">>9ab>>3abca>", ">>9ab >>3abca", ">"},                // torn, its end is wrong: cut at the same place
		{">>9a>>9b>>1xx>>", ">>9a>>9b >>1xx", ">>"},            // as is one torn twice
		{">>3abcb", ">>3abcb", ""},                             // a wrong checksum is its protocol's to judge
		{">>Xabc>>1xx", ">>Xabc >>1xx", ""},                    // no frame
		{">>X" + strings.Repeat("a", 12), ">>Xaaaaaaaaaa", ""}, // and none that ends
	} {
		frames, rest := toy.Split([]byte(c.stream))
		if got := string(bytes.Join(frames, []byte(" "))); got != c.frames || string(rest) != c.rest {
			t.Errorf("%q: %q and %q, want %q and %q", c.stream, got, rest, c.frames, c.rest)
		}
	}
}

func TestTally(t *testing.T) {
	broken := &decode.Error{Protocol: "toy", Offset: 7, Err: decode.ErrChecksum}
	for _, c := range []struct {
		name    string
		payload string
		counts  []error
		values  int
		want    error
	}{
		{"nothing", " \n", nil, 0, decode.ErrEmpty},
		{"noise", "noise", nil, 0, decode.ErrMalformed},
		{"good", ">>", []error{nil}, 1, nil},
		{"one is good", ">>", []error{broken, nil}, 2, nil},
		{"none is good", ">>", []error{broken, decode.ErrTime}, 2, broken},
		{"too many values", ">>", []error{nil}, decode.MaxReadings + 1, decode.ErrBound},
	} {
		var tally Tally
		for _, err := range c.counts {
			if tally.Count(err) != err {
				t.Errorf("%s: another error comes back", c.name)
			}
		}
		err := tally.Judge("toy", []byte(c.payload), c.values, "frame begins here")
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		var where *decode.Error
		if err != nil && (!errors.As(err, &where) || where.Protocol != "toy") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
