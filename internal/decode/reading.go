// Package decode holds the contract of step 2: payload bytes in, Readings out.
//
// Each protocol is a package beside this one (internal/decode/json, internal/decode/hj212, ...) of one shape:
// decode.go, decode_test.go, fuzz_test.go, bench_test.go, cases in testdata/payloads/<protocol>/. Decoding is pure:
// no I/O, no clock, no registry. A Reading is not yet normalised: its unit, datum and property name are the source's.
package decode

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// Causes of a decode error. Each maps to a sensor.Reason by ReasonOf.
var (
	ErrTruncated   = errors.New("payload ends too early")
	ErrChecksum    = errors.New("checksum does not fit")
	ErrMalformed   = errors.New("payload breaks the format's grammar")
	ErrUnsupported = errors.New("well formed, but of a kind situ does not take")
	ErrEncoding    = errors.New("text is not in the expected encoding")
	ErrNumber      = errors.New("not a finite number")
	ErrPosition    = errors.New("position outside the world")
	ErrTime        = errors.New("time cannot be read")
	ErrBound       = errors.New("payload exceeds a bound")
	ErrEmpty       = errors.New("payload is empty")
	ErrPlugin      = errors.New("the plug-in decoder failed")
	ErrThing       = errors.New("does not say of which Thing it is")
)

// Reading is one value as its source said it.
type Reading struct {
	Thing       sensor.ThingID   // what a source's identity template makes of the payload; "" = topic and Serial say which Thing
	Serial      string           // identity inside the frame (MN, devEUI); "" = the topic says which Thing
	Key         string           // the payload's own name of the value, e.g. "a34004-Rtd"
	Property    string           // the name to look up: Key without its statistic, e.g. "a34004"
	Statistic   sensor.Statistic //
	Time        int64            // phenomenonTime, Unix ms UTC; 0 = the payload has none
	FromArrival int64            // counts if Time is 0: ms from the arrival to when it held; of sources that know only how long ago
	ResultTime  int64            // Unix ms UTC; 0 = same as Time
	Number      float64          // the result, unless Text is set
	Text        string           // results that are words
	Unit        string           // UCUM, only if the payload names it
	Position    geo.LonLat       // in the source's datum; see HasPosition
	HasPosition bool
	Quality     sensor.Quality // what the payload itself says (HJ 212 flags)
	Err         error          // this value alone is unusable (wraps a cause above); its neighbours stand
}

// Decoder turns payloads of one protocol into Readings. It is not for concurrent use: each connection has its own.
type Decoder interface {
	// Decode appends the readings in payload to dst. On error dst is returned unchanged.
	// The readings do not alias payload. No readings and no error means: nothing to store (a heartbeat, a command).
	Decode(dst []Reading, payload []byte) ([]Reading, error)
}

// Topical is what a Decoder also implements when its payloads mean something only together with the topic they came on
// (Sparkplug's message kinds, state topics of one value). Who has a topic calls DecodeOn instead of Decode.
type Topical interface {
	// DecodeOn is Decode with the topic of the PUBLISH. The readings alias neither payload nor topic.
	DecodeOn(dst []Reading, topic string, payload []byte) ([]Reading, error)
}

// DecodeOn calls d's DecodeOn if it has one, else its Decode.
func DecodeOn(d Decoder, dst []Reading, topic string, payload []byte) ([]Reading, error) {
	if t, ok := d.(Topical); ok {
		return t.DecodeOn(dst, topic, payload)
	}
	return d.Decode(dst, payload)
}

// Emptier is what a Decoder also implements when its payloads may rightly hold no values.
type Emptier interface {
	// Empty says why the last Decode gave neither a reading nor an error: sensor.ReasonHeartbeat,
	// ReasonCommand, ReasonBirth or ReasonNoValues.
	Empty() sensor.Reason
}

// Asker is what a Decoder also implements when its protocol lets a host ask a source for what is missing (Sparkplug's
// rebirth). Whoever holds the connection may publish what it gives; the decoder limits how often.
type Asker interface {
	// Ask gives one message that the payload decoded last calls for; ok is false when there is none. now is Unix ms.
	Ask(now int64) (topic string, payload []byte, ok bool)
}

// Noter is what a Decoder also implements when it can say, for people, by what rule it read the last payload.
type Noter interface {
	// Note gives one line, "" = there is nothing to say.
	Note() string
}

// PositionFix is the Key of the value that stands for a position where a payload tells little else: 1, or 0 where the
// receiver has no fix. So a tracker has a Datastream, and its place moves on the map.
const PositionFix = "position_fix"

// MaxReadings bounds what one payload may become; a payload with more is refused with ErrBound.
const MaxReadings = 4096

// Protocol is one entry of the list that the gateway's configuration chooses from.
type Protocol struct {
	Name string // the last level of the topic, e.g. "hj212"
	New  func(Settings) (Decoder, error)
}

// Settings are what a source may say about its payloads. The zero value is the protocol's usual.
type Settings struct {
	Zone     string `json:"zone,omitempty" yaml:"zone"`         // IANA name for times without zone; "" = Asia/Shanghai
	CRC      string `json:"crc,omitempty" yaml:"crc"`           // strict, variants (known wrong ones pass, flagged) or off
	Encoding string `json:"encoding,omitempty" yaml:"encoding"` // "" = UTF-8
	Strict   bool   `json:"strict,omitempty" yaml:"strict"`     // refuse the deviations that the protocol's package names
	Plugin   Plugin `json:"plugin,omitzero" yaml:"plugin"`      // of protocol wasm

	Profiles []Profile `json:"profiles,omitempty" yaml:"profiles,omitempty"` // of ttn and chirpstack: how raw frames are read
}

