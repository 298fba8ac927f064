package edge_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/query"
)

// The canary of a gateway of its own goes through Kafka to the live state and to SQL of another process, declares
// itself there, and stands in a balance that is even.
func TestCanaryApart(t *testing.T) {
	w := newWorld(t)
	w.gateway.Canary = 200 * time.Millisecond
	w.startQuery(t)
	w.startIngester(t)
	gateway := w.startGateway(t)
	w.heard(t)
	gateway.stop()
	w.startGateway(t) // its numbers go on
	w.publish(t, "first", 0, 20)
	w.heard(t)
	apptest.Until(t, time.Minute, func() string {
		var doc query.BalanceDoc
		w.server().Get(t, "/v1/balance", &doc)
		owners := map[string]uint64{}
		for _, r := range doc.Rows {
			owners[r.Owner] += r.WithRows
		}
		if doc.Total.Wrong() != 0 {
			t.Fatalf("the balance is not even: %+v; %+v", doc.Total, doc.Trouble)
		}
		if doc.ClosedUntil == nil || owners["bureau"] != 20 || owners["situ"] < 2 {
			return fmt.Sprintf("closed until %v, messages by owner %v", doc.ClosedUntil, owners)
		}
		return ""
	})
}

// heard waits until query has heard the canary at both places.
func (w *world) heard(t *testing.T) {
	t.Helper()
	began := time.Now()
	apptest.Until(t, time.Minute, func() string {
		var s query.Status
		w.server().Get(t, "/v1/status", &s)
		if len(s.Canaries) != 1 || s.Canaries[0].Gateway != "gw-test" {
			return fmt.Sprintf("canaries: %+v", s.Canaries)
		}
		c := s.Canaries[0]
		if c.Missing+c.Doubled != 0 {
			t.Fatalf("the canary is not as it should be: %+v", c)
		}
		if c.LiveP50MS == nil || c.SelectP50MS == nil || *c.SelectAgeS > time.Since(began).Seconds() {
			return "not heard at both places since: " + fmt.Sprintf("%+v", c)
		}
		return ""
	})
}
