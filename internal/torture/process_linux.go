package torture

import (
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent leaves nothing running when the torture itself is killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// reserve takes size bytes of the file system without writing them; false: it has less than that left.
func reserve(f *os.File, size int64) (more bool, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return false, err
	}
	if int64(st.Bavail)*st.Bsize <= size {
		return false, nil
	}
	have, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		err = unix.Fallocate(int(f.Fd()), 0, have, size)
	}
	return err == nil, err
}
