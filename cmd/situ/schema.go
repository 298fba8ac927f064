package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/store"
)

type schemaCmd struct {
	Cluster  string `help:"Name of the cluster in the servers' remote_servers." required:""`
	Database string `help:"Database in ClickHouse." default:"situ"`
	Since    uint32 `help:"Only what came after this migration: the number of the newest one that the cluster has."`
}

func (schemaCmd) Help() string {
	return `One node needs none of this: ingester and query make their tables themselves. On a cluster the text is run once, on any
node, before they start, and again (with --since) before a newer version. docs/operations/cluster.md goes on from here.

Examples:
  situ schema --cluster city | clickhouse-client --multiquery
  situ schema --cluster city --since 8`
}

func (c schemaCmd) Run() error { return c.print(os.Stdout) }

func (c schemaCmd) print(w io.Writer) error {
	all, err := store.ClusterSchema(c.Cluster, c.Database, c.Since)
	if err != nil {
		return fmt.Errorf("%w: %w", app.ErrConfig, err)
	}
	_, err = fmt.Fprintf(w, "-- situ's tables on cluster %s, migrations %d to %d.\n%s;\n", c.Cluster, c.Since+1, store.SchemaVersion(), strings.Join(all, ";\n\n"))
	return err
}
