package registry

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// What single cells mean. Each function takes the cell's text and says in its error how to write it.

// parseDegrees reads decimal degrees. Degrees, minutes and seconds (106°33′5.2″, 106度33分5.2秒) are read too; note then
// says what they became.
func parseDegrees(s string) (degrees float64, note string, err error) {
	if n, err := strconv.ParseFloat(s, 64); err == nil && !strings.ContainsAny(s, "xXpPnN_") { // no hexadecimal, no NaN, no infinity
		return n, "", nil
	}
	parts := strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune("°度′'‘’分″\"“”秒 ", c) })
	if len(parts) < 2 || len(parts) > 3 || !strings.ContainsAny(s, "°度") {
		return 0, "", fmt.Errorf("%q is not a number; write decimal degrees such as 106.5516", s)
	}
	for i, part := range parts {
		n, err := strconv.ParseFloat(part, 64)
		if err != nil || strings.Trim(part, "0123456789.") != "" || i > 0 && n >= 60 {
			return 0, "", fmt.Errorf("%q is not an angle; write decimal degrees such as 106.5516", s)
		}
		degrees += n / []float64{1, 60, 3600}[i]
	}
	degrees = math.Round(degrees*1e9) / 1e9 // the sum of thirds of a degree is no decimal by itself
	return degrees, fmt.Sprintf("%s read as %.6f", s, degrees), nil
}

// word finds s, in any case, among the words of each value.
func word(s string, values [][]string) (int, error) {
	i := slices.IndexFunc(values, func(words []string) bool { return slices.Contains(words, strings.ToLower(s)) })
	if i < 0 {
		var known []string
		for _, words := range values {
			if len(words) > 0 {
				known = append(known, words[0])
			}
		}
		return 0, fmt.Errorf("%q is none of %s", s, strings.Join(known, ", "))
	}
	return i, nil
}

func parseClass(s string) (sensor.OwnerClass, error) {
	i, err := word(s, [][]string{
		sensor.Government: {"government", "gov", "政府", "机关"},
		sensor.Social:     {"social", "社会", "公众", "个人"},
		sensor.Enterprise: {"enterprise", "企业"},
	})
	return sensor.OwnerClass(i), err
}

func parseGrade(s string) (sensor.AccessGrade, error) {
	i, err := word(s, [][]string{
		sensor.Restricted:  {"restricted", "受限", "不公开", "不予共享", "不开放"},
		sensor.Conditional: {"conditional", "有条件", "有条件共享", "有条件开放"},
		sensor.Open:        {"open", "公开", "开放", "无条件共享", "无条件开放"},
	})
	return sensor.AccessGrade(i), err
}

func parseCRS(s string) (geo.CRS, error) {
	known := map[string]geo.CRS{"国家2000": geo.CGCS2000, "2000坐标系": geo.CGCS2000, "火星坐标": geo.GCJ02, "高德": geo.GCJ02,
		"腾讯": geo.GCJ02, "百度": geo.BD09}
	if c, ok := known[strings.TrimSuffix(s, "坐标系")]; ok {
		return c, nil
	}
	c, err := geo.ParseCRS(s)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", s, err)
	}
	return c, nil
}

// parseDivision reads a code, also one of the 12 digits that statistics use (the first 9 are the town's), or the
// full name of a division.
func parseDivision(s string, divisions *geo.Divisions) (code geo.DivisionCode, note string, err error) {
	digits := s
	if len(s) == 12 && strings.Trim(s, "0123456789") == "" {
		if digits = s[:9]; strings.HasSuffix(digits, "000") {
			digits = s[:6]
		}
		note = fmt.Sprintf("division %s taken as %s", s, digits)
	}
	if code, err = geo.ParseDivisionCode(digits); err == nil {
		if _, known := lookupDivision(divisions, code); !known && divisions != nil {
			note = fmt.Sprintf("division %s is not among those known here", s)
		}
		return code, note, nil
	}
	if divisions == nil || strings.ContainsAny(s, "0123456789") {
		return 0, "", fmt.Errorf("%q: %w", s, err)
	}
	switch found := divisions.ByName(s); len(found) {
	case 0:
		return 0, "", fmt.Errorf("%q is no division known here; write its code of 6 digits (district) or 9 (town)", s)
	case 1:
		return found[0].Code, "", nil
	default:
		return 0, "", fmt.Errorf("%q names %d divisions (%s and %s); write the code", s, len(found), found[0].Code, found[1].Code)
	}
}

