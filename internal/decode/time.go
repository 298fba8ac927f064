package decode

import (
	"fmt"
	"math"
	"time"
)

// ParseTime reads an RFC 3339 time; zone is for texts that name none, nil refuses them.
func ParseTime(b []byte, zone *time.Location) (ms int64, err error) {
	c, rest, ok := clock(b)
	if !ok {
		return 0, fmt.Errorf("%.40q is not RFC 3339 like 2026-01-01T08:00:00+08:00: %w", string(b), ErrTime)
	}
	if len(rest) == 0 && zone == nil {
		return 0, fmt.Errorf("%q names no zone (end it with Z or +08:00, or set the source's zone): %w", string(b), ErrTime)
	}
	east, ok := 0, true
	if len(rest) > 0 {
		zone = time.UTC
		east, ok = offset(rest)
	}
	ms, real := c.UnixMilli(zone)
	ms -= int64(east) * 1000
	if !ok || !real || ms == 0 {
		return 0, fmt.Errorf("%.40q is no time on a clock: %w", string(b), ErrTime)
	}
	return ms, nil
}

// clock reads date and time of day and returns what follows them: the zone, or nothing.
func clock(b []byte) (c Clock, rest []byte, ok bool) {
	const form = "2006-01-02T15:04:05"
	if len(b) < len(form) || b[4] != '-' || b[7] != '-' || b[13] != ':' || b[16] != ':' ||
		b[10] != 'T' && b[10] != 't' && b[10] != ' ' {
		return c, nil, false
	}
	c = Clock{
		Year: Digits(b[:4]), Month: Digits(b[5:7]), Day: Digits(b[8:10]),
		Hour: Digits(b[11:13]), Minute: Digits(b[14:16]), Second: Digits(b[17:19]),
	}
	if min(c.Year, c.Month, c.Day, c.Hour, c.Minute, c.Second) < 0 {
		return c, nil, false
	}
	rest = b[len(form):]
	if len(rest) > 0 && rest[0] == '.' {
		n := 1
		for scale := 100; n < len(rest) && rest[n]-'0' <= 9; n++ {
			c.Millisecond += int(rest[n]-'0') * scale
			scale /= 10 // digits beyond the millisecond are cut, as every clock does
		}
		if n == 1 {
			return c, nil, false
		}
		rest = rest[n:]
	}
	return c, rest, true
}

// offset reads Z, +08:00 or +0800 and gives seconds east of Greenwich.
func offset(b []byte) (seconds int, ok bool) {
	if len(b) == 1 && b[0]|0x20 == 'z' {
		return 0, true
	}
	if len(b) < 5 || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	minutes := b[3:]
	if minutes[0] == ':' {
		minutes = minutes[1:]
	}
	h, m := Digits(b[1:3]), Digits(minutes)
	if len(minutes) != 2 || h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, false
	}
	seconds = h*3600 + m*60
	if b[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// Epoch reads a count since 1970 whose unit its size tells: seconds below 1e11, milliseconds below 1e14,
// microseconds below 1e17. Each range holds the years 1973 to 5138 in its unit, so no time since 2000 can be
// mistaken. ok is false for 0, which is what a clock that was never set says, and beyond.
func Epoch(v float64) (ms int64, ok bool) {
	switch size := math.Abs(v); {
	case size < 1e11:
		ms = int64(math.Round(v * 1000))
	case size < 1e14:
		ms = int64(math.Round(v))
	case size < 1e17:
		ms = int64(math.Round(v / 1000))
	}
	return ms, ms != 0
}
