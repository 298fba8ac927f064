package gateway

import (
	"fmt"
	"slices"
	"sync"

	"github.com/situ-city/situ/internal/deadletter"
	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// Again reads dead letters a second time: their topics, payloads and names as they are understood today. It is the
// deadletter.Reader, and takes the same way as worker.build, without counters and without a spool.
type Again struct {
	normalizer func() *normalize.Normalizer // a new one a letter: what it has declared once it does not declare again
	mu         sync.Mutex                   // guards what follows: decoders belong to one goroutine
	routers    map[string]*router
	readings   []decode.Reading
	live, back sensor.Message
}

// NewAgain makes an Again. Sources are those of the gateways whose letters are to be read.
func NewAgain(sources []Source, protocols []decode.Protocol, n func() *normalize.Normalizer) (*Again, error) {
	a := &Again{normalizer: n}
	return a, a.Reload(sources, protocols)
}

// Reload takes other sources. With an error those of before stay.
func (a *Again) Reload(sources []Source, protocols []decode.Protocol) error {
	sources = slices.Clone(sources)
	if err := CheckSources(sources, protocols); err != nil {
		return err
	}
	known := byName(protocols)
	own := newRouter(known, nil)
	own.embedded = newEmbedded(sources) // a letter of a topic that had no source yet
	routers := map[string]*router{"": &own}
	for i := range sources {
		r := newRouter(known, &sources[i])
		routers[sources[i].Name] = &r
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.routers = routers
	return nil
}

// Thing is what a topic of the embedded front says today: the Thing, or the owner's "-" where only payloads say which.
// "" is a topic that is not taken.
func (a *Again) Thing(topic string) sensor.ThingID {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.routers[""].route(topic)
	if r.refused != nil {
		return ""
	}
	return r.source.Thing
}

// Read implements deadletter.Reader.
func (a *Again) Read(l *sensor.LoggedDeadLetter, payload []byte, want func(ordinal int, key string) bool, c deadletter.Clock) deadletter.Reading {
	a.mu.Lock()
	defer a.mu.Unlock()
	refuse := func(reason sensor.Reason, detail string) deadletter.Reading {
		return deadletter.Reading{Refused: &sensor.DeadLetter{Reason: reason, Detail: detail}}
	}
	router, ok := a.routers[l.Source]
	if !ok {
		return refuse(sensor.ReasonTopic, fmt.Sprintf("it came from source %q, which is not in this configuration; put the source into it, as the gateway has it", l.Source))
	}
	r := router.route(l.Topic)
	switch {
	case r.refused != nil:
		return deadletter.Reading{Refused: r.refused}
	case len(payload) == 0:
		return refuse(sensor.ReasonEmpty, emptyPayload)
	case len(payload) > MaxPayload:
		return refuse(sensor.ReasonSize, largePayload(len(payload)))
	}
	var err error
	if a.readings, err = decode.DecodeOn(r.decoder, a.readings[:0], l.Topic, payload); err != nil {
		return refuse(decode.ReasonOf(err), err.Error())
	}
	if at, moved := a.moved(l, want); moved {
		return refuse(l.Reason, fmt.Sprintf("by the rules of now, value %q of this payload is reading %d, and this letter stands for reading %s; put new values behind the old ones, replay, and order them after that", l.Field, at, l.Readings))
	}
	r.source.Origin = l.Origin
	var out deadletter.Reading
	n := a.normalizer()
	for i := range a.readings {
		if want(i, a.readings[i].Key) {
			a.one(n, &r.source, i, l.Arrival, c, &out)
		}
	}
	return out
}

// moved: the readings are known by their place, and a source whose rules were changed since may put another value there.
// A value that has merely another name now is the same one.
func (a *Again) moved(l *sensor.LoggedDeadLetter, want func(ordinal int, key string) bool) (at int, moved bool) {
	if l.Field == "" || l.Readings == "" {
		return 0, false
	}
	other := false
	at = -1
	for i := range a.readings {
		switch key := a.readings[i].Key; {
		case want(i, key):
			other = other || key != l.Field
		case key == l.Field && at < 0:
			at = i
		}
	}
	return at, at >= 0 && other
}

// one normalises a reading by itself, so that it is known which became what.
func (a *Again) one(n *normalize.Normalizer, src *normalize.Source, i int, arrival int64, c deadletter.Clock, out *deadletter.Reading) {
	r := a.readings[i]
	corrected := correct(&r, c)
	a.live.Reset()
	a.back.Reset()
	a.live.Arrival = arrival
	n.Normalize(src, []decode.Reading{r}, nil, &a.live, &a.back)
	v := deadletter.Value{Ordinal: i}
	switch {
	case len(a.live.DeadLetters) > 0:
		v.Refused = &sensor.DeadLetter{Reason: a.live.DeadLetters[0].Reason, Detail: a.live.DeadLetters[0].Detail}
	case len(a.live.Observations) > 0:
		v.Observation = a.live.Observations[0]
	default:
		v.Observation = a.back.Observations[0]
	}
	if corrected && v.Refused == nil {
		v.Observation.Quality |= sensor.ClockSkew
	}
	out.Values = append(out.Values, v)
	out.Declarations = append(out.Declarations, a.live.Declarations...)
}

// correct applies a clock correction and reports whether there was one.
func correct(r *decode.Reading, c deadletter.Clock) bool {
	switch {
	case r.Err != nil || !c.Set():
		return false
	case c.Arrival:
		r.Time, r.ResultTime = 0, 0 // as of a source that gives no time
		return true
	}
	moved := false
	for _, t := range [...]*int64{&r.Time, &r.ResultTime} {
		if *t != 0 {
			*t += c.Shift.Milliseconds()
			moved = true
		}
	}
	return moved
}
