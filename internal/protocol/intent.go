package protocol

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// intentVersion is the form of the commit's metadata.
const intentVersion = 1

// Intent says which block is about to be stored. It rides in the metadata of a committed position and is all that a
// successor needs to make the same block again.
type Intent struct {
	Version  int    `json:"v"`
	Log      string `json:"log"`               // hexadecimal id of the log
	From     int64  `json:"from"`              // the committed offset
	To       int64  `json:"to"`                // offset after the last message
	First    bool   `json:"first,omitempty"`   // nothing of this log was stored before
	Strange  int64  `json:"strange,omitempty"` // blocks that begin before it are compared by identity
	Schema   uint32 `json:"schema"`            // newest migration known to the writer
	Registry uint64 `json:"registry"`          // registry's version at the time, for people
}

// Encode gives the metadata: JSON.
func (i *Intent) Encode() string {
	b := make([]byte, 0, 128)
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, int64(i.Version), 10)
	b = append(b, `,"log":`...)
	b = strconv.AppendQuote(b, i.Log) // hexadecimal digits: Go's quoting is JSON's
	b = append(b, `,"from":`...)
	b = strconv.AppendInt(b, i.From, 10)
	b = append(b, `,"to":`...)
	b = strconv.AppendInt(b, i.To, 10)
	if i.First {
		b = append(b, `,"first":true`...)
	}
	if i.Strange > 0 {
		b = append(b, `,"strange":`...)
		b = strconv.AppendInt(b, i.Strange, 10)
	}
	b = append(b, `,"schema":`...)
	b = strconv.AppendUint(b, uint64(i.Schema), 10)
	b = append(b, `,"registry":`...)
	b = strconv.AppendUint(b, i.Registry, 10)
	return string(append(b, '}'))
}

// Announced gives the end of the block that a commit's metadata announces, 0 if it announces none.
func Announced(meta string) int64 {
	i, err := ParseIntent(meta)
	if err != nil || i == nil {
		return 0
	}
	return i.To
}

// ParseIntent reads a commit's metadata; nil without an error means that nothing was under way.
func ParseIntent(meta string) (*Intent, error) {
	if meta == "" {
		return nil, nil
	}
	i := new(Intent)
	if err := json.Unmarshal([]byte(meta), i); err != nil {
		return nil, fmt.Errorf("intent %q: %w: %w", meta, ErrIntent, err)
	}
	if i.Version != intentVersion || i.To <= i.From || i.From < 0 || i.Log == "" {
		return nil, fmt.Errorf("intent %q: %w", meta, ErrIntent)
	}
	return i, nil
}
