package homeassistant

import (
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

// There is no real sample of this format.
func TestTopics(t *testing.T) {
	for _, c := range []struct {
		topic, payload, key string
		number              float64
		empty               sensor.Reason
	}{
		{"homeassistant/sensor/outdoor/state", "18.4", "outdoor", 18.4, ""},
		{"homeassistant/sensor/outdoor/state", "unavailable", "", 0, sensor.ReasonNoValues},
		{"homeassistant/sensor/outdoor/unit_of_measurement", `"°C"`, "", 0, sensor.ReasonNoValues},
		{"homeassistant/sensor/outdoor/config", `{"state_topic":"x"}`, "", 0, sensor.ReasonBirth},
		{"homeassistant/status", "online", "", 0, sensor.ReasonHeartbeat},
		{"house/cellar/humidity", "61", "humidity", 61, ""},
		{"situ/v1/owner/thing/homeassistant", "true", "state", 1, ""},
	} {
		d, err := New(decode.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodetest.Invariants(t, decodetest.OnTopic(d, c.topic), []byte(c.payload))
		switch {
		case err != nil:
			t.Errorf("%s: %v", c.topic, err)
		case c.empty != "" && (len(got) != 0 || d.Empty() != c.empty):
			t.Errorf("%s: %+v, empty %s, want %s", c.topic, got, d.Empty(), c.empty)
		case c.empty == "" && (len(got) != 1 || got[0].Key != c.key || got[0].Number != c.number):
			t.Errorf("%s: %+v", c.topic, got)
		}
	}
}
