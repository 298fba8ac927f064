package ingester

import (
	"encoding/json"
	"fmt"
)

// intentVersion is the form of the commit's metadata.
const intentVersion = 1

// intent says which block is about to be stored. It rides in the metadata of a committed position and is all that a
// successor needs to make the same block again.
type intent struct {
	Version  int    `json:"v"`
	Log      string `json:"log"`             // hexadecimal id of the log
	From     int64  `json:"from"`            // the committed offset
	To       int64  `json:"to"`              // offset after the last message
	First    bool   `json:"first,omitempty"` // nothing of this log was stored before
	Schema   uint32 `json:"schema"`          // newest migration known to the writer
	Registry uint64 `json:"registry"`        // registry's version at the time, for people
}

func (i *intent) encode() string {
	b, err := json.Marshal(i)
	if err != nil {
		panic(err) // numbers and a string always marshal
	}
	return string(b)
}

// parseIntent reads a commit's metadata; nil without an error means that nothing was under way.
func parseIntent(meta string) (*intent, error) {
	if meta == "" {
		return nil, nil
	}
	i := new(intent)
	if err := json.Unmarshal([]byte(meta), i); err != nil {
		return nil, fmt.Errorf("intent %q: %w: %w", meta, ErrIntent, err)
	}
	if i.Version != intentVersion || i.To <= i.From || i.From < 0 || i.Log == "" {
		return nil, fmt.Errorf("intent %q: %w", meta, ErrIntent)
	}
	return i, nil
}
