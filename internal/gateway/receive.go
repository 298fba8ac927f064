package gateway

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// MaxPayload is the longest payload that is decoded; a longer one becomes a dead letter that keeps its beginning.
const MaxPayload = 1 << 20

// worker turns one PUBLISH after the other into spool records. Each connection has its own, so nothing here is
// shared or locked; its memory is reused from message to message.
type worker struct {
	g          *Gateway
	source     *Source // nil: situ's own topics
	decoders   map[string]decode.Decoder
	normalizer *normalize.Normalizer
	readings   []decode.Reading
	live, back sensor.Message
	body       []byte
	routes     map[string]route
}

// route is what a topic says. Routes are remembered: a sensor publishes to one topic all its life.
type route struct {
	source  normalize.Source
	decoder decode.Decoder
	refused *sensor.DeadLetter // the topic cannot be taken, and why
	count   prometheus.Counter
}

// Bounds on what a connection keeps between two messages. Topics that are refused are without number and may be 64 KiB
// long, so they are read each time.
const (
	maxRoutes     = 10_000 // topics remembered
	maxRouteTopic = 256    // bytes of one
	keepValues    = 256    // readings and observations there is room kept for; a larger message gives its room back
	keepBody      = 16 << 10
)

func (g *Gateway) newWorker(s *Source) *worker {
	return &worker{g: g, source: s, decoders: map[string]decode.Decoder{}, routes: map[string]route{}, normalizer: g.newNormalizer()}
}

// build decodes and normalises one payload into w.live and w.back and says how many of them hold something.
// It is never 0: what cannot be read is a dead letter, what holds nothing is counted as empty.
func (w *worker) build(topic string, payload []byte, client string) (parts int) {
	r, ok := w.routes[topic]
	if !ok {
		r = w.route(topic)
		r.count = w.g.metrics.messages.WithLabelValues(r.source.Name)
		if r.refused == nil && len(topic) <= maxRouteTopic && len(w.routes) < maxRoutes {
			w.routes[topic] = r
		}
	}
	r.count.Inc()
	letter := func(reason sensor.Reason, detail string) int {
		return w.refuse(sensor.DeadLetter{Reason: reason, Detail: detail, Topic: topic, Protocol: r.source.Protocol,
			Owner: r.source.Thing.Owner(), Thing: string(r.source.Thing), Source: r.source.Name, Client: client}, payload)
	}
	switch {
	case r.refused != nil:
		d := *r.refused
		d.Client = client
		return w.refuse(d, payload)
	case len(payload) == 0:
		return letter(sensor.ReasonEmpty, "the payload has no bytes; publish a reading, or nothing")
	case len(payload) > MaxPayload:
		return letter(sensor.ReasonSize, fmt.Sprintf("the payload has %d bytes, at most %d are read; send smaller batches", len(payload), MaxPayload))
	}
	w.begin()
	w.live.Thing = r.source.Thing // counts when the message turns out to be empty
	var err error
	if w.readings, err = r.decoder.Decode(w.readings[:0], payload); err != nil {
		return letter(decode.ReasonOf(err), err.Error())
	}
	if len(w.readings) == 0 {
		if e, ok := r.decoder.(decode.Emptier); ok {
			w.live.Empty = e.Empty()
		}
		return w.finish()
	}
	r.source.Client = client
	w.normalizer.Normalize(&r.source, w.readings, payload, &w.live, &w.back)
	return w.finish()
}

// begin empties the messages and stamps the arrival.
func (w *worker) begin() {
	w.live.Reset()
	w.back.Reset()
	w.live.Arrival = w.g.cfg.Clock().UnixMilli()
	w.back.Arrival = w.live.Arrival
}

// shrink gives back what an uncommonly large message needed: 10,000 loggers that each sent their week once would
// hold more than the machine has.
func (w *worker) shrink() {
	if cap(w.readings) > keepValues {
		w.readings = nil
	}
	if cap(w.body) > keepBody {
		w.body = nil
	}
	for _, m := range [...]*sensor.Message{&w.live, &w.back} {
		if cap(m.Observations) > keepValues {
			m.Observations = nil
		}
		if len(m.DeadLetters) > 0 {
			m.DeadLetters = nil // they hold payloads
		}
	}
}

