package engine

import (
	"syscall"
	"testing"
)

// TestKeepSignals: after a library has set SIGSEGV to its default, a nil dereference is a
// Go panic again.
func TestKeepSignals(t *testing.T) {
	var fallback sigaction // SIG_DFL
	keepSignals(func() {
		if !rtSigaction(int(syscall.SIGSEGV), &fallback, nil) {
			t.Error("the kernel refused")
		}
	})
	var now sigaction
	rtSigaction(int(syscall.SIGSEGV), nil, &now)
	if now == fallback {
		t.Fatal("SIGSEGV still has its default action")
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var nothing *parsed
	t.Log(nothing.feed)
}
