package query

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/store"
)

// How the balance is watched.
const (
	auditHours   = 24               // that the numbers are about
	auditEvery   = 30 * time.Second // between two rounds, if they are cheap
	auditShare   = 20               // a round is followed by so many times its own duration
	auditFirst   = 10 * time.Second // at most between two rounds until the whole day has been looked at once
	auditClasses = 10 * time.Minute // between two looks at which class an owner is of, if nobody new is met
)

// Watched is what Audit and Canaries ask of the store; *store.Store has it.
type Watched interface {
	Balance(ctx context.Context, from, to time.Time) (*store.Balance, error)
	OwnerClasses(ctx context.Context) (map[string]string, error)
	Canary(ctx context.Context, gateway string, after int64) ([]store.CanaryRow, error)
}

// Audit keeps the balance of the last 24 hours for /metrics and the page, so that nobody has to ask. Each round counts
// the newest two hours again and one older, from the rows themselves: a whole day takes 22 rounds, and what is taken
// out of the tables later is found by then. After the first turn it never takes more than a twentieth of the time.
type Audit struct {
	logger *slog.Logger
	clock  func() time.Time
	m      *auditMetrics

	mu        sync.Mutex             // guards what follows
	hours     map[int64]auditedHour  // by Unix time
	closed    []store.Closed         // of the newest round
	at        time.Time              // of the newest round
	classes   map[string]string      // of owners
	asked     time.Time              // when classes were
	strangers map[string]bool        // owners met since then of whom no class is known
	newcomers bool                   // some of them were not there when classes were asked last
	wrong     map[int64]auditedWrong // hours that are not even, and what was logged of them
}

// auditedHour is what an hour came to.
type auditedHour struct {
	at      time.Time // when it was counted
	byClass map[string]*store.Account
}

type auditedWrong uint64

// BalanceSummary is the balance of the last 24 hours in one line.
type BalanceSummary struct {
	Hours       int        `json:"hours" doc:"hours looked at so far, at most 24"`
	At          time.Time  `json:"at" doc:"when it was last counted"`
	ClosedUntil *time.Time `json:"closed_until" doc:"what arrived later is still on its way"`
	HeldBy      string     `json:"held_by,omitempty" doc:"the gateway that is farthest behind"`
	store.Account
}

type auditMetrics struct {
	missing, rowsMissing, rowsDoubled, lettersMissing, unjudged, closed prometheus.Gauge
	messages                                                            *prometheus.GaugeVec
	took                                                                prometheus.Histogram
	failed                                                              prometheus.Counter
}

// NewAudit makes a watch and registers its metrics.
func NewAudit(reg prometheus.Registerer, logger *slog.Logger, clock func() time.Time) *Audit {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "situ_balance_" + name, Help: help})
		reg.MustRegister(g)
		return g
	}
	m := &auditMetrics{
		missing:        gauge("missing", "Acknowledged messages of the last 24 hours that nothing tells of; must be 0."),
		rowsMissing:    gauge("rows_missing", "Rows of the last 24 hours that were taken and are not there; must be 0."),
		rowsDoubled:    gauge("rows_doubled", "Rows of the last 24 hours that are there too often; must be 0."),
		lettersMissing: gauge("letters_missing", "Dead letters of the last 24 hours that were taken and are not there; must be 0."),
		unjudged:       gauge("unjudged", "Messages that are stored and whose block is not closed yet."),
		closed:         gauge("closed_until_seconds", "Unix time up to which everything that arrived is in the balance; 0 = nothing is."),
		messages: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "situ_balance_messages",
			Help: "Acknowledged messages of the last 24 hours, by the owner's class and what became of them."}, []string{"class", "outcome"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "situ_balance_check_seconds", Help: "Time to count one round of the balance.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 14)}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Name: "situ_balance_check_failures_total", Help: "Rounds of the balance that ended in an error."}),
	}
	reg.MustRegister(m.messages, m.took, m.failed)
	return &Audit{logger: logger, clock: clock, m: m, hours: map[int64]auditedHour{}, wrong: map[int64]auditedWrong{}}
}

// Run counts until ctx ends.
func (a *Audit) Run(ctx context.Context, rows func() Watched) error {
	pause := time.Second
	for {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		s := rows()
		if s == nil {
			pause = time.Second
			continue
		}
		began := time.Now()
		err := a.round(ctx, s)
		took := time.Since(began)
		a.m.took.Observe(took.Seconds())
		if err != nil && ctx.Err() == nil {
			a.m.failed.Inc()
			a.logger.Warn("count the balance; trying again", "component", "query", "err", err)
		}
		pause = max(auditEvery, auditShare*took)
		if err == nil && !a.whole() { // the first look at the day goes on at once
			pause = min(auditShare*took/4, auditFirst)
		}
	}
}

