package gateway

import (
	"slices"
	"strings"

	"github.com/situ-city/situ/internal/decode"
)

// tell publishes to whoever sent the message in hand, and gives the word by which that is counted. It does not block.
type tell func(topic string, payload []byte) (outcome string)

// Outcomes of a question.
const (
	askSent         = "sent"
	askUnsubscribed = "unsubscribed" // the connection has not subscribed to it
	askBusy         = "busy"         // too many wait; the decoder asks again
)

// ask publishes what the decoder wants to know from whoever sent the message in hand.
func (w *worker) ask(r *route) {
	if topic, payload, ok := r.asker.Ask(w.live.Arrival); ok {
		w.g.metrics.asked.WithLabelValues(r.source.Name, w.tell(topic, payload)).Inc()
	}
}

// asker gives what asks in a source's name; nil where nobody may be asked. Those who share a subscription each see gaps
// everywhere, and births that went to another, so they would ask without end.
func (s *Source) asker(d decode.Decoder) decode.Asker {
	if s == nil || s.Rebirth != nil && !*s.Rebirth || slices.ContainsFunc(s.Topics, func(f string) bool { return unshared(f) != f }) {
		return nil
	}
	a, _ := d.(decode.Asker)
	return a
}

// tell answers on the connection.
func (s *session) tell(topic string, payload []byte) string {
	if s.client.Deliver(topic, payload) {
		return askSent
	}
	return askUnsubscribed
}

// Subscribe implements broker.Subscriber: a Sparkplug node listens for commands, of which situ sends one, and for its
// host's state. Nothing that others publish reaches anybody.
func (s *session) Subscribe(filter string) bool {
	return strings.HasPrefix(filter, "spBv1.0/") && s.worker.g.embedded.Load().asks()
}

// asks: nodes of the front may be asked for something.
func (e *embedded) asks() bool {
	return slices.ContainsFunc(e.sources, func(s *Source) bool { return s.Protocol == "sparkplug" })
}

// pullAsks bounds the questions that wait for a source's session.
const pullAsks = 64

// question is one of them.
type question struct {
	topic   string
	payload []byte
}

// tell lets the session's goroutine publish: paho must not be waited for in its own callback.
func (p *puller) tell(topic string, payload []byte) string {
	select {
	case p.asks <- question{topic, payload}:
		return askSent
	default:
		return askBusy
	}
}
