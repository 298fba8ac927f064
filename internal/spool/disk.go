package spool

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/situ-city/situ/internal/failpoint"
)

// file and filesystem are what the writer needs of the disk; tests put failing ones in their place.
type file interface {
	io.WriterAt
	Sync() error // data, and what is needed to read it
	Truncate(size int64) error
	Close() error
}

type filesystem interface {
	create(path string) (file, error) // fails if path exists
	open(path string) (file, error)   // for writing
	remove(path string) error
	rename(from, to string) error // to is replaced; durable after syncDir
	syncDir(dir string) error
	replace(path string, content []byte) error // durably, or not at all
}

type disk struct{}

type diskFile struct{ *os.File }

// WriteAt may be told by a test to write half and die there.
func (f diskFile) WriteAt(b []byte, off int64) (int, error) {
	if err := failpoint.Hit(failpoint.SpoolWrite); err != nil {
		if errors.Is(err, failpoint.ErrTorn) {
			_, _ = f.File.WriteAt(b[:len(b)/2], off)
			failpoint.Die()
		}
		return 0, err
	}
	return f.File.WriteAt(b, off)
}

func (f diskFile) Sync() error {
	if err := failpoint.Hit(failpoint.SpoolSync); err != nil {
		return err
	}
	if err := datasync(f.File); err != nil {
		return err
	}
	return failpoint.Hit(failpoint.SpoolSynced)
}

func (disk) create(path string) (file, error) {
	if err := failpoint.Hit(failpoint.SpoolSegment); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func (disk) open(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func (disk) remove(path string) error {
	if err := failpoint.Hit(failpoint.SpoolFree); err != nil {
		return err
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (disk) rename(from, to string) error { return os.Rename(from, to) }

func (disk) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// makeDir makes a lane's directory so that it is found again after power loss: a record that is synced is lost with any
// name above it. Whoever made the directory may have died before its name was synced, so this is done each time.
func makeDir(fs filesystem, dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	lanes := filepath.Dir(dir)
	return errors.Join(fs.syncDir(lanes), fs.syncDir(filepath.Dir(lanes)))
}

func (d disk) replace(path string, content []byte) (err error) {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		if err = failpoint.Hit(failpoint.SpoolMeta); err == nil {
			err = os.Rename(tmp, path)
		}
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return d.syncDir(filepath.Dir(path))
}
