package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/situ-city/situ/internal/app/apptest"
)

// Told to stop, situ leaves nothing on its way: what was acknowledged the moment before is in the store when the
// process ends, and in SQL when it starts again.
func TestStopFlushes(t *testing.T) {
	needEngine(t)
	data := apptest.Dir(t)
	const rounds, messages = 2, 500
	now := time.Now().Add(-time.Hour).UnixMilli()
	for round := range rounds {
		l := start(t, data, "--auto-register")
		l.WaitReady(t)
		c := l.Connect(t, "stop", "", "")
		var last paho.Token
		for i := range messages {
			last = c.Publish(fmt.Sprintf("situ/v1/stop/s%d/json", i%5), 1, false, fmt.Sprintf(`{"t":%d,"temperature":%d}`, now+int64(round*messages+i), i%40))
		}
		if !last.WaitTimeout(apptest.AckTimeout) || last.Error() != nil { // they come in order
			t.Fatal("not acknowledged: ", last.Error())
		}
		if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-l.ended
		if l.exit != 0 {
			t.Errorf("exit code %d", l.exit)
		}
		if log := l.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "level=WARN") {
			t.Errorf("a stop that nothing disturbs says:\n%s", log)
		}
	}
	l := start(t, data, "--auto-register")
	l.WaitReady(t)
	// Nothing is in the log for this life to store: the one before had stored all.
	if n := l.SQL(t, "SELECT count() AS n FROM history WHERE owner = 'stop'")[0].Int(t, "n"); n != rounds*messages {
		t.Errorf("history has %d values, %d were acknowledged", n, rounds*messages)
	}
	if n := l.Metric(t, "situ_ingester_messages_total"); n != 0 {
		t.Errorf("%v messages were left for the next life to store", n)
	}
}

// Without the engine situ takes readings until its spool is full, says so everywhere, and shows them live; with the
// engine back, all that was acknowledged is in SQL.
func TestEngineMissing(t *testing.T) {
	needEngine(t)
	data := apptest.Dir(t)
	library := os.Getenv("SITU_ENGINE")
	t.Setenv("SITU_ENGINE", "/nonexistent/libchdb.so")
	// Nothing is given up for room here: what is full stops acknowledging.
	l := start(t, data, "--auto-register", "--spool-horizon=", "--spool-bytes", fmt.Sprint(64<<20))
	if out := l.out.String(); !strings.Contains(out, "no history:") || !strings.Contains(out, "situ engine install") || !strings.Contains(out, "/nonexistent/libchdb.so") {
		t.Errorf("it does not say what is missing and how to get it: %s", out)
	}
	apptest.Until(t, apptest.AckTimeout, func() string {
		if why := l.NotReady(t); len(why) != 1 || !strings.Contains(why["history"], "/nonexistent/libchdb.so") {
			return fmt.Sprintf("readyz: %v", why)
		}
		return ""
	})
	l.Publish(t, "situ/v1/wait/shed/json", `{"temperature":21.5,"lon":106.5,"lat":29.5}`)
	apptest.Until(t, apptest.AckTimeout, func() string {
		if a := l.Do(t, apptest.Key, http.MethodGet, "/v1/things/wait/shed", ""); !strings.Contains(a.Body, "21.5") {
			return "the live state does not show it: " + a.Body
		}
		return ""
	})
	var status struct{ History, Banner string }
	l.Get(t, "/v1/status", &status)
	if status.History != "unavailable" || !strings.Contains(status.Banner, "engine is missing") {
		t.Errorf("status: %+v", status)
	}
	if a := l.Do(t, apptest.Key, http.MethodPost, "/v1/sql", "SELECT 1"); a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, "/readyz") {
		t.Errorf("SQL: %d %s", a.Status, a.Body)
	}
	letters := fillSpool(t, l)
	t.Logf("%d letters of 16 KiB until the spool of 32 MiB was full", letters)
	if n := l.Metric(t, "situ_gateway_refused_total", `reason="full"`); n < 1 {
		t.Errorf("situ_gateway_refused_total{reason=\"full\"} is %v", n)
	}
	if a := l.Do(t, "", http.MethodGet, "/healthz", ""); a.Status != http.StatusOK {
		t.Errorf("healthz: %d %s", a.Status, a.Body)
	}
	if code := l.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}

	t.Setenv("SITU_ENGINE", library)
	l = start(t, data, "--auto-register", "--spool-horizon=", "--spool-bytes", fmt.Sprint(64<<20))
	l.WaitReady(t)
	apptest.Until(t, time.Minute, func() string {
		got := l.SQL(t, `SELECT (SELECT count() FROM history WHERE thing = 'wait/shed' AND result = 21.5) AS readings,
			(SELECT count() FROM deadletters) AS letters`)[0]
		if got.Int(t, "readings") != 1 || got.Int(t, "letters") < int64(letters) {
			return fmt.Sprintf("SQL has %v, acknowledged were 1 reading and %d letters", got, letters)
		}
		return ""
	})
	// There is room again, as soon as what is stored has been freed: that is a step after SELECT shows it.
	apptest.Until(t, apptest.AckTimeout, func() string {
		c, err := apptest.Dial(l.MQTT, "room", "", "")
		if err != nil {
			return err.Error()
		}
		defer c.Disconnect(50)
		if tok := c.Publish("situ/v1/wait/shed/json", 1, false, `{"temperature":22.5}`); !tok.WaitTimeout(time.Second) || tok.Error() != nil {
			return fmt.Sprintf("not acknowledged: %v", tok.Error())
		}
		return ""
	})
}

