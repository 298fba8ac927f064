package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/situ-city/situ/internal/embedded/broker"
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
func (f *front) Connect(c *broker.Client, user string, password []byte, will string) (broker.Session, error) {
	scope, ok := f.credentials.CheckCredential(user, password)
	if !ok && user == "" && len(password) == 0 && f.anonymous {
		scope, ok = "*", true
	}
	if !ok {
		return nil, fmt.Errorf("user %q: %w", user, broker.ErrCredentials)
	}
	if will != "" && !scope.AllowsTopic(will) {
		return nil, fmt.Errorf("will topic %q: %w", will, broker.ErrTopic)
	}
	s := &session{client: c, user: user, scope: scope, worker: f.g.newWorker(nil), logger: f.g.cfg.Logger, m: f.g.metrics}
	s.acks.release = c.Ack
	return s, nil
}

// session is one connection of the embedded front: what it publishes is decoded, normalised and spooled by the
// connection's own goroutine, and acknowledged by the spool's.
type session struct {
	client *broker.Client
	user   string
	scope  registry.TopicScope
	worker *worker
	acks   ackQueue[uint16]
	logger *slog.Logger
	m      *metrics
}

// Publish implements broker.Session.
func (s *session) Publish(topic string, payload []byte, qos byte, id uint16) error {
	parts := 0
	from := sensor.Origin{Client: s.client.ID(), User: s.user, Packet: id, QoS: qos}
	if s.scope == "*" || s.scope.AllowsTopic(topic) {
		parts = s.worker.build(topic, payload, from)
	} else {
		// The topic's owner did not send this: the dead letter belongs to whom the credential was given.
		owner, _, _ := strings.Cut(string(s.scope), "/")
		parts = s.worker.refuse(sensor.DeadLetter{Reason: sensor.ReasonACL, Owner: owner, Topic: topic, Origin: from,
			Detail: fmt.Sprintf("this credential may publish under situ/v1/%s only", s.scope)}, payload)
	}
	if qos == 0 {
		err := s.worker.append(parts, spool.Ack{})
		if err != nil {
			s.m.lost.WithLabelValues(refusalOf(err)).Inc()
		}
		return err
	}
	token := s.acks.add(id, parts)
	err := s.worker.append(parts, spool.Ack{To: s, Token: token})
	if err != nil {
		s.m.refused.WithLabelValues(refusalOf(err)).Inc()
	}
	return err
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
		s.m.refused.WithLabelValues(refusalOf(err)).Inc()
		go s.client.Stop(err) // closing writes to the socket: not on the spool's goroutine
		return
	}
	s.acks.done(token)
}

// Close implements broker.Session. What is still on its way to the disk stays on its way.
func (s *session) Close() {}
