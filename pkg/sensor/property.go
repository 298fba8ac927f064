package sensor

import "time"

// PropertyCode is the catalogue's short name of an ObservedProperty, such as "pm2_5".
type PropertyCode string

// PropertyNumber is the catalogue's stable small number, the form logs and tables carry. Zero: not in the catalogue.
type PropertyNumber uint16

// ObservedProperty is one line of schema/properties.csv.
type ObservedProperty struct {
	Number     PropertyNumber `json:"number"`
	Code       PropertyCode   `json:"code"`
	NameZH     string         `json:"name_zh"`
	NameEN     string         `json:"name_en"`
	Unit       string         `json:"unit"`       // UCUM, canonical
	Resolution float64        `json:"resolution"` // what a usual instrument can tell apart
	Min        float64        `json:"min"`        // plausible range; outside: Quality bit OutOfRange
	Max        float64        `json:"max"`
	Rate       float64        `json:"rate,omitempty"`     // plausible change a second, over at least a minute; 0: not judged
	Still      time.Duration  `json:"still_ns,omitempty"` // how long it may stay the same; 0: not judged
	Worse      string         `json:"worse"`              // high, low or both
	Sector     string         `json:"sector"`
	Breaks     []float64      `json:"breaks"`          // rising thresholds of the legend
	HJ212      []string       `json:"hj212,omitempty"` // codes of HJ 212-2017 and -2005 that mean this property
	Aliases    []string       `json:"aliases,omitempty"`
}
