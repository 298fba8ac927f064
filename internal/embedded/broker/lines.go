package broker

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// lines of log about single clients. When the spool is full, or a password was changed, ten thousand devices come back
// every second and are refused; the counters know of each, the log of some.
type lines struct {
	logger *slog.Logger

	mu    sync.Mutex // guards kinds
	kinds map[string]*spate
}

// spate is what was said of one kind lately.
type spate struct {
	began        time.Time
	said, unsaid int
}

const (
	spateLasts = 10 * time.Second
	spateLines = 10 // of one kind within it
)

// log writes the line, unless there were enough of its kind. The next one that is written tells how many were not.
func (l *lines) log(level slog.Level, msg string, args ...any) {
	unsaid, ok := l.may(msg)
	if !ok {
		return
	}
	if unsaid > 0 {
		args = append(args, "unsaid", unsaid)
	}
	l.logger.Log(context.Background(), level, msg, args...)
}

func (l *lines) may(kind string) (unsaid int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.kinds[kind]
	if s == nil {
		s = &spate{}
		if l.kinds == nil {
			l.kinds = map[string]*spate{}
		}
		l.kinds[kind] = s
	}
	if now := time.Now(); now.Sub(s.began) >= spateLasts {
		s.began, s.said = now, 0
	}
	if s.said >= spateLines {
		s.unsaid++
		return 0, false
	}
	s.said++
	unsaid, s.unsaid = s.unsaid, 0
	return unsaid, true
}

// short is a name for people: a client's id or a topic may have 64 KiB.
func short(s string) string {
	const enough = 200
	if len(s) <= enough {
		return s
	}
	return strings.ToValidUTF8(s[:enough], "") + "..."
}
