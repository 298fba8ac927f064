package host

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// MinSpoolBytes is the least bound of a gateway's spools together.
const MinSpoolBytes = 64 << 20

// Spools are the lanes' logs on disk.
type Spools struct {
	Dir        string // data directory; the lanes are under spool/ in it
	Gateway    string // name; "" = made at the first start and kept
	MaxBytes   int64  // of each lane
	DropOldest bool
	Epochs     map[int32]uint32 // the highest known of each lane, by its number
	Logger     *slog.Logger
	OnCommit   func(spool.Commit)
}

// Open opens both lanes under one name. On error nothing stays open. Nobody may write before it returns: see ripen.
func (o Spools) Open() (map[sensor.Lane]*spool.Spool, error) {
	lanes := map[sensor.Lane]*spool.Spool{}
	name := o.Gateway
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		s, err := spool.Open(spool.Config{Dir: filepath.Join(o.Dir, "spool", lane.String()), Gateway: name, Lane: lane,
			MaxBytes: o.MaxBytes, DropOldest: o.DropOldest, PreviousEpoch: o.Epochs[int32(lane)], Logger: o.Logger, OnCommit: o.OnCommit})
		if err != nil {
			err = fmt.Errorf("%w: %w%s", ErrRefused, err, o.remedy(err, lane))
			for _, open := range lanes {
				err = errors.Join(err, open.Close())
			}
			return nil, err
		}
		name = s.Producer().Gateway // one name for both lanes
		lanes[lane] = s
	}
	for _, s := range lanes {
		ripen(s.Producer().Epoch)
	}
	return lanes, nil
}

// remedy says what whoever meets such a spool can do.
func (o Spools) remedy(err error, lane sensor.Lane) string {
	switch {
	case errors.Is(err, spool.ErrCorrupt), errors.Is(err, spool.ErrIdentity):
		return fmt.Sprintf("; nothing was changed: put the files back as they were, or move %s away, and the lane begins anew under another epoch; "+
			"what the old one holds and nobody has stored is lost then", filepath.Join(o.Dir, "spool", lane.String()))
	}
	return ""
}

// nearFuture is how far ahead an epoch may be that one waits for. One that is farther was known before it was taken.
const nearFuture = 5 * time.Second

// ripen waits until the second that an epoch names is over. A spool made anew takes the second it is made in. Should it
// be lost with all that tells of it and made again within that second, its messages would get the identities of the lost
// ones, and be dropped as repeats: so it takes none before another could no longer have its epoch.
func ripen(epoch uint32) {
	if left := time.Until(time.Unix(int64(epoch)+1, 0)); left <= nearFuture {
		time.Sleep(left)
	}
}

// CommitHook is an OnCommit that may be given its listener after the spools are open.
type CommitHook struct {
	to atomic.Pointer[func(spool.Commit)]
}

// Set names the listener.
func (h *CommitHook) Set(f func(spool.Commit)) { h.to.Store(&f) }

// Call tells it of a commit; before Set there is nobody to tell.
func (h *CommitHook) Call(c spool.Commit) {
	if f := h.to.Load(); f != nil {
		(*f)(c)
	}
}
