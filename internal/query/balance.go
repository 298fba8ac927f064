package query

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/store"
)

// Accounts is what the balance asks of the store; *store.Store has it.
type Accounts interface {
	Balance(ctx context.Context, from, to time.Time) (*store.Balance, error)
	Trouble(ctx context.Context, row *store.BalanceRow, limit int) ([]store.Trouble, error)
}

// Bounds on one question about the balance.
const (
	maxBalance  = 31 * 24 * time.Hour
	maxTroubles = 20 // of each kind and row; whoever has more has seen enough
)

type balanceInput struct {
	From  time.Time `query:"from" doc:"RFC 3339; whole hours are answered; default 24 hours before to"`
	To    time.Time `query:"to" doc:"RFC 3339, not included; default now"`
	Owner string    `query:"owner" doc:"only this owner, and what has none ('?')"`
}

// BalanceDoc is /v1/balance.
type BalanceDoc struct {
	From        time.Time        `json:"from"`
	To          time.Time        `json:"to"`
	ClosedUntil *time.Time       `json:"closed_until" doc:"what arrived later is still on its way; null: nothing is closed"`
	Total       store.Account    `json:"total"`
	Rows        []BalanceLine    `json:"rows"`
	Closed      []ClosedProducer `json:"closed"`
	Trouble     []TroubleDoc     `json:"trouble" doc:"where it is not even, at most 20 of a kind and hour"`
}

// BalanceLine is one owner, producer and hour.
type BalanceLine struct {
	Hour    time.Time `json:"hour"`
	Gateway string    `json:"gateway"`
	Epoch   uint32    `json:"epoch"`
	Lane    string    `json:"lane" enum:"live,backfill"`
	Owner   string    `json:"owner" doc:"'?': nobody can say; empty: of Things that the registry does not know"`
	store.Account
}

// ClosedProducer says how far a producer's messages are in the balance.
type ClosedProducer struct {
	Gateway string    `json:"gateway"`
	Epoch   uint32    `json:"epoch"`
	Lane    string    `json:"lane" enum:"live,backfill"`
	Seq     uint64    `json:"seq"`
	Until   time.Time `json:"until"`
}

// TroubleDoc names messages that are missing, or a row that is there twice.
type TroubleDoc struct {
	Hour    time.Time `json:"hour"`
	Gateway string    `json:"gateway"`
	Epoch   uint32    `json:"epoch"`
	Lane    string    `json:"lane" enum:"live,backfill"`
	What    string    `json:"what" enum:"skipped,lost,doubled" doc:"skipped: the log went past them; lost: taken, and not in the tables; doubled: one value, several rows"`
	SeqFrom uint64    `json:"seq_from"`
	SeqTo   uint64    `json:"seq_to"`
	Idx     uint16    `json:"idx,omitempty" doc:"of a doubled row"`
}

func (s *Server) balance(ctx context.Context, in *balanceInput) (*body[BalanceDoc], error) {
	h := s.cfg.History()
	if h == nil {
		return nil, huma.Error503ServiceUnavailable("no history now: the ClickHouse engine is not available; see /readyz")
	}
	if in.To.IsZero() {
		in.To = failpoint.Now()
	}
	if in.From.IsZero() {
		in.From = in.To.Add(-24 * time.Hour)
	}
	if !in.From.Before(in.To) || in.To.Sub(in.From) > maxBalance {
		return nil, huma.Error400BadRequest("from is to be before to, by at most 31 days")
	}
	b, err := h.Balance(ctx, in.From, in.To)
	if err != nil {
		return nil, s.historyFailed(err)
	}
	b.Only(in.Owner)
	doc := balanceDoc(b)
	for i := range b.Rows {
		if b.Rows[i].Wrong() == 0 {
			continue
		}
		list, err := h.Trouble(ctx, &b.Rows[i], maxTroubles)
		if err != nil {
			return nil, s.historyFailed(err)
		}
		for _, t := range list {
			doc.Trouble = append(doc.Trouble, TroubleDoc{Hour: t.Hour, Gateway: t.Gateway, Epoch: t.Epoch, Lane: t.Lane.String(),
				What: t.What, SeqFrom: t.SeqFrom, SeqTo: t.SeqTo, Idx: t.Idx})
		}
	}
	return &body[BalanceDoc]{*doc}, nil
}

func balanceDoc(b *store.Balance) *BalanceDoc {
	doc := &BalanceDoc{From: b.From, To: b.To, Total: b.Total(), Rows: []BalanceLine{}, Closed: []ClosedProducer{}, Trouble: []TroubleDoc{}}
	if until := b.ClosedUntil(); !until.IsZero() {
		doc.ClosedUntil = &until
	}
	for i := range b.Rows {
		r := &b.Rows[i]
		doc.Rows = append(doc.Rows, BalanceLine{Hour: r.Hour, Gateway: r.Gateway, Epoch: r.Epoch, Lane: r.Lane.String(), Owner: r.Owner, Account: r.Account})
	}
	for _, c := range b.Closed {
		doc.Closed = append(doc.Closed, ClosedProducer{Gateway: c.Gateway, Epoch: c.Epoch, Lane: c.Lane.String(), Seq: c.Seq, Until: c.Until})
	}
	return doc
}
