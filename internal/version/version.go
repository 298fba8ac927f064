// Package version says which situ this is.
package version

import "runtime"

// Number is the release this source leads to.
const Number = "0.1.0"

// commit is set by the linker (Makefile).
var commit = "unknown"

// String is one line for people: number, commit, Go, platform.
func String() string {
	return "situ " + Number + " (" + commit + ", " + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}
