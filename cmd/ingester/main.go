// Command ingester stores what Kafka brings in ClickHouse, each observation exactly once. It is one stage of `situ run`
// alone; `ingester --help` shows examples.
package main

import (
	"context"
	"os"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/app/host"
)

type cli struct {
	app.IngesterConfig
	host.Base
}

func (cli) Help() string {
	return `It keeps nothing on its own disk: start as many as the topic has partitions, kill any, start it anywhere. Each flag is also a variable SITU_* and a key of the configuration file; a flag beats SITU_* beats the file.

Examples:
  ingester --clickhouse clickhouse://situ:secret@127.0.0.1:9000        Kafka on 127.0.0.1:9092
  ingester --clickhouse unix:///var/lib/situ/store.sock                into the embedded engine (situ store)
  ingester --kafka k1:9092,k2:9092 --kafka-partitions 12 --config ingester.yaml`
}

func (c *cli) run(ctx context.Context) error {
	return app.RunIngester(ctx, c.IngesterConfig, c.Logger(os.Stderr), os.Stdout)
}

func main() {
	var c cli
	os.Exit(host.Main("ingester", "Store what Kafka brings in ClickHouse, each observation exactly once.", &c, os.Args[1:], c.run))
}
