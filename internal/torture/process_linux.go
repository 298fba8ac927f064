package torture

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent leaves nothing running when the torture itself is killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// reserve takes as much of at most size bytes as the file system still has, without writing them.
func reserve(f *os.File, size int64) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return err
	}
	have, err := f.Seek(0, 2)
	if err != nil {
		return err
	}
	room := min(size, int64(st.Bavail)*st.Bsize-1<<20)
	if room <= 0 {
		return nil
	}
	if err := unix.Fallocate(int(f.Fd()), 0, have, room); err != nil {
		return err
	}
	_, err = f.Seek(0, 2)
	return err
}