// refuse makes the message a dead letter.
func (w *worker) refuse(d sensor.DeadLetter, payload []byte) int {
	w.begin()
	d.Size, d.Payload = len(payload), sensor.TrimPayload(payload)
	w.live.DeadLetters = append(w.live.DeadLetters, d)
	return w.finish()
}

// finish counts what the messages hold.
func (w *worker) finish() (parts int) {
	m := w.g.metrics
	m.observations.Add(float64(len(w.live.Observations) + len(w.back.Observations)))
	m.backfill.Add(float64(len(w.back.Observations)))
	for i := range w.live.DeadLetters {
		m.letters.WithLabelValues(string(w.live.DeadLetters[i].Reason)).Inc()
	}
	if len(w.back.Observations) > 0 {
		parts++
	}
	if len(w.live.Observations)+len(w.live.DeadLetters)+len(w.live.Declarations) > 0 {
		return parts + 1
	}
	if parts == 0 {
		if w.live.Empty == "" {
			w.live.Empty = sensor.ReasonNoValues
		}
		m.empty.WithLabelValues(string(w.live.Empty)).Inc()
		return 1
	}
	return parts
}

// append hands the built messages to their spools. They are gone then.
func (w *worker) append(parts int, ack spool.Ack) error {
	err := w.hand(parts, ack)
	w.shrink()
	return err
}

func (w *worker) hand(parts int, ack spool.Ack) error {
	if len(w.back.Observations) > 0 {
		w.body = sensor.AppendMessage(w.body[:0], &w.back)
		if err := w.g.spools[sensor.Backfill].Append(w.body, ack); err != nil {
			return err
		}
		if parts == 1 {
			return nil
		}
	}
	w.body = sensor.AppendMessage(w.body[:0], &w.live)
	return w.g.spools[sensor.Live].Append(w.body, ack)
}

// route reads a topic, once.
func (w *worker) route(topic string) route {
	var r route
	r.source.Topic = topic
	refuse := func(reason sensor.Reason, detail string) route {
		r.refused = &sensor.DeadLetter{Reason: reason, Detail: detail, Topic: topic, Protocol: r.source.Protocol,
			Owner: r.source.Thing.Owner(), Source: r.source.Name}
		if r.refused.Owner == "" {
			r.refused.Owner = sensor.TopicOwner(topic)
		}
		return r
	}
	var settings decode.Settings
	if s := w.source; s != nil {
		r.source.Name, r.source.CRS, r.source.Protocol, settings = s.Name, s.CRS, s.Protocol, s.Settings
		r.source.Zone = s.Settings.Zone
	}
	owner, thing, err := w.names(&r, topic)
	if err != "" {
		return refuse(sensor.ReasonTopic, err)
	}
	if thing == "" {
		thing = "-" // the frame's serial names the Thing
	}
	r.source.Thing = sensor.ThingID(owner + "/" + thing)
	d, ok := w.decoders[r.source.Protocol]
	if !ok {
		p, known := w.g.protocols[r.source.Protocol]
		if !known {
			return refuse(sensor.ReasonProtocol, fmt.Sprintf("no protocol %q; the topic's last level must be one of %s", r.source.Protocol, w.g.protocolNames))
		}
		var err error
		if d, err = p.New(settings); err != nil {
			return refuse(sensor.ReasonProtocol, err.Error())
		}
		w.decoders[r.source.Protocol] = d
	}
	r.decoder = d
	return r
}

// names finds owner and thing in a topic, by the source's patterns or by situ's own form.
func (w *worker) names(r *route, topic string) (owner, thing, why string) {
	if s := w.source; s != nil {
		for _, pattern := range s.Topics {
			o, t, ok := match(pattern, topic)
			if !ok {
				continue
			}
			if s.Protocol == "" {
				break // situ's own form
			}
			if o == "" {
				o = s.Owner
			}
			if !sensor.ValidName(o) || t != "" && !sensor.ValidName(t) {
				return "", "", fmt.Sprintf("owner %q or thing %q of the topic is not a name (letters, digits, '.', '_', '-', at most 64 bytes)", o, t)
			}
			return o, t, ""
		}
	}
	owner, thing, protocol, ok := ownTopic(topic)
	if !ok {
		return "", "", "the topic is not situ/v1/{owner}/{thing}/{protocol}; publish there, or describe it as a source in the configuration"
	}
	r.source.Protocol = protocol
	return owner, thing, ""
}
