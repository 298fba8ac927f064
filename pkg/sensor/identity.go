package sensor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrIdentity: a text that names no value.
var ErrIdentity = errors.New("not an identity (want gateway:epoch:live|backfill:seq:idx)")

// Name is "gateway:epoch:lane:seq:idx", for people and paths. (It is no String: what embeds an Identity would print as
// its name alone.)
func (id Identity) Name() string {
	return fmt.Sprintf("%s:%d:%s:%d:%d", id.Gateway, id.Epoch, id.Lane, id.Seq, id.Idx)
}

// ParseIdentity is the inverse of Name.
func ParseIdentity(text string) (id Identity, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 5 || parts[0] == "" {
		return id, fmt.Errorf("%.80q: %w", text, ErrIdentity)
	}
	id.Gateway = parts[0]
	epoch, err1 := strconv.ParseUint(parts[1], 10, 32)
	seq, err2 := strconv.ParseUint(parts[3], 10, 64)
	idx, err3 := strconv.ParseUint(parts[4], 10, 16)
	id.Epoch, id.Seq, id.Idx = uint32(epoch), seq, uint16(idx)
	switch parts[2] {
	case Live.String():
	case Backfill.String():
		id.Lane = Backfill
	default:
		err1 = ErrIdentity
	}
	if errors.Join(err1, err2, err3) != nil {
		return Identity{}, fmt.Errorf("%.80q: %w", text, ErrIdentity)
	}
	return id, nil
}
