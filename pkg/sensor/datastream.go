package sensor

import (
	"fmt"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Statistic says what a result is a statistic of: the instant, or the reporting interval (HJ 212-2017 table 8:
// Rtd, Avg, Min, Max, Cou; the Zs forms are the same after conversion to the reference state).
type Statistic uint8

// The statistics.
const (
	Instant Statistic = iota
	Average
	Minimum
	Maximum
	Sum
	Count
	ConvertedInstant
	ConvertedAverage
	ConvertedMinimum
	ConvertedMaximum
)

var statisticNames = [...]string{"instant", "avg", "min", "max", "sum", "count", "zs-instant", "zs-avg", "zs-min", "zs-max"}

// ParseStatistic reads the name; empty text is Instant.
func ParseStatistic(s string) (Statistic, error) {
	i, ok := index(statisticNames[:], s)
	if !ok {
		return 0, fmt.Errorf("%q: %w", s, ErrStatistic)
	}
	return Statistic(i), nil
}

func (s Statistic) String() string { return name(statisticNames[:], int(s)) }

// MarshalText implements encoding.TextMarshaler.
func (s Statistic) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Statistic) UnmarshalText(b []byte) (err error) {
	*s, err = ParseStatistic(string(b))
	return err
}

// DatastreamID is xxHash64 (seed 0) of "owner/name NUL property NUL statistic NUL sourceKey".
// It needs no coordination: whoever sees the four parts computes the same number. Zero is invalid.
// JSON carries it as 16 lower-case hexadecimal digits.
type DatastreamID uint64

// NewDatastreamID computes the id. property is the catalogue code, or "" when the catalogue has none.
// It does not allocate for the lengths that occur (up to 256 bytes together).
func NewDatastreamID(thing ThingID, property PropertyCode, st Statistic, sourceKey string) DatastreamID {
	var room [256]byte
	b := append(room[:0], thing...)
	b = append(b, 0)
	b = append(b, property...)
	b = append(b, 0)
	b = append(b, st.String()...)
	b = append(b, 0)
	b = append(b, sourceKey...)
	return DatastreamID(xxhash.Sum64(b))
}

// String is 16 hexadecimal digits.
func (d DatastreamID) String() string { return fmt.Sprintf("%016x", uint64(d)) }

// ParseDatastreamID reads 1 to 16 hexadecimal digits.
func ParseDatastreamID(s string) (DatastreamID, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) > 16 || n == 0 {
		return 0, fmt.Errorf("%q: not a Datastream id (want 16 hexadecimal digits)", s)
	}
	return DatastreamID(n), nil
}

// MarshalText implements encoding.TextMarshaler.
func (d DatastreamID) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *DatastreamID) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDatastreamID(string(b))
	return err
}

// Datastream joins a Thing, an ObservedProperty and a unit (OGC SensorThings Datastream).
// Results are stored in the property's canonical unit; Unit is the one the source sends.
type Datastream struct {
	ID        DatastreamID  `json:"id"`
	Thing     ThingID       `json:"thing"`
	Property  PropertyCode  `json:"property"` // "" = not in the catalogue: stored under SourceKey, off the map
	Statistic Statistic     `json:"statistic"`
	SourceKey string        `json:"source_key"`         // the payload's own name, e.g. "a34004-Rtd"
	Unit      string        `json:"unit,omitempty"`     // UCUM, as the source sends; "" = the property's own
	Interval  time.Duration `json:"interval,omitempty"` // expected between results, 0 = not declared
	Min       *float64      `json:"min,omitempty"`      // plausible range of this instrument, canonical unit
	Max       *float64      `json:"max,omitempty"`
	Rate      *float64      `json:"rate,omitempty"`    // plausible change a second, canonical unit; nil = the property's, 0 = not judged
	StillS    *float64      `json:"still_s,omitempty"` // seconds for which a result may stay the same; nil = the property's, 0 = not judged
	Auto      bool          `json:"auto,omitempty"`
	Version   uint64        `json:"version"`
}
