package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/situ-city/situ/internal/app/apptest"
)

// owners of the three classes, each with one Thing.
var owners = []struct{ class, owner string }{{"government", "bureau"}, {"enterprise", "works"}, {"social", "folk"}}

const ownersCSV = "id,class,grade,lon,lat,crs,properties\n" +
	"bureau/gauge,government,open,106.55,29.56,WGS84,water_level\n" +
	"works/gauge,enterprise,open,106.56,29.56,WGS84,water_level\n" +
	"folk/gauge,social,open,106.57,29.56,WGS84,water_level\n"

// Days without the store: social data makes room first, then enterprise, government never; when only government is left,
// nothing is acknowledged and everybody is told. With the store back, each class has lost exactly what gap records say.
func TestDaysOffline(t *testing.T) {
	needEngine(t)
	data := apptest.Dir(t)
	library := os.Getenv("SITU_ENGINE")
	t.Setenv("SITU_ENGINE", "/nonexistent/libchdb.so")
	args := []string{"--auto-register", "--spool-bytes", fmt.Sprint(64 << 20)} // 32 MiB for the live lane
	l := start(t, data, args...)
	if a := l.Do(t, apptest.Key, http.MethodPost, "/v1/register", ownersCSV); a.Status != http.StatusMultiStatus || strings.Contains(a.Body, `"error"`) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	s := newStation(t, l)
	s.until(owners[:], func() bool { return removed(t, l, "enterprise") > 0 })
	if removed(t, l, "social") == 0 {
		t.Error("enterprise data was removed, and no social data")
	}
	s.until(owners[:1], func() bool { return len(s.acked["bureau"]) > 400 }) // 25 MiB
	s.until(owners[:], func() bool { return s.refused > 20 })                // and a little of each is left in the newest segment
	apptest.Until(t, time.Minute, func() string { return s.sayFull(l) })
	t.Run("page", func(t *testing.T) { bannerOnPage(t, l, "the spool is full: nothing more is acknowledged") })
	if n := removed(t, l, "government"); n != 0 {
		t.Errorf("%v messages of the government were removed", n)
	}
	if code := l.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	inOrder(t, l.log.String())

	t.Setenv("SITU_ENGINE", library)
	l = start(t, data, args...)
	l.WaitReady(t)
	s.balanced(t, l)
}

func removed(t *testing.T, l *life, class string) float64 {
	t.Helper()
	return l.Metric(t, "situ_spool_removed_messages_total", `class="`+class+`"`)
}

// station publishes messages of 64 KiB, each with a number of its own, one at a time a connection: what was refused is
// known not to be stored.
type station struct {
	t       *testing.T
	addr    string
	clients map[string]paho.Client
	acked   map[string][]int64 // by owner
	refused int                // since the last that was taken
	next    int64
	base    int64
}

func newStation(t *testing.T, l *life) *station {
	return &station{t: t, addr: l.MQTT, clients: map[string]paho.Client{}, acked: map[string][]int64{}, base: time.Now().Add(-time.Hour).UnixMilli()}
}

// until publishes for these owners in turn until enough says so.
func (s *station) until(list []struct{ class, owner string }, enough func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for n := 0; n%16 != 0 || !enough(); n++ {
		if time.Now().After(deadline) {
			s.t.Fatalf("not after %d messages", n)
		}
		for _, o := range list {
			s.publish(o.owner)
		}
	}
}

func (s *station) publish(owner string) (taken bool) {
	s.t.Helper()
	c := s.clients[owner]
	if c == nil || !c.IsConnectionOpen() {
		var err error
		if c, err = apptest.Dial(s.addr, "gauge-"+owner, "", ""); err != nil {
			s.t.Fatal(err)
		}
		s.clients[owner] = c
		s.t.Cleanup(func() { c.Disconnect(0) })
	}
	s.next++
	tok := c.Publish("situ/v1/"+owner+"/gauge/json", 1, false, s.payload(s.next))
	for !tok.WaitTimeout(20*time.Millisecond) && c.IsConnectionOpen() {
	}
	select {
	case <-tok.Done():
		taken = tok.Error() == nil && c.IsConnectionOpen()
	default:
	}
	if !taken {
		c.Disconnect(0)
		s.refused++
		return false
	}
	s.refused = 0
	s.acked[owner] = append(s.acked[owner], s.next)
	return true
}

