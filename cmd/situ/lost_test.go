package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
)

// The spool's directory is lost between two lives while store, registry and commits are kept: what comes then
// has an epoch of its own, is counted, and is taken for no repeat of what the store has. A name given by --gateway,
// which brings no randomness along, must do the same.
func TestLostSpool(t *testing.T) {
	needEngine(t)
	for _, args := range [][]string{{"--auto-register"}, {"--auto-register", "--gateway", "gw-north"}} {
		t.Run(fmt.Sprint(len(args)), func(t *testing.T) { loseSpools(t, args) })
	}
}

func loseSpools(t *testing.T, args []string) {
	data := apptest.Dir(t)
	base := time.Now().Add(-time.Hour).UnixMilli()
	const lives, each = 2, 200
	for i := range lives {
		l := start(t, data, args...)
		l.WaitReady(t)
		c := l.Connect(t, "loser", "", "")
		for n := i * each; n < (i+1)*each; n++ { // seq begins at 1 in each life, as before
			tok := c.Publish("situ/v1/bureau/gauge/json", 1, false, fmt.Sprintf(`{"t":%d,"water_level":%d}`, base+int64(n), n))
			if n%50 == 49 && (!tok.WaitTimeout(apptest.AckTimeout) || tok.Error() != nil) {
				t.Fatal("not acknowledged: ", tok.Error())
			}
		}
		want := int64((i + 1) * each)
		apptest.Until(t, time.Minute, func() string {
			r := l.SQL(t, `SELECT count() AS n, uniqExact(result) AS results, uniqExact(gateway, epoch) AS logs FROM history`)[0]
			if r.Int(t, "n") != want || r.Int(t, "results") != want || r.Int(t, "logs") != int64(i+1) {
				return fmt.Sprintf("history has %v, %d were acknowledged in %d lives", r, want, i+1)
			}
			return ""
		})
		apptest.Until(t, time.Minute, func() string { // what each life took is accounted for
			r := l.SQL(t, `SELECT sum(messages) AS messages, sum(with_rows) AS with_rows, sum(missing) AS missing, sum(rows_doubled) AS doubled FROM balance`)[0]
			if r.Int(t, "messages") != want || r.Int(t, "with_rows") != want || r.Int(t, "missing")+r.Int(t, "doubled") != 0 {
				return fmt.Sprintf("the balance is %v, %d were acknowledged", r, want)
			}
			return ""
		})
		if n := l.Metric(t, "situ_ingester_duplicates_total"); n != 0 {
			t.Errorf("%v messages were taken for repeats", n)
		}
		if code := l.stop(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if err := os.RemoveAll(filepath.Join(data, "spool")); err != nil {
			t.Fatal(err)
		}
	}
}
