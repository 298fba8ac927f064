package sensor

import (
	"strings"

	"github.com/situ-city/situ/pkg/geo"
)

// Lane separates what the map waits for from what may wait itself.
type Lane uint8

// The lanes. Each has its own spool, its own sequence and its own partition.
const (
	Live     Lane = 0
	Backfill Lane = 1 // phenomenonTime more than two days before arrival: stored, never on the live map
)

func (l Lane) String() string { return name([]string{"live", "backfill"}, int(l)) }

// Producer is one sequence of messages: seq rises by one inside it and never repeats.
type Producer struct {
	Gateway string // name of the gateway, stable over restarts
	Epoch   uint32 // rises only when the spool was lost
	Lane    Lane
}

// Identity names one value for ever: Idx counts the Observations (then the DeadLetters) inside message Seq.
type Identity struct {
	Producer
	Seq uint64 // from 1
	Idx uint16
}

// Observation is one value: one row. Results are in the property's canonical unit.
type Observation struct {
	Datastream     DatastreamID
	Thing          ThingKey
	Property       PropertyNumber // 0: not in the catalogue
	Registry       uint32         // version of the registry that placed and named it
	PhenomenonTime int64          // when it held, Unix ms UTC
	ResultTime     int64          // when it was produced, Unix ms UTC; equal to PhenomenonTime when not given
	Result         float64        // booleans 0 and 1
	Text           string         // set for results that are words; Result is then NaN
	Lon, Lat       int32          // 1e-7 degrees WGS 84; both NoPosition when unknown
	Cell           geo.Cell       // resolution 12; 0 = to be computed from Lon, Lat by whoever has H3
	Quality        Quality
}

// NoPosition in Lon and Lat says that a Thing's place is not known (the value is outside the world).
const NoPosition int32 = -1 << 31

// Position gives the position, if there is one.
func (o *Observation) Position() (geo.LonLat, bool) {
	if o.Lon == NoPosition {
		return geo.LonLat{}, false
	}
	return geo.FromE7(o.Lon, o.Lat), true
}

// Message is everything that one PUBLISH (or one frame) became. Exactly one of the following holds:
// it has observations, or dead letters, or declarations (or several of them), or a reason to be Empty.
type Message struct {
	Arrival      int64 // gateway's clock, Unix ms UTC
	Observations []Observation
	DeadLetters  []DeadLetter
	Declarations []Declaration
	Empty        Reason  // why there is nothing else: heartbeat, birth, command
	Thing        ThingID // who sent an empty message, so that it can be counted: "owner/-" where only a frame would say; "" = not known
	Delivery     Delivery
	Kept         *KeptPayload // what came, where its source asks to keep it; nil = not kept
}

// Delivery tags a message that came in with QoS 2, so that its sender's repeat is known after a crash. It goes no further
// than the spool. The zero value is no tag.
type Delivery struct {
	Session string // user NUL client id
	Packet  uint16 // MQTT packet id
	Number  uint64 // of the delivery, rising in one gateway; 0 = no tag
	Lanes   uint8  // in which the message has a record, as bits
}

// Reset empties m and keeps its memory.
func (m *Message) Reset() {
	m.Arrival, m.Empty, m.Thing, m.Delivery, m.Kept = 0, "", "", Delivery{}, nil
	m.Observations, m.DeadLetters, m.Declarations = m.Observations[:0], m.DeadLetters[:0], m.Declarations[:0]
}

// Declaration tells the registry of a Thing or Datastream that its first reading declared (auto-register).
type Declaration struct {
	Thing      *Thing      `json:"thing,omitempty"`
	Datastream *Datastream `json:"datastream,omitempty"`
}

// Reason is the one word that counters, dead letters and answers share.
type Reason string

