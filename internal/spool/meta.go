package spool

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/situ-city/situ/pkg/sensor"
)

// metaName is the file beside the segments that says whose log this is.
const metaName = "spool.json"

// meta is the content of metaName. What a segment's header also says is there as a check.
type meta struct {
	Gateway string
	Epoch   uint32
	Lane    sensor.Lane
	LogID   [16]byte
	Newest  uint64 // first seq of the newest segment: if it is missing, acknowledged records are
	Gaps    []gap
}

type gap struct {
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
	At     int64  `json:"at"`
	Reason string `json:"reason"`
}

type metaJSON struct {
	Gateway string `json:"gateway"`
	Epoch   uint32 `json:"epoch"`
	Lane    uint8  `json:"lane"`
	LogID   string `json:"log_id"`
	Newest  uint64 `json:"newest_segment"`
	Gaps    []gap  `json:"gaps,omitempty"`
}

// loadMeta reads the file; found is false if there is none.
func loadMeta(path string) (m meta, found bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	var j metaJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return m, false, &DamageError{Segment: metaName, Why: err.Error()}
	}
	id, err := hex.DecodeString(j.LogID)
	if err != nil || len(id) != len(m.LogID) {
		return m, false, &DamageError{Segment: metaName, Why: fmt.Sprintf("log_id %q is not 32 hexadecimal digits", j.LogID)}
	}
	m = meta{Gateway: j.Gateway, Epoch: j.Epoch, Lane: sensor.Lane(j.Lane), LogID: [16]byte(id), Newest: j.Newest, Gaps: j.Gaps}
	return m, true, nil
}

// updateMeta changes the file, and on success what is known of it.
func (s *Spool) updateMeta(change func(*meta)) error {
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	s.segMu.Lock()
	m := s.meta
	s.segMu.Unlock()
	change(&m)
	b, err := json.MarshalIndent(metaJSON{
		Gateway: m.Gateway, Epoch: m.Epoch, Lane: uint8(m.Lane), LogID: hex.EncodeToString(m.LogID[:]), Newest: m.Newest, Gaps: m.Gaps,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := s.fs.replace(s.path(metaName), append(b, '\n')); err != nil {
		return err
	}
	s.segMu.Lock()
	s.meta = m
	s.segMu.Unlock()
	return nil
}

// validGateway: 1 to 64 of [A-Za-z0-9._-].
func validGateway(name string) bool {
	for _, c := range []byte(name) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return len(name) >= 1 && len(name) <= 64
}

func madeUpGateway() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return "gw-" + hex.EncodeToString(b[:])
}

func newLogID() (id [16]byte) {
	_, _ = rand.Read(id[:])
	return id
}
