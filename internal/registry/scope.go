package registry

import (
	"errors"
	"fmt"
	"strings"

	"github.com/situ-city/situ/pkg/sensor"
)

// TopicScope says under whose topics a credential may publish: "owner/name" one Thing, "owner" all Things of an owner,
// "*" everybody's (a gateway of a lower level, a simulator). The zero value allows nothing.
type TopicScope string

// ErrScope: the text is none of the three forms.
var ErrScope = errors.New(`not a scope (want "owner/name", "owner" or "*")`)

// ParseTopicScope checks the form. "owner/*" is read as "owner".
func ParseTopicScope(s string) (TopicScope, error) {
	s = strings.TrimSuffix(s, "/*")
	owner, name, one := strings.Cut(s, "/")
	if s == "*" || sensor.ValidName(owner) && (!one || sensor.ValidName(name)) {
		return TopicScope(s), nil
	}
	return "", fmt.Errorf("%q: %w", s, ErrScope)
}

// Allows reports whether the scope covers a Thing. It does not allocate.
func (s TopicScope) Allows(thing sensor.ThingID) bool {
	if s == "" {
		return false
	}
	rest, ok := strings.CutPrefix(string(thing), string(s))
	return s == "*" || ok && (rest == "" || rest[0] == '/') // a Thing's id has one slash
}

// AllowsTopic reports whether the scope covers a topic of the form situ/v1/{owner}/{thing}/... It does not allocate.
func (s TopicScope) AllowsTopic(topic string) bool {
	rest, ok := strings.CutPrefix(topic, "situ/v1/")
	if !ok {
		return false
	}
	owner, after, ok := strings.Cut(rest, "/")
	name, _, more := strings.Cut(after, "/")
	if !ok || !more || owner == "" || name == "" {
		return false
	}
	return s.Allows(sensor.ThingID(rest[:len(owner)+1+len(name)]))
}
