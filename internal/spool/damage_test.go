package spool

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// small makes a directory whose only segment holds 8 records in 4 commits; ends[i] is where commit i ends.
func small(t testing.TB) (dir string, image []byte, ends []int64) {
	t.Helper()
	for range 100 {
		if dir, image, ends = trySmall(t); ends != nil {
			return dir, image, ends
		}
	}
	t.Fatal("two records appended together never share a commit")
	return "", nil, nil
}

// trySmall gives no ends where the writer was so quick, or its caller so slow, that two records went into two commits.
func trySmall(t testing.TB) (dir string, image []byte, ends []int64) {
	t.Helper()
	dir = memoryDir(t)
	commits := 0
	s := open(t, Config{Dir: dir, OnCommit: func(Commit) { commits++ }})
	for n := uint64(1); n <= 8; n += 2 {
		mustPut(t, s, n, n+1)
		u, _ := s.Used()
		ends = append(ends, u)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if commits != 4 {
		return dir, nil, nil
	}
	image, err := os.ReadFile(segmentFiles(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(image)) != ends[3] {
		t.Fatalf("%d bytes, counted %d", len(image), ends[3])
	}
	return dir, image, ends
}

func reopenImage(t testing.TB, dir string, image []byte) (*Spool, error) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, segmentName(1)), image, 0o640); err != nil {
		t.Fatal(err)
	}
	return Open(Config{Dir: dir})
}

// TestTornTailIsCut cuts the last segment at every byte: what is whole before the cut stays, and the log goes on.
func TestTornTailIsCut(t *testing.T) {
	dir, image, _ := small(t)
	for cut := headerSize; cut <= len(image); cut++ {
		s, err := reopenImage(t, dir, image[:cut])
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		got := readAll(t, s, 1)
		expectBodies(t, got, 1, len(got))
		n := uint64(len(got))
		if cut == len(image) && n != 8 {
			t.Fatalf("whole file gives %d records", n)
		}
		if err := put(t, s, body(n+1)); err != nil {
			t.Fatal(err)
		}
		expectBodies(t, readAll(t, s, 1), 1, int(n)+1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFlippedBit flips one bit at every byte: never is a wrong body read, and a record of any commit but the last,
// which is known to have been synced and so may have been acknowledged, is never cut off silently.
func TestFlippedBit(t *testing.T) {
	dir, image, ends := small(t)
	for at := range image {
		bad := bytes.Clone(image)
		bad[at] ^= 1 << (at % 8)
		s, err := reopenImage(t, dir, bad)
		if int64(at) < ends[2] {
			wantErr(t, err, ErrCorrupt)
			var d *DamageError
			if !errors.As(err, &d) || filepath.Base(d.Segment) != segmentName(1) || d.Offset > int64(at) {
				t.Fatalf("flip at %d is told as %v", at, err)
			}
			continue
		}
		if err != nil { // the mark of the last commit: broken, it vouches for nothing
			t.Fatalf("flip at %d: %v", at, err)
		}
		got := readAll(t, s, 1)
		if len(got) < 6 || len(got) == 8 {
			t.Fatalf("flip at %d leaves %d records", at, len(got))
		}
		expectBodies(t, got, 1, len(got))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamageInEarlierSegmentStops(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, SegmentBytes: 4096})
	mustPut(t, s, 1, 200)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	first := segmentFiles(t, dir)[0]
	image, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"cut in a record":   image[:len(image)-3],
		"cut at the header": image[:headerSize],
		"empty":             nil,
		"last byte flipped": append(bytes.Clone(image[:len(image)-1]), image[len(image)-1]^1),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(first, bad, 0o640); err != nil {
				t.Fatal(err)
			}
			_, err := Open(Config{Dir: dir, SegmentBytes: 4096})
			wantErr(t, err, ErrCorrupt)
		})
	}
}

// TestUnbornSegmentIsRemoved: a crash while a segment is made leaves a short file, which held nothing.
func TestUnbornSegmentIsRemoved(t *testing.T) {
	for _, size := range []int{0, 1, headerSize - 1, headerSize} {
		dir := t.TempDir()
		s := open(t, Config{Dir: dir})
		mustPut(t, s, 1, 10)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, segmentName(11)), make([]byte, size), 0o640); err != nil {
			t.Fatal(err)
		}
		s = open(t, Config{Dir: dir})
		mustPut(t, s, 11, 12)
		expectBodies(t, readAll(t, s, 1), 1, 12)
		if n := len(segmentFiles(t, dir)); n != 1 {
			t.Fatalf("%d segments", n)
		}
	}
}

func TestReaderNamesDamage(t *testing.T) {
	s := open(t, Config{})
	mustPut(t, s, 1, 10)
	name := segmentFiles(t, s.Dir())[0]
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xff, 0xff}, headerSize+markSize+recordHeader+3); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := s.NewReader(1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 2 { // and stays so
		_, _, err = r.Next()
		var d *DamageError
		if !errors.As(err, &d) || d.Segment != name || d.Offset != headerSize+markSize {
			t.Fatalf("error is %v", err)
		}
	}
}

// A payload that holds a mark, even one with the right offset, is not taken for one: it lacks the log's id.
func TestMarkInPayloadIsNoMark(t *testing.T) {
	var b [markSize]byte
	putMark(b[:], [16]byte{1}, 7, 100)
	if !isMark(b[:], [16]byte{1}, 100) || isMark(b[:], [16]byte{2}, 100) || isMark(b[:], [16]byte{1}, 101) {
		t.Fatal("mark is not bound to its log and place")
	}
}

// FuzzSegment opens whatever bytes as the only segment. It must not panic, must not give a record that is not
// covered by its checksum (the cursor checks), and either stops with an error or goes on and can be read again.
func FuzzSegment(f *testing.F) {
	dir, image, _ := small(f)
	head := image[:headerSize]
	f.Add(image[headerSize:])
	f.Add(image[headerSize : headerSize+40])
	f.Add(bytes.Repeat([]byte{0}, 64))
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Fuzz(func(t *testing.T, tail []byte) {
		s, err := reopenImage(t, dir, append(bytes.Clone(head), tail...))
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		before := readAll(t, s, 1)
		if err := put(t, s, []byte("after")); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, Config{Dir: dir})
		after := readAll(t, s, 1)
		if len(after) != len(before)+1 || string(after[len(before)]) != "after" {
			t.Fatalf("%d records became %d", len(before), len(after))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
