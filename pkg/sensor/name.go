package sensor

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// NameFrom makes a name of a serial that has several parts, always the same one: what separates them becomes '.', so that
// "plant/edge1" is "plant.edge1". Where that could make one name of two serials (a part holds a '.', both '/' and ':'
// separate, 64 bytes are not enough), it ends with a hash of the whole serial. The '!' before a Meshtastic node's number is
// left out. A serial with anything else that no name
// may have gives none.
func NameFrom(serial string) (name string, ok bool) {
	if ValidName(serial) {
		return serial, true
	}
	if serial == "" {
		return "", false
	}
	name = strings.NewReplacer("/", ".", ":", ".").Replace(strings.TrimPrefix(serial, "!"))
	if name == "" {
		return "", false
	}
	for _, r := range name {
		if r == utf8.RuneError || !ValidName(string(r)) {
			return "", false
		}
	}
	mixed := strings.Contains(serial, "/") && strings.Contains(serial, ":")
	if len(name) <= 64 && !mixed && !strings.Contains(serial, ".") {
		return name, true
	}
	const room = 64 - len("-01234567")
	return strings.ToValidUTF8(name[:min(len(name), room)], "") + fmt.Sprintf("-%08x", uint32(xxhash.Sum64String(serial))), true
}
