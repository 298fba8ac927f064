package host

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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

// A spool that is refused says what to do, and what it says helps.
func TestRefusedSpoolSaysWhatToDo(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, dir string){
		"a flipped bit": func(t *testing.T, dir string) {
			segment := filepath.Join(dir, "00000000000000000001.seg")
			b, err := os.ReadFile(segment)
			if err != nil {
				t.Fatal(err)
			}
			b[20] ^= 1
			if err := os.WriteFile(segment, b, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"another's file": func(t *testing.T, dir string) {
			text := `{"gateway":"other","epoch":1,"lane":0,"log_id":"00000000000000000000000000000001","newest_segment":1}`
			if err := os.WriteFile(filepath.Join(dir, "spool.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := Spools{Dir: t.TempDir(), Gateway: "g", MaxBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler)}
			again := func() (string, uint32) {
				lanes, err := o.Open()
				if err != nil {
					return err.Error(), 0
				}
				for _, s := range lanes {
					acked := make(chan error, 1)
					if err := s.Append([]byte("x"), spool.Ack{To: told(acked)}); err != nil {
						t.Fatal(err)
					}
					if err := errors.Join(<-acked, s.Close()); err != nil {
						t.Fatal(err)
					}
				}
				return "", lanes[sensor.Live].Producer().Epoch
			}
			said, epoch := again()
			if said != "" {
				t.Fatal(said)
			}
			live := filepath.Join(o.Dir, "spool", "live")
			harm(t, live)
			if said, _ := again(); !strings.Contains(said, "move "+live+" away") {
				t.Fatalf("it says %q", said)
			}
			if err := os.Rename(live, filepath.Join(o.Dir, "away")); err != nil {
				t.Fatal(err)
			}
			if said, anew := again(); said != "" || anew <= epoch {
				t.Errorf("moved away: %s, epoch %d after %d", said, anew, epoch)
			}
		})
	}
}
