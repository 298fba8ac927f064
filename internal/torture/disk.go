package torture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// disk is a small file system under a data directory, or under the spools of one, so that it can be filled to the last byte and freed again.
type disk struct {
	at   string
	kind string // how it was made

	mu       sync.Mutex // guards what follows
	from, to time.Time  // when it was full last; to is zero while it is
}

// wasFull tells whether it was full at a time: whoever is started on a full disk may refuse.
func (d *disk) wasFull(at time.Time) bool {
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.from.IsZero() && at.After(d.from) && (d.to.IsZero() || at.Before(d.to))
}

func (d *disk) note(from, to time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.from, d.to = from, to
}

const (
	fillStep  = 32 << 20 // bytes, and how long until the next: as fast as a good disk
	fillPause = 20 * time.Millisecond
	ballast   = "ballast"

	// The store keeps what merges replaced for eight minutes of one life; killed every few seconds it keeps it for ever,
	// and a small disk has run out of inodes before it has run out of bytes.
	bytesPerInode = "2048"

	mountTime = 20 * time.Second
)

// mountSmall mounts one at dir: an ext4 in a file on a loop device, else a tmpfs. Where neither is allowed it gives
// nil and no error: the disk is then said to be full by a failpoint in the spool's file system.
func mountSmall(dir, beside string, mb int) (*disk, error) {
	image := filepath.Join(beside, "small.img")
	f, err := os.Create(image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(int64(mb)<<20), f.Close()); err != nil {
		return nil, err
	}
	if run("mkfs.ext4", "-q", "-F", "-m", "0", "-i", bytesPerInode, image) == nil && run("mount", "-o", "loop", image, dir) == nil {
		return &disk{at: dir, kind: "ext4 on a loop device"}, nil
	}
	_ = os.Remove(image)
	if run("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=750", mb), "situ-torture", dir) == nil {
		return &disk{at: dir, kind: "tmpfs"}, nil
	}
	return nil, nil
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// String says how a full disk is made.
func (d *disk) String() string {
	if d == nil {
		return "failpoint (mounting is not allowed here)"
	}
	return d.kind
}

// full keeps the disk full for a while: what is freed meanwhile, by the engine's merges, is taken too.
func (d *disk) full(ctx context.Context, long time.Duration, log *slog.Logger) {
	began := time.Now()
	d.note(began, time.Time{})
	var since time.Time // when the last byte was taken
	for ctx.Err() == nil && (since.IsZero() || time.Since(since) < long) {
		if d.fill(log) && since.IsZero() {
			since = time.Now()
		}
		pause(ctx, fillPause)
	}
	d.free(log)
	d.note(began, time.Now())
}

// fill takes the next step, and with the last one every byte; true: nothing more fits.
func (d *disk) fill(log *slog.Logger) (full bool) {
	f, err := os.OpenFile(filepath.Join(d.at, ballast), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		log.Warn("fill the disk", "err", err)
		return true
	}
	defer f.Close()
	more, err := reserve(f, fillStep)
	if err != nil {
		log.Warn("fill the disk", "err", err)
	}
	if more {
		return false
	}
	for size := 1 << 20; size >= 512; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return true
}

// free gives the room back.
func (d *disk) free(log *slog.Logger) {
	if err := os.Remove(filepath.Join(d.at, ballast)); err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Warn("free the disk", "err", err)
	}
}

// unmount gives the directory back. What is on the small disk is lost unless it was kept.
func (d *disk) unmount() error {
	if d == nil {
		return nil
	}
	deadline := time.Now().Add(mountTime)
	for {
		err := run("umount", d.at)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(100 * time.Millisecond) // a process that was killed lets go of its files a moment later
	}
}
