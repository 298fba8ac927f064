package gateway

import (
	"fmt"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/gateway/inflight"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// MaxPayload is the longest payload that is decoded; a longer one becomes a dead letter.
const MaxPayload = 1 << 20

const emptyPayload = "the payload has no bytes; publish a reading, or nothing"

func largePayload(n int) string {
	return fmt.Sprintf("the payload has %d bytes, at most %d are read; send smaller batches", n, MaxPayload)
}

// worker turns one PUBLISH after the other into spool records. Each connection has its own, so nothing here is
// shared or locked; its memory is reused from message to message.
type worker struct {
	router
	g          *Gateway
	normalizer *normalize.Normalizer
	readings   []decode.Reading
	live, back sensor.Message
	class      sensor.OwnerClass // of the message in hand
	body       []byte
	kept       *[2]sensor.KeptPayload // of the message in hand, by lane; nil: nothing was ever kept
	routes     map[string]*route      // by topic; they stay where they are, so that a message costs no memory
	held       int64                  // bytes of them in g.room
	tell       tell                   // nil: nobody is asked for anything
}

// Bounds on what a connection keeps between two messages. Topics that are refused are without number and may be 64 KiB
// long, so they are read each time.
const (
	maxRoutes     = 10_000 // topics remembered
	maxRouteTopic = 256    // bytes of one
	keepValues    = 256    // readings and observations there is room kept for; a larger message gives its room back
	keepBody      = 16 << 10
	routeBytes    = 384 // counted for a topic, beside its own: about what it takes

	// DefaultPrepared is how many bytes all connections together keep of prepared Things, names and topics.
	DefaultPrepared = 256 << 20
	memoryPart      = 8 // the part of it that outlives connections: what Things are judged by
)

// newWorker makes one for a pulled source, or, with nil, for a connection of the embedded front.
func (g *Gateway) newWorker(s *Source) *worker {
	n := g.newNormalizer()
	n.Share(g.room)
	n.Recall(g.memory)
	w := &worker{g: g, router: newRouter(g.protocols, s), routes: map[string]*route{}, normalizer: n}
	if s == nil {
		w.embedded, w.keepOwn = g.embedded.Load(), g.cfg.KeepRaw
	}
	return w
}

// renew forgets what the sources of before said about topics.
func (w *worker) renew() {
	if now := w.g.embedded.Load(); w.source == nil && now != w.embedded {
		w.g.room.Give(w.held)
		w.routes, w.held = map[string]*route{}, 0
		w.embedded, w.decoders = now, map[read]*reader{}
	}
}

// find gives a topic's route.
func (w *worker) find(topic string) *route {
	r, ok := w.routes[topic]
	if !ok {
		made := w.route(topic)
		r = &made
		r.count = w.g.metrics.messages.WithLabelValues(r.source.Name)
		w.remember(topic, r)
	}
	return r
}

// covers reports whether a credential may publish to a topic: the Thing, or all Things of the owner where only the
// payload says which, must be in its scope. source is the topic's, if it has one.
func (w *worker) covers(scope registry.TopicScope, topic string) (source string, ok bool) {
	w.renew()
	if strings.HasPrefix(topic, ownPrefix) && !w.embedded.has(ownPrefix) || !w.embedded.has("") {
		return "", scope == "*" || scope.AllowsTopic(topic)
	}
	switch r := w.find(topic); {
	case scope == "*":
		return r.source.Name, true
	case r.source.Name == "":
		return "", scope.AllowsTopic(topic)
	case r.refused != nil:
		return r.source.Name, scope.Allows(sensor.ThingID(r.refused.Owner + "/-"))
	default:
		return r.source.Name, scope.Allows(r.source.Thing)
	}
}

// close gives back the room of what was prepared.
func (w *worker) close() {
	w.normalizer.Leave()
	w.g.room.Give(w.held)
	w.routes, w.held = nil, 0
}

// remember keeps a topic's route, where there is room.
func (w *worker) remember(topic string, r *route) {
	bytes := int64(routeBytes + len(topic))
	if r.refused == nil && len(topic) <= maxRouteTopic && len(w.routes) < maxRoutes && w.g.room.Take(bytes) {
		w.held += bytes
		w.routes[topic] = r
	}
}

// build decodes and normalises one payload into w.live and w.back and says how many of them hold something.
// It is never 0: what cannot be read is a dead letter, what holds nothing is counted as empty.
func (w *worker) build(topic string, payload []byte, from sensor.Origin) (parts int) {
	w.renew()
	r := w.find(topic)
	r.count.Inc()
	parts = w.read(r, topic, payload, from)
	if r.keep && len(payload) <= MaxPayload {
		w.keep(&r.source, payload, from, parts)
	}
	return parts
}

func (w *worker) read(r *route, topic string, payload []byte, from sensor.Origin) (parts int) {
	letter := func(reason sensor.Reason, detail string) int {
		return w.refuse(sensor.DeadLetter{Reason: reason, Detail: detail, Topic: topic, Protocol: r.source.Protocol,
			Owner: r.source.Thing.Owner(), Thing: string(r.source.Thing), Source: r.source.Name, Origin: from}, payload)
	}
	switch {
	case r.refused != nil:
		d := *r.refused
		d.Origin = from
		return w.refuse(d, payload)
	case len(payload) == 0:
		return letter(sensor.ReasonEmpty, emptyPayload)
	case len(payload) > MaxPayload:
		return letter(sensor.ReasonSize, largePayload(len(payload)))
	}
	w.begin()
	w.live.Thing = r.source.Thing // counts when the message turns out to be empty
	var err error
	w.readings, err = decode.DecodeOn(r.decoder, w.readings[:0], topic, payload)
	if r.asker != nil && w.tell != nil {
		w.ask(r)
	}
	if err != nil {
		return letter(decode.ReasonOf(err), err.Error())
	}
	if len(w.readings) == 0 {
		if e, ok := r.decoder.(decode.Emptier); ok {
			w.live.Empty = e.Empty()
		}
		w.class = w.normalizer.ClassOf(r.source.Thing)
		return w.finish()
	}
	r.source.Origin = from
	out := w.normalizer.Normalize(&r.source, w.readings, payload, &w.live, &w.back)
	if w.class = out.Class; out.Clock != "" {
		w.clock(&out, r.source.Name)
	}
	return w.finish()
}

// keep has the payload go with the message into the spool, with each of its parts. It is lent, not copied: the message is
// written before its sender's buffer is used again.
func (w *worker) keep(src *normalize.Source, payload []byte, from sensor.Origin, parts int) {
	if w.kept == nil {
		w.kept = new([2]sensor.KeptPayload)
	}
	k := sensor.KeptPayload{Topic: src.Topic, Source: src.Name, Protocol: src.Protocol, Named: src.Thing, Client: from.Client, User: from.User,
		QoS: from.QoS, Size: len(payload), Payload: payload}
	for lane, m := range [...]*sensor.Message{sensor.Live: &w.live, sensor.Backfill: &w.back} {
		w.kept[lane] = k
		if parts > 1 {
			w.kept[lane].Part = [...]sensor.Part{sensor.Live: sensor.LivePart, sensor.Backfill: sensor.BackfillPart}[lane]
		}
		m.Kept = &w.kept[lane]
	}
	w.g.metrics.kept.Add(float64(parts))
	w.g.metrics.keptBytes.Add(float64(parts * len(payload)))
}

// clock tells of a Thing's clock that was found wrong, or right again: twice for each time that it goes wrong.
func (w *worker) clock(o *normalize.Outcome, source string) {
	found, state := "a Thing's clock is right again", "right"
	if o.ClockWrong {
		found, state = "a Thing's clock is wrong: its readings have clock_skew", "wrong"
	}
	w.g.metrics.clocks.WithLabelValues(state).Inc()
	w.g.cfg.Logger.Info(found, "thing", o.Clock, "source", source, "behind", (time.Duration(o.ClockBehind) * time.Millisecond).String())
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
	if w.kept != nil {
		*w.kept = [2]sensor.KeptPayload{} // they hold the sender's buffer
	}
	for _, m := range [...]*sensor.Message{&w.live, &w.back} {
		m.Kept = nil
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
	w.class = w.normalizer.ClassOf(sensor.ThingID(d.Thing))
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
		if err := w.g.spools[sensor.Backfill].AppendAs(w.class, w.body, ack); err != nil {
			return err
		}
		if parts == 1 {
			return nil
		}
	}
	w.body = sensor.AppendMessage(w.body[:0], &w.live)
	return w.g.spools[sensor.Live].AppendAs(w.class, w.body, ack)
}

// appendOnce hands the built messages, as one QoS 2 delivery, to the spools that do not have their part of it.
func (w *worker) appendOnce(d *inflight.Delivery) error {
	defer w.shrink()
	var in []sensor.Lane
	if len(w.back.Observations) > 0 {
		in = append(in, sensor.Backfill)
	}
	if len(in) == 0 || len(w.live.Observations)+len(w.live.DeadLetters)+len(w.live.Declarations) > 0 {
		in = append(in, sensor.Live)
	}
	tag, missing := d.Begin(in...)
	for _, lane := range missing {
		m := &w.live
		if lane == sensor.Backfill {
			m = &w.back
		}
		m.Delivery = tag
		w.body = sensor.AppendMessage(w.body[:0], m)
		if err := d.Append(w.g.spools[lane], lane, w.class, w.body); err != nil {
			return err
		}
	}
	return nil
}
