package sensor

import (
	"encoding/binary"
	"fmt"
)

// KeptPayload is the payload of a PUBLISH as it came, kept beside what it became because its source asks for it, so that a
// newer decoder can read it again. It rides in the record of its message.
type KeptPayload struct {
	Topic    string
	Source   string  // name of the configured source, "" for situ's own topics
	Protocol string  // it was read by
	Named    ThingID // by the topic; "owner/-" where the payload names the Thing, "" where nothing does
	Client   string  // MQTT client id
	User     string  // MQTT user name
	QoS      uint8
	Part     Part
	Size     int    // bytes as it came
	Payload  []byte // shorter than Size only where a bus could not take it whole
}

// Part tells which of a PUBLISH's messages this is: one with values on both sides of the two-day rule becomes two.
type Part uint8

// The parts.
const (
	Whole        Part = 0
	LivePart     Part = 1
	BackfillPart Part = 2
)

// LoggedPayload is a KeptPayload with the identity of its message.
type LoggedPayload struct {
	Producer
	Seq     uint64
	Arrival int64
	Thing   ThingKey // of the message's first observation; 0 = it has none
	KeptPayload
}

func appendKept(dst []byte, k *KeptPayload) []byte {
	for _, s := range [...]string{k.Topic, k.Source, k.Protocol, string(k.Named), k.Client, k.User} {
		dst = appendBytes(dst, s)
	}
	dst = append(dst, k.QoS, byte(k.Part))
	dst = binary.AppendUvarint(dst, uint64(k.Size))
	dst = binary.AppendUvarint(dst, uint64(len(k.Payload)))
	return append(dst, k.Payload...)
}

func (r *recordReader) kept(k *KeptPayload) {
	k.Topic, k.Source, k.Protocol, k.Named = r.text(), r.text(), r.text(), ThingID(r.text())
	k.Client, k.User = r.text(), r.text()
	k.QoS, k.Part = r.byte(), Part(r.byte())
	k.Size = int(r.uvarint())
	if b := r.bytes(); len(b) > 0 {
		k.Payload = append([]byte(nil), b...)
	}
}

// AppendPayloads encodes the payloads of one producer (docs/formats/bus-message.md).
func AppendPayloads(dst []byte, list []LoggedPayload) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for i := range list {
		l := &list[i]
		dst = binary.AppendUvarint(dst, l.Seq)
		dst = binary.AppendVarint(dst, l.Arrival)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(l.Thing))
		dst = appendKept(dst, &l.KeptPayload)
	}
	return dst
}

// ParsePayloads is the inverse of AppendPayloads.
func ParsePayloads(p Producer, b []byte) (list []LoggedPayload, err error) {
	r := recordReader{b: b}
	for n := r.count(20); n > 0 && r.err == nil; n-- { // 20: the fewest bytes one takes
		l := LoggedPayload{Producer: p, Seq: r.uvarint(), Arrival: r.varint(), Thing: ThingKey(r.uint64())}
		r.kept(&l.KeptPayload)
		list = append(list, l)
	}
	if r.err == nil && len(r.b) != 0 {
		r.err = fmt.Errorf("%d bytes left over: %w", len(r.b), ErrRecord)
	}
	if r.err != nil {
		return nil, r.err
	}
	return list, nil
}
