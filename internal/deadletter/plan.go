package deadletter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// Clock is a correction of the times in a payload, for a device whose clock was wrong. Values that it touches are
// flagged sensor.ClockSkew.
type Clock struct {
	Shift   time.Duration // added to every time
	Arrival bool          // the message's arrival stands for every time
}

// Set reports whether it corrects anything.
func (c Clock) Set() bool { return c != Clock{} }

func (c Clock) String() string {
	if c.Arrival {
		return arrivalText
	}
	if c.Shift >= 0 {
		return shiftText + "+" + c.Shift.String()
	}
	return shiftText + c.Shift.String()
}

// Value is what one reading of a payload became.
type Value struct {
	Ordinal     int // its number in the payload, from 0
	Observation sensor.Observation
	Refused     *sensor.DeadLetter // set: it became none
}

// Reading is what a payload became.
type Reading struct {
	Values       []Value
	Declarations []sensor.Declaration
	Refused      *sensor.DeadLetter // set: the payload as a whole is refused, and there is nothing else
}

// Reader reads a message as its PUBLISH would be read today, but judges its times against its first arrival. Of the
// payload's readings it reads those that want says.
type Reader interface {
	Read(l *sensor.LoggedDeadLetter, payload []byte, want func(ordinal int, key string) bool, c Clock) Reading
}

// What became of a letter.
type Status string

// The statuses of a Verdict. In a dry run they say what would be.
const (
	Resolved  Status = "resolved"  // its values are stored
	Already   Status = "already"   // it was resolved before; nothing is done
	StillOpen Status = "open"      // refused again, wholly or in part
	Unfit     Status = "unfit"     // it cannot be replayed at all; nothing is changed
	NotFound  Status = "not_found" // there is no such letter
)

// Verdict is the answer to one letter.
type Verdict struct {
	ID     sensor.Identity
	Status Status
	Values int           // observations it became
	Reason sensor.Reason // of StillOpen
	Detail string        // why it is not resolved, and what to do
}

// job is a letter on its way.
type job struct {
	was      store.StoredDeadLetter // as it was found
	letter   store.StoredDeadLetter // as it is to be written
	verdict  Verdict
	rows     []row
	declared []sensor.Declaration
	clock    Clock // of this replay
	then     Clock // of the one that was left under way, if it was
}

type row struct {
	idx uint16
	o   sensor.Observation
}

// severalFrom is the idx of the first reading for letters that stand for several.
const severalFrom = 1 << 15

// plan reads a letter again and decides; it writes nothing. siblings are all letters of the message, this one too.
func plan(l store.StoredDeadLetter, siblings []store.StoredDeadLetter, r Reader, allowed func(user, topic string) bool, c Clock, now time.Time) job {
	var then Clock
	l.Detail, then, _ = cutNote(l.Detail)
	j := job{was: l, letter: l, verdict: Verdict{ID: l.Identity}, clock: c, then: then}
	if l.State == store.LetterResolved {
		j.verdict.Status = Already
		return j
	}
	payload, want, why := material(&l, siblings)
	if why != "" {
		j.verdict.Status, j.verdict.Detail, j.verdict.Reason = Unfit, why, l.Reason
		return j
	}
	if l.Reason == sensor.ReasonACL && !allowed(l.User, l.Topic) {
		j.letter.Tries++
		j.refused(sensor.ReasonACL, fmt.Sprintf("the credential of user %q may still not publish to %s; issue it one with a wider scope first", l.User, l.Topic))
		return j
	}
	j.letter.Tries++
	read := r.Read(&l.LoggedDeadLetter, payload, want.has, c)
	if read.Refused != nil {
		j.refused(read.Refused.Reason, read.Refused.Detail)
		return j
	}
	if want.field != "" && len(read.Values) > 1 {
		j.verdict.Status, j.verdict.Detail, j.verdict.Reason = Unfit, older, l.Reason
		return j
	}
	j.declared = read.Declarations
	j.take(read.Values, want, c, now)
	return j
}

