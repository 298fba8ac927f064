package store

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ErrCluster: the name cannot stand in SQL text.
var ErrCluster = errors.New("not a name of a cluster or database (want letters, digits and '_', a letter first)")

// Windows of the servers' deduplication on a cluster. A block is recognised by its token for so long; a block of an
// ingester that comes back later than that is compared by identity first, as after any crash.
const (
	ClusterWindowBlocks  = 100_000
	ClusterWindowSeconds = 7 * 24 * 3600
)

var name = regexp.MustCompile(`^[A-Za-z]\w{0,62}$`)

// ClusterSchema is the text that makes the tables of schema/clickhouse on a cluster, from migration `since` + 1 on; an
// operator runs it once, on any node, before the first ingester starts. Each table has its rows in DATABASE_shard, in
// the Replicated form of its engine, and a Distributed table of its name in DATABASE, over which views, dictionaries
// and situ itself work as on one node. The last statements note what was applied, so that Store.Migrate finds
// nothing to do.
//
// Rows go to shards by what they are, never by chance: observations by the parent of resolution 5 of their cell, so that
// a viewport asks few shards, all other tables by their whole sorting key, so that FINAL sees all versions of a row. A
// block that is sent again is therefore split as it was, each shard gets what it had, and knows it by its token, as long
// as the number of shards is the same.
func ClusterSchema(cluster, database string, since uint32) ([]string, error) {
	if !name.MatchString(cluster) || !name.MatchString(database) {
		return nil, fmt.Errorf("%q, %q: %w", cluster, database, ErrCluster)
	}
	d := dialect{Database: database, cluster: cluster}
	all, err := migrations(d)
	if err != nil {
		return nil, err
	}
	c := &clusterText{dialect: d, keys: map[string]string{}}
	c.add(d.ledger(), since == 0)
	for _, m := range all {
		c.add(m.statements, m.number > since)
		if m.number > since {
			c.notes = append(c.notes, fmt.Sprintf("(%d, '%s')", m.number, m.name))
		}
	}
	return c.statements()
}

// clusterText sorts statements: tables first, then what stands over them.
type clusterText struct {
	dialect
	keys    map[string]string // sorting key of each table there is
	local   []string
	touched []string // tables whose Distributed form has to be made
	over    []string // views and dictionaries
	notes   []string
	err     error
}

var (
	onTable = regexp.MustCompile(`^(CREATE TABLE IF NOT EXISTS|ALTER TABLE) (\w+)\.(\w+) `)
	sorting = regexp.MustCompile(`(?s)\bORDER BY (\((?:[^()]|\([^()]*\))*\)|\w+)\s*(SETTINGS|TTL|$)`)
	window  = regexp.MustCompile(`non_replicated_deduplication_window = \d+`)
)

// add takes statements in; those that are not wanted only tell what tables there are.
func (c *clusterText) add(statements []string, wanted bool) {
	for _, s := range statements {
		table := onTable.FindStringSubmatch(s)
		if table == nil {
			if wanted {
				c.over = append(c.over, s)
			}
			continue
		}
		if key := sorting.FindStringSubmatch(s); key != nil {
			c.keys[table[3]] = key[1]
			if list, ok := strings.CutPrefix(key[1], "("); ok {
				c.keys[table[3]] = strings.TrimSuffix(list, ")")
			}
		}
		if c.keys[table[3]] == "" {
			c.err = fmt.Errorf("table %s has no sorting key to go to shards by", table[3])
		}
		if !wanted {
			continue
		}
		s = strings.Replace(s, table[2]+"."+table[3], c.shard()+"."+table[3], 1)
		s = window.ReplaceAllString(s, fmt.Sprintf("replicated_deduplication_window = %d, replicated_deduplication_window_seconds = %d",
			ClusterWindowBlocks, ClusterWindowSeconds))
		c.local = append(c.local, s)
		if !slices.Contains(c.touched, table[3]) {
			c.touched = append(c.touched, table[3])
		}
	}
}

func (c *clusterText) shard() string { return c.Database + "_shard" }

func (c *clusterText) statements() ([]string, error) {
	if c.err != nil {
		return nil, c.err
	}
	out := []string{"CREATE DATABASE IF NOT EXISTS " + c.shard() + " " + c.Cluster()}
	over := c.over
	if len(over) > 0 && strings.HasPrefix(over[0], "CREATE DATABASE") {
		out, over = append(out, over[0]), over[1:]
	}
	out = append(append(out, c.profile()), c.local...)
	for _, table := range c.touched {
		out = append(out, c.distributed(table))
	}
	out = append(out, over...)
	if len(c.notes) > 0 {
		out = append(out, "INSERT INTO "+c.Database+".schema_migrations (number, name) VALUES "+strings.Join(c.notes, ", "))
	}
	return out, nil
}

// profile is what the users of situ need on a cluster: an INSERT that is answered is on two replicas of its shard, not
// in a queue on the node that took it; a subquery over a Distributed table is asked once, of all shards.
func (c *clusterText) profile() string {
	return "CREATE SETTINGS PROFILE IF NOT EXISTS " + c.Database + "_cluster " + c.Cluster() +
		" SETTINGS distributed_foreground_insert = 1, insert_quorum = 'auto', async_insert = 0, insert_deduplicate = 1, distributed_product_mode = 'global'"
}

func (c *clusterText) distributed(table string) string {
	by := "cityHash64(" + c.keys[table] + ")"
	if table == "observations" { // the index bits above resolution 5; without a cell, the Datastream
		by = "intHash64(if(cell = 0, datastream, bitShiftRight(cell, 30)))"
	}
	return fmt.Sprintf("CREATE OR REPLACE TABLE %s.%s %s AS %s.%s ENGINE = Distributed('%s', '%s', '%s', %s)",
		c.Database, table, c.Cluster(), c.shard(), table, c.cluster, c.shard(), table, by)
}
