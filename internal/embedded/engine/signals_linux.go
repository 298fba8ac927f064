package engine

import (
	"syscall"
	"unsafe"
)

// sigaction is room for the kernel's struct of that name; it is saved and put back
// whole, never read.
type sigaction [64]byte

// keepSignals runs f and puts back every signal disposition that f changed.
//
// libchdb sets the eight deadly signals to SIG_DFL in chdb_set_signal_handlers_enabled(0)
// and again in every chdb_connect, which would turn a Go nil dereference into a bare
// exit 139 without a stack. Raw system calls, because libc's wrapper is not ours to find.
func keepSignals(f func()) {
	var saved [65]sigaction
	for sig := 1; sig < len(saved); sig++ {
		rtSigaction(sig, nil, &saved[sig])
	}
	f()
	for sig := 1; sig < len(saved); sig++ {
		var now sigaction
		if rtSigaction(sig, nil, &now) && now != saved[sig] {
			rtSigaction(sig, &saved[sig], nil)
		}
	}
}

// rtSigaction reports whether the kernel accepted; 8 is the size of its signal set.
func rtSigaction(sig int, set, old *sigaction) bool {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	return errno == 0
}
