package registry

import (
	"context"
	"database/sql"
	"fmt"
)

// load reads the whole feed into a snapshot and checks it against the tables.
func (r *Registry) load(ctx context.Context) error {
	tx, err := r.read.BeginTx(ctx, r.words.reading) // one transaction: feed and counts are of one moment
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var id string
	if err := tx.QueryRowContext(ctx, "SELECT id FROM ledger").Scan(&id); err != nil {
		return err
	}
	s, err := r.catchUp(ctx, tx, emptySnapshot(id))
	if err != nil {
		return err
	}
	var things, streams int
	err = tx.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM things), (SELECT count(*) FROM datastreams)").Scan(&things, &streams)
	if err != nil {
		return err
	}
	if things != s.Things() || streams != s.Datastreams() {
		return fmt.Errorf("tables hold %d Things and %d Datastreams, the feed %d and %d: %w",
			things, streams, s.Things(), s.Datastreams(), ErrCorrupt)
	}
	r.publish(s)
	return nil
}

// Refresh takes in what other processes wrote, and reports how many changes that were.
func (r *Registry) Refresh(ctx context.Context) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.Snapshot()
	tx, err := r.read.BeginTx(ctx, r.words.reading)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	s, err := r.catchUp(ctx, tx, old)
	if err != nil {
		return 0, err
	}
	if s != old {
		r.publish(s)
	}
	return int(s.version - old.version), r.refreshCredentials(ctx, tx)
}

// catchUp gives the snapshot that has all changes there are: s itself if it is the newest.
func (r *Registry) catchUp(ctx context.Context, tx *sql.Tx, s *Snapshot) (*Snapshot, error) {
	head, err := r.headOf(ctx, tx)
	switch {
	case err != nil:
		return nil, err
	case head < s.version:
		return nil, fmt.Errorf("newest change is %d, %d was seen before: %w", head, s.version, ErrBackwards)
	case head == s.version:
		return s, nil
	}
	d := s.draft()
	if err := readChanges(ctx, tx, s.version, -1, d.apply); err != nil {
		return nil, err
	}
	return d.finish(head), nil
}
