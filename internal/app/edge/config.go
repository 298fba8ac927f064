// Package edge is cmd/gateway: receiving, spools, a follower of the registry, and the hand that gives what the spools
// hold to Kafka, in one process for any edge box. It imports nothing that needs cgo: cells are computed downstream.
//
//	sensors --MQTT--> gateway -> spools --batch--> Kafka        metrics, readiness on HTTP
//	                    ^          | PUBACK after fsync
//	                    '-- registry.Follower <--HTTP-- cmd/query (days without it are no harm)
package edge

import (
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/gateway"
)

// Config of cmd/gateway. The tags are its flags.
type Config struct {
	Data         string `help:"Data directory: spools, and the registry's snapshot." default:"gateway-data" type:"path" env:"SITU_DATA"`
	HTTP         string `name:"http" help:"/metrics, /healthz and /readyz listen here; empty = off." default:"127.0.0.1:8081" env:"SITU_HTTP"`
	MQTT         string `name:"mqtt" help:"Embedded MQTT front listens here; empty = off." default:"127.0.0.1:1883" env:"SITU_MQTT"`
	Credentials  string `help:"File of MQTT credentials, a line each: user:sha256:scope. It is read again when it changes." type:"path" env:"SITU_CREDENTIALS"`
	AutoRegister bool   `help:"Take readings of unknown Things and properties; on loopback and without --credentials, from anybody." env:"SITU_AUTO_REGISTER"`
	Registry     string `help:"Where cmd/query answers, the registry's keeper." default:"http://127.0.0.1:8080" env:"SITU_REGISTRY"`
	RegistryKey  string `help:"Key for it." required:"" env:"SITU_REGISTRY_KEY"`
	RegistryCA   string `name:"registry-ca" help:"Its certificate authority (PEM); default: the system's." type:"path" env:"SITU_REGISTRY_CA"`
	Gateway      string `help:"Name of this gateway, for ever; default: made at the first start." env:"SITU_GATEWAY"`
	SpoolBytes   int64  `help:"Bound of the spools on disk: what Kafka's absence may cost." default:"8589934592" env:"SITU_SPOOL_BYTES"`

	Canary time.Duration `help:"How often this gateway's canary sings: a reading of its own that goes the whole way; 0 = never." default:"10s" env:"SITU_CANARY"`

	host.Kafka
	host.Bounds
	host.TLS

	File *host.File `kong:"-"` // sources of the configuration file
}

// check names settings that disagree. (Not Validate: kong would call that before the sources are known.)
func (c *Config) check() error {
	if err := c.TLS.Check("http", c.HTTP); err != nil {
		return err
	}
	if err := c.Kafka.Check(); err != nil {
		return err
	}
	if err := c.Bounds.Check(); err != nil {
		return err
	}
	registry, err := registryAddr(c.Registry)
	if err != nil {
		return err
	}
	switch {
	case registry != "" && !host.Loopback(registry) && !c.Insecure:
		return fmt.Errorf("%w: --registry %s would show the key to the network: use https, or say --insecure", host.ErrConfig, c.Registry)
	case c.SpoolBytes < host.MinSpoolBytes:
		return fmt.Errorf("%w: --spool-bytes %d is below the least, %d", host.ErrConfig, c.SpoolBytes, host.MinSpoolBytes)
	case c.MQTT == "" && len(c.sources()) == 0:
		return fmt.Errorf("%w: --mqtt is empty and there are no sources: nothing could ever arrive", host.ErrConfig)
	case c.MQTT == "" && c.Credentials != "":
		return fmt.Errorf("%w: --credentials says nothing without --mqtt", host.ErrConfig)
	case c.MQTT != "" && c.Credentials == "" && !host.Loopback(c.MQTT):
		return fmt.Errorf("%w: --mqtt %s is reachable from other machines: give --credentials FILE", host.ErrConfig, c.MQTT)
	case c.MQTT != "" && c.Credentials == "" && !c.AutoRegister:
		return fmt.Errorf("%w: --mqtt needs --credentials FILE, or --auto-register, which takes anybody on this machine", host.ErrConfig)
	}
	return nil
}

// anonymous: whoever reaches the front sits at this machine, and nobody was told to keep a password.
func (c *Config) anonymous() bool {
	return c.Credentials == "" && c.AutoRegister && host.Loopback(c.MQTT)
}

func (c *Config) sources() []gateway.Source {
	if c.File == nil {
		return nil
	}
	return c.File.Sources
}
