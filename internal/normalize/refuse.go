package normalize

import (
	"errors"
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// refusal is why a value became a dead letter: the word for counters, and what is wrong and how to mend it.
type refusal struct {
	reason sensor.Reason
	detail string
}

// maxLetters bounds the dead letters of one message. What is refused beyond is counted in the last one, so that a payload
// of 4,096 bad values does not become a record of megabytes.
const maxLetters = 16

// refuse leaves a dead letter for one value; t may be nil.
func (n *Normalizer) refuse(t *thing, r *decode.Reading, why *refusal) {
	n.outcome.Refused++
	id := n.src.Thing
	switch {
	case r.Thing != "":
		id = r.Thing
	case errors.Is(r.Err, decode.ErrThing): // t is of the reading before
		id = ""
	case t != nil:
		id = t.id
	case id.Name() == "-":
		id = ""
	}
	n.letter(id, r.Key, why)
}

func (n *Normalizer) letter(id sensor.ThingID, field string, why *refusal) {
	n.letters++
	n.covered[min(n.letters, maxLetters)-1].Add(n.at)
	if n.letters > maxLetters {
		last := &n.live.DeadLetters[len(n.live.DeadLetters)-1]
		last.Reason, last.Field = sensor.ReasonBound, ""
		last.Detail = fmt.Sprintf("%d more values of this message were refused, the last of them %q: %s", n.letters-maxLetters+1, field, why.detail)
		return
	}
	d := sensor.DeadLetter{
		Reason: why.reason, Detail: why.detail, Topic: n.src.Topic, Protocol: n.src.Protocol, Owner: n.src.Thing.Owner(),
		Thing: string(id), Field: field, Source: n.src.Name, Origin: n.src.Origin, Size: len(n.payload),
	}
	if n.letters == 1 { // the others are of the same payload
		d.Payload = sensor.TrimPayload(n.payload)
	}
	n.live.DeadLetters = append(n.live.DeadLetters, d)
}

func (n *Normalizer) badTime(r *decode.Reading) *refusal {
	what, ms := "time", r.Time
	if ms == 0 {
		ms = n.live.Arrival + r.FromArrival
	}
	if ok := ms <= n.live.Arrival+maxAhead && ms >= year2000; ok {
		what, ms = "result time", r.ResultTime
	}
	where := n.src.Zone
	if where == "" {
		where = "the protocol's zone"
	}
	at, arrival := time.UnixMilli(ms).UTC(), time.UnixMilli(n.live.Arrival).UTC()
	const form = "2006-01-02T15:04:05.000Z"
	if ms < year2000 {
		return &refusal{sensor.ReasonTime, fmt.Sprintf("%s %s is before 2000; set the device's clock, and send Unix time in milliseconds or RFC 3339", what, at.Format(form))}
	}
	return &refusal{sensor.ReasonTime, fmt.Sprintf("%s %s is %s ahead of its arrival at %s (10 minutes are allowed); set the device's clock, or its time zone (times without one are read in %s); what is refused can be replayed with --shift or --time arrival",
		what, at.Format(form), howLong(at.Sub(arrival)), arrival.Format(form), where)}
}

// howLong says it as people do: hours up to two days, then days.
func howLong(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

func badNumber(r *decode.Reading, s *stream) *refusal {
	if r.Number-r.Number != 0 {
		return &refusal{sensor.ReasonNumber, fmt.Sprintf("%v is not a finite number; leave out a value that does not exist", r.Number)}
	}
	return &refusal{sensor.ReasonNumber, fmt.Sprintf("%v %s is beyond what a number can hold after conversion; check the sensor", r.Number, s.unit)}
}
