package batch

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/internal/spool"
)

// The hint is one line, `<logID> <next> <taken>`, in the spool's directory: everything before next is on the bus,
// everything before taken may be. It is replaced by renaming and never synced: it may be old, empty or gone, and then
// messages are sent again; next is never ahead of what was published. (Older ones end after next.)
const hintName = "published"

// readHint gives where to go on, which lies inside the spool or its gaps, and up to where was tried.
func readHint(s *spool.Spool) (from, taken uint64) {
	first, next := s.Bounds()
	if gaps := s.Gaps(); len(gaps) > 0 {
		first = min(first, gaps[0].From)
	}
	b, err := os.ReadFile(filepath.Join(s.Dir(), hintName))
	if err != nil {
		return first, first
	}
	var log string
	var seq uint64
	if n, _ := fmt.Sscanf(string(b), "%s %d %d\n", &log, &seq, &taken); n < 2 || log != fmt.Sprintf("%x", s.LogID()) {
		seq, taken = 0, 0
	}
	from = protocol.Resume(seq, first, next)
	return from, max(from, min(taken, next))
}

func writeHint(s *spool.Spool, next, taken uint64) error {
	path := filepath.Join(s.Dir(), hintName)
	if err := os.WriteFile(path+".tmp", fmt.Appendf(nil, "%x %d %d\n", s.LogID(), next, taken), 0o640); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
