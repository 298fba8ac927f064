//go:build unix

package failpoint

import (
	"os"
	"syscall"
)

// Die ends the process as kill -9 does, in the middle of whatever it does. It does not return.
func Die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // nothing can refuse it
	select {}
}

func stop() error { return syscall.Kill(os.Getpid(), syscall.SIGSTOP) }
