package gateway

import (
	"fmt"
	"slices"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/mapped"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// Explanation is what becomes of one PUBLISH, step by step, with nothing stored.
type Explanation struct {
	Source   *Source // nil: situ's own topics
	Pattern  string  // of the source's topics
	Parts    map[string]string
	Thing    sensor.ThingID // "owner/-" where only the payload says which
	Protocol string
	Steps    []mapped.Step      // expressions that were evaluated
	Refused  *sensor.DeadLetter // the whole message
	Empty    sensor.Reason      // why there is nothing to store
	Note     string             // by what rule the decoder read the payload; "" = there is nothing to say
	Asked    string             // topic of what the sender would be asked for; "" = nothing
	Values   []ExplainedValue
}

// ExplainedValue is one reading and what it became: an observation, or a dead letter.
type ExplainedValue struct {
	Reading     decode.Reading
	Observation sensor.Observation
	Thing       sensor.ThingID
	Property    string // code, or the source key where the catalogue has none
	Unit        string // of the observation; "" = not known
	Backfill    bool
	Refused     *sensor.DeadLetter
}

// Refusals counts the dead letters.
func (e *Explanation) Refusals() (n int) {
	for i := range e.Values {
		if e.Values[i].Refused != nil {
			n++
		}
	}
	if e.Refused != nil {
		n++
	}
	return n
}

// Explain takes the way of worker.build. name chooses a source; "" takes the one whose topic it is: of the embedded
// front, else the first pulled one. n takes unknown Things and properties, or refuses them, as the caller made it.
func Explain(sources []Source, protocols []decode.Protocol, c *sensor.Catalogue, n *normalize.Normalizer, name, topic string, payload []byte, arrival int64) (*Explanation, error) {
	sources = slices.Clone(sources)
	if err := CheckSources(sources, protocols); err != nil {
		return nil, err
	}
	r := newRouter(byName(protocols), nil)
	r.embedded = newEmbedded(sources)
	var err error
	if r.source, err = chosen(sources, r.embedded, name, topic); err != nil {
		return nil, err
	}
	e := &Explanation{Source: r.source}
	if e.Source != nil {
		for _, p := range e.Source.Topics {
			if parts, ok := match(p, topic); ok {
				e.Pattern, e.Parts = p, parts
				break
			}
		}
	}
	route := r.route(topic)
	e.Thing, e.Protocol = route.source.Thing, route.source.Protocol
	letter := func(reason sensor.Reason, detail string) (*Explanation, error) {
		e.Refused = &sensor.DeadLetter{Reason: reason, Detail: detail}
		return e, nil
	}
	switch {
	case route.refused != nil:
		return letter(route.refused.Reason, route.refused.Detail)
	case len(payload) == 0:
		return letter(sensor.ReasonEmpty, emptyPayload)
	case len(payload) > MaxPayload:
		return letter(sensor.ReasonSize, largePayload(len(payload)))
	}
	if d, ok := route.decoder.(*mapped.Decoder); ok {
		d.Trace(func(s mapped.Step) { e.Steps = append(e.Steps, s) })
	}
	readings, err := decode.DecodeOn(route.decoder, nil, topic, payload)
	if d, ok := route.decoder.(decode.Noter); ok {
		e.Note = d.Note()
	}
	if route.asker != nil {
		e.Asked, _, _ = route.asker.Ask(arrival)
	}
	if err != nil {
		return letter(decode.ReasonOf(err), err.Error())
	}
	if len(readings) == 0 {
		e.Empty = sensor.ReasonNoValues
		if d, ok := route.decoder.(decode.Emptier); ok && d.Empty() != "" {
			e.Empty = d.Empty()
		}
	}
	e.normalize(c, n, &route.source, readings, arrival)
	return e, nil
}

// chosen finds the source of a topic.
func chosen(sources []Source, front *embedded, name, topic string) (*Source, error) {
	if s := front.source(topic); name == "" && s != nil {
		return s, nil
	}
	for i := range sources {
		s := &sources[i]
		if name != "" && s.Name == name {
			return s, nil
		}
		if name == "" && s.Broker != "" && slices.ContainsFunc(s.Topics, func(p string) bool { _, ok := match(p, topic); return ok }) {
			return s, nil
		}
	}
	if name != "" {
		return nil, fmt.Errorf("%w: there is no source %q in this configuration", ErrSource, name)
	}
	return nil, nil
}

// normalize puts each reading through by itself, so that it is known which became what.
func (e *Explanation) normalize(c *sensor.Catalogue, n *normalize.Normalizer, src *normalize.Source, readings []decode.Reading, arrival int64) {
	var live, back sensor.Message
	things := map[sensor.ThingKey]sensor.ThingID{}
	streams := map[sensor.DatastreamID]sensor.Datastream{}
	for i := range readings {
		live.Reset()
		back.Reset()
		live.Arrival = arrival
		n.Normalize(src, readings[i:i+1], nil, &live, &back)
		for _, d := range live.Declarations {
			if d.Thing != nil {
				things[d.Thing.ID.Key()] = d.Thing.ID
			}
			if d.Datastream != nil {
				streams[d.Datastream.ID] = *d.Datastream
			}
		}
		v := ExplainedValue{Reading: readings[i]}
		switch {
		case len(live.DeadLetters) > 0:
			d := live.DeadLetters[0]
			v.Refused = &d
		case len(live.Observations) > 0:
			v.Observation = live.Observations[0]
		case len(back.Observations) > 0:
			v.Observation, v.Backfill = back.Observations[0], true
		}
		v.Thing, v.Property = things[v.Observation.Thing], v.Reading.Key
		if p, ok := c.ByNumber(v.Observation.Property); ok {
			v.Property, v.Unit = string(p.Code), p.Unit
		} else {
			v.Unit = streams[v.Observation.Datastream].Unit
		}
		e.Values = append(e.Values, v)
	}
}
