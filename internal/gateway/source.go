package gateway

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// Source says how payloads of a topic filter are read. situ's own topics need none.
type Source struct {
	Name     string          `yaml:"name"`
	Broker   string          `yaml:"broker,omitempty"`   // tcp://host:port or ssl://...; "" = the embedded broker
	Client   string          `yaml:"client,omitempty"`   // fixed MQTT client id on that broker; default situ-<gateway>-<name>
	User     string          `yaml:"user,omitempty"`     //
	Password string          `yaml:"password,omitempty"` // or password_file
	PassFile string          `yaml:"password_file,omitempty"`
	Topics   []string        `yaml:"topics"`             // MQTT topic filters; {owner} and {thing} stand for '+' and name the Thing
	Protocol string          `yaml:"protocol,omitempty"` // "" = the topic's last level, as in situ's own topics
	Owner    string          `yaml:"owner,omitempty"`    // owner of Things whose topic names none
	CRS      geo.CRS         `yaml:"crs,omitempty"`      // datum of positions in payloads
	Canary   bool            `yaml:"canary,omitempty"`   // this broker lets situ publish its canary there; the topics must bring it back
	Settings decode.Settings `yaml:",inline"`

	brokerName string // Broker as dead letters show it; made with the first message
}

// ErrSource: a source's configuration cannot work.
var ErrSource = errors.New("source configuration")

// Validate checks one source against the protocols there are, naming what disagrees.
func (s *Source) Validate(protocols map[string]decode.Protocol) error {
	switch {
	case s.Name == "":
		return fmt.Errorf("%w: a source has no name", ErrSource)
	case len(s.Topics) == 0:
		return fmt.Errorf("%w %q: topics is empty", ErrSource, s.Name)
	case s.Owner != "" && !sensor.ValidName(s.Owner):
		return fmt.Errorf("%w %q: owner %q: %w", ErrSource, s.Name, s.Owner, sensor.ErrThingID)
	case s.Password != "" && s.PassFile != "":
		return fmt.Errorf("%w %q: password and password_file are both set", ErrSource, s.Name)
	}
	if s.Settings.Zone != "" {
		if _, err := time.LoadLocation(s.Settings.Zone); err != nil {
			return fmt.Errorf("%w %q: zone: %w", ErrSource, s.Name, err)
		}
	}
	if s.Protocol != "" {
		p, ok := protocols[s.Protocol]
		if !ok {
			return fmt.Errorf("%w %q: no protocol %q", ErrSource, s.Name, s.Protocol)
		}
		if _, err := p.New(s.Settings); err != nil {
			return fmt.Errorf("%w %q: %w", ErrSource, s.Name, err)
		}
	}
	for _, f := range s.Topics {
		if err := s.checkFilter(f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) checkFilter(f string) error {
	situs := strings.HasPrefix(f, ownPrefix)
	switch {
	case s.Protocol == "" && !situs:
		return fmt.Errorf("%w %q: topic %q needs a protocol (only situ/v1/... names its own)", ErrSource, s.Name, f)
	case s.Owner == "" && !situs && !strings.Contains(f, "{owner}"):
		return fmt.Errorf("%w %q: topic %q names no {owner} and owner is empty", ErrSource, s.Name, f)
	}
	for i, l := range strings.Split(f, "/") {
		if l == "#" && i != strings.Count(f, "/") {
			return fmt.Errorf("%w %q: topic %q: '#' must be the last level", ErrSource, s.Name, f)
		}
	}
	return nil
}

// filter is the MQTT form of a configured topic: {owner} and {thing} are '+'.
func filter(topic string) string {
	return strings.NewReplacer("{owner}", "+", "{thing}", "+").Replace(topic)
}

// match reports whether topic fits the configured pattern, with the owner and thing it names ("" if it names none).
func match(pattern, topic string) (owner, thing string, ok bool) {
	for {
		p, pRest, pMore := strings.Cut(pattern, "/")
		if p == "#" {
			return owner, thing, true
		}
		t, tRest, tMore := strings.Cut(topic, "/")
		switch {
		case p == "{owner}":
			owner = t
		case p == "{thing}":
			thing = t
		case p != "+" && p != t:
			return "", "", false
		}
		if !pMore || !tMore {
			return owner, thing, pMore == tMore || (pMore && pRest == "#")
		}
		pattern, topic = pRest, tRest
	}
}

// ownPrefix begins situ's own topics: situ/v1/{owner}/{thing}/{protocol}.
const ownPrefix = "situ/v1/"

// ownTopic splits a topic of situ's own form.
func ownTopic(topic string) (owner, thing, protocol string, ok bool) {
	rest, ok := strings.CutPrefix(topic, ownPrefix)
	if !ok {
		return "", "", "", false
	}
	owner, rest, ok = strings.Cut(rest, "/")
	if !ok {
		return "", "", "", false
	}
	thing, protocol, ok = strings.Cut(rest, "/")
	if !ok || !sensor.ValidName(owner) || !sensor.ValidName(thing) || protocol == "" || strings.Contains(protocol, "/") {
		return "", "", "", false
	}
	return owner, thing, protocol, true
}
