package spool

import (
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// dirFS notes which directories were synced.
type dirFS struct {
	disk
	mu     sync.Mutex
	synced []string
}

func (d *dirFS) syncDir(dir string) error {
	d.mu.Lock()
	d.synced = append(d.synced, dir)
	d.mu.Unlock()
	return d.disk.syncDir(dir)
}

// The names of a new spool's directories used to be left to the file system: power that failed after the first PUBACKs of
// a new data directory could take them, and all records with them.
func TestDirectoriesAboveAreDurable(t *testing.T) {
	data := t.TempDir()
	dir := filepath.Join(data, "spool", "live")
	for range 2 { // and again: whoever made them may have died before
		fs := &dirFS{}
		s := open(t, Config{Dir: dir, fs: fs})
		for _, want := range []string{data, filepath.Dir(dir)} {
			if !slices.Contains(fs.synced, want) {
				t.Errorf("%s was not synced, only %v", want, fs.synced)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
