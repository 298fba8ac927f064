//go:build race

package protocol

// The race detector makes the model ten times slower, and it has no shared memory to look at.
const defaultSchedules = 10_000
