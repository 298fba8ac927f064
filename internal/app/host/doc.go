// Package host is what every process of situ stands on, whatever runs in it: flags that all share, the configuration
// file, the data directory's lock, listeners, TLS, the spools, readiness, stages that stop in order, and exit codes.
//
// Callers: internal/app (situ run, cmd/ingester, cmd/query) and internal/app/edge (cmd/gateway). It imports nothing
// that needs cgo, so that cmd/gateway builds for any edge box. It decides nothing about readings.
package host

import "errors"

var (
	// ErrConfig: the command line or the configuration file cannot be used.
	ErrConfig = errors.New("configuration")
	// ErrRefused: the process cannot start here; the text says why and what to do.
	ErrRefused = errors.New("cannot start")
)
