package sparkplug

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
)

// letter refuses what Sparkplug 3.0.0 demands and edge nodes leave out all the same: a topic of its namespace (4.1), the
// payload's timestamp and seq (6.4.5, 6.4.16 to 6.4.20), bdSeq in a node's birth and death (6.4.17, 6.4.25).
func (s *summary) letter(a *address) error {
	refuse := func(field, why string) error {
		return &decode.Error{Protocol: protocol, Offset: -1, Field: field, Err: fmt.Errorf("%s: %w", why, decode.ErrMalformed)}
	}
	ofNode := a.device == "" && (a.kind == birth || a.kind == death)
	switch {
	case a.kind == undecided:
		return refuse("topic", "no topic of Sparkplug")
	case ofNode && !s.hasBdSeq:
		return refuse("bdSeq", "a node's birth or death without it")
	case a.kind == death && a.device == "":
		return nil // the broker sends it for the node
	case s.time == 0:
		return refuse("timestamp", "a payload without it")
	case !s.hasSeq || s.seq > 255:
		return refuse("seq", "a message without a number from 0 to 255")
	}
	return nil
}