// fillSpool publishes 16 KiB of nonsense until situ closes the connection, and gives the number acknowledged.
func fillSpool(t *testing.T, l *life) (acked int) {
	t.Helper()
	payload := `{"t":` + strings.Repeat(" ", 16<<10)
	c := l.Connect(t, "fill", "", "")
	tokens := make(chan paho.Token, 64)
	var collecting sync.WaitGroup
	collecting.Go(func() {
		for tok := range tokens {
			if tok.WaitTimeout(apptest.AckTimeout) && tok.Error() == nil {
				acked++
			}
		}
	})
	for sent := 0; c.IsConnectionOpen(); sent++ {
		if sent > 32<<20/(16<<10)+1000 {
			t.Fatal("the spool takes more than its bound")
		}
		tokens <- c.Publish("situ/v1/wait/noise/json", 1, false, payload)
	}
	close(tokens)
	collecting.Wait()
	return acked
}

// An engine that is there and not the one expected is as good as none: the live map used to wait for it for ever,
// without a word on the page, while readings were acknowledged.
func TestLiveStateDoesNotWaitForAnEngineThatRefuses(t *testing.T) {
	library := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(library, []byte("of another age"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SITU_ENGINE", library)
	l := start(t, apptest.Dir(t), "--auto-register")
	l.Publish(t, "situ/v1/wait/shed/json", `{"temperature":21.5,"lon":106.5,"lat":29.5}`)
	apptest.Until(t, apptest.AckTimeout, func() string {
		if a := l.Do(t, apptest.Key, http.MethodGet, "/v1/things/wait/shed", ""); !strings.Contains(a.Body, "21.5") {
			return "the live state does not show it: " + a.Body
		}
		return ""
	})
	apptest.Until(t, apptest.AckTimeout, func() string {
		var status struct{ History, Banner string }
		if l.Get(t, "/v1/status", &status); status.History != "unavailable" || !strings.Contains(status.Banner, "refuses to run") {
			return fmt.Sprintf("status: %+v", status)
		}
		if why := l.NotReady(t); !strings.Contains(why["history"], "SHA-256") {
			return fmt.Sprintf("readyz: %v", why)
		}
		return ""
	})
}
