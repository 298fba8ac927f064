package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/situ-city/situ/pkg/sensor"
)

// several makes a closed directory of several segments with records 1..n.
func several(t testing.TB, gateway string, n uint64) string {
	t.Helper()
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Gateway: gateway, SegmentBytes: 4096})
	putClasses(t, s, 1, n)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func content(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put0(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o640); err != nil {
		t.Fatal(err)
	}
}

// Whatever somebody does to the files of a directory: it is refused with a text that names file and matter, and left as
// it was, or it is healed and every record is there. Never is a wrong record read or a number given twice.
func TestForeignAndDamagedDirectories(t *testing.T) {
	const all = 300
	other := several(t, "other", all)
	for _, c := range []struct {
		name   string
		harm   func(t *testing.T, dir string, segs []string)
		heal   bool // everything is there afterwards
		refuse error
		says   []string
	}{
		{"two segments swapped", func(t *testing.T, dir string, segs []string) {
			a, b := content(t, segs[1]), content(t, segs[2])
			put0(t, segs[1], b)
			put0(t, segs[2], a)
		}, false, ErrCorrupt, []string{"header is of log"}},
		{"a segment of another log", func(t *testing.T, dir string, segs []string) {
			put0(t, segs[1], content(t, segmentFiles(t, other)[1]))
		}, false, ErrCorrupt, []string{"header is of log"}},
		{"the first segment of another log", func(t *testing.T, dir string, segs []string) {
			put0(t, segs[0], content(t, segmentFiles(t, other)[0]))
		}, false, ErrIdentity, []string{metaName, "epoch"}},
		{"another log's segments beside its own meta file", func(t *testing.T, dir string, segs []string) {
			for _, name := range segs {
				if err := os.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range segmentFiles(t, other) {
				put0(t, filepath.Join(dir, filepath.Base(name)), content(t, name))
			}
		}, false, ErrIdentity, []string{metaName}},
		{"another log's meta file", func(t *testing.T, dir string, segs []string) {
			put0(t, filepath.Join(dir, metaName), content(t, filepath.Join(other, metaName)))
		}, false, ErrIdentity, []string{`gateway "other", not "g"`}},
		{"a segment in the middle is missing", func(t *testing.T, dir string, segs []string) {
			if err := os.Remove(segs[2]); err != nil {
				t.Fatal(err)
			}
		}, false, ErrCorrupt, []string{"but the next segment is"}},
		{"a segment in the middle is empty", func(t *testing.T, dir string, segs []string) { put0(t, segs[2], nil) },
			false, ErrCorrupt, []string{"header is broken"}},
		{"a segment in the middle is torn", func(t *testing.T, dir string, segs []string) {
			b := content(t, segs[2])
			put0(t, segs[2], b[:len(b)-5])
		}, false, ErrCorrupt, []string{"is broken", "offset"}},
		{"a bit flipped in the class of a record", func(t *testing.T, dir string, segs []string) {
			b := content(t, segs[1])
			b[headerSize+markSize+3] ^= 0x10
			put0(t, segs[1], b)
		}, false, ErrCorrupt, []string{"is broken"}},
		{"a text file named as a segment", func(t *testing.T, dir string, segs []string) {
			put0(t, segs[1], []byte(strings.Repeat("not a log\n", 100)))
		}, false, ErrCorrupt, []string{"no segment of situ's"}},
		{"the newest segment is missing", func(t *testing.T, dir string, segs []string) {
			if err := os.Remove(segs[len(segs)-1]); err != nil {
				t.Fatal(err)
			}
		}, false, ErrCorrupt, []string{"newest segment is missing"}},
		{"a meta file that is no JSON", func(t *testing.T, dir string, segs []string) {
			put0(t, filepath.Join(dir, metaName), []byte("\x00\x00\x00"))
		}, false, ErrCorrupt, []string{metaName}},
		{"a segment of a newer situ", func(t *testing.T, dir string, segs []string) {
			b := content(t, segs[0])
			b[7] = '9'
			binary.LittleEndian.PutUint32(b[60:], checksum(b[:60]))
			put0(t, segs[0], b)
		}, false, ErrVersion, []string{"segment format 9", "run the situ that wrote it"}},
		{"the meta file is lost", func(t *testing.T, dir string, segs []string) {
			if err := os.Remove(filepath.Join(dir, metaName)); err != nil {
				t.Fatal(err)
			}
		}, true, nil, nil},
		{"files that are none of its own", func(t *testing.T, dir string, segs []string) {
			put0(t, filepath.Join(dir, "notes.txt"), []byte("do not touch"))
			put0(t, filepath.Join(dir, "1.seg"), []byte("no segment's name"))
			put0(t, segs[0]+thinSuffix, []byte("left by a crash"))
			put0(t, filepath.Join(dir, metaName+".tmp"), []byte("left by a crash"))
		}, true, nil, nil},
		{"a segment half made behind the last", func(t *testing.T, dir string, segs []string) {
			put0(t, filepath.Join(dir, segmentName(all+1)), make([]byte, 10))
		}, true, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := several(t, "g", all)
			c.harm(t, dir, segmentFiles(t, dir))
			before := snapshot(t, dir)
			s, err := Open(Config{Dir: dir, Gateway: "g", SegmentBytes: 4096})
			if c.heal {
				if err != nil {
					t.Fatal(err)
				}
				expectBodies(t, readAll(t, s, 1), 1, all)
				putClasses(t, s, all+1, all+10)
				expectBodies(t, readAll(t, s, 1), 1, all+10)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("taken as it is", s.Close())
			}
			wantErr(t, err, c.refuse)
			for _, word := range append(c.says, dir) {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
			if after := snapshot(t, dir); !slices.Equal(before, after) {
				t.Errorf("refused and changed:\n%v\n%v", before, after)
			}
		})
	}
}

// snapshot names what is in a directory, and what in it.
func snapshot(t testing.TB, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "LOCK" {
			b := content(t, filepath.Join(dir, e.Name()))
			all = append(all, fmt.Sprintf("%s %d %08x", e.Name(), len(b), checksum(b)))
		}
	}
	return all
}

