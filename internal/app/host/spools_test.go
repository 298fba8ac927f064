package host

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// Two spools of one name that were made within one second, with nothing left of the first, used to share an epoch: what
// the second one took had the identities of what was stored.
func TestSpoolMadeAnewAtOnceHasAnEpochOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	newest := map[sensor.Lane]uint32{}
	for range 3 {
		lanes, err := Spools{Dir: dir, Gateway: "g", MaxBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler)}.Open()
		if err != nil {
			t.Fatal(err)
		}
		for lane, s := range lanes {
			if e := s.Producer().Epoch; e <= newest[lane] {
				t.Errorf("lane %v: epoch %d after %d", lane, e, newest[lane])
			}
			newest[lane] = s.Producer().Epoch
			acked := make(chan error, 1)
			if err := s.Append([]byte("x"), spool.Ack{To: told(acked)}); err != nil {
				t.Fatal(err)
			}
			if err := <-acked; err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.RemoveAll(filepath.Join(dir, "spool")); err != nil {
			t.Fatal(err)
		}
	}
}

type told chan error

func (c told) Acked(_ uint64, err error) { c <- err }

func TestDataDirectoryIsMadeAtAnyDepth(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 {
		unlock, err := Lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		unlock()
	}
	t.Chdir(t.TempDir())
	unlock, err := Lock("data") // the default
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
