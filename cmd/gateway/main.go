// Command gateway takes readings in over MQTT, keeps them on its own disk until Kafka has them, and needs nothing else
// to go on for days. It is `situ run`'s first half alone; `gateway --help` shows examples.
package main

import (
	"context"
	"os"

	"github.com/situ-city/situ/internal/app/edge"
	"github.com/situ-city/situ/internal/app/host"
)

type cli struct {
	edge.Config
	host.Base
}

func (cli) Help() string {
	return `A PUBLISH of QoS 1 is acknowledged when it is on this gateway's disk. What Kafka cannot take now waits there, up to --spool-bytes. Each flag is also a variable SITU_* and a key of the configuration file; a flag beats SITU_* beats the file.

Examples:
  export SITU_REGISTRY_KEY=situ_admin_...                  the key that cmd/query printed at its first start
  gateway --auto-register                                  anybody on this machine, Kafka on 127.0.0.1:9092
  gateway --mqtt 0.0.0.0:1883 --credentials mqtt.users     devices come in with user and password
  gateway --kafka k1:9092,k2:9092 --registry https://query.example:8080
  gateway --mqtt "" --config sources.yaml                  only pull from brokers that the file names

A line of the credentials' file, for a password of 32 random bytes (openssl rand -base64 32):
  echo "device1:$(printf %s "$PASSWORD" | sha256sum | cut -d' ' -f1):owner/thing" >> mqtt.users`
}

func (c *cli) run(ctx context.Context) error {
	file, err := host.ReadFile(c.ConfigFile)
	if err != nil {
		return err
	}
	c.File = file
	return edge.Run(ctx, c.Config, c.Logger(os.Stderr), os.Stdout)
}

func main() {
	var c cli
	os.Exit(host.Main("gateway", "Take readings in over MQTT and hand them to Kafka.", &c, os.Args[1:], c.run))
}
