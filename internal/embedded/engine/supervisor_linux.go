package engine

import "syscall"

// dieWithParent: a store without its parent is killed, so that the next one finds the
// data directory free. Everything acknowledged is on disk by then. Its own process group
// keeps a terminal's Ctrl-C from reaching it before the parent has flushed.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