func lookupDivision(divisions *geo.Divisions, code geo.DivisionCode) (geo.Division, bool) {
	if divisions == nil {
		return geo.Division{}, false
	}
	return divisions.Lookup(code)
}

// parseInterval reads seconds, or a number with a unit.
func parseInterval(s string) (time.Duration, error) {
	number := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ 秒分钟小时天")
	n, err := strconv.ParseFloat(number, 64)
	unit, known := map[string]time.Duration{
		"": time.Second, "s": time.Second, "sec": time.Second, "秒": time.Second, "m": time.Minute, "min": time.Minute, "分": time.Minute,
		"分钟": time.Minute, "h": time.Hour, "hour": time.Hour, "小时": time.Hour, "d": 24 * time.Hour, "day": 24 * time.Hour, "天": 24 * time.Hour,
	}[strings.TrimSpace(strings.ToLower(s[len(number):]))]
	if err != nil || !known || !(n > 0) || n*float64(unit) > float64(maxInterval) {
		return 0, fmt.Errorf("%q is not an interval; write seconds, or 60s, 5min, 1h", s)
	}
	return time.Duration(n * float64(unit)).Round(time.Millisecond), nil
}

// parseStill reads an interval in seconds; 0 is one too.
func parseStill(s string) (seconds float64, err error) {
	if strings.Trim(s, "0") == "" {
		return 0, nil
	}
	d, err := parseInterval(s)
	return d.Seconds(), err
}

func parseNumber(s string) (*float64, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.ContainsAny(s, "xXpPnN_") {
		return nil, fmt.Errorf("%q is not a number", s)
	}
	return &n, nil
}

// parseList splits tags or properties.
func parseList(s string, separators string) []string {
	var all []string
	for item := range strings.FieldsFuncSeq(s, func(c rune) bool { return strings.ContainsRune(separators, c) }) {
		if item = strings.TrimSpace(item); item != "" && !slices.Contains(all, item) {
			all = append(all, item)
		}
	}
	return all
}

// propertyOf finds what a name in a register means: a property by any of its names (a template), or an HJ 212 code
// with its statistic, such as a34004-Rtd, which is the payload's own name of one Datastream.
func propertyOf(catalogue *sensor.Catalogue, name string) (d sensor.Datastream, err error) {
	if catalogue == nil {
		return d, errors.New("no catalogue here; give a source key instead")
	}
	if p, ok := catalogue.Lookup(name); ok {
		return sensor.Datastream{Property: p.Code}, nil
	}
	if code, suffix, ok := cutLast(name, "-"); ok {
		statistic, known := hj212Statistics[strings.ToLower(suffix)]
		if p, ok := catalogue.HJ212(code); ok && known {
			return sensor.Datastream{Property: p.Property.Code, Statistic: statistic, SourceKey: name}, nil
		}
	}
	return d, fmt.Errorf("%q is not in the catalogue%s; see /v1/properties. For a value the catalogue does not know, leave property empty and give its source_key",
		name, nearest(catalogue, name))
}

// hj212Statistics are the endings of HJ 212-2017 table 8 that carry a property's value, also at the reference state,
// and those of noise stations.
var hj212Statistics = map[string]sensor.Statistic{
	"rtd": sensor.Instant, "data": sensor.Average, "daydata": sensor.Average, "nightdata": sensor.Average, "avg": sensor.Average, "min": sensor.Minimum, "max": sensor.Maximum, "cou": sensor.Sum,
	"zsrtd": sensor.ConvertedInstant, "zsavg": sensor.ConvertedAverage, "zsmin": sensor.ConvertedMinimum, "zsmax": sensor.ConvertedMaximum,
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
