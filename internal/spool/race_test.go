//go:build race

package spool

// defaultClones is fewer under the race detector, which makes each ten times as dear.
const defaultClones = 1_000
