package engine

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"
	"time"
)

// space keeps the engine away from a full disk. libchdb 26.7.3 takes no notice of a write that fails: it goes on, renames
// a part whose files are empty into its place, answers that all is well, and forgets the parts that were merged into it.
// So the process ends, as by kill -9, while there is still room for what it is writing; what it had not answered is sent
// again when there is room. ClickHouse's own reservations are not enough: they look once, before the writing begins.
type space struct {
	dir   string
	least uint64
	log   *slog.Logger
	die   func() // tests put something milder here
}

// defaultReserve is more than a fast disk takes between two looks.
const (
	defaultReserve = 256 << 20
	spaceEvery     = 20 * time.Millisecond
	spaceAgain     = 100 * time.Millisecond
)

// free gives the bytes that are left.
func (s *space) free() (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &st); err != nil {
		return 0, fmt.Errorf("ask for free space: %w", err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// check ends the process if the disk is nearly full. It comes before an INSERT is answered: who is told "stored" had
// room for it.
func (s *space) check() error {
	free, err := s.free()
	if err != nil {
		return err
	}
	if free < s.least {
		s.log.Error("the disk is nearly full: the store ends before its writes fail", "dir", s.dir, "free", free, "reserve", s.least)
		s.die()
	}
	return nil
}

// watch checks until ctx ends.
func (s *space) watch(ctx context.Context) {
	tick := time.NewTicker(spaceEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = s.check() // where the disk cannot be asked, an INSERT is not answered either
		case <-ctx.Done():
			return
		}
	}
}

// wait returns when there is twice the reserve, so that the engine does not start only to end.
func (s *space) wait(ctx context.Context) error {
	tick := time.NewTicker(spaceAgain)
	defer tick.Stop()
	for said := false; ; said = true {
		free, err := s.free()
		if err != nil || free >= 2*s.least {
			return err
		}
		if !said {
			s.log.Warn("the disk is nearly full: the store waits for room", "dir", s.dir, "free", free, "wanted", 2*s.least)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
