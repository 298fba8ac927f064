package edge

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/app/host"
)

func TestPartitionsAreKept(t *testing.T) {
	dir := t.TempDir()
	if n, err := readPartitions(dir, "a"); n != 0 || err != nil {
		t.Errorf("before the first message: %d, %v", n, err)
	}
	for _, n := range []int{4, 12} {
		if err := writePartitions(dir, "a", n); err != nil {
			t.Fatal(err)
		}
		if got, err := readPartitions(dir, "a"); got != n || err != nil {
			t.Errorf("%d kept, %d read, %v", n, got, err)
		}
	}
	if n, err := readPartitions(dir, "b"); n != 0 || err != nil {
		t.Errorf("of another topic: %d, %v", n, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 || err != nil {
		t.Errorf("files %v, %v", left, err)
	}
	for _, text := range []string{"", "a", "a x\n", "a 0\n", "a -4\n", "\x00\x00"} {
		if err := os.WriteFile(filepath.Join(dir, partitionsFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := readPartitions(dir, "a"); !errors.Is(err, host.ErrRefused) || !strings.Contains(err.Error(), "write it anew") {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
}
