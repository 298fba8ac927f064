package torture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// disk is a small file system under the spools of a data directory, so that it can be filled to the last byte and freed again.
type disk struct {
	at   string
	kind string // how it was made
}

const (
	smallMB   = 128
	ballast   = "ballast"
	mountTime = 20 * time.Second
)

// mountSmall mounts one at dir: an ext4 in a file on a loop device, else a tmpfs. Where neither is allowed it gives
// nil and no error: the disk is then said to be full by a failpoint in the spool's file system.
func mountSmall(dir, beside string) (*disk, error) {
	image := filepath.Join(beside, "small.img")
	f, err := os.Create(image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(smallMB<<20), f.Close()); err != nil {
		return nil, err
	}
	if run("mkfs.ext4", "-q", "-F", "-m", "0", image) == nil && run("mount", "-o", "loop", image, dir) == nil {
		return &disk{dir, "ext4 on a loop device"}, nil
	}
	_ = os.Remove(image)
	if run("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=750", smallMB), "situ-torture", dir) == nil {
		return &disk{dir, "tmpfs"}, nil
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
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	for ctx.Err() == nil {
		d.fill(log)
		pause(ctx, 10*time.Millisecond)
	}
	d.free(log)
}

// fill writes until nothing more fits.
func (d *disk) fill(log *slog.Logger) {
	f, err := os.OpenFile(filepath.Join(d.at, ballast), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		log.Warn("fill the disk", "err", err)
		return
	}
	defer f.Close()
	if err := reserve(f, smallMB<<20); err != nil {
		log.Warn("fill the disk", "err", err)
	}
	for size := 1 << 20; size >= 512; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
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
