package deadletter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// underway stands at the end of a letter's detail while a replay stores what it became; behind it the correction of the
// clock, so that whoever finishes it does the same.
const underway = "; a replay is under way"

// How a Clock's text begins.
const (
	arrivalText = "its arrival taken for its times"
	shiftText   = "its times moved by "
)

// note marks a detail.
func (c Clock) note(detail string) string {
	if !c.Set() {
		return detail + underway
	}
	return detail + underway + ", " + c.String()
}

// cutNote is a detail without its mark; ok: it had one.
func cutNote(detail string) (was string, c Clock, ok bool) {
	i := strings.LastIndex(detail, underway)
	if i < 0 {
		return detail, c, false
	}
	was, rest := detail[:i], strings.TrimPrefix(detail[i+len(underway):], ", ")
	switch shift, moved := strings.CutPrefix(rest, shiftText); {
	case rest == "":
	case rest == arrivalText:
		c.Arrival = true
	case moved:
		d, err := time.ParseDuration(shift)
		if err != nil {
			return detail, Clock{}, false
		}
		c.Shift = d
	default:
		return detail, Clock{}, false
	}
	return was, c, true
}

// finishEvery is the pause between two tries to finish what was left.
const finishEvery = 10 * time.Second

// Run finishes replays that were killed, or met a store that failed: at the start, and whenever one was left since. It
// returns when ctx ends.
func (r *Replayer) Run(ctx context.Context) error {
	for {
		err := r.Finish(ctx)
		if err != nil && ctx.Err() == nil && r.cfg.Store() != nil {
			r.cfg.Logger.Warn("replays that were left are finished later", "component", "deadletter", "err", err)
		}
		pause := time.NewTimer(finishEvery)
		wake := pause.C
		if err == nil {
			wake = nil // there is nothing until somebody leaves something
		}
		select {
		case <-wake:
		case <-r.left:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
		pause.Stop()
	}
}

// Finish replays the letters that a replay left under way, with the correction of then: what is stored of them is found by
// its identity, and the balance can judge it again.
func (r *Replayer) Finish(ctx context.Context) error {
	s := r.cfg.Store()
	if s == nil {
		return ErrNoHistory
	}
	pending, err := s.PendingLetters(ctx)
	if err != nil || len(pending) == 0 {
		return err
	}
	byClock := map[Clock][]sensor.Identity{}
	unknown := 0
	for _, l := range pending {
		_, c, ok := cutNote(l.Detail)
		if !ok {
			unknown++ // an older situ's
			continue
		}
		byClock[c] = append(byClock[c], l.Identity)
	}
	if unknown > 0 {
		r.cfg.Logger.Warn("dead letters of which a replay was killed by an older situ: replay them again", "component", "deadletter", "letters", unknown)
	}
	for c, ids := range byClock {
		for some := range slices.Chunk(ids, chunkLetters) {
			if err := r.finish(ctx, some, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Replayer) finish(ctx context.Context, ids []sensor.Identity, c Clock) error {
	verdicts, err := r.Replay(ctx, ids, Options{Clock: c})
	if err != nil {
		return fmt.Errorf("finish %d replays: %w", len(ids), err)
	}
	count := map[Status]int{}
	for _, v := range verdicts {
		count[v.Status]++
	}
	r.cfg.Logger.Info("replays finished that were left under way", "component", "deadletter", "resolved", count[Resolved]+count[Already],
		"refused", count[StillOpen]+count[Unfit])
	return nil
}

// leave wakes Run.
func (r *Replayer) leave() {
	select {
	case r.left <- struct{}{}:
	default: // it is awake
	}
}

// Corrected reports whether a letter's detail says that it was replayed with a correction of the clock.
func Corrected(detail string) bool {
	return strings.Contains(detail, ", "+arrivalText) || strings.Contains(detail, ", "+shiftText)
}

var _ Store = (*store.Store)(nil)
