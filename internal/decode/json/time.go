package json

import (
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/decode"
)

// parseTime reads an RFC 3339 time; zone is for texts that name none, nil refuses them.
func parseTime(b []byte, zone *time.Location) (ms int64, err error) {
	c, rest, ok := clock(b)
	if !ok {
		return 0, fmt.Errorf("%.40q is not RFC 3339 like 2026-01-01T08:00:00+08:00: %w", b, decode.ErrTime)
	}
	if len(rest) == 0 && zone == nil {
		return 0, fmt.Errorf("%q names no zone (end it with Z or +08:00, or set the source's zone): %w", b, decode.ErrTime)
	}
	east, ok := 0, true
	if len(rest) > 0 {
		zone = time.UTC
		east, ok = offset(rest)
	}
	ms, real := c.UnixMilli(zone)
	ms -= int64(east) * 1000
	if !ok || !real || ms == 0 {
		return 0, fmt.Errorf("%.40q is no time on a clock: %w", b, decode.ErrTime)
	}
	return ms, nil
}

// clock reads date and time of day and returns what follows them: the zone, or nothing.
func clock(b []byte) (c decode.Clock, rest []byte, ok bool) {
	const form = "2006-01-02T15:04:05"
	if len(b) < len(form) || b[4] != '-' || b[7] != '-' || b[13] != ':' || b[16] != ':' ||
		b[10] != 'T' && b[10] != 't' && b[10] != ' ' {
		return c, nil, false
	}
	c = decode.Clock{
		Year: decode.Digits(b[:4]), Month: decode.Digits(b[5:7]), Day: decode.Digits(b[8:10]),
		Hour: decode.Digits(b[11:13]), Minute: decode.Digits(b[14:16]), Second: decode.Digits(b[17:19]),
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
	h, m := decode.Digits(b[1:3]), decode.Digits(minutes)
	if len(minutes) != 2 || h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, false
	}
	seconds = h*3600 + m*60
	if b[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}
