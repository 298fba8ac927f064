//go:build !linux

package torture

import (
	"os"
	"syscall"
)

func dieWithParent() *syscall.SysProcAttr { return nil }

func reserve(*os.File, int64) (bool, error) { return false, nil }
