package edge_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/situ-city/situ/internal/app/apptest"
)

// TestDaysWithoutKafka: the pressure reaches the gateway's disk. Social data makes room, then nothing is acknowledged any
// more; when Kafka is there again, history and gap records together are what was acknowledged, and government's is whole.
func TestDaysWithoutKafka(t *testing.T) {
	w := newWorld(t)
	w.startQuery(t)
	things := "id,class,grade,lon,lat,crs,properties\n" +
		"bureau/gauge,government,open,106.55,29.56,WGS84,water_level\nfolk/gauge,social,open,106.57,29.56,WGS84,water_level\n"
	if a := w.server().Do(t, apptest.Key, http.MethodPost, "/v1/register", things); a.Status != http.StatusMultiStatus || strings.Contains(a.Body, `"error"`) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	brokers := w.gateway.Brokers
	w.gateway.Brokers = []string{free(t)} // nobody answers
	if err := w.gateway.SpoolHorizon.UnmarshalText([]byte("social=24h,enterprise=72h")); err != nil {
		t.Fatal(err)
	}
	gateway := w.startGateway(t)
	state := apptest.Server{URL: strings.TrimSuffix(gateway.said(t, "state  "), "/readyz")}
	removed := func(class string) float64 {
		return state.Metric(t, "situ_spool_removed_messages_total", `class="`+class+`"`)
	}
	s := &sensors{t: t, addr: w.gateway.MQTT, clients: map[string]paho.Client{}, acked: map[string]int64{}, base: time.Now().Add(-time.Hour).UnixMilli()}
	s.until(func() bool { return removed("social") > 0 }, "bureau", "folk")
	s.until(func() bool { return s.refused > 20 }, "bureau")
	apptest.Until(t, time.Minute, func() string {
		if s.publish("bureau") {
			return "a full spool acknowledges"
		}
		if why := state.NotReady(t)["spool"]; !strings.Contains(why, "nothing is acknowledged in lane live") {
			return "readyz: " + why
		}
		return ""
	})
	if n := removed("government"); n != 0 {
		t.Errorf("%v messages of the government were removed", n)
	}
	gateway.stop()

	w.gateway.Brokers = brokers
	w.startGateway(t)
	w.startIngester(t)
	apptest.Until(t, 2*time.Minute, func() string {
		b := w.server().SQL(t, `SELECT toInt64(sum(messages)) AS messages, toInt64(sum(gaps)) AS gaps, toInt64(sum(missing)) AS missing,
			toInt64(sum(rows_missing) + sum(rows_doubled)) AS wrong, toInt64(sum(unjudged)) AS unjudged FROM balance`)[0]
		if b.Int(t, "messages") != s.acked["bureau"]+s.acked["folk"] || b.Int(t, "missing")+b.Int(t, "wrong")+b.Int(t, "unjudged") > 0 {
			return fmt.Sprintf("%v were acknowledged, and the balance is %v", s.acked, b)
		}
		return ""
	})
	rows := w.server().SQL(t, `SELECT countIf(owner = 'bureau') AS bureau, countIf(owner = 'folk') AS folk, uniqExact(owner, result) AS different
		FROM history WHERE source_key = 'water_level'`)[0]
	gaps := w.server().SQL(t, "SELECT toInt64(sum(messages)) AS n FROM removed WHERE owner = 'folk' AND owner_class = 'social'")[0].Int(t, "n")
	if rows.Int(t, "bureau") != s.acked["bureau"] || rows.Int(t, "folk")+gaps != s.acked["folk"] || gaps == 0 || rows.Int(t, "different") != rows.Int(t, "bureau")+rows.Int(t, "folk") {
		t.Errorf("%v were acknowledged; rows %v, and gap records of %d", s.acked, rows, gaps)
	}
}

// sensors publish large messages one at a time a connection, so that what was refused is known not to be stored.
type sensors struct {
	t       *testing.T
	addr    string
	clients map[string]paho.Client
	acked   map[string]int64 // by owner
	refused int              // since the last that was taken
	next    int64
	base    int64
}

func (s *sensors) until(enough func() bool, owners ...string) {
	s.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for n := 0; n%16 != 0 || !enough(); n++ {
		if time.Now().After(deadline) {
			s.t.Fatalf("not after %d messages", n)
		}
		for _, o := range owners {
			s.publish(o)
		}
	}
}

func (s *sensors) publish(owner string) (taken bool) {
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
	var b strings.Builder
	fmt.Fprintf(&b, `{"t":%d,"water_level":%d`, s.base+s.next, s.next)
	for i := range 64 {
		fmt.Fprintf(&b, `,"note%d":"%d %s"`, i, s.next, strings.Repeat("x", 1000))
	}
	tok := c.Publish("situ/v1/"+owner+"/gauge/json", 1, false, b.String()+"}")
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
	s.acked[owner]++
	return true
}
