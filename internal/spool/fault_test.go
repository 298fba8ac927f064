package spool

import (
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// faultyFS is the disk, until told to fail.
type faultyFS struct {
	disk
	writeErr, syncErr, createErr atomic.Pointer[error]
	writes                       atomic.Int64
	hold                         sync.Mutex // held by a test that wants writes to stand still
	short                        atomic.Int64
}

type faultyFile struct {
	file
	fs *faultyFS
}

func (f *faultyFS) create(path string) (file, error) {
	if e := f.createErr.Load(); e != nil {
		return nil, *e
	}
	inner, err := f.disk.create(path)
	return faultyFile{inner, f}, err
}

func (f *faultyFS) open(path string) (file, error) {
	inner, err := f.disk.open(path)
	return faultyFile{inner, f}, err
}

// WriteAt fails after writing a part, as a full disk does.
func (f faultyFile) WriteAt(b []byte, off int64) (int, error) {
	f.fs.hold.Lock()
	defer f.fs.hold.Unlock()
	f.fs.writes.Add(1)
	if e := f.fs.writeErr.Load(); e != nil {
		n, _ := f.file.WriteAt(b[:min(int64(len(b)), f.fs.short.Load())], off)
		return n, *e
	}
	return f.file.WriteAt(b, off)
}

func (f faultyFile) Sync() error {
	if e := f.fs.syncErr.Load(); e != nil {
		return *e
	}
	return f.file.Sync()
}

func TestFsyncErrorStopsForEver(t *testing.T) {
	dir := t.TempDir()
	bad := &faultyFS{}
	s := open(t, Config{Dir: dir, fs: bad})
	mustPut(t, s, 1, 30)

	bad.hold.Lock() // one commit stands in its write, so that more appends gather behind it
	a := newAckLog()
	before := bad.writes.Load()
	for n := uint64(31); n <= 60; n++ {
		if err := s.Append(body(n), Ack{a, n}); err != nil {
			t.Fatal(err)
		}
	}
	var eio error = syscall.EIO
	bad.syncErr.Store(&eio)
	bad.hold.Unlock()
	a.wait(t, 30)
	for i, err := range a.errs {
		if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Fatalf("answer for %d: %v", a.tokens[i], err)
		}
	}
	<-s.Failed()
	if bad.writes.Load() > before+1 {
		t.Fatal("it wrote on after a failed sync")
	}
	bad.syncErr.Store(nil) // the disk is well again; what it forgot is not known, so the spool is not
	wantErr(t, s.Append(body(61), Ack{}), ErrFailed)
	wantErr(t, s.Err(), syscall.EIO)
	wantErr(t, s.Wait(t.Context(), 31), ErrFailed)
	expectBodies(t, readAll(t, s, 1), 1, 30)
	wantErr(t, s.Close(), ErrFailed)

	s = open(t, Config{Dir: dir}) // a new process reads what is there: the acknowledged, perhaps more
	got := readAll(t, s, 1)
	if len(got) < 30 {
		t.Fatalf("%d records left", len(got))
	}
	expectBodies(t, got, 1, len(got))
}

func TestDiskFullRefusesAndRecovers(t *testing.T) {
	for _, part := range []int64{0, 1, 20, 100} {
		dir := t.TempDir()
		bad := &faultyFS{}
		s := open(t, Config{Dir: dir, fs: bad})
		mustPut(t, s, 1, 20)
		used, _ := s.Used()
		var full error = syscall.ENOSPC
		bad.short.Store(part)
		bad.writeErr.Store(&full)
		for range 3 {
			wantErr(t, put(t, s, body(21)), ErrFull)
		}
		if now, _ := s.Used(); now != used {
			t.Fatalf("refused records count: %d bytes used, were %d", now, used)
		}
		bad.writeErr.Store(nil)
		mustPut(t, s, 21, 40)
		expectBodies(t, readAll(t, s, 1), 1, 40)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		expectBodies(t, readAll(t, open(t, Config{Dir: dir}), 1), 1, 40)
	}
}

func TestDiskFullAtNewSegment(t *testing.T) {
	bad := &faultyFS{}
	s := open(t, Config{fs: bad, SegmentBytes: 4096})
	var full error = syscall.ENOSPC
	bad.createErr.Store(&full)
	var stored uint64
	for err := error(nil); err == nil; stored++ {
		err = put(t, s, body(stored+1))
		if err != nil {
			wantErr(t, err, ErrFull)
			break
		}
	}
	bad.createErr.Store(nil)
	mustPut(t, s, stored+1, stored+100)
	expectBodies(t, readAll(t, s, 1), 1, int(stored)+100)
}

func TestOtherWriteErrorStops(t *testing.T) {
	bad := &faultyFS{}
	s := open(t, Config{fs: bad})
	mustPut(t, s, 1, 5)
	var eio error = syscall.EIO
	bad.writeErr.Store(&eio)
	wantErr(t, put(t, s, body(6)), ErrFailed)
	expectBodies(t, readAll(t, s, 1), 1, 5)
}

// TestRealLimit lets the operating system refuse: beyond RLIMIT_FSIZE a write gives EFBIG (the signal that
// comes with it is ignored by the Go runtime unless asked for). That is no full disk, so the spool stops.
func TestRealLimit(t *testing.T) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Skip("no RLIMIT_FSIZE here:", err)
	}
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	mustPut(t, s, 1, 100)
	size := func() int64 { u, _ := s.Used(); return u }()
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(size + 60), Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
	}()
	err := put(t, s, body(103)) // longer than what is left: it gets written in part
	wantErr(t, err, ErrFailed)
	wantErr(t, s.Close(), ErrFailed)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Dir: dir})
	expectBodies(t, readAll(t, s, 1), 1, 100)
}
