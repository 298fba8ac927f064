package redecode

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/deadletter"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// letters gives the dead letters of some messages.
func (r *run) letters(ctx context.Context, list []sensor.LoggedPayload) (map[store.Message][]store.StoredDeadLetter, error) {
	ids := make([]sensor.Identity, len(list))
	for i := range list {
		ids[i] = sensor.Identity{Producer: list[i].Producer, Seq: list[i].Seq}
	}
	refs, err := r.s.FindLetters(ctx, ids)
	if err != nil || len(refs) == 0 {
		return nil, err
	}
	all, err := r.s.ReadLetters(ctx, refs)
	if err != nil {
		return nil, err
	}
	letters := map[store.Message][]store.StoredDeadLetter{}
	for _, l := range all {
		m := store.Message{Producer: l.Producer, Seq: l.Seq, Arrival: l.Arrival}
		letters[m] = append(letters[m], l)
	}
	return letters, nil
}

// byHand: somebody replayed a letter with a correction of the clock, or is about to.
func byHand(letters []store.StoredDeadLetter) bool {
	return slices.ContainsFunc(letters, func(l store.StoredDeadLetter) bool { return l.Pending || deadletter.Corrected(l.Detail) })
}

// resolvable are the open letters of a message of which nothing is refused any more.
func resolvable(m *message) (open []store.StoredDeadLetter) {
	if len(m.reading.Refused) > 0 {
		return nil
	}
	for _, l := range m.letters {
		if l.State == store.LetterOpen {
			open = append(open, l)
		}
	}
	return open
}

// resolve gives them as they are from now on.
func (r *run) resolve(m *message) []store.StoredDeadLetter {
	open := resolvable(m)
	for i := range open {
		l := &open[i]
		l.State, l.Tries, l.Version = store.LetterResolved, l.Tries+1, l.Version+1
		l.Detail += fmt.Sprintf("; read again at %s: %d values in the message, nothing refused", r.cfg.Now().UTC().Format(time.RFC3339),
			len(m.reading.Observations))
	}
	return open
}

// Words says a report in one line.
func (r *Report) Words() string {
	text := fmt.Sprintf("%d of %d payloads, %d messages otherwise: %d values added, %d changed, %d retracted", r.Payloads, r.Total, r.Differ,
		r.Added, r.Changed, r.Retracted)
	for _, n := range []struct {
		n    int
		what string
	}{{r.Letters, "dead letters resolved"}, {r.refusals(), "refused"}, {r.Cut, "cut"}, {r.ByHand, "corrected by hand"}} {
		if n.n > 0 {
			text += fmt.Sprintf(", %d %s", n.n, n.what)
		}
	}
	return text
}

func (r *Report) refusals() (n int) {
	for _, of := range r.Refused {
		n += of
	}
	return n
}

// Line says a change in one line: message, Datastream, instant, was and is.
func (c *Change) Line() string {
	id := sensor.Identity{Producer: c.Message.Producer, Seq: c.Message.Seq, Idx: c.Now.Idx}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  datastream %s  %s  ", id.Name(), c.Kind, c.Now.Datastream, time.UnixMilli(c.Now.PhenomenonTime).UTC().Format("2006-01-02T15:04:05.000Z"))
	switch c.Kind {
	case Added:
		b.WriteString(value(&c.Now.Observation))
	case Changed:
		fmt.Fprintf(&b, "%s -> %s", value(&c.Was), value(&c.Now.Observation))
	case Retracted:
		fmt.Fprintf(&b, "%s -> none", value(&c.Was))
	}
	return b.String()
}

func value(o *sensor.Observation) string {
	text := fmt.Sprint(o.Result)
	if o.Text != "" {
		text = fmt.Sprintf("%q", o.Text)
	}
	if o.Quality != 0 {
		text += " (" + o.Quality.String() + ")"
	}
	return text
}
