package main

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/query"
)

// The canary's way through situ run, over its own listener with credentials: live, in SQL, in the status, on /metrics,
// through kill -9; and the balance stays even.
func TestCanarySingsThroughKills(t *testing.T) {
	needEngine(t)
	data := apptest.Dir(t)
	for range 2 {
		l := start(t, data, "--canary", "100ms")
		sung(t, l, 5)
		l.kill()
	}
	l := start(t, data, "--canary", "100ms")
	sung(t, l, 5)
	var status query.Status
	apptest.Until(t, time.Minute, func() string {
		l.Get(t, "/v1/status", &status)
		if b := status.Balance; b == nil || b.ClosedUntil == nil || b.WithRows < 15 {
			return fmt.Sprintf("the status tells of the balance %+v", b)
		}
		return ""
	})
	if w := status.Balance.Wrong(); w != 0 || status.Things != 0 {
		t.Errorf("%d wrong, %d Things; the balance: %+v", w, status.Things, status.Balance)
	}
	a := l.Do(t, apptest.Key, "GET", "/metrics", "")
	for _, line := range []string{`situ_canary_missing_total{gateway="[^"]+",stage="select"} 0`, `situ_canary_double_total{gateway="[^"]+",stage="live"} 0`,
		`situ_canary_seconds_count{gateway="[^"]+",stage="select"} [1-9]`, `situ_canary_age_seconds{gateway="[^"]+",stage="live"} `,
		`situ_balance_missing 0`, `situ_balance_closed_until_seconds 1\.`, `situ_canary_ack_seconds_count [1-9]`,
		`situ_balance_messages{class="government",outcome="rows"} [1-9]`} {
		if !regexp.MustCompile("(?m)^" + line).MatchString(a.Body) {
			t.Errorf("/metrics has no line %s", line)
		}
	}
	chain(t, l)
	for _, path := range []string{"/v1/things?place=none", "/tiles/pm2_5.json"} {
		if a := l.Do(t, apptest.Key, "GET", path, ""); strings.Contains(a.Body, "canary") {
			t.Errorf("%s shows the canary: %s", path, a.Body)
		}
	}
}

// sung waits until the canary has been heard so often by this process at both places.
func sung(t *testing.T, l *life, n int) {
	t.Helper()
	apptest.Until(t, time.Minute, func() string {
		var status query.Status
		l.Get(t, "/v1/status", &status)
		if len(status.Canaries) != 1 || status.Canaries[0].SelectP50MS == nil {
			return fmt.Sprintf("the status tells of the canaries %+v", status.Canaries)
		}
		if c := status.Canaries[0]; c.Missing+c.Doubled != 0 {
			t.Fatalf("the canary is not as it should be: %+v", c)
		}
		if m := regexp.MustCompile(`(?m)^situ_canary_seconds_count{gateway="[^"]+",stage="select"} (\d+)`).FindStringSubmatch(l.Do(t, apptest.Key, "GET", "/metrics", "").Body); m == nil || len(m[1]) < 2 && m[1] < fmt.Sprint(n) {
			return fmt.Sprintf("the canary was heard %v times", m)
		}
		return ""
	})
}

// chain reads the numbers from history: they rise over all lives, and each names one that is there.
func chain(t *testing.T, l *life) {
	t.Helper()
	numbers := map[float64]float64{}
	for _, r := range l.SQL(t, `SELECT seq, epoch, maxIf(result, source_key = 'sequence') AS number, maxIf(result, source_key = 'acknowledged') AS acked, count() AS n,
		any(owner_class) AS class, any(grade) AS grade FROM history WHERE owner = 'situ' GROUP BY seq, epoch ORDER BY number`) {
		if _, twice := numbers[r.Float(t, "number")]; twice || r.Int(t, "n") != 2 || r.String("class") != "government" || r.String("grade") != "restricted" {
			t.Errorf("%v", r)
		}
		numbers[r.Float(t, "number")] = r.Float(t, "acked")
	}
	first := math.Inf(1)
	for n := range numbers {
		first = min(first, n)
	}
	for n, acked := range numbers {
		if _, ok := numbers[acked]; !ok && n != first {
			t.Errorf("%.0f names %.0f, which is not there", n, acked)
		}
	}
	if len(numbers) < 15 {
		t.Errorf("%d numbers in history", len(numbers))
	}
}
