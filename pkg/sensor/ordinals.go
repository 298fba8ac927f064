package sensor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrOrdinals: a text that Ordinals.String did not make.
var ErrOrdinals = errors.New("not a list of ordinals")

// Ordinals are numbers of readings inside a payload, counted from 0 in the order of decoding, rising. As text they are
// "0-3,7".
type Ordinals []Span

// Span is the ordinals First to Last, both included.
type Span struct{ First, Last int }

// Add appends i unless it is the last one already; ordinals are added rising.
func (o *Ordinals) Add(i int) {
	if n := len(*o); n > 0 && i <= (*o)[n-1].Last+1 {
		(*o)[n-1].Last = max(i, (*o)[n-1].Last)
		return
	}
	*o = append(*o, Span{i, i})
}

// Len is how many there are.
func (o Ordinals) Len() (n int) {
	for _, s := range o {
		n += s.Last - s.First + 1
	}
	return n
}

// Has reports whether i is among them.
func (o Ordinals) Has(i int) bool {
	for _, s := range o {
		if s.First <= i && i <= s.Last {
			return true
		}
	}
	return false
}

func (o Ordinals) String() string {
	var b []byte
	for i, s := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(s.First), 10)
		if s.Last > s.First {
			b = strconv.AppendInt(append(b, '-'), int64(s.Last), 10)
		}
	}
	return string(b)
}

// ParseOrdinals is the inverse of String; "" gives none.
func ParseOrdinals(text string) (o Ordinals, err error) {
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		var s Span
		if s.First, err = strconv.Atoi(first); err == nil {
			if s.Last = s.First; ranged {
				s.Last, err = strconv.Atoi(last)
			}
		}
		if err != nil || s.First < 0 || s.Last < s.First || len(o) > 0 && s.First <= o[len(o)-1].Last {
			return nil, fmt.Errorf("%.40q: %w", text, ErrOrdinals)
		}
		o = append(o, s)
	}
	return o, nil
}
