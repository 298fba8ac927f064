// Package progress draws one line that says how far a long work is: on a terminal it is redrawn in place, in a
// file it is a line every ten seconds.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Bar is one line of progress. The zero value is not usable; make one with New.
type Bar struct {
	out     io.Writer
	label   string
	started time.Time
	drawn   time.Time
	live    bool
}

const width = 30

// New starts a bar on out.
func New(out io.Writer, label string) *Bar {
	b := &Bar{out: out, label: label, started: time.Now()}
	if f, ok := out.(*os.File); ok {
		st, err := f.Stat()
		b.live = err == nil && st.Mode()&os.ModeCharDevice != 0
	}
	return b
}

// Set draws the share done (0 to 1) with a note, if it is time to.
func (b *Bar) Set(share float64, note string) {
	now := time.Now()
	every := 10 * time.Second
	if b.live {
		every = 100 * time.Millisecond
	}
	if now.Sub(b.drawn) < every {
		return
	}
	b.drawn = now
	b.draw(share, note)
}

// Done draws the last state.
func (b *Bar) Done(note string) {
	b.draw(1, note)
	if b.live {
		fmt.Fprintln(b.out)
	}
}

func (b *Bar) draw(share float64, note string) {
	share = min(1, max(0, share))
	full := int(share * width)
	line := fmt.Sprintf("%s [%s%s] %3.0f %% %s %s", b.label, strings.Repeat("#", full), strings.Repeat(".", width-full),
		100*share, time.Since(b.started).Round(time.Second), note)
	if b.live {
		fmt.Fprintf(b.out, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(b.out, line)
}
