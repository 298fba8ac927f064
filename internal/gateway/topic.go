package gateway

import (
	"fmt"
	"slices"
	"strings"

	"github.com/situ-city/situ/pkg/sensor"
)

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

// unshared is a filter without "$share/{group}/", by which several clients share what a broker delivers.
func unshared(filter string) string {
	rest, ok := strings.CutPrefix(filter, "$share/")
	if !ok {
		return filter
	}
	_, rest, _ = strings.Cut(rest, "/")
	return rest
}

// part is the name in a level {name} of a configured topic.
func part(level string) (name string, ok bool) {
	if len(level) < 3 || level[0] != '{' || level[len(level)-1] != '}' {
		return "", false
	}
	return level[1 : len(level)-1], true
}

// filter is the MQTT form of a configured topic: each {name} is '+'.
func filter(topic string) string {
	levels := strings.Split(topic, "/")
	for i, l := range levels {
		if _, ok := part(l); ok {
			levels[i] = "+"
		}
	}
	return strings.Join(levels, "/")
}

// match reports whether topic fits the configured pattern, with the parts of it that have names (nil if none has).
func match(pattern, topic string) (parts map[string]string, ok bool) {
	pattern = unshared(pattern)
	for {
		p, pRest, pMore := strings.Cut(pattern, "/")
		if p == "#" {
			return parts, true
		}
		t, tRest, tMore := strings.Cut(topic, "/")
		if name, ok := part(p); ok {
			if parts == nil {
				parts = map[string]string{}
			}
			parts[name] = t
		} else if p != "+" && p != t {
			return nil, false
		}
		if !pMore || !tMore {
			return parts, pMore == tMore || pMore && pRest == "#"
		}
		pattern, topic = pRest, tRest
	}
}

// partNames are the names in {} that every topic of a source has: only those are always there.
func partNames(topics []string) (names []string) {
	for i, topic := range topics {
		var here []string
		for l := range strings.SplitSeq(topic, "/") {
			if name, ok := part(l); ok {
				here = append(here, name)
			}
		}
		if i == 0 {
			names = here
			continue
		}
		names = slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(here, n) })
	}
	return names
}

// checkLevels finds what no broker would take, and a {name} that would be taken for text.
func checkLevels(topic string) error {
	levels := strings.Split(unshared(topic), "/")
	seen := map[string]bool{}
	for i, l := range levels {
		name, ok := part(l)
		switch {
		case topic == "" || levels[0] == "" && len(levels) == 1:
			return fmt.Errorf("is empty")
		case l == "#" && i != len(levels)-1:
			return fmt.Errorf("'#' must be the last level")
		case l != "#" && l != "+" && strings.ContainsAny(l, "#+"):
			return fmt.Errorf("level %q: '+' and '#' stand alone", l)
		case !ok && strings.ContainsAny(l, "{}"):
			return fmt.Errorf("level %q: a {name} is a whole level", l)
		case ok && !plainName(name):
			return fmt.Errorf("level %q: a name has letters, digits and '_', and begins with a letter", l)
		case ok && seen[name]:
			return fmt.Errorf("{%s} stands there twice", name)
		}
		seen[name] = ok || seen[name]
	}
	return nil
}

// plainName: expressions say part.NAME.
func plainName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
