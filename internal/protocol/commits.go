package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// CommitRecord says where a group stood in a partition of a log in files.
type CommitRecord struct {
	Part       int32
	Generation uint64
	Log        [16]byte // the incarnation of the log that Offset is of
	Epoch      uint32
	Offset     int64
	Meta       string
}

// The commit file is a sequence of records, little endian:
//
//	uint32 length of the body · uint32 CRC-32C of the body
//	body: int32 partition · uint64 generation · 16 bytes logID · uint32 epoch · int64 offset · meta to the end
//
// Each is synced before the next is written, so only the last can be torn; a broken one before a whole one is damage.
const (
	commitHeader = 8
	commitFixed  = 4 + 8 + 16 + 4 + 8
	// MaxMeta is the longest metadata of a record.
	MaxMeta   = maxCommit - commitFixed
	maxCommit = 1 << 20
)

var (
	// ErrCommits: a record of the commit file is broken and no torn end.
	ErrCommits = errors.New("commit file is damaged")
	// ErrNotOwner: the partition has a newer owner.
	ErrNotOwner = errors.New("not the newest owner")
	// ErrForeign: the commits are not of this log, or not of it as it is.
	ErrForeign = errors.New("the commits do not fit the log")
)

// movedAway is what becomes of a log whose spool somebody moves away.
const movedAway = ": it then begins anew under another epoch, and what was not stored of it is lost"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Commits are the two newest records of each partition, and the generation of the owner.
type Commits struct {
	newest     map[int32][]CommitRecord
	generation uint64
}

// Load reads the file's content. What is torn at its end is left out: it was never answered.
func (c *Commits) Load(b []byte) error {
	c.newest, c.generation = make(map[int32][]CommitRecord), 0
	for at := 0; at < len(b); {
		r, n, ok := parseCommit(b[at:])
		if !ok {
			for after := at + 1; after < len(b); after++ {
				if _, _, ok := parseCommit(b[after:]); ok {
					return fmt.Errorf("at offset %d: %w; bring the newest whole copy back, or move it and the spool away%s", at, ErrCommits, movedAway)
				}
			}
			return nil
		}
		c.Remember(r)
		c.generation = max(c.generation, r.Generation)
		at += n
	}
	return nil
}

// Remember takes a record that is durable.
func (c *Commits) Remember(r CommitRecord) {
	c.newest[r.Part] = append(c.newest[r.Part], r)
	if n := len(c.newest[r.Part]); n > 2 {
		c.newest[r.Part] = slices.Delete(c.newest[r.Part], 0, n-2)
	}
}

// Content is a file of what is remembered.
func (c *Commits) Content() (b []byte) {
	for _, rs := range c.newest {
		for _, r := range rs {
			b = AppendCommit(b, r)
		}
	}
	return b
}

// Position gives the newest record; Offset -1 if there is none.
func (c *Commits) Position(part int32) CommitRecord {
	if rs := c.newest[part]; len(rs) > 0 {
		return rs[len(rs)-1]
	}
	return CommitRecord{Part: part, Offset: -1}
}

// Newest gives a partition's records, the newest last.
func (c *Commits) Newest(part int32) []CommitRecord { return c.newest[part] }

// Epochs gives, by partition, the highest epoch that was ever committed in.
func (c *Commits) Epochs() map[int32]uint32 {
	all := make(map[int32]uint32)
	for part, rs := range c.newest {
		for _, r := range rs {
			all[part] = max(all[part], r.Epoch)
		}
	}
	return all
}

// Generation is the newest owner's.
func (c *Commits) Generation() uint64 { return c.generation }

// Own makes a new owner, above all that ever committed.
func (c *Commits) Own() (generation uint64) {
	c.generation++
	return c.generation
}

// Allow tells whether the owner of a generation may commit: ErrNotOwner when there is a newer one.
func (c *Commits) Allow(generation uint64) error {
	if generation != c.generation {
		return ErrNotOwner
	}
	return nil
}

// Check compares a partition's position with the log that is there, [first, next). A log made anew with a higher epoch
// begins without a position: anew is true, and what was not stored of the old one is lost. Anything else that does not
// fit is refused.
func (c *Commits) Check(part int32, log [16]byte, epoch uint32, first, next int64) (anew bool, err error) {
	r := c.Position(part)
	switch {
	case r.Offset < 0:
		return false, nil
	case r.Log != log && epoch <= r.Epoch:
		return false, fmt.Errorf("partition %d: the commit is of log %x, epoch %d, but the spool is log %x, epoch %d: %w; "+
			"bring back the spool that they are of, or move this one away%s", part, r.Log, r.Epoch, log, epoch, ErrForeign, movedAway)
	case r.Log != log:
		delete(c.newest, part)
		return true, nil
	case r.Offset > next || r.Offset < first:
		return false, fmt.Errorf("partition %d: the group committed %d, but the log holds %d to %d: %w; "+
			"bring back the spool as it was, or move it away%s", part, r.Offset, first, next, ErrForeign, movedAway)
	}
	return false, nil
}

// AppendCommit appends a record's bytes.
func AppendCommit(dst []byte, r CommitRecord) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, commitHeader)...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(r.Part))
	dst = binary.LittleEndian.AppendUint64(dst, r.Generation)
	dst = append(dst, r.Log[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, r.Epoch)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Offset))
	dst = append(dst, r.Meta...)
	body := dst[at+commitHeader:]
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(dst[at+4:], crc32.Checksum(body, castagnoli))
	return dst
}

func parseCommit(b []byte) (r CommitRecord, n int, ok bool) {
	if len(b) < commitHeader+commitFixed {
		return r, 0, false
	}
	size := int64(binary.LittleEndian.Uint32(b))
	if size < commitFixed || size > maxCommit || size > int64(len(b)-commitHeader) {
		return r, 0, false
	}
	body := b[commitHeader : commitHeader+size]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return r, 0, false
	}
	r.Part = int32(binary.LittleEndian.Uint32(body))
	r.Generation = binary.LittleEndian.Uint64(body[4:])
	copy(r.Log[:], body[12:])
	r.Epoch = binary.LittleEndian.Uint32(body[28:])
	r.Offset = int64(binary.LittleEndian.Uint64(body[32:]))
	r.Meta = string(body[commitFixed:])
	return r, commitHeader + int(size), true
}
