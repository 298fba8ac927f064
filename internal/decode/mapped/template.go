package mapped

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// template makes the Thing's name: text and parts in turn.
type template struct {
	text  string
	parts []templatePart
}

type templatePart struct {
	literal string // before the part
	name    string // of the topic, "serial", "payload.x", "item.x"; "" = none, at the end
	origin  origin
	path    path // of payload and item, when payloads are read by expressions
}

type origin uint8

const (
	nothing origin = iota
	fromTopic
	fromSerial
	fromPayload
)

// parseTemplate gives nil for "", and for "{thing}" of the topic, which needs no template.
func parseTemplate(text string, parts []string, expressions bool) (*template, error) {
	if text == "" || text == "{thing}" && slices.Contains(parts, "thing") {
		return nil, nil
	}
	t := &template{text: text}
	rest := text
	for {
		literal, after, more := strings.Cut(rest, "{")
		if strings.ContainsAny(literal, "}/+#") {
			return nil, wrong("thing", "%q: a Thing's name has no }, /, + or #", text)
		}
		if !more {
			t.parts = append(t.parts, templatePart{literal: literal})
			return t, nil
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed {
			return nil, wrong("thing", "%q: '{' without '}'", text)
		}
		p := templatePart{literal: literal, name: name}
		if err := p.resolve(text, parts, expressions); err != nil {
			return nil, err
		}
		t.parts = append(t.parts, p)
		rest = after
	}
}

func (p *templatePart) resolve(text string, parts []string, expressions bool) error {
	root, rest, deep := strings.Cut(p.name, ".")
	switch {
	case slices.Contains(parts, p.name):
		p.origin = fromTopic
		return nil
	case p.name == "serial" && !expressions:
		p.origin = fromSerial
		return nil
	case deep && (root == "payload" || root == "item" && expressions):
		if strings.ContainsFunc(rest, func(r rune) bool { return strings.ContainsRune(`*?#@!|\[]()"`, r) }) || strings.Contains("."+rest+".", "..") {
			return wrong("thing", "%q: {%s}: want names with '.' between them", text, p.name)
		}
		p.origin, p.path = fromPayload, path{root: root}
		for name := range strings.SplitSeq(rest, ".") {
			p.path.steps = append(p.path.steps, step{name: name, named: true})
		}
		return nil
	}
	also := "{serial} and {payload.NAME}"
	if expressions {
		also = "{payload.NAME} and {item.NAME}"
	}
	return wrong("thing", "%q: {%s} is none of the topics' parts (%s), nor of %s", text, p.name, quoted(parts), also)
}

// fixed: the topic alone says which Thing.
func (t *template) fixed() bool {
	for i := range t.parts {
		if o := t.parts[i].origin; o != nothing && o != fromTopic {
			return false
		}
	}
	return true
}

// append puts the name together. of gives what is not of the topic.
func (t *template) append(b []byte, topic map[string]string, of func(*templatePart) (any, error)) ([]byte, error) {
	for i := range t.parts {
		p := &t.parts[i]
		b = append(b, p.literal...)
		switch p.origin {
		case nothing:
			continue
		case fromTopic:
			b = append(b, topic[p.name]...)
			continue
		}
		v, err := of(p)
		if err != nil {
			return b, err
		}
		switch v := v.(type) {
		case string:
			b = append(b, v...)
			continue
		case nil:
			return b, fmt.Errorf("the payload has no {%s}, which names the Thing: %w", p.name, decode.ErrThing)
		}
		n, ok := integer(v)
		if !ok {
			return b, fmt.Errorf("{%s}, which names the Thing, is %s; text or an integer below 2^53 is wanted: %w", p.name, kind(v), decode.ErrThing)
		}
		b = fmt.Appendf(b, "%d", n)
	}
	return b, nil
}

func validName(b []byte) error {
	if !sensor.ValidName(string(b)) {
		return fmt.Errorf("%.80q is not a Thing's name (letters, digits, '.', '_', '-', at most 64 bytes): %w", b, decode.ErrThing)
	}
	return nil
}

// member fetches payload.a.b of a JSON payload that another decoder has read.
func member(payload []byte, p *templatePart) any {
	_, rest, _ := strings.Cut(p.name, ".")
	r := gjson.GetBytes(payload, rest)
	switch r.Type {
	case gjson.String:
		return r.Str
	case gjson.Number:
		return r.Num
	}
	return nil
}
