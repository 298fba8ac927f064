package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/situ-city/situ/internal/adapter"
	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/publisher"
	"github.com/situ-city/situ/pkg/sensor"
)

type adapterCmd struct {
	broker
	app.Logging
	Protocol string         `arg:"" enum:"hj212,sl651,gb26875" help:"hj212: pollution monitoring. sl651: hydrology. gb26875: fire units."`
	Listen   string         `help:"Where devices connect." default:"127.0.0.1:5212"`
	Owner    string         `help:"Owner of the devices; they are told apart by the number in their frames." required:""`
	Topic    string         `help:"Topic to publish to; {serial} is the device's number. Default: situ/v1/OWNER/-/PROTOCOL, where situ looks the number up."`
	Client   string         `help:"Prefix of the MQTT client ids; default: situ-adapter-PROTOCOL and the host's name."`
	Allow    []netip.Prefix `help:"Networks that devices may come from, e.g. 10.8.0.0/16; default: all."`
	Devices  int            `help:"Devices connected at once." default:"10000"`
	Idle     time.Duration  `help:"A silent device is disconnected after it." default:"15m"`
	Insecure bool           `help:"Listen beyond this machine without TLS: these protocols have no authentication worth the name."`
	TLSCert  string         `name:"tls-cert" help:"Certificate for devices that speak TLS (PEM)." type:"path"`
	TLSKey   string         `name:"tls-key" help:"Its key (PEM)." type:"path"`
	Metrics  string         `help:"Address of /metrics; empty = none."`
}

func (adapterCmd) Help() string {
	return `Takes devices in that speak a national protocol over TCP instead of MQTT. Each frame is published as one MQTT message,
QoS 1, and the device gets its answer when the broker has acknowledged it: what it was answered for is on situ's disk.

Examples:
  situ adapter hj212 --owner ecology
  situ adapter sl651 --owner water --listen 10.8.0.1:5651 --insecure --allow 10.8.0.0/16
  situ adapter gb26875 --owner fire --broker tcp://gateway:1883 --user fire --password "$PASSWORD"`
}

func (c adapterCmd) Run(ctx context.Context) error {
	logger := c.Logger(os.Stderr)
	if !sensor.ValidName(c.Owner) {
		return fmt.Errorf("%w: --owner %q: %w", app.ErrConfig, c.Owner, sensor.ErrThingID)
	}
	if c.Topic == "" {
		c.Topic = "situ/v1/" + c.Owner + "/-/" + c.Protocol
	}
	cfg := adapter.Config{Topic: c.Topic, Allow: c.Allow, Connections: c.Devices, Idle: c.Idle, Logger: logger, Registerer: prometheus.NewRegistry()}
	for _, p := range adapter.Protocols() {
		if p.Name == c.Protocol {
			cfg.Protocol = p
		}
	}
	ln, err := c.listen()
	if err != nil {
		return err
	}
	defer ln.Close()
	pub, err := c.connect(ctx, logger)
	if err != nil {
		return err
	}
	cfg.Publish = func(ctx context.Context, topic string, payload []byte) (adapter.Token, error) {
		return pub.Begin(ctx, topic, payload)
	}
	s, err := adapter.New(cfg)
	if err != nil {
		return fmt.Errorf("%w: %w", app.ErrConfig, err)
	}
	stop, err := c.metrics(cfg.Registerer.(*prometheus.Registry), logger)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Printf("%s  %s   to %s, topic %s\n", c.Protocol, ln.Addr(), c.Broker, c.Topic)
	err = s.Serve(ctx, ln)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, pub.Close(last))
}

// listen binds the address, so that one in use is said before anything else.
func (c *adapterCmd) listen() (net.Listener, error) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("%w: --listen: %w", app.ErrConfig, err)
	}
	ip := net.ParseIP(host)
	if loopback := host == "localhost" || ip != nil && ip.IsLoopback(); !loopback && !c.Insecure && c.TLSCert == "" {
		return nil, fmt.Errorf("%w: --listen %s is beyond this machine, and whoever reaches it could speak for any device: give --tls-cert and "+
			"--tls-key, or, where only devices have the network, say --insecure (with --allow)", app.ErrRefused, c.Listen)
	}
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", app.ErrRefused, err)
	}
	if c.TLSCert == "" {
		return ln, nil
	}
	cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: --tls-cert, --tls-key: %w", app.ErrConfig, err), ln.Close())
	}
	return tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}), nil
}

// connect waits for the broker as long as it takes: devices are not answered meanwhile, and will come again.
func (c *adapterCmd) connect(ctx context.Context, logger *slog.Logger) (*publisher.Publisher, error) {
	if c.Client == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("%w: --client: %w", app.ErrConfig, err)
		}
		c.Client = "situ-adapter-" + c.Protocol + "-" + host
	}
	for n, pause := 1, time.Second; ; n, pause = n+1, min(2*pause, 30*time.Second) {
		pub, err := c.dial(ctx, c.Client, logger)
		if err == nil || ctx.Err() != nil {
			return pub, err
		}
		logger.Warn("no broker yet, trying again", "try", n, "in", pause.String(), "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// metrics serves them, if they are wanted.
func (c *adapterCmd) metrics(r *prometheus.Registry, logger *slog.Logger) (stop func(), err error) {
	if c.Metrics == "" {
		return func() {}, nil
	}
	ln, err := net.Listen("tcp", c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("%w: --metrics: %w", app.ErrRefused, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("metrics", "err", err)
		}
	}()
	return func() { _ = srv.Close(); <-ended }, nil
}
