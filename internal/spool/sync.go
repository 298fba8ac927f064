package spool

import "fmt"

// SyncMode says what has happened to a record before its Ack.
type SyncMode uint8

const (
	// SyncAlways: it is on the disk. Survives kill -9 and power loss.
	SyncAlways SyncMode = iota
	// SyncNever: the operating system has it. Survives kill -9, not power loss.
	SyncNever
)

func (m SyncMode) String() string {
	if m == SyncNever {
		return "never"
	}
	return "always"
}

// MarshalText gives the word used in flags and files.
func (m SyncMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText takes "always" or "never".
func (m *SyncMode) UnmarshalText(b []byte) error {
	switch string(b) {
	case "always":
		*m = SyncAlways
	case "never":
		*m = SyncNever
	default:
		return fmt.Errorf("sync mode %q is neither always nor never", b)
	}
	return nil
}
