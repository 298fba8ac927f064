package journey

import (
	"math"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// The forms in which the files show nouns: times as text, what is absent left out.

type readingDoc struct {
	Serial    string      `json:"serial,omitempty"`
	Key       string      `json:"key,omitempty"`
	Property  string      `json:"property,omitempty"`
	Statistic string      `json:"statistic,omitempty"`
	Time      string      `json:"time,omitempty"`
	Number    *float64    `json:"number,omitempty"`
	Text      string      `json:"text,omitempty"`
	Unit      string      `json:"unit,omitempty"`
	Position  *geo.LonLat `json:"position,omitempty"`
	Quality   string      `json:"quality,omitempty"`
	Err       string      `json:"err,omitempty"`
}

func readingDocs(readings []decode.Reading, failed error) (docs []readingDoc) {
	if failed != nil {
		return []readingDoc{{Err: failed.Error()}}
	}
	for _, r := range readings {
		d := readingDoc{Serial: r.Serial, Key: r.Key, Property: r.Property, Statistic: r.Statistic.String(), Text: r.Text, Unit: r.Unit}
		if r.Time != 0 {
			d.Time = clock(r.Time)
		}
		if r.HasPosition {
			d.Position = &r.Position
		}
		if r.Quality != 0 {
			d.Quality = r.Quality.String()
		}
		if r.Err != nil {
			d.Err = r.Err.Error()
		} else if r.Text == "" {
			d.Number = &r.Number
		}
		docs = append(docs, d)
	}
	return docs
}

type messageDoc struct {
	Lane         string               `json:"lane"`
	Arrival      string               `json:"arrival"`
	Observations []observationDoc     `json:"observations,omitempty"`
	DeadLetters  []letterDoc          `json:"dead_letters,omitempty"`
	Declarations []sensor.Declaration `json:"declarations,omitempty"`
	Empty        sensor.Reason        `json:"empty,omitempty"`
}

type observationDoc struct {
	Datastream     sensor.DatastreamID   `json:"datastream"`
	Thing          sensor.ThingKey       `json:"thing"`
	Property       sensor.PropertyNumber `json:"property"`
	PhenomenonTime string                `json:"phenomenon_time"`
	ResultTime     string                `json:"result_time"`
	Result         *float64              `json:"result,omitempty"`
	Text           string                `json:"result_text,omitempty"`
	Position       *geo.LonLat           `json:"position,omitempty"`
	Cell           geo.Cell              `json:"cell"`
	Quality        string                `json:"quality"`
	Registry       uint32                `json:"registry"`
}

type letterDoc struct {
	sensor.DeadLetter
	Payload string `json:"payload"` // as text, not in base64
}

func messageDocOf(lane sensor.Lane, m *sensor.Message) messageDoc {
	doc := messageDoc{Lane: lane.String(), Arrival: clock(m.Arrival), Declarations: m.Declarations, Empty: m.Empty}
	for i := range m.Observations {
		o := &m.Observations[i]
		d := observationDoc{Datastream: o.Datastream, Thing: o.Thing, Property: o.Property, PhenomenonTime: clock(o.PhenomenonTime),
			ResultTime: clock(o.ResultTime), Text: o.Text, Cell: o.Cell, Quality: o.Quality.String(), Registry: o.Registry}
		if !math.IsNaN(o.Result) {
			d.Result = &o.Result
		}
		if p, ok := o.Position(); ok {
			d.Position = &p
		}
		doc.Observations = append(doc.Observations, d)
	}
	for _, l := range m.DeadLetters {
		doc.DeadLetters = append(doc.DeadLetters, letterDoc{l, string(l.Payload)})
	}
	return doc
}
