package decode

import (
	"fmt"
	"time"
)

// china is UTC+8 all year since 1992; times before 2000 are quarantined anyway, so no time zone database is needed.
var china = time.FixedZone("Asia/Shanghai", 8*3600)

// Location is the zone that s names: for times that say none.
func (s Settings) Location() (*time.Location, error) {
	switch s.Zone {
	case "", "Asia/Shanghai", "Asia/Chongqing", "PRC":
		return china, nil
	case "UTC", "Z":
		return time.UTC, nil
	}
	loc, err := time.LoadLocation(s.Zone)
	if err != nil {
		return nil, fmt.Errorf("zone %q: %w", s.Zone, err)
	}
	return loc, nil
}

// Clock is a date and a time of day as a payload spells them, before it is known in which zone.
type Clock struct {
	Year, Month, Day, Hour, Minute, Second, Millisecond int
}

// UnixMilli gives the moment in zone loc. ok is false for what no calendar or clock shows; second 60 (a leap
// second) is the moment after second 59.
func (c Clock) UnixMilli(loc *time.Location) (ms int64, ok bool) {
	if c.Month < 1 || c.Month > 12 || c.Day < 1 || c.Day > daysIn(c.Year, c.Month) ||
		c.Hour > 23 || c.Minute > 59 || c.Second > 60 {
		return 0, false
	}
	t := time.Date(c.Year, time.Month(c.Month), c.Day, c.Hour, c.Minute, c.Second, 0, loc)
	return t.Unix()*1000 + int64(c.Millisecond), true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// Digits reads b as a decimal number of exactly len(b) digits, at most 9; anything else gives -1.
func Digits(b []byte) int {
	n := 0
	if len(b) == 0 || len(b) > 9 {
		return -1
	}
	for _, c := range b {
		if c-'0' > 9 {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}
