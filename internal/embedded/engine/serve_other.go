//go:build !linux

package engine

import "context"

// Serve cannot: there is no engine for this platform.
func Serve(context.Context, Config) error { return &MissingError{} }

// Verify cannot: there is no engine for this platform.
func Verify(string, string) error { return &MissingError{} }
