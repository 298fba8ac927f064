//go:build !race

package spool

const defaultClones = 10_000
