package geohazard

import (
	"strconv"
	"time"
)

// Point is what a sensor measured at one time. Names nil: Values holds the one value of a sensor that has but one.
type Point struct {
	Code   string // "L1_LF_1"
	At     time.Time
	Names  []string
	Values []float64 // finite
}

// Append appends the report of a device. Names of devices, codes and values must need no escapes in JSON; each code comes
// once.
func Append(dst []byte, device string, points []Point) []byte {
	dst = append(strconv.AppendQuote(append(dst, '{'), device), ":{"...)
	for i, p := range points {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(strconv.AppendQuote(dst, p.Code), `:{"`...)
		dst = append(p.At.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z"), `":`...)
		if p.Names == nil {
			dst = append(strconv.AppendFloat(dst, p.Values[0], 'g', -1, 64), '}')
			continue
		}
		dst = append(dst, '{')
		for k, name := range p.Names {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendFloat(append(strconv.AppendQuote(dst, name), ':'), p.Values[k], 'g', -1, 64)
		}
		dst = append(dst, "}}"...)
	}
	return append(dst, "}}"...)
}
