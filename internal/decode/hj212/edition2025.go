package hj212

import (
	"bytes"
	"fmt"

	"github.com/situ-city/situ/internal/decode"
)

// checkAgainstStandard is the CN of HJ 212-2025 for values measured of a standard instead of the air or water.
const checkAgainstStandard = "2062"

// errEncrypted: the 2025 edition lets data be sent as SM4 cipher text; the key is between device and its center.
var errEncrypted = fmt.Errorf("encrypted data (HJ 212-2025, SM4): %w", decode.ErrUnsupported)

// encrypted reports whether CP is cipher text: the Flag names the 2025 edition, and CP holds bytes, but no name=value.
func (h *header) encrypted() bool {
	n := decode.Digits(h.flag)
	return n>>editionAt == 2 && len(h.cp) > 0 && bytes.IndexByte(h.cp, '=') < 0
}

// encrypted is the same of data that are no text.
func encrypted(data []byte) bool {
	var h header
	return h.read(data, nil) == nil && decode.Digits(h.flag)>>editionAt == 2
}

// condition reports whether a code is one of HJ 212-2025 for the condition of a plant (p99101 and so on), which is
// sent in words: "St", "N", "Sr".
func condition(code []byte) bool {
	return len(code) == 6 && code[0]|0x20 == 'p' && decode.Digits(code[1:]) >= 0
}
