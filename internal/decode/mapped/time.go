package mapped

import (
	"fmt"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/decode"
)

// moment reads the result of `time`.
func (p *Program) moment(v any) (ms int64, err error) {
	if v == nil || v == "" {
		return 0, nil
	}
	if n, ok := number(v); ok {
		switch {
		case n >= 1e11 && n < 1e14:
			return int64(n), nil
		case n >= 1e8 && n < 1e11:
			return 0, fmt.Errorf("%.0f looks like seconds since 1970, milliseconds are wanted (write ... * 1000): %w", n, decode.ErrTime)
		}
		return 0, fmt.Errorf("%v is no time in milliseconds since 1970: %w", n, decode.ErrTime)
	}
	s, ok := v.(string)
	if !ok {
		return 0, fmt.Errorf("%s, want milliseconds since 1970 or RFC 3339 text: %w", kind(v), decode.ErrTime)
	}
	return text(strings.TrimSpace(s), p.zone)
}

func text(s string, zone *time.Location) (int64, error) {
	if len(s) == 14 && strings.Trim(s, "0123456789") == "" {
		s = s[:4] + "-" + s[4:6] + "-" + s[6:8] + " " + s[8:10] + ":" + s[10:12] + ":" + s[12:]
	}
	s = strings.ReplaceAll(s, "/", "-")
	for _, form := range [...]string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700",
		"2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(form, s, zone); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("%.40q is no time such as 2026-11-23T08:00:00+08:00 or 2026-11-23 08:00:00: %w", s, decode.ErrTime)
}