// A directory of the first version, whose records have no class: it is read, goes on in its last segment, and policy
// leaves it alone.
func TestDirectoryOfFormat1(t *testing.T) {
	dir := t.TempDir()
	id, producer := newLogID(), sensor.Producer{Gateway: "old", Epoch: 1}
	const each, segments = 30, 4
	for k := range uint64(segments) {
		first := 1 + k*each
		b := header{Format: formatOld, LogID: id, Epoch: producer.Epoch, First: first, Made: 1}.append(nil)
		var mark [markSize]byte
		putMark(mark[:], id, first, headerSize)
		b = append(b, mark[:]...)
		for n := first; n < first+each; n++ {
			at := len(b) // as the first version wrote it: length, CRC of (seq, body), body
			b = binary.LittleEndian.AppendUint64(b, n)
			b = append(b, body(n)...)
			sum := checksum(b[at:])
			binary.LittleEndian.PutUint32(b[at:], uint32(len(body(n))))
			binary.LittleEndian.PutUint32(b[at+4:], sum)
		}
		put0(t, filepath.Join(dir, segmentName(first)), b)
	}
	put0(t, filepath.Join(dir, metaName), []byte(fmt.Sprintf(`{"gateway":"old","epoch":1,"lane":0,"log_id":"%x","newest_segment":%d}`, id, 1+(segments-1)*each)))

	cfg := Config{Dir: dir, SegmentBytes: 8 << 10}
	s := open(t, cfg)
	if s.Producer() != producer || s.LogID() != id {
		t.Fatalf("identity %v", s.Producer())
	}
	all := uint64(each * segments)
	expectBodies(t, readAll(t, s, 1), 1, int(all))
	putClasses(t, s, all+1, all+300)
	p := Policy{Classes: []Horizon{{sensor.Social, 0}, {sensor.Enterprise, 0}}, Describe: describe}
	for ok := true; ok; {
		var err error
		if ok, err = s.Thin(p); err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		expectBodies(t, readAll(t, s, 1)[:all], 1, int(all))
		if held := s.Held(); held[sensor.Social].Messages+held[sensor.Enterprise].Messages > 100 || held[sensor.ClassUnknown].Messages < all {
			t.Fatalf("held %+v", held)
		}
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	check()
}

// fullFS has no room from its n-th operation on.
type fullFS struct {
	disk
	left atomic.Int64
}

func (f *fullFS) step() error {
	if f.left.Add(-1) < 0 {
		return &os.PathError{Op: "write", Path: "disk", Err: syscall.ENOSPC}
	}
	return nil
}

type fullFile struct {
	file
	fs *fullFS
}

func (f *fullFS) create(path string) (file, error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	inner, err := f.disk.create(path)
	return fullFile{inner, f}, err
}

func (f *fullFS) open(path string) (file, error) {
	inner, err := f.disk.open(path)
	return fullFile{inner, f}, err
}

func (f *fullFS) replace(path string, b []byte) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.disk.replace(path, b)
}

