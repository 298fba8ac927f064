// Package engine carries the npm manifest that pins the ClickHouse engine library, so that
// `situ engine install` asks npm for exactly what `npm ci` in this directory gets.
// It holds data only; internal/embedded/engine loads the library.
package engine

import "embed"

// Manifest is package.json, its lock, and .npmrc.
//
//go:embed package.json package-lock.json .npmrc
var Manifest embed.FS
