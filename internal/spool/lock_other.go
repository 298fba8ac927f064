//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package spool

import (
	"errors"
	"fmt"
)

// lockDir refuses where there is no flock: two writers in one directory would destroy each other's log.
func lockDir(dir string) (unlock func() error, err error) {
	return nil, fmt.Errorf("lock spool %s: %w", dir, errors.ErrUnsupported)
}
