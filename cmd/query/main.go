// Command query is what people and gateways meet: the registry, the live state, map, API and SQL. It is one stage of
// `situ run` alone; `query --help` shows examples.
package main

import (
	"context"
	"os"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/app/host"
)

type cli struct {
	app.QueryConfig
	host.Base
}

func (cli) Help() string {
	return `It is the one writer of the registry: run one, and keep its --data. The administrator's key is made at the first start and printed once; gateways need it as SITU_REGISTRY_KEY. Each flag is also a variable SITU_* and a key of the configuration file; a flag beats SITU_* beats the file.

Examples:
  query --open-map --clickhouse clickhouse://situ:secret@127.0.0.1:9000 --sql-clickhouse http://reader:secret@127.0.0.1:8123
  query --clickhouse unix:///var/lib/situ/store.sock --clickhouse-http ""
  query --http 0.0.0.0:8080 --tls-cert query.pem --tls-key query.key --config query.yaml`
}

func (c *cli) run(ctx context.Context) error {
	file, err := host.ReadFile(c.ConfigFile)
	if err != nil {
		return err
	}
	c.File = file
	return app.RunQuery(ctx, c.QueryConfig, c.Logger(os.Stderr), os.Stdout)
}

func main() {
	var c cli
	os.Exit(host.Main("query", "The registry, the live map, the API and SQL.", &c, os.Args[1:], c.run))
}
