package app

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/city"
	"github.com/situ-city/situ/internal/publisher"
	"github.com/situ-city/situ/internal/registry"
)

// The demonstration's city. Its past gives the charts something to show at the first look.
const (
	demoSeed     = 2026
	demoPast     = 3 * time.Hour
	demoPastStep = 10 * time.Minute
)

// runDemo registers the simulated city and lets it speak over a real MQTT connection.
func (p *process) runDemo(ctx context.Context) error {
	if !p.cfg.Demo {
		<-ctx.Done()
		return nil
	}
	town, err := city.New(city.Config{Seed: demoSeed, Things: p.cfg.DemoThings}, p.divisions)
	if err != nil {
		return err
	}
	if err := p.registerCity(ctx, town); err != nil {
		return fmt.Errorf("register the simulated city: %w", err)
	}
	cfg := publisher.Config{Broker: "tcp://" + p.gateway.Addr().String(), Client: "situ-demo", Logger: p.logger}
	if p.tls != nil {
		cfg.Broker = "ssl://" + p.gateway.Addr().String()
	}
	if !p.cfg.anonymousMQTT() {
		cfg.User = "situ-demo"
		if cfg.Password, err = p.registry.IssueCredential(ctx, cfg.User, "*"); err != nil {
			return err
		}
	}
	pub, err := publisher.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	p.logger.Info("simulated city", "things", p.cfg.DemoThings, "seed", demoSeed, "faults", fmt.Sprint(town.Faults()))
	now := time.Now()
	if err = town.Round(ctx, pub, now); err == nil {
		if err = town.Past(ctx, pub, now.Add(-demoPast), now, demoPastStep); err == nil {
			err = town.Play(ctx, pub, p.logger)
		}
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = pub.Close(grace) // what is not acknowledged now was simulated
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (p *process) registerCity(ctx context.Context, town *city.City) error {
	var b bytes.Buffer
	if err := town.CSV(&b); err != nil {
		return err
	}
	rows, err := registry.ParseCSV(&b)
	if err != nil {
		return err
	}
	verdicts, err := p.registry.RegisterRows(ctx, rows)
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		if v.Error != "" {
			return fmt.Errorf("row %d, %s: %s", v.Row, v.Column, v.Error)
		}
	}
	return nil
}