func (f fullFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.fs.step(); err != nil {
		n, _ := f.file.WriteAt(b[:len(b)/2], off)
		return n, err
	}
	return f.file.WriteAt(b, off)
}

// The disk is full from the first operation on, or the second, and so on: at the making of the spool, at a commit, at a
// new segment, at its note, at a rewriting. Nothing acknowledged is lost, what is refused is told as ErrFull, and when
// there is room again the spool goes on.
func TestDiskFullAtEveryOperation(t *testing.T) {
	p := Policy{Classes: []Horizon{{sensor.Social, 0}}, Describe: describe}
	for at := int64(0); ; at++ {
		dir, fs := memoryDir(t), &fullFS{}
		fs.left.Store(at)
		cfg := Config{Dir: dir, SegmentBytes: 4096, MaxBytes: 64 << 20, fs: fs}
		s, err := Open(cfg)
		if err != nil {
			wantErr(t, err, syscall.ENOSPC)
			fs.left.Store(1 << 40)
			if s, err = Open(cfg); err != nil {
				t.Fatalf("%d: when there is room: %v", at, err)
			}
			fs.left.Store(0)
		}
		var taken uint64
		hit := false
		for n := uint64(1); n <= 200; n += 10 {
			k, err := putSome(s, n, n+9)
			taken += k
			if err != nil {
				wantErr(t, err, ErrFull)
				wantErr(t, s.NoRoom(), ErrFull)
				hit = true
				break
			}
		}
		if _, err := s.Thin(p); err != nil {
			wantErr(t, err, syscall.ENOSPC)
			hit = true
		}
		fs.left.Store(1 << 40)
		count(t, s, 1, taken)
		putClasses(t, s, taken+1, taken+50)
		if s.NoRoom() != nil {
			t.Fatal(s.NoRoom())
		}
		count(t, s, 1, taken+50)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, Config{Dir: dir})
		count(t, s, 1, taken+50)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if !hit {
			t.Logf("%d operations", at)
			return
		}
	}
}

// A real file system of 2 MiB, full before the bound is reached, and freed again.
func TestSmallFileSystem(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("not run: mounting a small tmpfs needs Linux and root; run go test as root")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "situ-test", dir).CombinedOutput(); err != nil {
		t.Skipf("not run: mounting a tmpfs is not permitted here: %v: %s; run it in a container with SYS_ADMIN", err, bytes.TrimSpace(out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	s := open(t, Config{Dir: filepath.Join(dir, "spool"), SegmentBytes: 256 << 10, MaxBytes: 64 << 20})
	t.Cleanup(func() { _ = s.Close() })
	var n uint64
	for full := false; !full; {
		k, err := putSome(s, n+1, n+100)
		n += k
		if err != nil {
			wantErr(t, err, ErrFull)
			wantErr(t, s.NoRoom(), syscall.ENOSPC)
			full = true
		}
		if n > 1_000_000 {
			t.Fatal("2 MiB are never full")
		}
	}
	count(t, s, 1, n)
	if err := s.Trim(n / 2); err != nil {
		t.Fatal(err)
	}
	for more := uint64(0); more < 100; {
		k, err := putSome(s, n+1, n+20)
		if n += k; err != nil {
			t.Fatal(err)
		}
		more += k
	}
	first, _ := s.Bounds()
	count(t, s, first, n)
	t.Logf("%d records fitted, %d after some were freed", n-100, n-first+1)
	if err := s.Close(); err != nil && !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}
