package gateway

import (
	"fmt"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/deadletter"
	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// level reads a bare number whose name is the topic's last level.
type level struct{}

func (level) Decode(dst []decode.Reading, _ []byte) ([]decode.Reading, error) {
	return dst, &decode.Error{Protocol: "level", Offset: -1, Err: fmt.Errorf("no topic: %w", decode.ErrUnsupported)}
}

func (level) DecodeOn(dst []decode.Reading, topic string, payload []byte) ([]decode.Reading, error) {
	v, _, err := decode.Number(payload)
	name := strings.Clone(topic[strings.LastIndexByte(topic, '/')+1:])
	return append(dst, decode.Reading{Key: name, Property: name, Number: v, Err: err}), nil
}

// A decoder that needs the topic gets it with the PUBLISH, and again when its dead letter is read again.
func TestTopicReachesTheDecoder(t *testing.T) {
	protocols := append(all.Protocols(), decode.Protocol{Name: "level", New: func(decode.Settings) (decode.Decoder, error) { return level{}, nil }})
	source := Source{Name: "house", Topics: []string{"situ/v1/{owner}/{thing}/+"}, Protocol: "level", Owner: "house"}
	r := newRig(t, func(c *Config, _ *normalize.Options) { c.Protocols = protocols })
	g := &Gateway{cfg: r.g.cfg, protocols: r.g.protocols, spools: r.g.spools, metrics: r.g.metrics, room: r.g.room}
	w := g.newWorker(&source)
	defer w.close()
	const topic = "situ/v1/house/hall/temperature"
	w.build(topic, []byte("21.5"), sensor.Origin{})
	if len(w.live.Observations) != 1 || w.live.Observations[0].Result != 21.5 || w.live.Observations[0].Property == 0 {
		t.Fatalf("%+v", w.live)
	}
	again, err := NewAgain([]Source{source}, protocols, func() *normalize.Normalizer { return r.g.cfg.Normalizer() })
	if err != nil {
		t.Fatal(err)
	}
	letter := sensor.LoggedDeadLetter{Arrival: w.live.Arrival, DeadLetter: sensor.DeadLetter{Source: "house", Topic: topic}}
	got := again.Read(&letter, []byte("22.5"), func(int, string) bool { return true }, deadletter.Clock{})
	if got.Refused != nil || len(got.Values) != 1 || got.Values[0].Observation.Result != 22.5 {
		t.Errorf("%+v", got)
	}
}
