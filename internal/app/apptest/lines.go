package apptest

import (
	"strings"
	"sync"
)

// Lines is a writer that keeps what was written, for any goroutine to read. The zero value is ready.
type Lines struct {
	mu  sync.Mutex // guards text
	txt strings.Builder
}

// Write keeps b.
func (l *Lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.txt.Write(b)
}

// String is all that was written until now.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.txt.String()
}

// After gives what follows prefix on the first whole line that begins with it.
func (l *Lines) After(prefix string) (rest string, ok bool) {
	for line := range strings.Lines(l.String()) {
		if after, found := strings.CutPrefix(line, prefix); found && strings.HasSuffix(line, "\n") {
			return strings.TrimSpace(after), true
		}
	}
	return "", false
}
