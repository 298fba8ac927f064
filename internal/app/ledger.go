package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/registry"
)

// Ledger flags say where the registry is kept, for those who write it.
type Ledger struct {
	RegistryDSN          string `name:"registry-dsn" help:"Keep the registry in PostgreSQL, not in a file in --data: postgres://user@host:5432/database?sslmode=verify-full." env:"SITU_REGISTRY_DSN"`
	RegistryPasswordFile string `name:"registry-password-file" help:"File with its password." type:"path" env:"SITU_REGISTRY_PASSWORD_FILE"`
	NewRegistry          bool   `name:"new-registry" help:"Begin with an empty registry although this data directory had one: its file is gone, and there is no copy of it."`
}

func (l *Ledger) check() error {
	switch {
	case l.RegistryDSN == "" && l.RegistryPasswordFile != "":
		return fmt.Errorf("%w: --registry-password-file says nothing without --registry-dsn", ErrConfig)
	case l.RegistryDSN == "":
		return nil
	}
	if err := registry.CheckPostgres(l.RegistryDSN); err != nil {
		return fmt.Errorf("%w: --registry-dsn: %w", ErrConfig, err)
	}
	return nil
}

// address of the registry, and the password where a file has it.
func (l *Ledger) address(data string) (address, password string, err error) {
	if l.RegistryDSN == "" {
		return filepath.Join(data, "registry.sqlite"), "", nil
	}
	if l.RegistryPasswordFile == "" {
		return l.RegistryDSN, "", nil
	}
	b, err := os.ReadFile(l.RegistryPasswordFile)
	if err != nil {
		return "", "", fmt.Errorf("%w: --registry-password-file: %w", ErrRefused, err)
	}
	return l.RegistryDSN, strings.TrimRight(string(b), "\r\n"), nil
}

func (p *process) openLedger(ctx context.Context) error {
	address, password, err := p.cfg.Ledger.address(p.cfg.Data)
	if err != nil {
		return err
	}
	if err := p.ledgerGone(address); err != nil {
		return err
	}
	p.registry, err = registry.Open(ctx, address, registry.Options{
		Logger: p.logger, Clock: failpoint.Now, Catalogue: p.catalogue, Models: p.models, Divisions: p.divisions, CellAt: cellAt, Password: password,
	})
	if err != nil {
		return err
	}
	p.Later(p.registry.Close)
	return nil
}

// ledgerGone refuses a data directory that has lost its registry. A new one would be made without a word, with no owner,
// no credential and no place of any Thing, while history goes on under names that nobody is registered by.
func (p *process) ledgerGone(file string) error {
	if p.cfg.RegistryDSN != "" || p.cfg.NewRegistry {
		return nil
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		return nil // it is there, or registry.Open says what is wrong
	}
	for _, beside := range []string{"mqtt-sessions", "declarations.json"} { // made after it, by situ run and by query
		if _, err := os.Stat(filepath.Join(p.cfg.Data, beside)); err == nil {
			return fmt.Errorf("%w: %s is gone, though %s beside it is there: owners, credentials and places of Things were in it. Put a copy of it back, "+
				"or begin with an empty registry: --new-registry (history stays, and Things are named again as they are registered)", ErrRefused, file, beside)
		}
	}
	return nil
}

const ledgerEvery = time.Second

// runLedger takes in what other processes write to a registry on PostgreSQL. A server that is away is no reason to
// end: the map goes on with what is known.
func (p *process) runLedger(ctx context.Context) error {
	if p.cfg.RegistryDSN == "" { // the file is this process's alone
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(ledgerEvery)
	defer tick.Stop()
	away := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		_, err := p.registry.Refresh(ctx)
		if errors.Is(err, registry.ErrBackwards) { // restored, or another one: what is served here never was
			return err
		}
		if ctx.Err() == nil && (err != nil) != away {
			away = err != nil
			p.sayLedger(err)
		}
	}
}

func (p *process) sayLedger(err error) {
	if err != nil {
		p.logger.Warn("the registry's database does not answer; what is known is served", "component", "registry", "err", err)
		p.ready.Set("registry", "its database does not answer")
		return
	}
	p.logger.Info("the registry's database answers again", "component", "registry")
	p.ready.Set("registry", "")
}
