package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// librarySHA256 pins the one build of the library that this package was tested with.
// npm checks the package's own hash when it downloads; this is checked where the code is
// loaded, so that a damaged file, an upgraded one or one of another origin is refused
// with a sentence and not with a crash.
const librarySHA256 = "36ad4e999882821ef13cf2d0f52c93f48e6ee1b4498b35a201c23ce4b8d15bf5"

// identity is what the kernel says of a file. It changes with any write to the file:
// mtime can be set back, ctime cannot.
type identity struct {
	Path         string
	Device       uint64
	Inode        uint64
	Size         int64
	Mtime, Ctime int64 // nanoseconds
	SHA256       string
}

// Verify checks the library's SHA-256 against the pin. Hashing 566 MB takes 1 to 2
// seconds, so the result is remembered in stateDir with the file's identity, and only a
// file of another identity is hashed again; "" remembers nothing. Whoever can write stateDir can forge that,
// and can as well write the data the engine serves.
func Verify(library, stateDir string) error {
	f, err := os.Open(library)
	if err != nil {
		return fmt.Errorf("open engine library: %w", err)
	}
	defer f.Close()
	id, err := identify(f, library)
	if err != nil {
		return fmt.Errorf("stat engine library: %w", err)
	}
	state := filepath.Join(stateDir, "engine.verified")
	var known identity
	if b, err := os.ReadFile(state); stateDir != "" && err == nil && json.Unmarshal(b, &known) == nil && known == id {
		return nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("read engine library: %w", err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != librarySHA256 {
		return &PinError{library, got, librarySHA256}
	}
	if stateDir == "" {
		return nil
	}
	b, err := json.Marshal(id)
	if err == nil {
		err = os.WriteFile(state, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("remember the engine library's check: %w", err)
	}
	return nil
}

// identify names the pin too, so that a situ with another pin does not trust this check.
func identify(f *os.File, path string) (identity, error) {
	info, err := f.Stat()
	if err != nil {
		return identity{}, err
	}
	st, _ := info.Sys().(*syscall.Stat_t)
	return identity{
		Path: path, Device: st.Dev, Inode: st.Ino, Size: st.Size,
		Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(), SHA256: librarySHA256,
	}, nil
}
