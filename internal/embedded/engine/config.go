package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"time"
)

// Config is what the store process needs. DataDir, Socket and Library must be given.
type Config struct {
	DataDir string // the engine's data and its lock
	Socket  string // unix socket to answer on, made with mode 0600; at most 107 bytes
	Library string // path of libchdb.so, as Find gives it

	StateDir string // remembers the library's verification; "" means DataDir

	MemoryLimit uint64        // bytes the engine may use for queries and caches; 0 means 2 GiB
	Readers     int           // statements at once; 0 means 8
	Writers     int           // feeding INSERTs at once; 0 means 2
	Grace       time.Duration // for running requests when asked to stop; 0 means 5 s
	Reserve     uint64        // bytes of its disk that the store leaves alone: below, it ends; 0 means 256 MiB
	Log         *slog.Logger  // nil discards
}

const (
	defaultMemoryLimit = 2 << 30
	minMemoryLimit     = 512 << 20
	defaultReaders     = 8
	defaultWriters     = 2
	defaultGrace       = 5 * time.Second
	maxSocketPath      = 107 // sun_path without its closing zero byte
)

func (c Config) withDefaults() (Config, error) {
	if c.DataDir == "" || c.Socket == "" || c.Library == "" {
		return c, errors.New("store needs a data directory, a socket and the engine library")
	}
	var err error
	if c.DataDir, err = filepath.Abs(c.DataDir); err != nil {
		return c, fmt.Errorf("data directory: %w", err)
	}
	c.StateDir = first(c.StateDir, c.DataDir)
	if len(c.Socket) > maxSocketPath {
		return c, fmt.Errorf("socket path %s has %d bytes, a unix socket's may have %d", c.Socket, len(c.Socket), maxSocketPath)
	}
	if c.MemoryLimit == 0 {
		c.MemoryLimit = defaultMemoryLimit
	}
	if c.MemoryLimit < minMemoryLimit {
		return c, fmt.Errorf("memory limit %d is below the engine's least, %d", c.MemoryLimit, minMemoryLimit)
	}
	c.Readers = max(c.Readers, 0)
	if c.Readers == 0 {
		c.Readers = defaultReaders
	}
	if c.Writers <= 0 {
		c.Writers = defaultWriters
	}
	if c.Grace <= 0 {
		c.Grace = defaultGrace
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// engineArgs are the engine's server settings. Its defaults are for a machine of its own
// (5 GiB mark caches, hundreds of threads); these are for a guest in a small process.
func (c Config) engineArgs() []string {
	size := func(part uint64) string { return strconv.FormatUint(c.MemoryLimit/part, 10) }
	return []string{
		"situ",
		"--path=" + filepath.Join(c.DataDir, "clickhouse"),
		"--max_server_memory_usage=" + strconv.FormatUint(c.MemoryLimit, 10),
		"--mark_cache_size=" + size(16),
		"--primary_index_cache_size=" + size(16),
		"--index_mark_cache_size=" + size(32),
		"--query_condition_cache_size=" + size(64),
		"--compiled_expression_cache_size=" + size(64),
	}
}

// LockedError: another process has the data directory.
type LockedError struct {
	Dir    string
	Holder string // its process id, "" if unknown
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("data directory %s is in use by another store (process %s)", e.Dir, first(e.Holder, "unknown"))
}

// first is the first of s that is not "".
func first(s ...string) string {
	for _, s := range s {
		if s != "" {
			return s
		}
	}
	return ""
}
