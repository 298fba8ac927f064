package query

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// ledgerStore has ten messages of ecology in each hour, and what a test adds.
type ledgerStore struct {
	Watched
	asked map[time.Time]int
	extra map[time.Time]store.BalanceRow
	until time.Time
	err   error

	classes map[string]string
	learned int // how often they were asked for
}

func (s *ledgerStore) OwnerClasses(context.Context) (map[string]string, error) {
	s.learned++
	return s.classes, s.err
}

func (s *ledgerStore) Balance(_ context.Context, from, to time.Time) (*store.Balance, error) {
	b := &store.Balance{From: from, To: to, Closed: []store.Closed{{Producer: singer, Until: s.until},
		{Producer: sensor.Producer{Gateway: "retired"}, Until: from.Add(-90 * 24 * time.Hour)}}}
	for h := from; h.Before(to); h = h.Add(time.Hour) {
		s.asked[h]++
		b.Rows = append(b.Rows, store.BalanceRow{Hour: h, Producer: singer, Owner: "ecology", Account: store.Account{Messages: 10, WithRows: 10, Observations: 20}})
		if r, ok := s.extra[h]; ok {
			b.Rows = append(b.Rows, r)
		}
	}
	return b, s.err
}

// All hours of the day are counted, the newest each round, the older ones in turn; what is wrong is on /metrics.
func TestAudit(t *testing.T) {
	now := time.Date(2026, 11, 15, 12, 20, 0, 0, time.UTC)
	newest := now.Truncate(time.Hour)
	broken := newest.Add(-7 * time.Hour)
	s := &ledgerStore{asked: map[time.Time]int{}, extra: map[time.Time]store.BalanceRow{}, until: now.Add(-4 * time.Second),
		classes: map[string]string{"ecology": "government"}}
	reg := prometheus.NewRegistry()
	a := NewAudit(reg, slog.New(slog.DiscardHandler), func() time.Time { return now })
	if a.Summary() != nil || (*Audit)(nil).Summary() != nil {
		t.Error("a summary before the first round")
	}
	round := func() {
		t.Helper()
		if err := a.round(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		now = now.Add(auditEvery)
	}
	round()
	if a.whole() || a.Summary().Hours != 3 {
		t.Errorf("after one round: %+v", a.Summary())
	}
	for range 21 {
		round()
	}
	if sum := a.Summary(); !a.whole() || sum.Hours != 24 || sum.Messages != 240 || sum.Wrong() != 0 ||
		!sum.ClosedUntil.Equal(s.until) || sum.HeldBy != "gw1" {
		t.Errorf("after a whole turn: %+v", sum)
	}
	s.extra[broken] = store.BalanceRow{Hour: broken, Owner: store.NoOwner, Account: store.Account{Messages: 3, Missing: 3, RowsMissing: 5}}
	for range 22 {
		round()
	}
	if s.asked[newest] != 44 || s.asked[broken] != 2 {
		t.Errorf("the newest hour was counted %d times, an old one %d times", s.asked[newest], s.asked[broken])
	}
	want := `
# HELP situ_balance_messages Acknowledged messages of the last 24 hours, by the owner's class and what became of them.
# TYPE situ_balance_messages gauge
situ_balance_messages{class="government",outcome="dead_letter"} 0
situ_balance_messages{class="government",outcome="empty"} 0
situ_balance_messages{class="government",outcome="gap"} 0
situ_balance_messages{class="government",outcome="missing"} 0
situ_balance_messages{class="government",outcome="rows"} 240
situ_balance_messages{class="unknown",outcome="dead_letter"} 0
situ_balance_messages{class="unknown",outcome="empty"} 0
situ_balance_messages{class="unknown",outcome="gap"} 0
situ_balance_messages{class="unknown",outcome="missing"} 3
situ_balance_messages{class="unknown",outcome="rows"} 0
# HELP situ_balance_missing Acknowledged messages of the last 24 hours that nothing tells of; must be 0.
# TYPE situ_balance_missing gauge
situ_balance_missing 3
# HELP situ_balance_rows_missing Rows of the last 24 hours that were taken and are not there; must be 0.
# TYPE situ_balance_rows_missing gauge
situ_balance_rows_missing 5
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "situ_balance_missing", "situ_balance_messages", "situ_balance_rows_missing"); err != nil {
		t.Error(err)
	}
	now = now.Add(18 * time.Hour)
	for range 24 {
		round()
	}
	if sum := a.Summary(); sum.Missing != 0 || sum.Hours != 24 {
		t.Errorf("a day later: %+v", sum)
	}
	s.err = errors.New("away")
	a.asked = time.Time{}
	if err := a.round(t.Context(), s); err == nil {
		t.Error("an error of the store was swallowed")
	}
}

// Readings come before the registry is in the store: who is met without a class is looked for once more, and whoever
// stays unknown is not asked about in each round.
func TestAuditLearnsNewOwners(t *testing.T) {
	now := time.Date(2026, 11, 15, 12, 20, 0, 0, time.UTC)
	s := &ledgerStore{asked: map[time.Time]int{}, until: now}
	reg := prometheus.NewRegistry()
	a := NewAudit(reg, slog.New(slog.DiscardHandler), func() time.Time { return now })
	round := func(learned int) {
		t.Helper()
		if err := a.round(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if s.learned != learned {
			t.Fatalf("classes were asked for %d times, not %d", s.learned, learned)
		}
		now = now.Add(auditEvery)
	}
	round(1)
	if n := testutil.ToFloat64(a.m.messages.WithLabelValues("unknown", "rows")); n != 30 {
		t.Errorf("%v messages of nobody known", n)
	}
	s.classes = map[string]string{"ecology": "government"}
	round(2)
	if n := testutil.ToFloat64(a.m.messages.WithLabelValues("government", "rows")); n != 30 { // two hours again, and an older one
		t.Errorf("%v messages of the government's", n)
	}
	round(2)
	s.extra = map[time.Time]store.BalanceRow{now.Truncate(time.Hour): {Hour: now.Truncate(time.Hour), Owner: "nobody", Account: store.Account{Messages: 1, DeadLetters: 1}}}
	round(2)
	round(3)
	round(3)
	now = now.Add(auditClasses)
	round(4)
	round(5)
	round(5)
}
