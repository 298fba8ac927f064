package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/situ-city/situ/internal/app/apptest"
)

// Without history the map lives, a banner says what is missing, SQL and its port are not there.
func TestHistoryOff(t *testing.T) {
	r := run(t, apptest.Dir(t), func(c *Config) { open(c); noHistory(c); c.ClickHouseHTTP = "127.0.0.1:0" })
	r.Publish(t, "situ/v1/me/shed/json", `{"pm2_5":21.5,"lon":106.55,"lat":29.56}`)
	apptest.Until(t, 10*time.Second, func() string {
		if a := r.Do(t, "", http.MethodGet, "/tiles/pm2_5/9/407/212.mvt", ""); a.Status != http.StatusOK {
			return fmt.Sprintf("the tile is %d", a.Status)
		}
		return ""
	})
	var status struct {
		History, Banner string
		Observations    int
	}
	r.Get(t, "/v1/status", &status)
	if status.History != "off" || !strings.Contains(status.Banner, "history is off") || status.Observations != 1 {
		t.Errorf("status: %+v", status)
	}
	for _, req := range []string{"POST /v1/sql", "GET /v1/deadletters"} {
		method, path, _ := strings.Cut(req, " ")
		if a := r.Do(t, apptest.Key, method, path, "SELECT 1"); a.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", req, a.Status, a.Body)
		}
	}
	if out := r.out.String(); strings.Contains(out, "ClickHouse") {
		t.Errorf("it announces SQL: %s", out)
	}
}

