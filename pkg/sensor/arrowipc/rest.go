package arrowipc

import (
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/situ-city/situ/pkg/sensor"
)

// rest is the JSON of what is not a row.
type rest struct {
	DeadLetters  []deadLetter         `json:"dead_letters,omitempty"`
	Declarations []sensor.Declaration `json:"declarations,omitempty"`
	Empties      []empty              `json:"empties,omitempty"`
	Gaps         []gap                `json:"gaps,omitempty"`
	GapShares    []gapShare           `json:"gap_shares,omitempty"`
	Payloads     []byte               `json:"payloads,omitempty"` // zstd of sensor.AppendPayloads

	payloads []sensor.LoggedPayload // the same, read
}

type deadLetter struct {
	Seq     uint64 `json:"seq"`
	Idx     uint16 `json:"idx"`
	Arrival int64  `json:"arrival"`
	sensor.DeadLetter
}

type empty struct {
	Seq     uint64         `json:"seq"`
	Arrival int64          `json:"arrival"`
	Reason  sensor.Reason  `json:"reason"`
	Thing   sensor.ThingID `json:"thing,omitempty"`
}

type gap struct {
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
	At     int64  `json:"at"`
	Reason string `json:"reason"`

	Class sensor.OwnerClass `json:"class,omitempty"`
}

type gapShare struct {
	Seq      uint64            `json:"seq"`
	At       int64             `json:"at"`
	Reason   string            `json:"reason"`
	Class    sensor.OwnerClass `json:"class"`
	Thing    sensor.ThingKey   `json:"thing,omitempty,string"`
	Owner    string            `json:"owner,omitempty"`
	Hour     int64             `json:"hour"`
	Messages uint64            `json:"messages"`
}

// encodeRest gives "" when there is only rows.
func encodeRest(b *sensor.Batch) (string, error) {
	if len(b.DeadLetters) == 0 && len(b.Declarations) == 0 && len(b.Empties) == 0 && len(b.Gaps) == 0 && len(b.Payloads) == 0 {
		return "", nil
	}
	r := rest{Declarations: b.Declarations}
	for _, d := range b.DeadLetters {
		r.DeadLetters = append(r.DeadLetters, deadLetter{d.Seq, d.Idx, d.Arrival, d.DeadLetter})
	}
	for _, e := range b.Empties {
		r.Empties = append(r.Empties, empty{e.Seq, e.Arrival, e.Reason, e.Thing})
	}
	for _, g := range b.Gaps {
		r.Gaps = append(r.Gaps, gap{g.From, g.To, g.At, g.Reason, g.Class})
	}
	for _, s := range b.GapShares {
		r.GapShares = append(r.GapShares, gapShare{s.Seq, s.At, s.Reason, s.Class, s.Thing, s.Owner, s.Hour, s.Messages})
	}
	if len(b.Payloads) > 0 {
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return "", err
		}
		r.Payloads = z.EncodeAll(sensor.AppendPayloads(nil, b.Payloads), nil)
	}
	j, err := json.Marshal(r)
	return string(j), err
}

func decodeRest(p sensor.Producer, j []byte) (r rest, err error) {
	if len(j) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(j, &r); err != nil {
		return r, fmt.Errorf("%s: %w: %w", restKey, ErrFormat, err)
	}
	if len(r.Payloads) == 0 {
		return r, nil
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDecoded))
	if err != nil {
		return r, err
	}
	defer z.Close()
	plain, err := z.DecodeAll(r.Payloads, nil)
	if err == nil {
		r.payloads, err = sensor.ParsePayloads(p, plain)
	}
	if err != nil {
		return r, fmt.Errorf("%s: payloads: %w: %w", restKey, ErrFormat, err)
	}
	return r, nil
}

// check refuses identities outside the range that the headers name.
func (r *rest) check(from, to uint64) error {
	bad := func(seq uint64) bool { return seq < from || seq > to }
	for _, d := range r.DeadLetters {
		if bad(d.Seq) {
			return fmt.Errorf("dead letter of message %d in %d..%d: %w", d.Seq, from, to, ErrFormat)
		}
	}
	for _, e := range r.Empties {
		if bad(e.Seq) {
			return fmt.Errorf("empty message %d in %d..%d: %w", e.Seq, from, to, ErrFormat)
		}
	}
	for _, g := range r.Gaps {
		if bad(g.From) || bad(g.To) || g.From > g.To {
			return fmt.Errorf("gap %d..%d in %d..%d: %w", g.From, g.To, from, to, ErrFormat)
		}
	}
	for i := range r.payloads {
		if bad(r.payloads[i].Seq) {
			return fmt.Errorf("payload of message %d in %d..%d: %w", r.payloads[i].Seq, from, to, ErrFormat)
		}
	}
	for _, s := range r.GapShares {
		if bad(s.Seq) {
			return fmt.Errorf("share of gap %d in %d..%d: %w", s.Seq, from, to, ErrFormat)
		}
	}
	return nil
}

// appendTo adds what lies above the watermark. Declarations have no seq: they come again, which does no harm.
func (r *rest) appendTo(b *sensor.Batch, p sensor.Producer, watermark uint64) {
	for _, d := range r.DeadLetters {
		if d.Seq > watermark {
			id := sensor.Identity{Producer: p, Seq: d.Seq, Idx: d.Idx}
			b.DeadLetters = append(b.DeadLetters, sensor.LoggedDeadLetter{Identity: id, Arrival: d.Arrival, DeadLetter: d.DeadLetter})
		}
	}
	b.Declarations = append(b.Declarations, r.Declarations...)
	for _, e := range r.Empties {
		if e.Seq > watermark {
			id := sensor.Identity{Producer: p, Seq: e.Seq}
			b.Empties = append(b.Empties, sensor.LoggedEmpty{Identity: id, Arrival: e.Arrival, Reason: e.Reason, Thing: e.Thing})
		}
	}
	for i := range r.payloads {
		if r.payloads[i].Seq > watermark {
			b.Payloads = append(b.Payloads, r.payloads[i])
		}
	}
	for _, g := range r.Gaps {
		if g.To > watermark {
			b.Gaps = append(b.Gaps, sensor.Gap{Producer: p, From: max(g.From, watermark+1), To: g.To, At: g.At, Reason: g.Reason, Class: g.Class})
		}
	}
	for _, s := range r.GapShares {
		if s.Seq > watermark {
			b.GapShares = append(b.GapShares, sensor.LoggedGapShare{Producer: p, Seq: s.Seq, At: s.At, Reason: s.Reason, Class: s.Class,
				GapShare: sensor.GapShare{Thing: s.Thing, Owner: s.Owner, Hour: s.Hour, Messages: s.Messages}})
		}
	}
}
