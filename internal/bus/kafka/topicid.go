package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	wire "github.com/segmentio/kafka-go/protocol"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/protocol"
)

// idFor is how long the topic's id is taken to be what it was: within it a topic made anew is noticed.
const idFor = 5 * time.Second

// topicID asks for the topic's own id, which Kafka makes with the topic. kafka-go speaks Metadata up to version 8;
// the id came with 10. So the request is put together here, and kafka-go's connections (TLS, SASL) carry it.
func (b *Bus) topicID(ctx context.Context) (bus.LogID, error) {
	m, err := b.transport.RoundTrip(ctx, b.client.Addr, &metadataRequest{topic: b.cfg.Topic, client: b.cfg.ClientID})
	if err != nil {
		return bus.LogID{}, err
	}
	r := m.(*metadataResponse)
	if r.code != 0 {
		return bus.LogID{}, kafkago.Error(r.code)
	}
	if r.id == (bus.LogID{}) {
		return bus.LogID{}, fmt.Errorf("topic %s has no id: Kafka 2.8 or newer is needed: %w", b.cfg.Topic, errFinal)
	}
	return r.id, nil
}

// sameTopic stops a reader whose topic was deleted and made anew: its offsets mean other messages there. Once that
// is so, it stays so until the Bus is opened again.
func (b *Bus) sameTopic(ctx context.Context) error {
	b.mu.Lock()
	at := b.idAt
	b.mu.Unlock()
	if time.Since(at) < idFor {
		return nil
	}
	_, err := b.askID(ctx)
	return err
}

// askID asks for the topic's id, which must be what it was when it was asked for first, and gives what its log is called.
func (b *Bus) askID(ctx context.Context) (bus.LogID, error) {
	id, err := b.topicID(ctx)
	if err != nil {
		return bus.LogID{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.id != (bus.LogID{}) && id != b.id {
		return bus.LogID{}, replaced(b.cfg.Topic, b.id.String(), id)
	}
	b.id, b.idAt = id, time.Now()
	if times, ok := nameOf(id, b.cfg.Accept.String()); ok {
		b.renamed = max(b.renamed, times)
	}
	return b.named(id), nil
}

// replaced says what a topic made anew means, and what can be done.
func replaced(topic, was string, now bus.LogID) error {
	return final{fmt.Errorf("topic %s had id %.40s and now has %v: %w: %w; what the old one held and was not stored is gone with it. "+
		"situ does not go on by itself: bring the old topic back, or begin with the new one: --kafka-accept %v",
		topic, was, now, protocol.ErrLogReplaced, bus.ErrOffset, now)}
}

// The request and the part of its answer that is read [Kafka protocol guide, Metadata v10; KIP-482 tagged fields].
const (
	metadataKey     = int16(wire.Metadata)
	metadataVersion = 10
	maxAnswer       = 16 << 20
)

type metadataRequest struct{ topic, client string }

type metadataResponse struct {
	code int16
	id   bus.LogID
}

func (*metadataRequest) ApiKey() wire.ApiKey  { return wire.Metadata }
func (*metadataResponse) ApiKey() wire.ApiKey { return wire.Metadata }

// Required makes kafka-go call RawExchange instead of encoding the request itself.
func (*metadataRequest) Required(map[wire.ApiKey]int16) bool { return true }

func (r *metadataRequest) RawExchange(rw io.ReadWriter) (wire.Message, error) {
	if _, err := rw.Write(r.append(nil)); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxAnswer {
		return nil, fmt.Errorf("metadata answer of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(rw, b); err != nil {
		return nil, err
	}
	return parseMetadata(b)
}

func (r *metadataRequest) append(b []byte) []byte {
	b = append(b, 0, 0, 0, 0) // size, filled in below
	b = binary.BigEndian.AppendUint16(b, uint16(metadataKey))
	b = binary.BigEndian.AppendUint16(b, metadataVersion)
	b = append(b, 0, 0, 0, 1) // correlation id: one request at a time
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.client)))
	b = append(b, r.client...)
	b = append(b, 0, 2)                // no tags; one topic
	b = append(b, make([]byte, 16)...) // asked for by name, not by id
	b = binary.AppendUvarint(b, uint64(len(r.topic)+1))
	b = append(b, r.topic...)
	b = append(b, 0, 0, 0, 0, 0) // no tags; no auto-creation, no authorized operations (cluster, topic); no tags
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

var errMetadata = fmt.Errorf("metadata answer is malformed: %w", errFinal)

// parseMetadata reads up to the first topic's id.
func parseMetadata(b []byte) (*metadataResponse, error) {
	a := answer{b: b}
	a.skip(4) // correlation id
	a.tags()
	a.skip(4) // throttle time
	for n := a.count(); n > 0 && !a.bad; n-- {
		a.skip(4) // broker id
		a.text()  // host
		a.skip(4) // port
		a.text()  // rack
		a.tags()
	}
	a.text()  // cluster id
	a.skip(4) // controller
	if a.count() < 1 {
		return nil, errMetadata
	}
	r := &metadataResponse{}
	code := a.skip(2)
	a.text() // name
	id := a.skip(16)
	if a.bad {
		return nil, errMetadata
	}
	r.code = int16(binary.BigEndian.Uint16(code))
	copy(r.id[:], id)
	return r, nil
}

// answer walks a response; past its end everything is zero and bad is set.
type answer struct {
	b   []byte
	bad bool
}

func (a *answer) skip(n int) []byte {
	if n < 0 || n > len(a.b) {
		a.bad = true
		a.b = nil
		return make([]byte, min(max(n, 0), 16))
	}
	out := a.b[:n]
	a.b = a.b[n:]
	return out
}

func (a *answer) uvarint() int {
	v, n := binary.Uvarint(a.b)
	if n <= 0 || v > maxAnswer {
		a.bad = true
		a.b = nil
		return 0
	}
	a.b = a.b[n:]
	return int(v)
}

// count reads the length of a compact array.
func (a *answer) count() int { return a.uvarint() - 1 }

// text walks over a compact string, which may be null.
func (a *answer) text() { a.skip(max(0, a.uvarint()-1)) }

func (a *answer) tags() {
	for n := a.uvarint(); n > 0 && !a.bad; n-- {
		a.uvarint()
		a.skip(a.uvarint())
	}
}

var _ wire.RawExchanger = (*metadataRequest)(nil)