// Reasons for a dead letter.
const (
	ReasonTopic       Reason = "topic"        // the topic is not situ/v1/{owner}/{thing}/{protocol} nor a source's
	ReasonProtocol    Reason = "protocol"     // no such protocol
	ReasonEmpty       Reason = "empty"        // payload of no bytes
	ReasonSize        Reason = "size"         // payload beyond the bound
	ReasonEncoding    Reason = "encoding"     // text that is not UTF-8 (or not the source's encoding)
	ReasonMalformed   Reason = "malformed"    // grammar broken
	ReasonTruncated   Reason = "truncated"    // ends too early
	ReasonChecksum    Reason = "checksum"     // CRC does not fit and the source demands it
	ReasonUnsupported Reason = "unsupported"  // well formed, but of a kind situ does not take
	ReasonNumber      Reason = "number"       // NaN, infinite or beyond float64
	ReasonThing       Reason = "thing"        // unknown Thing and no auto-register
	ReasonProperty    Reason = "property"     // unknown property and no auto-register
	ReasonUnit        Reason = "unit"         // the unit cannot be converted to the property's
	ReasonPosition    Reason = "position"     // outside the world, or swapped
	ReasonTime        Reason = "time"         // before 2000 or more than 10 minutes ahead: quarantined
	ReasonACL         Reason = "acl"          // the client may not publish there
	ReasonBound       Reason = "bound"        // too many values, too deep, too long
	ReasonPlugin      Reason = "plugin"       // the source's own decoder stopped, or broke its bounds
	ReasonHeartbeat   Reason = "heartbeat"    // counted reason to be empty
	ReasonCommand     Reason = "command"      // counted reason to be empty: a command or answer, no data
	ReasonBirth       Reason = "birth"        // counted reason to be empty
	ReasonNoValues    Reason = "no_values"    // counted reason to be empty: all values null or absent
	ReasonDeclaration Reason = "declarations" // carries declarations only
)

// DeadLetter is what could not become an Observation, with all that is needed to mend and replay it.
type DeadLetter struct {
	Reason   Reason `json:"reason"`
	Detail   string `json:"detail"`             // what, where and how to fix it
	Topic    string `json:"topic,omitempty"`    // where it came in
	Protocol string `json:"protocol,omitempty"` // as the topic or the source said
	Owner    string `json:"owner,omitempty"`    // who may see it
	Thing    string `json:"thing,omitempty"`    // id, if it got that far
	Field    string `json:"field,omitempty"`    // name of the value, if only one was refused
	Source   string `json:"source,omitempty"`   // name of the configured source, or "" for situ's own topics
	Origin
	Readings string `json:"readings,omitempty"` // which of the payload's readings it stands for, as Ordinals; "" = the whole message
	Size     int    `json:"size"`               // bytes of the whole payload
	Payload  []byte `json:"payload,omitempty"`  // at most MaxDeadLetterPayload bytes of it; the first letter of a message has it for all
}

// Origin is how a message came in.
type Origin struct {
	Client string `json:"client,omitempty"` // MQTT client id; of a pulled source, ours on that broker
	User   string `json:"user,omitempty"`   // MQTT user name it came under
	Broker string `json:"broker,omitempty"` // of a pulled source; "" = the embedded one
	Packet uint16 `json:"packet,omitempty"` // MQTT packet id; 0 for QoS 0
	QoS    uint8  `json:"qos,omitempty"`
}

// MaxDeadLetterPayload bounds what a dead letter keeps of its payload: all of the longest MQTT packet that is taken, so
// that whatever becomes a dead letter can be replayed.
const MaxDeadLetterPayload = 2 << 20

// TrimPayload copies at most MaxDeadLetterPayload bytes.
func TrimPayload(p []byte) []byte {
	return append([]byte(nil), p[:min(len(p), MaxDeadLetterPayload)]...)
}

// TopicOwner gives the owner of a topic of situ's own form, "" for any other.
func TopicOwner(topic string) string {
	rest, ok := strings.CutPrefix(topic, "situ/v1/")
	if !ok {
		return ""
	}
	owner, _, _ := strings.Cut(rest, "/")
	return owner
}
