package query

import (
	"time"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// ThingSummary is a Thing in a list.
type ThingSummary struct {
	ID       sensor.ThingID     `json:"id"`
	Name     string             `json:"name,omitempty"`
	Class    sensor.OwnerClass  `json:"owner_class"`
	Grade    sensor.AccessGrade `json:"grade"`
	Division geo.DivisionCode   `json:"division,omitempty"`
	Placed   bool               `json:"placed"`
	Lon      *float64           `json:"lon,omitempty"`
	Lat      *float64           `json:"lat,omitempty"`
	Cell     geo.Cell           `json:"cell,omitempty"`
	Latest   *LatestValue       `json:"latest,omitempty"`
}

// LatestValue is one Datastream's newest value.
type LatestValue struct {
	Datastream sensor.DatastreamID `json:"datastream"`
	Property   sensor.PropertyCode `json:"property,omitempty"`
	SourceKey  string              `json:"source_key,omitempty"`
	Result     *float64            `json:"result"`
	Text       string              `json:"text,omitempty"`
	Unit       string              `json:"unit,omitempty"`
	Time       time.Time           `json:"time"`
	AgeS       float64             `json:"age_s"`
	DelayS     float64             `json:"delay_s" doc:"from time to arrival: how late it came, or how far the Thing's clock is behind (then quality has clock_skew)"`
	Fresh      bool                `json:"fresh"`
	Quality    string              `json:"quality"`
}

// ThingDoc is a Thing with its Datastreams.
type ThingDoc struct {
	ThingSummary
	CRS         geo.CRS         `json:"crs,omitempty"`
	Original    *[2]float64     `json:"original,omitempty" doc:"longitude, latitude as the owner gave them, in crs"`
	Address     string          `json:"address,omitempty"`
	Serial      string          `json:"serial,omitempty"`
	Scenes      []string        `json:"scenes,omitempty"`
	Auto        bool            `json:"auto,omitempty" doc:"declared by its first reading, by nobody yet"`
	Retired     bool            `json:"retired,omitempty"`
	Version     uint64          `json:"version"`
	Datastreams []DatastreamDoc `json:"datastreams"`
}

// DatastreamDoc is a Datastream with its newest value.
type DatastreamDoc struct {
	ID        sensor.DatastreamID `json:"id"`
	Property  sensor.PropertyCode `json:"property"`
	Statistic sensor.Statistic    `json:"statistic"`
	SourceKey string              `json:"source_key"`
	Unit      string              `json:"unit"`
	IntervalS float64             `json:"interval_s,omitempty"`
	Min       *float64            `json:"min,omitempty"`
	Max       *float64            `json:"max,omitempty"`
	Rate      *float64            `json:"rate,omitempty" doc:"plausible change a second, as the owner declared it; 0 is not judged"`
	StillS    *float64            `json:"still_s,omitempty" doc:"seconds for which a result may stay the same, as the owner declared it; 0 is not judged"`
	Auto      bool                `json:"auto,omitempty"`
	Latest    *LatestValue        `json:"latest,omitempty"`
}

// HistoryRow is one observation of the history.
type HistoryRow struct {
	Time    time.Time `json:"time"`
	Result  *float64  `json:"result"`
	Text    string    `json:"text,omitempty"`
	Quality string    `json:"quality"`
	Arrival time.Time `json:"arrival"`
}