func (s *station) payload(n int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"t":%d,"water_level":%d`, s.base+n, n)
	for i := range 64 {
		fmt.Fprintf(&b, `,"note%d":"%d %s"`, i, n, strings.Repeat("x", 1000))
	}
	b.WriteString("}")
	return b.String()
}

// sayFull wants no PUBACK for anybody, and the reason on /readyz, /v1/status and /metrics. What is being removed just
// now may still make room for a few.
func (s *station) sayFull(l *life) string {
	s.t.Helper()
	for _, o := range owners {
		if s.publish(o.owner) {
			return "a message of class " + o.class + " was acknowledged by a full spool"
		}
	}
	why := l.NotReady(s.t)["spool"]
	if !strings.Contains(why, "nothing is acknowledged in lane live") || !strings.Contains(why, "MiB of class government") || !strings.Contains(why, "--spool-bytes") {
		return "readyz: " + why
	}
	var status struct{ Banner string }
	if l.Get(s.t, "/v1/status", &status); !strings.Contains(status.Banner, "the spool is full: nothing more is acknowledged") {
		return "banner: " + status.Banner
	}
	if n := l.Metric(s.t, "situ_gateway_refused_total", `reason="full"`); n < 3 {
		return fmt.Sprintf("situ_gateway_refused_total{reason=\"full\"} is %v", n)
	}
	return ""
}

// bannerOnPage opens the page in a real browser and wants the line above the map.
func bannerOnPage(t *testing.T, l *life, text string) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("not run: no node; install Node.js 20 or newer")
	}
	if _, err := os.Stat("../../web/node_modules/playwright-core"); err != nil {
		t.Skip("not run: no playwright-core; npm ci in web/ brings it")
	}
	if a := l.Do(t, "", http.MethodGet, "/", ""); !strings.Contains(a.Body, "<script") {
		t.Skip("not run: the page is not built; make web builds it")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "node", "../../web/test/text.mjs", l.URL, `[data-banner="server"]`).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		t.Skip("not run: no Chromium; install it (Debian: apt install chromium), or name it in CHROMIUM")
	}
	if err != nil || !strings.Contains(string(out), text) {
		t.Errorf("the page says %q, %v; want %q", out, err, text)
	}
}

// inOrder reads in the log what was removed: from no stretch of messages enterprise data before social data.
func inOrder(t *testing.T, log string) {
	t.Helper()
	of := map[string]map[string]bool{"social": {}, "enterprise": {}}
	for _, m := range regexp.MustCompile(`removed messages to have room.* class=(\w+) .* from=(\d+) to=`).FindAllStringSubmatch(log, -1) {
		if of[m[1]] == nil {
			t.Errorf("data of class %s was removed", m[1])
			continue
		}
		of[m[1]][m[2]] = true
		if m[1] == "enterprise" && !of["social"][m[2]] {
			t.Errorf("in the messages from %s on enterprise data was removed before social data", m[2])
		}
	}
	if len(of["social"]) == 0 || len(of["enterprise"]) == 0 {
		t.Errorf("removed, as the log says: %v", of)
	}
}

// balanced wants every message of the government in SQL once, and of the others all but what gap records tell of.
func (s *station) balanced(t *testing.T, l *life) {
	t.Helper()
	const counts = `SELECT (SELECT count() FROM situ.observations) AS raw,
		(SELECT uniqExact(gateway, epoch, lane, seq, idx) FROM situ.observations) AS identities,
		(SELECT sum(seq_to - seq_from + 1) FROM situ.gaps FINAL) AS gaps, (SELECT sum(messages) FROM situ.gap_shares FINAL) AS shares`
	sent := 0
	for _, o := range owners {
		sent += len(s.acked[o.owner])
	}
	apptest.Until(t, 2*time.Minute, func() string {
		r := l.Store(t, counts)[0]
		if n := r.Int(t, "raw")/65 + r.Int(t, "gaps"); n != int64(sent) || r.String("identities") != r.String("raw") || r.String("shares") != r.String("gaps") {
			return fmt.Sprintf("the store has %v of %d acknowledged messages", r, sent)
		}
		return ""
	})
	for _, o := range owners {
		stored := map[int64]int{}
		for _, r := range l.SQL(t, "SELECT toInt64(result) AS n, count() AS times FROM history WHERE owner = '"+o.owner+"' AND source_key = 'water_level' GROUP BY n") {
			stored[r.Int(t, "n")] = int(r.Int(t, "times"))
		}
		missing := 0
		for _, n := range s.acked[o.owner] {
			if stored[n] != 1 {
				missing++
			}
			if stored[n] > 1 {
				t.Errorf("message %d of %s is there %d times", n, o.owner, stored[n])
			}
			delete(stored, n)
		}
		if len(stored) > 0 {
			t.Errorf("%d messages of %s were not acknowledged and are there", len(stored), o.owner)
		}
		said := l.SQL(t, "SELECT sum(messages) AS n FROM removed WHERE owner = '"+o.owner+"' AND owner_class = '"+o.class+"'")[0].Int(t, "n")
		runs := l.Store(t, "SELECT sum(seq_to - seq_from + 1) AS n FROM situ.gaps FINAL WHERE owner_class = '"+o.class+"'")[0].Int(t, "n")
		t.Logf("%-10s %4d acknowledged, %4d in SQL, %4d in gap records", o.class, len(s.acked[o.owner]), len(s.acked[o.owner])-missing, runs)
		if said != int64(missing) || runs != said || o.class == "government" && missing > 0 || o.class != "government" && missing == 0 {
			t.Errorf("of class %s %d are not in SQL, the view removed says %d, gaps say %d", o.class, missing, said, runs)
		}
	}
	apptest.Until(t, time.Minute, func() string {
		out, err := exec.Command(program(t), "balance", "--url", l.URL, "--key", apptest.Key, "--since", "2h").CombinedOutput()
		if err != nil {
			t.Fatalf("situ balance: %v\n%s", err, out)
		}
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^all +%d +%d `, sent, sent-s.lost(t, l))).Match(out) {
			return string(out)
		}
		return ""
	})
}

func (s *station) lost(t *testing.T, l *life) int {
	return int(l.SQL(t, "SELECT sum(messages) AS n FROM removed")[0].Int(t, "n"))
}
