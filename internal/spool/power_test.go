package spool

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// powerFS knows of each file what has been synced, and of each name whether its directory has been. What was renamed or
// removed may be found as it was before, until the directory is synced; removals come back last first, as from a journal.
type powerFS struct {
	disk
	mu      sync.Mutex
	synced  map[string]int64  // bytes of the file that survive
	named   map[string]bool   // name survives
	before  map[string][]byte // content before a rename that is not durable
	removed []removedFile     // not durably
}

type removedFile struct {
	path    string
	content []byte
}

type powerFile struct {
	file
	fs   *powerFS
	path string
	size int64 // written
}

func newPowerFS() *powerFS {
	return &powerFS{synced: map[string]int64{}, named: map[string]bool{}, before: map[string][]byte{}}
}

func (p *powerFS) create(path string) (file, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := p.disk.create(path)
	if err == nil {
		p.synced[path] = 0
	}
	return &powerFile{file: f, fs: p, path: path}, err
}

func (p *powerFS) open(path string) (file, error) {
	f, err := p.disk.open(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.synced[path]; !known { // it was there before
		p.synced[path], p.named[path] = info.Size(), true
	}
	return &powerFile{file: f, fs: p, path: path, size: info.Size()}, nil
}

func (p *powerFS) rename(from, to string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := os.ReadFile(to)
	if err != nil {
		return err
	}
	if err := p.disk.rename(from, to); err != nil {
		return err
	}
	p.synced[to] = p.synced[from]
	p.before[to] = old // it was sealed, hence synced
	delete(p.synced, from)
	delete(p.named, from)
	return nil
}

func (p *powerFS) remove(path string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := os.ReadFile(path)
	if err == nil && strings.HasSuffix(path, suffix) {
		p.removed = append(p.removed, removedFile{path, old})
	}
	delete(p.synced, path)
	delete(p.named, path)
	delete(p.before, path)
	return p.disk.remove(path)
}

func (p *powerFS) syncDir(dir string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for path := range p.synced {
		p.named[path] = true
	}
	clear(p.before)
	p.removed = nil
	return p.disk.syncDir(dir)
}

func (f *powerFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.file.WriteAt(b, off)
	f.size = max(f.size, off+int64(n))
	return n, err
}

func (f *powerFile) Truncate(size int64) error {
	f.size = size
	return f.file.Truncate(size)
}

// Sync counts what was written before it began.
func (f *powerFile) Sync() error {
	if err := f.file.Sync(); err != nil {
		return err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.fs.synced[f.path] = f.size
	return nil
}

// image copies dir as a disk would be found: of what was not synced some pages are there, some are zero, some lost.
func (p *powerFS) image(t *testing.T, dir, to string, rnd *rand.Rand) {
	t.Helper()
	write := func(path string, b []byte) {
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), b, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for path, synced := range p.synced {
		if !p.named[path] && rnd.IntN(2) == 0 {
			continue
		}
		if old, ok := p.before[path]; ok && rnd.IntN(2) == 0 {
			write(path, old)
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		const page = 512
		for at := synced; at < int64(len(b)); at += page {
			if rnd.IntN(3) == 0 {
				clear(b[at:min(at+page, int64(len(b)))])
			}
		}
		write(path, b[:synced+rnd.Int64N(int64(len(b))-synced+1)])
	}
	for _, r := range p.removed[rnd.IntN(len(p.removed)+1):] {
		write(r.path, r.content)
	}
	b, err := os.ReadFile(filepath.Join(dir, metaName)) // replaced durably or not at all
	if err != nil {
		t.Fatal(err)
	}
	write(metaName, b)
}

// TestPowerLossKeepsWhatWasAcked looks at the disk as it might be found after power failed at any instant.
func TestPowerLossKeepsWhatWasAcked(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	p := newPowerFS()
	s := open(t, Config{fs: p, SegmentBytes: 16 << 10, MaxBytes: 64 << 20})
	a := newAckLog()
	for n := uint64(1); n <= 4000; n++ {
		if err := s.Append(body(n), Ack{a, n}); err != nil {
			t.Fatal(err)
		}
		if n%100 != 0 {
			continue
		}
		a.mu.Lock()
		acked := len(a.tokens) // before the image is taken
		a.mu.Unlock()
		to := t.TempDir()
		p.image(t, s.Dir(), to, rnd)
		found := open(t, Config{Dir: to, SegmentBytes: 16 << 10})
		got := readAll(t, found, 1)
		if len(got) < acked {
			t.Fatalf("%d acknowledged, %d found", acked, len(got))
		}
		expectBodies(t, got, 1, len(got))
		if err := found.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
