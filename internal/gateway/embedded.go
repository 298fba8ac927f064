package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/situ-city/situ/internal/embedded/broker"
	"github.com/situ-city/situ/internal/gateway/inflight"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// credentials is what the embedded front asks of the registry.
type credentials interface {
	CheckCredential(user string, password []byte) (registry.TopicScope, bool)
}

// front is the Handler of the embedded broker.
type front struct {
	g           *Gateway
	credentials credentials
	anonymous   bool // loopback with --demo or --auto-register: no credentials asked
}

// Connect implements broker.Handler.
func (f *front) Connect(c *broker.Client, k broker.Connect) (broker.Session, broker.Accepted, error) {
	scope, own := f.g.canary.admits(k.User, k.Password)
	ok := own
	if !own {
		scope, ok = f.credentials.CheckCredential(k.User, k.Password)
	}
	if !ok && k.User == "" && len(k.Password) == 0 && f.anonymous {
		scope, ok = "*", true
	}
	if !ok {
		return nil, broker.Accepted{}, fmt.Errorf("user %q: %w", k.User, broker.ErrCredentials)
	}
	w := f.g.newWorker(nil)
	if k.WillTopic != "" {
		if _, ok := w.covers(scope, k.WillTopic); !ok {
			w.close()
			return nil, broker.Accepted{}, fmt.Errorf("will topic %q: %w", k.WillTopic, broker.ErrTopic)
		}
	}
	hold, present, err := f.g.sessions.Attach(k.User, c.ID(), k.Clean, k.Keep)
	if err != nil {
		w.close()
		return nil, broker.Accepted{}, err
	}
	s := &session{client: c, user: k.User, scope: scope, worker: w, inflight: hold, logger: f.g.cfg.Logger, m: f.g.metrics}
	if own {
		s.worker.normalizer = f.g.canary.cfg.Normalizer()
	}
	s.acks.release = s.acknowledge
	s.worker.tell = s.tell
	return s, broker.Accepted{Present: present, Keep: min(k.Keep, inflight.DefaultExpiry)}, nil
}

// session is one connection of the embedded front: what it publishes is decoded, normalised and spooled by the
// connection's own goroutine, and acknowledged by the spool's.
type session struct {
	client   *broker.Client
	user     string
	scope    registry.TopicScope
	worker   *worker
	inflight *inflight.Conn // QoS 2
	acks     ackQueue[answer]
	logger   *slog.Logger
	m        *metrics
}

// answer is a PUBACK or a PUBREC.
type answer struct {
	packet uint16
	qos    uint8
}

// acknowledge releases one answer; the queue calls it in the order of receipt.
func (s *session) acknowledge(a answer) {
	if a.qos == 2 {
		s.client.Received(a.packet)
		return
	}
	s.client.Ack(a.packet)
}

// Publish implements broker.Session.
func (s *session) Publish(topic string, payload []byte, qos byte, id uint16) error {
	if qos == 2 {
		return s.publishOnce(topic, payload, id)
	}
	parts := s.build(topic, payload, qos, id)
	if qos == 0 {
		err := s.worker.append(parts, spool.Ack{})
		if err != nil {
			s.m.lost.WithLabelValues(refusalOf(err)).Inc()
		}
		return err
	}
	token := s.acks.add(answer{id, 1}, parts)
	err := s.worker.append(parts, spool.Ack{To: s, Token: token})
	if err != nil {
		s.m.refused.WithLabelValues(refusalOf(err)).Inc()
	}
	return err
}

// build makes the message, or the dead letter, that a PUBLISH is.
func (s *session) build(topic string, payload []byte, qos byte, id uint16) (parts int) {
	from := sensor.Origin{Client: s.client.ID(), User: s.user, Packet: id, QoS: qos}
	source, ok := "", s.scope == "*"
	if !ok {
		if source, ok = s.worker.covers(s.scope, topic); !ok {
			return s.refuse(source, topic, payload, from)
		}
	}
	return s.worker.build(topic, payload, from)
}

// refuse makes the dead letter of a topic that is not the credential's. Its owner did not send it: the letter belongs to
// whom the credential was given.
func (s *session) refuse(source, topic string, payload []byte, from sensor.Origin) (parts int) {
	owner, _, _ := strings.Cut(string(s.scope), "/")
	detail := fmt.Sprintf("this credential may publish under situ/v1/%s only", s.scope)
	if source != "" {
		thing := s.worker.find(topic).source.Thing
		detail = fmt.Sprintf("by source %q this topic is of %s (\"-\": whichever the payload names), and this credential is for %s only; ask for one of its owner", source, thing, s.scope)
	}
	return s.worker.refuse(sensor.DeadLetter{Reason: sensor.ReasonACL, Owner: owner, Topic: topic, Source: source, Origin: from, Detail: detail}, payload)
}

// publishOnce takes a QoS 2 PUBLISH: a repeat of one that was received is answered and nothing else.
func (s *session) publishOnce(topic string, payload []byte, id uint16) error {
	token := s.acks.add(answer{id, 2}, 1)
	d, err := s.inflight.Receive(id, s.client.Unreleased(), s, token)
	if err != nil {
		s.m.refused.WithLabelValues("qos2").Inc()
		return brokerError(err)
	}
	if d == nil {
		s.m.redelivered.Inc()
		return nil
	}
	s.build(topic, payload, 2, id)
	err = s.worker.appendOnce(d)
	d.End(err)
	if err != nil {
		s.m.refused.WithLabelValues(refusalOf(err)).Inc()
	}
	return err
}

// brokerError tells the client which limit or rule it was.
func brokerError(err error) error {
	switch {
	case errors.Is(err, inflight.ErrPackets):
		return fmt.Errorf("%w: %w", broker.ErrReceive, err)
	case errors.Is(err, inflight.ErrUnderway):
		return fmt.Errorf("%w: %w", broker.ErrProtocol, err)
	}
	return err
}

// Release implements broker.Session.
func (s *session) Release(id uint16) error {
	return brokerError(s.inflight.Release(id, func(known bool) { s.client.Complete(id, known) }))
}

// refusalOf is the word by which counters know why the spool took a message not.
func refusalOf(err error) string {
	if errors.Is(err, spool.ErrFull) {
		return "full"
	}
	return "spool"
}

// Acked implements spool.Acker.
func (s *session) Acked(token uint64, err error) {
	if err != nil {
		s.Failed(err)
		return
	}
	s.acks.done(token)
}

// Received implements inflight.Waiter.
func (s *session) Received(token uint64) { s.acks.done(token) }

// Failed implements inflight.Waiter: the client is to send again, on another connection.
func (s *session) Failed(err error) {
	s.m.refused.WithLabelValues(refusalOf(err)).Inc()
	go s.client.Stop(err) // closing writes to the socket: not on the spool's goroutine
}

// Close implements broker.Session. What is still on its way to the disk stays on its way.
func (s *session) Close() {
	s.worker.close()
	s.inflight.Detach(s.client.Keep())
}