// round counts the newest two hours and the one that was not counted for longest.
func (a *Audit) round(ctx context.Context, s Watched) error {
	now := a.clock().UTC()
	if err := a.learnClasses(ctx, s, now); err != nil {
		return err
	}
	newest := now.Truncate(time.Hour)
	b, err := s.Balance(ctx, newest.Add(-time.Hour), newest.Add(time.Hour))
	if err != nil {
		return err
	}
	a.note(b, now)
	if old := a.oldest(newest); !old.IsZero() {
		older, err := s.Balance(ctx, old, old.Add(time.Hour))
		if err != nil {
			return err
		}
		a.note(older, now)
	}
	a.mu.Lock()
	a.closed, a.at = b.Closed, now
	for h := range a.hours {
		if h <= newest.Add(-auditHours*time.Hour).Unix() {
			delete(a.hours, h)
			delete(a.wrong, h)
		}
	}
	a.mu.Unlock()
	a.publish()
	return nil
}

// learnClasses asks for the owners' classes now and then, and once more when somebody new is met: a city whose registry is
// filled after the first look would else be of no class for as long.
func (a *Audit) learnClasses(ctx context.Context, s Watched, now time.Time) error {
	due := a.classes == nil || now.Sub(a.asked) >= auditClasses
	if !due && !a.newcomers {
		return nil
	}
	classes, err := s.OwnerClasses(ctx)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if due {
		a.asked, a.strangers = now, map[string]bool{}
	}
	a.classes, a.newcomers = classes, false
	return nil
}

// oldest is the hour before the newest two that has waited longest, zero when there is none.
func (a *Audit) oldest(newest time.Time) (hour time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var since time.Time
	for i := 2; i < auditHours; i++ {
		h := newest.Add(-time.Duration(i) * time.Hour)
		counted, ok := a.hours[h.Unix()]
		if !ok {
			return h
		}
		if hour.IsZero() || counted.at.Before(since) {
			hour, since = h, counted.at
		}
	}
	return hour
}

func (a *Audit) whole() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.hours) >= auditHours
}

// note keeps what hours came to, and logs one that is not even, once.
func (a *Audit) note(b *store.Balance, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for h := b.From; h.Before(b.To); h = h.Add(time.Hour) {
		a.hours[h.Unix()] = auditedHour{at: now, byClass: map[string]*store.Account{}}
	}
	sums := map[int64]uint64{}
	for i := range b.Rows {
		r := &b.Rows[i]
		class := a.classes[r.Owner]
		if class == "" {
			class = "unknown"
			if r.Owner != store.NoOwner && !a.strangers[r.Owner] {
				a.strangers[r.Owner], a.newcomers = true, true
			}
		}
		of := a.hours[r.Hour.Unix()].byClass
		if of[class] == nil {
			of[class] = &store.Account{}
		}
		of[class].Add(&r.Account)
		sums[r.Hour.Unix()] += r.Wrong()
	}
	for h, n := range sums {
		if n > 0 && a.wrong[h] != auditedWrong(n) {
			a.logger.Error("the balance is not even; situ balance --hour says where and what to do", "component", "query",
				"hour", time.Unix(h, 0).UTC(), "wrong", n)
		}
		a.wrong[h] = auditedWrong(n)
	}
}

// Summary gives what is known now; nil before the first round.
func (a *Audit) Summary() *BalanceSummary {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at.IsZero() {
		return nil
	}
	s := &BalanceSummary{Hours: len(a.hours), At: a.at}
	for _, h := range a.hours {
		for _, account := range h.byClass {
			s.Add(account)
		}
	}
	b := store.Balance{From: a.at.Add(-auditHours * time.Hour), Closed: a.closed}
	if until, gateway := b.Held(); !until.IsZero() {
		s.ClosedUntil, s.HeldBy = &until, gateway
	}
	return s
}

func (a *Audit) publish() {
	s := a.Summary()
	a.m.missing.Set(float64(s.Missing))
	a.m.rowsMissing.Set(float64(s.RowsMissing))
	a.m.rowsDoubled.Set(float64(s.RowsDoubled))
	a.m.lettersMissing.Set(float64(s.LettersMissing))
	a.m.unjudged.Set(float64(s.Unjudged))
	if s.ClosedUntil != nil {
		a.m.closed.Set(float64(s.ClosedUntil.UnixMilli()) / 1000)
	}
	byClass := map[string]*store.Account{}
	a.mu.Lock()
	for _, h := range a.hours {
		for class, account := range h.byClass {
			if byClass[class] == nil {
				byClass[class] = &store.Account{}
			}
			byClass[class].Add(account)
		}
	}
	a.mu.Unlock()
	a.m.messages.Reset()
	for class, t := range byClass {
		for outcome, n := range map[string]uint64{"rows": t.WithRows, "dead_letter": t.DeadLetters, "empty": t.Empties, "gap": t.Gaps, "missing": t.Missing} {
			a.m.messages.WithLabelValues(class, outcome).Set(float64(n))
		}
	}
}