// Profile says how the raw bytes of LoRaWAN uplinks are read that nobody has decoded (internal/decode/lorawan): by
// exactly one of Decoder, Plugin and Fields.
type Profile struct {
	Profile     string  `json:"profile,omitempty" yaml:"profile,omitempty"`         // device profile, or brand/model; "" = any
	Application string  `json:"application,omitempty" yaml:"application,omitempty"` // "" = any
	Port        int     `json:"f_port,omitempty" yaml:"f_port,omitempty"`           // 0 = any
	Decoder     string  `json:"decoder,omitempty" yaml:"decoder,omitempty"`         // cayenne
	Plugin      Plugin  `json:"plugin,omitzero" yaml:"plugin,omitempty"`
	Fields      []Field `json:"fields,omitempty" yaml:"fields,omitempty"`
}

// Field is one number of a frame.
type Field struct {
	Property string  `json:"property" yaml:"property"`
	Offset   int     `json:"offset" yaml:"offset"` // of its first byte; below 0 = from the end
	Type     string  `json:"type" yaml:"type"`     // u8, i16be, f32le, ...
	Mask     uint64  `json:"mask,omitempty" yaml:"mask,omitempty"`
	None     *uint64 `json:"none,omitempty" yaml:"none,omitempty"`   // the number, masked, that is no value
	Scale    float64 `json:"scale,omitempty" yaml:"scale,omitempty"` // 0 = 1
	Add      float64 `json:"add,omitempty" yaml:"add,omitempty"`
	Unit     string  `json:"unit,omitempty" yaml:"unit,omitempty"`
	Optional bool    `json:"optional,omitempty" yaml:"optional,omitempty"` // shorter frames have none
}

// Checksum is what the source wants of checksums that do not fit: strict, variants or off. A strict source that says
// nothing about them wants strict, any other variants.
func (s Settings) Checksum() (string, error) {
	switch s.CRC {
	case "":
		if s.Strict {
			return "strict", nil
		}
		return "variants", nil
	case "strict", "variants", "off":
		return s.CRC, nil
	}
	return "", fmt.Errorf("crc %q is not known (want strict, variants or off)", s.CRC)
}

// Plugin is a decoder in WebAssembly, and its bounds.
type Plugin struct {
	File   string        `json:"file" yaml:"file"`
	SHA256 string        `json:"sha256,omitempty" yaml:"sha256"` // hexadecimal; "" = whatever the file holds
	Memory int           `json:"memory,omitempty" yaml:"memory"` // MiB of one instance; 0 = 16
	Time   time.Duration `json:"time,omitempty" yaml:"time"`     // for one payload; 0 = 100 ms
}

// Error says where in a payload decoding stopped, and why.
type Error struct {
	Protocol string
	Offset   int    // byte offset in the payload, -1 = not known
	Field    string // "" = none in particular
	Err      error
}

func (e *Error) Error() string {
	where := ""
	if e.Field != "" {
		where += fmt.Sprintf(" field %q", e.Field)
	}
	if e.Offset >= 0 {
		where += fmt.Sprintf(" at byte %d", e.Offset)
	}
	return e.Protocol + where + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf maps a decode error to the word that counters and dead letters use.
func ReasonOf(err error) sensor.Reason {
	for _, c := range [...]struct {
		err    error
		reason sensor.Reason
	}{
		{ErrTruncated, sensor.ReasonTruncated}, {ErrChecksum, sensor.ReasonChecksum},
		{ErrUnsupported, sensor.ReasonUnsupported}, {ErrEncoding, sensor.ReasonEncoding},
		{ErrNumber, sensor.ReasonNumber}, {ErrPosition, sensor.ReasonPosition},
		{ErrTime, sensor.ReasonTime}, {ErrBound, sensor.ReasonBound}, {ErrEmpty, sensor.ReasonEmpty},
		{ErrPlugin, sensor.ReasonPlugin},
		{ErrThing, sensor.ReasonThing},
	} {
		if errors.Is(err, c.err) {
			return c.reason
		}
	}
	return sensor.ReasonMalformed
}

// Interner gives one string per distinct byte sequence, so that a stream of payloads with the same few keys
// allocates each key once. It holds at most 4096 keys of at most 64 bytes; beyond that it copies. Not for concurrent use.
type Interner struct {
	m map[string]string
}

// String returns b as a string that does not alias b.
func (t *Interner) String(b []byte) string {
	if s, ok := t.m[string(b)]; ok { // the compiler does not allocate for this look-up
		return s
	}
	return t.learn(string(b))
}

// Keep returns s as a string that holds on to no memory but its own: for a piece of a longer text.
func (t *Interner) Keep(s string) string {
	if s == "" {
		return ""
	}
	if known, ok := t.m[s]; ok {
		return known
	}
	return t.learn(strings.Clone(s))
}

func (t *Interner) learn(s string) string {
	if len(s) > 64 || len(t.m) >= 4096 {
		return s
	}
	if t.m == nil {
		t.m = make(map[string]string, 16)
	}
	t.m[s] = s
	return s
}
