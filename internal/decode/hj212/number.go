package hj212

import (
	"fmt"
	"strings"

	"github.com/situ-city/situ/internal/decode"
)

// number reads a value: JSON's grammar is the fast way, and what else devices send is the slow one ("+1", "007", ".5").
func number(b []byte) (float64, error) {
	v, n, err := decode.Number(b)
	if n == len(b) {
		return v, err
	}
	s := strings.TrimSpace(string(b))
	minus := strings.HasPrefix(s, "-")
	if minus || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	for len(s) > 1 && s[0] == '0' && s[1]-'0' <= 9 {
		s = s[1:]
	}
	if strings.HasPrefix(s, ".") {
		s = "0" + s
	} else if strings.IndexByte(s, '.') == len(s)-1 {
		s = strings.TrimSuffix(s, ".")
	}
	if strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("%.40q: %w", b, decode.ErrNumber)
	}
	v, n, err = decode.Number([]byte(s))
	if err == nil && (n == 0 || n != len(s)) {
		err = fmt.Errorf("%.40q: %w", b, decode.ErrNumber)
	}
	if minus {
		v = -v
	}
	return v, err
}