// refused leaves the letter open.
func (j *job) refused(reason sensor.Reason, detail string) {
	j.letter.Reason, j.letter.Detail = reason, detail
	j.verdict.Status, j.verdict.Reason, j.verdict.Detail = StillOpen, reason, detail
}

// take names the values, and says what becomes of the letter.
func (j *job) take(values []Value, want selection, c Clock, now time.Time) {
	var first *sensor.DeadLetter
	j.letter.RowIdxs, j.letter.Pending = slices.Clone(j.letter.RowIdxs), false
	for i := range values {
		v := &values[i]
		if v.Refused != nil {
			if first == nil {
				first = v.Refused
			}
			continue
		}
		j.rows = append(j.rows, row{want.idx(j.letter.Idx, v.Ordinal), v.Observation})
		j.letter.RowIdxs = append(j.letter.RowIdxs, j.rows[len(j.rows)-1].idx)
		t := v.Observation.PhenomenonTime
		if j.letter.RowsTo == 0 {
			j.letter.RowsFrom, j.letter.RowsTo = t, t
		}
		j.letter.RowsFrom, j.letter.RowsTo = min(j.letter.RowsFrom, t), max(j.letter.RowsTo, t)
	}
	slices.Sort(j.letter.RowIdxs)
	j.letter.RowIdxs = slices.Compact(j.letter.RowIdxs)
	j.verdict.Values = len(j.rows)
	if first != nil {
		detail := first.Detail
		if len(j.rows) > 0 {
			detail = fmt.Sprintf("%d of %d values are stored; of the others the first: %s", len(j.rows), len(values), detail)
		}
		j.refused(first.Reason, detail)
		return
	}
	j.verdict.Status = Resolved
	done := fmt.Sprintf("replayed at %s: %d values", now.UTC().Format(time.RFC3339), len(j.rows))
	if c.Set() {
		done += ", " + c.String()
	}
	j.letter.State, j.letter.Detail = store.LetterResolved, j.letter.Detail+"; "+done
}

// selection is which readings of the payload a letter stands for.
type selection struct {
	all      bool
	ordinals sensor.Ordinals
	field    string // of letters that an older situ made
}

func (s selection) has(ordinal int, key string) bool {
	switch {
	case s.all:
		return true
	case s.field != "":
		return key == s.field
	}
	return s.ordinals.Has(ordinal)
}

// idx names a value for ever.
func (s selection) idx(own uint16, ordinal int) uint16 {
	switch {
	case s.all:
		return uint16(ordinal)
	case s.field != "" || s.ordinals.Len() == 1:
		return own
	}
	return severalFrom + uint16(ordinal)
}

const older = "it was made by an older situ, which did not note which of the payload's readings it stands for; have the source send them again"

// material finds the payload and what of it the letter stands for, or says why it cannot be replayed.
func material(l *store.StoredDeadLetter, siblings []store.StoredDeadLetter) (payload []byte, want selection, why string) {
	payload = l.Payload
	for i := 0; len(payload) == 0 && l.Size > 0 && i < len(siblings); i++ {
		payload = siblings[i].Payload
	}
	if len(payload) < l.Size {
		return nil, want, fmt.Sprintf("only %d of the payload's %d bytes are kept: the rest was cut off; have the source send it again", len(payload), l.Size)
	}
	var err error
	if want.ordinals, err = sensor.ParseOrdinals(l.Readings); err != nil {
		return nil, want, fmt.Sprintf("which readings it stands for cannot be read: %v", err)
	}
	switch {
	case l.Readings != "":
	case l.Idx == 0 && len(siblings) <= 1 && l.Field == "":
		want.all = true
	case l.Field != "" && uniqueField(l, siblings):
		want.field = l.Field
	default:
		return nil, want, older
	}
	return payload, want, ""
}

// uniqueField: an older situ named the field alone, which tells one reading only where the name stands for one. What the
// payload has more of is found by the reader; letters of the same name are found here.
func uniqueField(l *store.StoredDeadLetter, siblings []store.StoredDeadLetter) bool {
	n := 0
	for i := range siblings {
		if strings.EqualFold(siblings[i].Field, l.Field) {
			n++
		}
	}
	return n <= 1
}
