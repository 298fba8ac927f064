package inproc

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/protocol"
)

type commit = protocol.CommitRecord

// rewriteAt is the size at which, as a rule, the file <group>.commits is written anew with the two newest commits of each
// partition, then renamed. Its records are internal/protocol's.
const rewriteAt = 1 << 20

var errCommits = protocol.ErrCommits

// commitFile is the open file and the two newest commits of each partition.
type commitFile struct {
	path string
	f    *os.File
	size int64

	rewriteAt int64 // size from which it is rewritten

	mu     sync.Mutex // guards what follows
	core   protocol.Commits
	failed error // after a failed sync nothing is known of the file, so nothing more is promised
}

func openCommits(dir, group string) (*commitFile, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil { // whoever made it may have died before its name was durable
		return nil, err
	}
	c := &commitFile{path: filepath.Join(dir, group+".commits"), rewriteAt: rewriteAt}
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
		c := &commitFile{f: f}
		err = errors.Join(c.load(), f.Close())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		for part, epoch := range c.core.Epochs() {
			last[part] = max(last[part], epoch)
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
	return c.core.Load(b)
}

// append makes r durable.
func (c *commitFile) append(r commit) error {
	if len(r.Meta) > protocol.MaxMeta {
		return fmt.Errorf("metadata of %d bytes", len(r.Meta))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	b := protocol.AppendCommit(nil, r)
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
	c.core.Remember(r)
	if c.size > c.rewriteAt {
		return c.shorten()
	}
	return nil
}

// shorten rewrites the file. Where that cannot be, on a full disk say, the old one is as good: it is tried again later.
func (c *commitFile) shorten() error {
	err := c.rewrite()
	if errors.Is(err, errReplaced) {
		c.failed = fmt.Errorf("%s stopped: %w", c.path, err)
		return c.failed
	}
	if c.rewriteAt = rewriteAt; err != nil {
		c.rewriteAt = c.size + rewriteAt
	}
	return nil
}

// errReplaced: the file has another in its place, and nobody knows which of the two is found after power loss.
var errReplaced = errors.New("the new file's name is not known to be durable")

// rewrite puts a file with only the newest commits in the place of the present one.
func (c *commitFile) rewrite() error {
	b := c.core.Content()
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
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(tmp))
	}
	if err := syncDir(filepath.Dir(c.path)); err != nil {
		return errors.Join(errReplaced, err, f.Close())
	}
	_ = c.f.Close() // the file that was replaced
	c.f, c.size = f, int64(len(b))
	return nil
}

// position gives the newest commit; Offset -1 if there is none.
func (c *commitFile) position(part int32) commit {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.Position(part)
}

// own makes a new owner of the partitions; allow tells whether it still is the newest.
func (c *commitFile) own() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.Own()
}

func (c *commitFile) allow(generation uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.Allow(generation)
}

// check is protocol.Commits.Check.
func (c *commitFile) check(part int32, log [16]byte, epoch uint32, first, next int64) (anew bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.Check(part, log, epoch, first, next)
}

func (c *commitFile) close() error { return c.f.Close() }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
