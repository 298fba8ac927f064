package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/registry"
)

// registryAddr is host:port of a registry that is asked without TLS, "" of one that is asked with it.
func registryAddr(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%w: --registry %q: want http://host:port or https://host:port", host.ErrConfig, raw)
	}
	if u.Scheme == "https" {
		return "", nil
	}
	return net.JoinHostPort(u.Hostname(), "80"), nil // the port does not matter here
}

func (p *process) openFollower() error {
	pool, err := host.Authorities("registry-ca", p.cfg.RegistryCA)
	if err != nil {
		return err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	p.Later(func() error { t.CloseIdleConnections(); return nil })
	p.follower, err = registry.NewFollower(registry.FollowerOptions{
		URL: p.cfg.Registry, Key: p.cfg.RegistryKey, File: filepath.Join(p.cfg.Data, "registry.snapshot"),
		Client: &http.Client{Timeout: 30 * time.Second, Transport: t}, Logger: p.logger,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", host.ErrRefused, err)
	}
	return nil
}

// known: this gateway has seen the registry, now or in an earlier life. Before that it could not tell a stranger from
// a Thing that somebody registered, nor in what unit it speaks.
func (p *process) known() bool {
	return p.follower.Snapshot().Version() > 0 || !p.follower.Status().Synced.IsZero()
}

// waitRegistry waits until the registry is known. Only a gateway's first start waits.
func (p *process) waitRegistry(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for said := false; !p.known(); {
		why := "never seen the registry at " + p.cfg.Registry
		if err := p.follower.Status().Err; err != nil {
			why += ": " + err.Error()
			if !said {
				p.logger.Warn("first start: taking no readings before the registry has answered once", "component", "gateway", "err", err)
				said = true
			}
		}
		p.ready.Set("registry", why)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.ready.Set("registry", "")
	return nil
}
