//go:build !race

package protocol

const defaultSchedules = 100_000
