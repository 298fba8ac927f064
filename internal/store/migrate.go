package store

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/schema"
)

// migration is one numbered file of schema/clickhouse.
type migration struct {
	number     uint32
	name       string
	statements []string
}

// dialect is what the files' placeholders see.
type dialect struct {
	Database string
	cluster  string
}

// Cluster is the ON CLUSTER clause, empty on one node.
func (d dialect) Cluster() string {
	if d.cluster == "" {
		return ""
	}
	return "ON CLUSTER '" + d.cluster + "'"
}

// Engine is the table engine with its arguments; on a cluster its Replicated form, with the path macros of the servers.
func (d dialect) Engine(name string, args ...string) string {
	if d.cluster != "" {
		name = "Replicated" + name
		args = append([]string{"'/clickhouse/tables/{shard}/{database}/{table}'", "'{replica}'"}, args...)
	}
	return name + "(" + strings.Join(args, ", ") + ")"
}

// ledger makes the database, and the table of what was applied to it.
func (d dialect) ledger() []string {
	return []string{
		"CREATE DATABASE IF NOT EXISTS " + d.Database + " " + d.Cluster(),
		"CREATE TABLE IF NOT EXISTS " + d.Database + ".schema_migrations " + d.Cluster() + ` (
			number UInt32 COMMENT 'number of the file / 编号',
			name String COMMENT 'file / 文件名',
			applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'when its last statement had run / 应用时间'
		) ENGINE = ` + d.Engine("ReplacingMergeTree", "applied_at") + " ORDER BY number SETTINGS fsync_after_insert = 1, fsync_part_directory = 1",
	}
}

// migrations reads and renders the files in the order of their numbers.
func migrations(d dialect) ([]migration, error) {
	names, err := fs.Glob(schema.FS, "clickhouse/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []migration
	for _, name := range names {
		m := migration{name: path.Base(name)}
		n, err := strconv.ParseUint(m.name[:strings.IndexByte(m.name, '_')], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("migration %s has no number: %w", name, err)
		}
		m.number = uint32(n)
		text, err := fs.ReadFile(schema.FS, name)
		if err != nil {
			return nil, err
		}
		t, err := template.New(m.name).Option("missingkey=error").Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", m.name, err)
		}
		var b strings.Builder
		if err := t.Execute(&b, d); err != nil {
			return nil, fmt.Errorf("migration %s: %w", m.name, err)
		}
		m.statements = split(b.String())
		all = append(all, m)
	}
	return all, nil
}

// split cuts a file at the semicolons that end a line; in our files they end nothing else.
func split(text string) (statements []string) {
	var b strings.Builder
	flush := func() {
		if s := strings.TrimSpace(b.String()); s != "" {
			statements = append(statements, s)
		}
		b.Reset()
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "--") {
			continue
		}
		end := strings.TrimRight(line, " \r\n")
		if before, ok := strings.CutSuffix(end, ";"); ok {
			b.WriteString(before)
			flush()
			continue
		}
		b.WriteString(line)
	}
	flush()
	return statements
}

// Migrate brings the tables to this version. Every statement may be run again, and a migration is recorded only after
// its last one, so that a crash anywhere, or two processes at once, end in the same tables. Tables of a newer version
// than this program knows are ErrSchema: it would not know what they mean.
func (s *Store) Migrate(ctx context.Context) error {
	d := dialect{Database: s.db, cluster: s.opt.Cluster}
	all, err := migrations(d)
	if err != nil {
		return err
	}
	for _, statement := range d.ledger() {
		if err := s.conn.Exec(ctx, statement); err != nil {
			return wrap("prepare database "+s.db, err)
		}
	}
	done, err := s.applied(ctx)
	if err != nil {
		return err
	}
	for n, name := range done {
		if n > all[len(all)-1].number {
			return fmt.Errorf("%w: database %s has migration %s, this situ knows up to %s; use the newer situ",
				ErrSchema, s.db, name, all[len(all)-1].name)
		}
	}
	for _, m := range all {
		if _, ok := done[m.number]; ok {
			continue
		}
		if err := s.apply(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// SchemaVersion is the number of the newest migration that this program knows; blocks name it in their intent.
func SchemaVersion() uint32 {
	all, err := migrations(dialect{Database: DefaultDatabase})
	if err != nil || len(all) == 0 {
		return 0 // the tests read every file; a broken one never ships
	}
	return all[len(all)-1].number
}

func (s *Store) applied(ctx context.Context) (map[uint32]string, error) {
	done := map[uint32]string{}
	err := s.each(ctx, "SELECT number, name FROM ~schema_migrations", func(r driver.Rows) error {
		var n uint32
		var name string
		if err := r.Scan(&n, &name); err != nil {
			return err
		}
		done[n] = name
		return nil
	})
	return done, wrap("read migrations", err)
}

func (s *Store) apply(ctx context.Context, m migration) error {
	for i, statement := range m.statements {
		if err := s.conn.Exec(ctx, statement); err != nil {
			return wrap(fmt.Sprintf("migration %s, statement %d", m.name, i+1), err)
		}
	}
	s.log.Info("migration applied", "component", "store", "name", m.name)
	return wrap("record migration", s.exec(ctx, "INSERT INTO ~schema_migrations (number, name) VALUES (?, ?)", m.number, m.name))
}