// Devices of other machines need credentials, made and printed once, even where the page needs none; the simulated city
// has its own.
func TestDevicesBeyondLoopbackNeedCredentials(t *testing.T) {
	data := apptest.Dir(t)
	beyond := func(c *Config) { c.Demo = true; noHistory(c); c.MQTT = "0.0.0.0:0" }
	r := run(t, data, beyond)
	printed, ok := r.out.After("MQTT user and password (shown once):")
	user, password, _ := strings.Cut(printed, "  ")
	if !ok || user != "device" || len(password) < 32 {
		t.Fatalf("it prints no credentials: %s", r.out.String())
	}
	for _, wrong := range [][2]string{{"", ""}, {"device", "guess"}, {"admin", password}} {
		if c, err := apptest.Dial(r.MQTT, "stranger", wrong[0], wrong[1]); err == nil {
			c.Disconnect(0)
			t.Errorf("user %q with password %q is let in", wrong[0], wrong[1])
		}
	}
	if n := r.Metric(t, "situ_gateway_refused_total", `reason="connect"`); n != 3 {
		t.Errorf("%v refused connections are counted, 3 were", n)
	}
	apptest.Ack(t, r.Connect(t, "box", user, password), "situ/v1/me/shed/json", `{"pm2_5":21.5}`)
	apptest.Until(t, 20*time.Second, func() string {
		var status struct{ Observations, Things int }
		if r.Get(t, "/v1/status", &status); status.Observations < 2 || status.Things < 30 {
			return fmt.Sprintf("the simulated city does not speak: %+v", status)
		}
		return ""
	})
	if a := r.Do(t, "", http.MethodGet, "/v1/status", ""); a.Status != http.StatusOK {
		t.Errorf("the page, on loopback: %d", a.Status)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = run(t, data, beyond)
	if _, again := r.out.After("MQTT user"); again {
		t.Error("the password is printed again")
	}
	apptest.Ack(t, r.Connect(t, "box", user, password), "situ/v1/me/shed/json", `{"pm2_5":22.5}`)
}

// A credential of one owner publishes under that owner alone; what it sends elsewhere is its own dead letter.
func TestCredentialOfAnOwner(t *testing.T) {
	r := run(t, apptest.Dir(t), nil)
	a := r.Do(t, apptest.Key, http.MethodPost, "/v1/credentials", `{"user":"eco-gate","scope":"eco"}`)
	_, rest, _ := strings.Cut(a.Body, `"password":"`)
	password, _, ok := strings.Cut(rest, `"`)
	if a.Status != http.StatusCreated || !ok {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if a := r.Do(t, apptest.Key, http.MethodPost, "/v1/register", station); a.Status != http.StatusMultiStatus {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	c := r.Connect(t, "gate", "eco-gate", password)
	apptest.Ack(t, c, "situ/v1/other/air-1/json", `{"pm2_5":99}`)
	apptest.Ack(t, c, "situ/v1/eco/air-1/json", `{"pm2_5":33}`)
	apptest.Until(t, 20*time.Second, func() string {
		rows := r.SQL(t, `SELECT (SELECT count() FROM history WHERE thing = 'eco/air-1' AND result = 33) AS good,
			(SELECT count() FROM deadletters WHERE reason = 'acl' AND owner = 'eco') AS letters, (SELECT count() FROM history) AS n`)
		if fmt.Sprint(rows[0]["good"], rows[0]["letters"], rows[0]["n"]) != "111" {
			return fmt.Sprint("SQL has ", rows)
		}
		return ""
	})
}

// QoS 2 ends with PUBCOMP, and in the history once.
func TestQoS2EndsOnce(t *testing.T) {
	r := run(t, apptest.Dir(t), open)
	c := r.Connect(t, "exactly-once", "", "")
	for i := range 20 {
		tok := c.Publish("situ/v1/me/shed/json", 2, false, fmt.Sprintf(`{"t":%d,"pm2_5":%d}`, time.Now().UnixMilli()+int64(i), i))
		if !tok.WaitTimeout(apptest.AckTimeout) || tok.Error() != nil {
			t.Fatalf("a QoS 2 publication ended with %v", tok.Error())
		}
	}
	if n := r.Metric(t, "situ_gateway_unreleased_packets"); n != 0 {
		t.Errorf("%v packets are not released", n)
	}
	apptest.Until(t, time.Minute, func() string {
		if got := r.Store(t, "SELECT count() AS n, uniqExact(result) AS u FROM situ.observations")[0]; got.Int(t, "n") != 20 || got.Int(t, "u") != 20 {
			return fmt.Sprint("the store has ", got)
		}
		return ""
	})
}

// What was refused for an unknown Thing is on the map as soon as the Thing is registered and the letter replayed.
func TestReplayedIsOnTheMap(t *testing.T) {
	r := run(t, apptest.Dir(t), nil)
	credential := r.Do(t, apptest.Key, http.MethodPost, "/v1/credentials", `{"user":"box","scope":"*"}`)
	_, rest, _ := strings.Cut(credential.Body, `"password":"`)
	password, _, _ := strings.Cut(rest, `"`)
	apptest.Ack(t, r.Connect(t, "box", "box", password), "situ/v1/eco/air-1/json", `{"pm2_5":61.25}`)
	apptest.Until(t, time.Minute, func() string {
		if a := r.Do(t, apptest.Key, http.MethodGet, "/v1/deadletters?owner=eco&state=open", ""); !strings.Contains(a.Body, `"reason":"thing"`) {
			return fmt.Sprint("dead letters: ", a.Status, a.Body)
		}
		return ""
	})
	if a := r.Do(t, apptest.Key, http.MethodPost, "/v1/register", station); a.Status != http.StatusMultiStatus {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for _, key := range []string{"", "situ_wrong_key_0123456789"} {
		if a := r.Do(t, key, http.MethodPost, "/v1/deadletters/replay", `{"owner":"eco"}`); a.Status != http.StatusUnauthorized {
			t.Errorf("without the key: %d %s", a.Status, a.Body)
		}
	}
	if a := r.Do(t, apptest.Key, http.MethodPost, "/v1/deadletters/replay", `{"owner":"eco"}`); a.Status != http.StatusMultiStatus || !strings.Contains(a.Body, `"status":"resolved","values":1`) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if a := r.Do(t, apptest.Key, http.MethodGet, "/v1/things/eco/air-1", ""); !strings.Contains(a.Body, "61.25") {
		t.Errorf("the map does not have it: %d %s", a.Status, a.Body)
	}
	for _, bad := range []string{`{}`, `{"ids":["x"]}`, `{"all":true,"shift":"soon"}`, `{"all":true,"owner":"eco","time":"never"}`, `{"ids":["a:1:live:1:1"],"all":true}`} {
		if a := r.Do(t, apptest.Key, http.MethodPost, "/v1/deadletters/replay", bad); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", bad, a.Status, a.Body)
		}
	}
}

// Everything bad becomes a dead letter that says what and where, is counted, and found by its owner; what is good in the
// same payload, and after it, is in SQL.
func TestBadInputEndsAsDeadLetters(t *testing.T) {
	r := run(t, apptest.Dir(t), nil)
	credential := r.Do(t, apptest.Key, http.MethodPost, "/v1/credentials", `{"user":"box","scope":"*"}`)
	_, rest, _ := strings.Cut(credential.Body, `"password":"`)
	password, _, _ := strings.Cut(rest, `"`)
	if a := r.Do(t, apptest.Key, http.MethodPost, "/v1/register", station); a.Status != http.StatusMultiStatus {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	c := r.Connect(t, "box", "box", password)
	now := time.Now()
	broken := []byte(frame("SITU00000000000000000002", now, "60.5"))
	broken[len(broken)-3] ^= 1
	const topic = "situ/v1/eco/air-1/json"
	good := func(n int, payload string) string { // values of one instant would replace each other
		return fmt.Sprintf(`{"t":%d,%s}`, now.UnixMilli()-int64(n), payload)
	}
	cases := []struct{ reason, topic, payload, says string }{
		{"truncated", topic, `{"pm2_5":12.5,`, "byte"},
		{"malformed", topic, `{"pm2_5":NaN}`, "byte"},
		{"number", topic, good(1, `"pm2_5":1e400,"temperature":1`), "pm2_5"},
		{"property", topic, good(2, `"flux":3,"temperature":2`), "flux"},
		{"thing", "situ/v1/eco/stranger/json", `{"pm2_5":3}`, "eco/stranger"},
		{"position", topic, `{"lon":206.5,"lat":29.5,"temperature":9}`, "206.5"},
		{"position", topic, `{"lon":29.56,"lat":106.57,"temperature":9}`, "swapped"},
		{"time", topic, fmt.Sprintf(`{"t":%d,"temperature":9}`, now.Add(time.Hour).UnixMilli()), "ahead"},
		{"time", topic, `{"t":"1999-01-01T00:00:00Z","temperature":9}`, "1999"},
		{"empty", topic, "", "no bytes"},
		{"size", topic, `{"x":"` + strings.Repeat("y", 1<<20) + `"}`, "1048"},
		{"encoding", topic, "{\"pm2_5\":1,\"n\":\"\xff\xfe\"}", ""},
		{"topic", "factory/7/up", `{"pm2_5":1}`, "situ/v1/{owner}/{thing}/{protocol}"},
		{"protocol", "situ/v1/eco/air-1/modbus", `{"pm2_5":1}`, "modbus"},
		{"checksum", "situ/v1/eco/air-2/hj212", string(broken), "CRC"},
	}
	counted := map[string]int{}
	for _, k := range cases {
		counted[k.reason]++
		apptest.Ack(t, c, k.topic, k.payload)
	}
	apptest.Ack(t, c, topic, good(3, `"pm2_5":null,"temperature":3`)) // null is no value, and no mistake
	apptest.Ack(t, c, topic, good(4, `"pm2_5":13,"temperature":4`))
	var page struct {
		Letters []struct {
			Reason, Detail, Owner, Topic string
			Size                         int
			Payload                      []byte
		} `json:"dead_letters"`
	}
	apptest.Until(t, 30*time.Second, func() string {
		page.Letters = nil // what a letter does not have would stay as the last answer had it
		if r.Get(t, "/v1/deadletters", &page); len(page.Letters) < len(cases) {
			return fmt.Sprintf("%d of %d dead letters", len(page.Letters), len(cases))
		}
		return ""
	})
	for i, k := range cases {
		l := page.Letters[len(cases)-1-i] // newest first
		if l.Reason != k.reason || !strings.Contains(l.Detail, k.says) || l.Detail == "" || l.Topic != k.topic || l.Size != len(k.payload) ||
			!strings.HasPrefix(k.payload, string(l.Payload)) || strings.HasPrefix(k.topic, "situ/v1/eco/") && l.Owner != "eco" {
			t.Errorf("%s %.60q became %s of %q, %d bytes: %s", k.reason, k.payload, l.Reason, l.Owner, l.Size, l.Detail)
		}
	}
	for reason, n := range counted {
		if got := r.Metric(t, "situ_gateway_dead_letters_total", fmt.Sprintf("reason=%q", reason)); got != float64(n) {
			t.Errorf("%s: %v are counted, %d were sent", reason, got, n)
		}
	}
	apptest.Until(t, 20*time.Second, func() string {
		rows := r.SQL(t, "SELECT arrayStringConcat(arraySort(groupArray(concat(property, ' ', toString(result)))), ', ') AS all FROM history")
		if got, want := rows[0].String("all"), "pm2_5 13, temperature 1, temperature 2, temperature 3, temperature 4"; got != want {
			return fmt.Sprintf("SQL has %s, want %s", got, want)
		}
		return ""
	})
}

// What operators watch: alive at once, ready with a list of what is not, counters under situ's names only.
func TestOperations(t *testing.T) {
	r := run(t, apptest.Dir(t), open)
	if a := r.Do(t, "", http.MethodGet, "/healthz", ""); a.Status != http.StatusOK || a.Body != "ok\n" {
		t.Errorf("healthz: %d %q", a.Status, a.Body)
	}
	if a := r.Do(t, "", http.MethodGet, "/readyz", ""); a.Status != http.StatusOK {
		t.Errorf("readyz: %d %s", a.Status, a.Body)
	}
	r.Publish(t, "situ/v1/me/shed/json", `{"pm2_5":21.5,"temperature":3}`)
	apptest.Until(t, 20*time.Second, func() string {
		if n := r.Metric(t, "situ_ingester_observations_total"); n != 2 {
			return fmt.Sprintf("%v observations are counted as stored", n)
		}
		return ""
	})
	if n := r.Metric(t, "situ_gateway_observations_total"); n != 2 {
		t.Errorf("%v observations are counted as received", n)
	}
	for line := range strings.Lines(r.Get(t, "/metrics", nil)) {
		ok := strings.HasPrefix(line, "#")
		for _, prefix := range []string{"situ_", "go_", "process_"} {
			ok = ok || strings.HasPrefix(line, prefix)
		}
		if !ok {
			t.Errorf("metric of a strange name: %s", line)
		}
	}
	if secrets := r.out.String() + r.log.String(); strings.Contains(secrets, apptest.Key) {
		t.Error("the administrator's own key is printed or logged")
	}
}

// History that is off for a while: what the spool had to give up meanwhile is a gap that SQL shows, all else is stored
// once history is on again.
func TestHistoryOffAndOnAgain(t *testing.T) {
	data := apptest.Dir(t)
	r := run(t, data, open)
	r.Publish(t, "situ/v1/me/shed/json", `{"temperature":1}`)
	apptest.Until(t, time.Minute, func() string { // else it is one of those that the spool may give up
		if n := r.Store(t, "SELECT count() AS n FROM situ.observations")[0].Int(t, "n"); n != 1 {
			return fmt.Sprintf("%d rows are stored", n)
		}
		return ""
	})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = run(t, data, func(c *Config) { open(c); noHistory(c) })
	c := r.Connect(t, "fill", "", "")
	const letters = 2200 // of 16 KiB and what JSON adds: more than the 32 MiB of a lane
	var last paho.Token
	for range letters {
		last = c.Publish("situ/v1/me/noise/json", 1, false, `{"t":`+strings.Repeat(" ", 16<<10))
	}
	if !last.WaitTimeout(time.Minute) || last.Error() != nil {
		t.Fatal("not acknowledged: ", last.Error())
	}
	apptest.Ack(t, c, "situ/v1/me/shed/json", `{"temperature":2}`)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = run(t, data, open)
	apptest.Until(t, time.Minute, func() string {
		got := r.Store(t, `SELECT (SELECT count() FROM situ.deadletters) AS letters, (SELECT sum(seq_to - seq_from + 1) FROM situ.gaps FINAL) AS gone,
			(SELECT arrayStringConcat(arraySort(groupArray(toString(result))), ' ') FROM situ.history) AS results`)[0]
		// The gap may also cover the very first message: it was stored, and the stop came before its position was committed.
		accounted := got.Int(t, "letters") + got.Int(t, "gone")
		if accounted < letters || accounted > letters+1 || got.Int(t, "gone") == 0 || got.String("results") != "1 2" {
			return fmt.Sprintf("SQL has %v; %d letters were acknowledged", got, letters)
		}
		return ""
	})
}

// The demonstration: a city of its own that speaks, is seen and stored, without a word of complaint, and ends when told.
func TestDemo(t *testing.T) {
	data := apptest.Dir(t)
	demo := func(c *Config) { c.Demo, c.DemoThings = true, 200 }
	r := run(t, data, demo)
	apptest.Until(t, 30*time.Second, func() string {
		var s struct {
			Things, Observations int
			Sets                 []string
		}
		if r.Get(t, "/v1/status", &s); s.Things != 200 || s.Observations < 2000 || len(s.Sets) < 10 {
			return fmt.Sprintf("status: %+v", s)
		}
		return ""
	})
	for _, bad := range []string{"level=ERROR", "level=WARN"} {
		for line := range strings.Lines(r.log.String()) {
			if strings.Contains(line, bad) {
				t.Errorf("the log says: %s", line)
			}
		}
	}
	asked := time.Now()
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(asked); took > 20*time.Second {
		t.Errorf("it took %s to end", took)
	}
	r = run(t, data, demo) // the same city is registered already
	if n := r.SQL(t, "SELECT uniqExact(thing) AS n FROM history")[0].Int(t, "n"); n < 150 {
		t.Errorf("history has %d Things", n)
	}
}
