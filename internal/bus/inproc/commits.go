package inproc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/failpoint"
)

// commit is one line of the file: where a group stands in a partition.
type commit struct {
	Part       int32
	Generation uint64
	Log        bus.LogID // the incarnation of the log that Offset is of
	Epoch      uint32
	Offset     int64
	Meta       string
}

// The file <group>.commits is a sequence of records, little endian:
//
//	uint32 length of the body · uint32 CRC-32C of the body
//	body: int32 partition · uint64 generation · 16 bytes logID · uint32 epoch · int64 offset · meta to the end
//
// Each is synced before the next is written, so only the last can be torn; a broken one before a whole one is damage.
// When the file has grown it is written anew with the two newest commits of each partition, then renamed.
const (
	commitHeader = 8
	commitFixed  = 4 + 8 + 16 + 4 + 8
	maxCommit    = 1 << 20
	rewriteAt    = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errCommits = errors.New("commit file is damaged")

// commitFile is the open file and the two newest commits of each partition.
type commitFile struct {
	path string
	f    *os.File
	size int64

	mu     sync.Mutex // guards newest and failed
	newest map[int32][]commit
	failed error // after a failed sync nothing is known of the file, so nothing more is promised
}

func openCommits(dir, group string) (*commitFile, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	c := &commitFile{path: filepath.Join(dir, group+".commits"), newest: map[int32][]commit{}}
	f, err := os.OpenFile(c.path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	c.f = f
	if err := c.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", c.path, err), f.Close())
	}
	if err := c.rewrite(); err != nil { // also proves that the directory takes writes, before anything depends on it
		return nil, errors.Join(err, c.f.Close())
	}
	return c, nil
}

// LastEpochs gives, by partition, the highest epoch that a group has committed in: a spool made anew must be above it.
// It changes nothing, and must not run beside an open Bus.
func LastEpochs(dir string, groups []string) (map[int32]uint32, error) {
	last := map[int32]uint32{}
	for _, group := range groups {
		f, err := os.Open(filepath.Join(dir, group+".commits"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c := &commitFile{f: f, newest: map[int32][]commit{}}
		err = errors.Join(c.load(), f.Close())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		for part, rs := range c.newest {
			for _, r := range rs {
				last[part] = max(last[part], r.Epoch)
			}
		}
	}
	return last, nil
}

// load reads what is there and stops before a torn end.
func (c *commitFile) load() error {
	b, err := io.ReadAll(c.f)
	if err != nil {
		return err
	}
	for at := 0; at < len(b); {
		r, n, ok := parseCommit(b[at:])
		if !ok {
			for after := at + 1; after < len(b); after++ {
				if _, _, ok := parseCommit(b[after:]); ok {
					return fmt.Errorf("at offset %d: %w", at, errCommits)
				}
			}
			return nil
		}
		c.remember(r)
		at += n
	}
	return nil
}

func (c *commitFile) remember(r commit) {
	c.newest[r.Part] = append(c.newest[r.Part], r)
	if n := len(c.newest[r.Part]); n > 2 {
		c.newest[r.Part] = slices.Delete(c.newest[r.Part], 0, n-2)
	}
}

// append makes r durable.
func (c *commitFile) append(r commit) error {
	if len(r.Meta) > maxCommit-commitFixed {
		return fmt.Errorf("metadata of %d bytes", len(r.Meta))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	b := appendCommit(nil, r)
	if err := failpoint.Hit(failpoint.BusCommit); err != nil {
		return err
	}
	if _, err := c.f.WriteAt(b, c.size); err != nil {
		return err // written in part: the next one goes over it
	}
	if err := c.f.Sync(); err != nil {
		c.failed = fmt.Errorf("%s stopped: %w", c.path, err)
		return c.failed
	}
	_ = failpoint.Hit(failpoint.BusCommitted) // nothing is left to fail
	c.size += int64(len(b))
	c.remember(r)
	if c.size > rewriteAt {
		if err := c.rewrite(); err != nil {
			c.failed = fmt.Errorf("%s stopped: %w", c.path, err)
			return c.failed
		}
	}
	return nil
}

// rewrite puts a file with only the newest commits in the place of the present one.
func (c *commitFile) rewrite() error {
	var b []byte
	for _, rs := range c.newest {
		for _, r := range rs {
			b = appendCommit(b, r)
		}
	}
	tmp := c.path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(tmp, c.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(c.path))
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	_ = c.f.Close() // the file that was replaced
	c.f, c.size = f, int64(len(b))
	return nil
}

// position gives the newest commit; Offset -1 if there is none.
func (c *commitFile) position(part int32) commit {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rs := c.newest[part]; len(rs) > 0 {
		return rs[len(rs)-1]
	}
	return commit{Part: part, Offset: -1}
}

// forget drops what is known of a partition whose log is gone.
func (c *commitFile) forget(part int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.newest, part)
}

// generation gives the highest one ever committed under.
func (c *commitFile) generation() (g uint64) {
	for _, rs := range c.newest {
		for _, r := range rs {
			g = max(g, r.Generation)
		}
	}
	return g
}

func (c *commitFile) close() error { return c.f.Close() }

func appendCommit(dst []byte, r commit) []byte {
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

func parseCommit(b []byte) (r commit, n int, ok bool) {
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

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
