package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// backend is the database that a ledger is kept in, and what that one says in words of its own. All else is one text
// for both: numbered parameters ($1), upserts and names in quotes read the same.
type backend struct {
	name  string // for people: a path or an address, never a password
	write *sql.DB
	read  *sql.DB
	words dialect
}

type dialect struct {
	reading *sql.TxOptions // of a transaction that sees one moment

	// Migration: what makes a transaction the only one that migrates ("" = it is from its beginning), which schema
	// there is (0 = nothing yet), a numbered file in this database's words, and a note of how far it is.
	migrating string
	schemaOf  func(ctx context.Context, tx *sql.Tx, known int) (schema int, err error)
	translate func(step string) string
	stamp     func(schema int) string

	// Numbers of changes: what makes a transaction the only one that writes ("" = it is from its beginning), the
	// newest number ever given, and a note of it as $1 ("" = the table of changes keeps it by itself).
	writing string
	head    string
	advance string

	parameter func(n int) string   // the n-th of a statement that has hundreds
	transient func(err error) bool // the same again may succeed; nil = never
	within    time.Duration        // bounds one attempt: a peer may vanish without a word; 0 = no bound
}

// patience is how long a write or a look at the feed is tried again while the database is away: longer than a restart
// of PostgreSQL, and longer than a session that hangs may hold the lock (idleWithin).
const patience = 45 * time.Second

func (b *backend) close() error {
	var err error
	for _, db := range []*sql.DB{b.read, b.write} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}

// begin starts a transaction that no other writes beside, in this or in any other process.
func (b *backend) begin(ctx context.Context) (*sql.Tx, error) {
	tx, err := b.write.BeginTx(ctx, nil)
	if err != nil || b.words.writing == "" {
		return tx, err
	}
	if _, err := tx.ExecContext(ctx, b.words.writing); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

// headOf is the number of the newest change ever given.
func (b *backend) headOf(ctx context.Context, tx *sql.Tx) (uint64, error) {
	var head int64
	err := tx.QueryRowContext(ctx, b.words.head).Scan(&head)
	return uint64(head), err
}

// commit ends a transaction. One whose context ended before was rolled back by database/sql, which calls that "done".
func commit(ctx context.Context, tx *sql.Tx) error {
	err := tx.Commit()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil:
		return fmt.Errorf("nothing was stored: %w", ctx.Err())
	}
	return fmt.Errorf("%w: %w", errUnknownOutcome, err)
}

// again runs do, which leaves nothing behind when it fails, until it succeeds or fails for good. Who ended ctx
// recognises it in the error, whatever the database calls that.
func (r *Registry) again(ctx context.Context, do func(context.Context) error) (err error) {
	defer func() {
		if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}()
	attempt := func() error {
		if r.words.within == 0 {
			return do(ctx)
		}
		ctx, cancel := context.WithTimeout(ctx, r.words.within)
		defer cancel()
		return do(ctx)
	}
	if err = attempt(); err == nil || !r.mayPass(err) {
		return err
	}
	r.opt.Logger.Warn("the registry's database is away; trying again", "component", "registry", "registry", r.name, "err", err)
	end := time.NewTimer(patience)
	defer end.Stop()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-end.C:
			return fmt.Errorf("tried again for %v: %w", patience, err)
		case <-ctx.Done():
			return err
		}
		if err = attempt(); err == nil || !r.mayPass(err) {
			return err
		}
	}
}

func (r *Registry) mayPass(err error) bool {
	return r.words.transient != nil && !errors.Is(err, errUnknownOutcome) && r.words.transient(err)
}

// errUnknownOutcome marks a commit without an answer: it may have happened, so it is not simply done again.
var errUnknownOutcome = errors.New("whether it was stored is not known; look, or say it again")
