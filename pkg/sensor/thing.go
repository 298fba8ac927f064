package sensor

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/situ-city/situ/pkg/geo"
)

// Errors of names and words in the registry.
var (
	// ErrThingID: a Thing's id is owner/name, each of 1 to 64 letters, digits, '.', '_' or '-'.
	ErrThingID = errors.New("not a Thing id (want owner/name, each 1 to 64 of letters, digits, '.', '_', '-')")
	// ErrOwnerClass: the word is none of government, social, enterprise.
	ErrOwnerClass = errors.New("unknown owner class (want government, social or enterprise)")
	// ErrAccessGrade: the word is none of open, conditional, restricted.
	ErrAccessGrade = errors.New("unknown access grade (want open, conditional or restricted)")
	// ErrStatistic: the word is none of the statistics situ knows.
	ErrStatistic = errors.New("unknown statistic")
)

// ThingID names a Thing: "owner/name". It is the second and third level of the Thing's own MQTT topic.
type ThingID string

// ParseThingID checks the form.
func ParseThingID(s string) (ThingID, error) {
	owner, name, ok := strings.Cut(s, "/")
	if !ok || !ValidName(owner) || !ValidName(name) {
		return "", fmt.Errorf("%q: %w", s, ErrThingID)
	}
	return ThingID(s), nil
}

// ValidName reports whether s may be an owner or a name inside an owner.
// Letters of any script are allowed; MQTT's wildcards, '/', '$' and blanks are not.
func ValidName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
		case r > 0x7f && r != 0xfffd:
		default:
			return false
		}
	}
	return true
}

// Owner is the part before the slash.
func (t ThingID) Owner() string { owner, _, _ := strings.Cut(string(t), "/"); return owner }

// Name is the part after the slash.
func (t ThingID) Name() string { _, name, _ := strings.Cut(string(t), "/"); return name }

// Key is the 64-bit form that logs and tables carry.
func (t ThingID) Key() ThingKey { return ThingKey(xxhash.Sum64String(string(t))) }

// ThingKey is xxHash64 (seed 0) of the ThingID. Zero is invalid.
type ThingKey uint64

// OwnerClass says which part of society owns a Thing.
type OwnerClass uint8

// The owner classes. The zero value means "not declared" and is shown as government's strictest neighbour: nobody's.
const (
	ClassUnknown OwnerClass = iota
	Government
	Social
	Enterprise
)

var classNames = [...]string{"unknown", "government", "social", "enterprise"}

// ParseOwnerClass reads the English word; empty text is ClassUnknown.
func ParseOwnerClass(s string) (OwnerClass, error) {
	i, ok := index(classNames[:], s)
	if !ok {
		return 0, fmt.Errorf("%q: %w", s, ErrOwnerClass)
	}
	return OwnerClass(i), nil
}

func (c OwnerClass) String() string { return name(classNames[:], int(c)) }

// MarshalText implements encoding.TextMarshaler.
func (c OwnerClass) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *OwnerClass) UnmarshalText(b []byte) (err error) {
	*c, err = ParseOwnerClass(string(b))
	return err
}

// AccessGrade says who may read a Thing's data without asking.
type AccessGrade uint8

// The access grades. The zero value is the strictest, so that forgetting one never opens anything.
const (
	Restricted AccessGrade = iota
	Conditional
	Open
)

var gradeNames = [...]string{"restricted", "conditional", "open"}

// ParseAccessGrade reads the English word; empty text is Restricted.
func ParseAccessGrade(s string) (AccessGrade, error) {
	i, ok := index(gradeNames[:], s)
	if !ok {
		return 0, fmt.Errorf("%q: %w", s, ErrAccessGrade)
	}
	return AccessGrade(i), nil
}

func (g AccessGrade) String() string { return name(gradeNames[:], int(g)) }

// MarshalText implements encoding.TextMarshaler.
func (g AccessGrade) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (g *AccessGrade) UnmarshalText(b []byte) (err error) {
	*g, err = ParseAccessGrade(string(b))
	return err
}

// Thing is what is watched: a station, a vehicle, a kitchen (OGC SensorThings Thing).
type Thing struct {
	ID       ThingID          `json:"id"`
	Name     string           `json:"name,omitempty"` // what people call it, any script
	Class    OwnerClass       `json:"owner_class"`
	Grade    AccessGrade      `json:"grade"`
	Placed   bool             `json:"placed"`             // false: no position is known
	Location geo.LonLat       `json:"location,omitzero"`  // WGS 84
	CRS      geo.CRS          `json:"crs,omitempty"`      // datum the owner gave
	Original geo.LonLat       `json:"original,omitzero"`  // the owner's own numbers in that datum
	Cell     geo.Cell         `json:"cell,omitempty"`     // resolution 12, 0 = not computed
	Division geo.DivisionCode `json:"division,omitempty"` // by polygon (district) or declared (town)
	Address  string           `json:"address,omitempty"`
	Scenes   []string         `json:"scenes,omitempty"`
	Serial   string           `json:"serial,omitempty"` // identity inside frames: MN, devEUI
	Auto     bool             `json:"auto,omitempty"`   // declared by its first reading, by nobody yet
	Retired  bool             `json:"retired,omitempty"`
	Version  uint64           `json:"version"` // number of the change that wrote this
}

func index(names []string, s string) (int, bool) {
	if s == "" {
		return 0, true
	}
	for i, n := range names {
		if n == s {
			return i, true
		}
	}
	return 0, false
}

func name(names []string, i int) string {
	if i >= 0 && i < len(names) {
		return names[i]
	}
	return "?"
}
