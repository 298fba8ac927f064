//go:build !linux

package engine

import "syscall"

// dieWithParent has nothing to offer where the kernel has no parent-death signal; there is
// no engine there either.
func dieWithParent() *syscall.SysProcAttr { return nil }
