package batch

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/internal/spool"
)

// The hint is one line, `<logID> <next>`, in the spool's directory. It is replaced by renaming and never synced: it
// may be old, empty or gone, and then messages are sent again; it is never ahead of what was published.
const hintName = "published"

// readHint gives where to go on, which lies inside the spool or its gaps.
func readHint(s *spool.Spool) uint64 {
	first, next := s.Bounds()
	if gaps := s.Gaps(); len(gaps) > 0 {
		first = min(first, gaps[0].From)
	}
	b, err := os.ReadFile(filepath.Join(s.Dir(), hintName))
	if err != nil {
		return first
	}
	var log string
	var seq uint64
	if n, err := fmt.Sscanf(string(b), "%s %d\n", &log, &seq); n != 2 || err != nil || log != fmt.Sprintf("%x", s.LogID()) {
		seq = 0
	}
	return protocol.Resume(seq, first, next)
}

func writeHint(s *spool.Spool, next uint64) error {
	path := filepath.Join(s.Dir(), hintName)
	if err := os.WriteFile(path+".tmp", fmt.Appendf(nil, "%x %d\n", s.LogID(), next), 0o640); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
