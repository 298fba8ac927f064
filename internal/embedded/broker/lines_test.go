package broker

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A full spool, or a password that was changed, used to write a line of log for each device that came back, as often as
// it came: onto the disk that was full.
func TestManyRefusalsAreFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := lines{logger: slog.New(slog.NewTextHandler(&out, nil))}
		for range 10_000 {
			l.log(slog.LevelWarn, "publish not taken", "client", "a")
		}
		l.log(slog.LevelInfo, "connection refused", "client", "b")
		if n := strings.Count(out.String(), "\n"); n != spateLines+1 || !strings.Contains(out.String(), "client=b") {
			t.Errorf("%d lines, want %d of one kind and one of another:\n%s", n, spateLines, &out)
		}
		time.Sleep(spateLasts)
		out.Reset()
		l.log(slog.LevelWarn, "publish not taken", "client", "a")
		if want := "unsaid=9990"; !strings.Contains(out.String(), want) {
			t.Errorf("%q does not say %s", &out, want)
		}
	})
	if s := short(strings.Repeat("水", 30_000)); len(s) > 210 {
		t.Errorf("%d bytes of a name", len(s))
	}
}
