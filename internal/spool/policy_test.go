package spool

import (
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/situ-city/situ/pkg/sensor"
)

// noThinFS has room for records and none for a rewritten segment.
type noThinFS struct {
	disk
	tries atomic.Int64
}

func (n *noThinFS) create(path string) (file, error) {
	if strings.HasSuffix(path, thinSuffix) {
		n.tries.Add(1)
		return nil, syscall.ENOSPC
	}
	return n.disk.create(path)
}

// On a full disk each append that came used to have the policy try again, and say so in the log: one segment read and
// one line written for every message that a sensor sends.
func TestPolicyRestsAfterAnError(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		full := &noThinFS{}
		s := open(t, Config{Dir: dir, fs: full, SegmentBytes: 4096, MaxBytes: 1 << 20})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- s.RunPolicy(ctx, Policy{Classes: []Horizon{{Class: sensor.Social}}, Start: 16 << 10})
		}()
		began := time.Now()
		for n := uint64(1); n <= 400; n += 4 {
			putClasses(t, s, n, n+3)
			synctest.Wait()
		}
		if looks := 1 + int64(time.Since(began)/policyPause); full.tries.Load() == 0 || full.tries.Load() > looks {
			t.Errorf("a segment was begun anew %d times in %v, want 1 to %d", full.tries.Load(), time.Since(began), looks)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
