// Package app composes the stages into processes: all of them in one (situ run), or one alone (cmd/ingester,
// cmd/query; cmd/gateway is in internal/app/edge, which needs no cgo). It decides nothing about readings; it opens,
// connects, and stops in the right order.
package app

import (
	"github.com/alecthomas/kong"

	"github.com/situ-city/situ/internal/app/host"
)

// What commands need of internal/app/host, under this package's name.
type (
	Logging = host.Logging
	File    = host.File
)

var (
	// ErrConfig: the command line or the configuration file cannot be used.
	ErrConfig = host.ErrConfig
	// ErrRefused: situ cannot start here; the text says why and what to do.
	ErrRefused = host.ErrRefused
)

// ReadFile reads a configuration file; path "" is an empty one.
func ReadFile(path string) (*File, error) { return host.ReadFile(path) }

// Resolver is for kong.Resolvers: it finds --config by itself, before flags are parsed.
func Resolver(args []string) (kong.Resolver, error) { return host.Resolver(args) }
