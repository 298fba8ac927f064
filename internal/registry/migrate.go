package registry

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the database to this build's schema. Each step is one transaction that re-reads where the database
// stands, so running it twice, or from two processes at once, does the work once.
func (b *backend) migrate(ctx context.Context, now int64) error {
	steps, err := migrationSteps()
	if err != nil {
		return err
	}
	for {
		done, err := b.migrateOne(ctx, steps, now)
		if err != nil || done {
			return err
		}
	}
}

// migrationSteps gives the texts of 0001_*.sql, 0002_*.sql, ... in order.
func migrationSteps() ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted by name
	if err != nil {
		return nil, err
	}
	var steps []string
	for i, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s stands at place %d", name, i+1)
		}
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, string(text))
	}
	return steps, nil
}

func (b *backend) migrateOne(ctx context.Context, steps []string, now int64) (done bool, err error) {
	tx, err := b.write.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback() // no-op after Commit
	if b.words.migrating != "" {
		if _, err := tx.ExecContext(ctx, b.words.migrating); err != nil {
			return false, err
		}
	}
	at, err := b.words.schemaOf(ctx, tx, len(steps))
	if err != nil || at == len(steps) {
		return true, err
	}
	for _, text := range []string{b.words.translate(steps[at]), b.words.stamp(at + 1)} {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return false, fmt.Errorf("migration %d: %w", at+1, err)
		}
	}
	if at == 0 {
		id := make([]byte, 16)
		rand.Read(id) // never fails
		if _, err := tx.ExecContext(ctx, "INSERT INTO ledger (one, id, made) VALUES (1, $1, $2)", hex.EncodeToString(id), now); err != nil {
			return false, err
		}
	}
	return false, tx.Commit()
}
