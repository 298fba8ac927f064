package doc

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
)

var (
	errNumber  = fmt.Errorf("want a number: %w", decode.ErrNumber)
	errTime    = fmt.Errorf("want a number or text: %w", decode.ErrTime)
	errDegrees = fmt.Errorf("want numbers of degrees: %w", decode.ErrPosition)
	errName    = fmt.Errorf("a name that is empty, holds control characters or more than %d bytes: %w", MaxKey, decode.ErrBound)
	errTooLong = fmt.Errorf("text of more than %d bytes: %w", MaxText, decode.ErrBound)
)

// Number reads a number, also one in quotes.
func Number(v gjson.Result) (float64, error) {
	switch v.Type {
	case gjson.Number:
		if math.IsInf(v.Num, 0) {
			return 0, fmt.Errorf("%.40s is beyond float64: %w", v.Raw, decode.ErrNumber)
		}
		return v.Num, nil
	case gjson.String:
		return ParseNumber(v.Str)
	}
	return 0, errNumber
}

// ParseNumber reads a text that is a number of RFC 8259 throughout, blanks around it and a leading '+' aside.
func ParseNumber(s string) (float64, error) {
	x, is, err := number(s)
	if !is {
		return 0, fmt.Errorf("%.40q is no number: %w", s, decode.ErrNumber)
	}
	return x, err
}

// number tells numbers from words without making an error of each word; err says that the number is beyond float64.
func number(s string) (x float64, is bool, err error) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "+")
	if s == "" || len(s) > 64 || s[0] != '-' && s[0]-'0' > 9 {
		return 0, false, nil
	}
	var room [64]byte
	b := append(room[:0], s...)
	x, n, err := decode.Number(b)
	return x, n > 0 && n == len(b), err
}

// Time reads a moment: RFC 3339 text (a blank for T and +0800 are taken), or a count since 1970 in seconds,
// milliseconds or microseconds, by its size, also in quotes. zone is for texts that name none; nil refuses them.
func Time(v gjson.Result, zone *time.Location) (ms int64, err error) {
	switch v.Type {
	case gjson.Number:
		return Epoch(v.Num)
	case gjson.String:
		return ParseTime(v.Str, zone)
	}
	return 0, errTime
}

// ParseTime is Time of a text.
func ParseTime(s string, zone *time.Location) (ms int64, err error) {
	if len(s) < len("2026-01-01") || s[4] != '-' { // a date is no number
		if x, is, err := number(s); is && err == nil {
			return Epoch(x)
		}
	}
	var room [64]byte
	return decode.ParseTime(append(room[:0], s...), zone)
}

// Epoch is Time of a number.
func Epoch(x float64) (ms int64, err error) {
	ms, ok := decode.Epoch(x)
	if !ok {
		return 0, fmt.Errorf("%v is no epoch time in seconds, milliseconds or microseconds: %w", x, decode.ErrTime)
	}
	return ms, nil
}

// Position reads two numbers of degrees. ok is false when both are absent or null.
func Position(lon, lat gjson.Result) (p geo.LonLat, ok bool, err error) {
	if lon.Type == gjson.Null && lat.Type == gjson.Null {
		return p, false, nil
	}
	x, errX := Number(lon)
	y, errY := Number(lat)
	if errX != nil || errY != nil {
		return p, false, errDegrees
	}
	if p = (geo.LonLat{Lon: x, Lat: y}); !p.Valid() {
		return geo.LonLat{}, false, fmt.Errorf("lon %v lat %v: %w", x, y, decode.ErrPosition)
	}
	return p, true, nil
}

// notFinite recognises what printf and JavaScript make of NaN and the infinities.
func notFinite(s string) bool {
	if len(s) > len("-infinity") {
		return false
	}
	switch strings.ToLower(strings.TrimLeft(s, "+-")) {
	case "nan", "inf", "infinity":
		return true
	}
	return false
}
