package app

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/app/host"
	"github.com/situ-city/situ/internal/peers"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/pkg/sensor"
)

// The registry on PostgreSQL, its password by file: readings register their Things there, what another process
// registers is seen, the server's restart is lived through, and no word of the password is said.
func TestRegistryOnPostgres(t *testing.T) {
	server := peers.Postgres(t)
	u, err := url.Parse(server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User("situ")
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(server.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := apptest.Dir(t)
	r := run(t, data, func(c *Config) {
		open(c)
		noHistory(c)
		c.RegistryDSN, c.RegistryPasswordFile = u.String(), secret
	})
	r.Publish(t, "situ/v1/town/pump/json", `{"lon":106.55,"lat":29.56,"pm2_5":23.4}`)
	there := func(path string) {
		t.Helper()
		apptest.Until(t, time.Minute, func() string {
			if a := r.Do(t, apptest.Key, "GET", path, ""); a.Status != 200 {
				return path + ": " + a.Body
			}
			return ""
		})
	}
	there("/v1/things/town/pump")
	server.Kill()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	other, err := registry.Open(t.Context(), server.DSN, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, ok := other.Snapshot().Thing("town/pump"); !ok {
		t.Error("PostgreSQL does not have what the reading declared")
	}
	if _, err := other.PutThing(t.Context(), &sensor.Thing{ID: "town/other"}); err != nil {
		t.Fatal(err)
	}
	there("/v1/things/town/other")
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(data, "registry.sqlite")); err == nil {
		t.Error("a file was made as well")
	}
	if said := r.out.String() + r.log.String(); strings.Contains(said, "sesame") {
		t.Errorf("the password is told:\n%s", said)
	}
}

// A registry that was restored to an earlier state underneath is not served on: the process ends and says so.
func TestRegistryRestoredUnderneath(t *testing.T) {
	server := peers.Postgres(t)
	r := run(t, apptest.Dir(t), func(c *Config) {
		open(c)
		noHistory(c)
		c.RegistryDSN = server.DSN
	})
	r.Publish(t, "situ/v1/town/pump/json", `{"pm2_5":23.4}`)
	db, err := sql.Open("pgx", server.Local)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	apptest.Until(t, time.Minute, func() string {
		var head int
		if err := db.QueryRowContext(t.Context(), "SELECT head FROM situ_registry").Scan(&head); err != nil || head == 0 {
			return fmt.Sprintf("%d changes, %v", head, err)
		}
		return ""
	})
	if _, err := db.ExecContext(t.Context(), "TRUNCATE things, datastreams, changes; UPDATE situ_registry SET head = 0"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.ended:
		if !errors.Is(err, registry.ErrBackwards) {
			t.Errorf("ended with %v", err)
		}
		close(r.ended)
	case <-time.After(time.Minute):
		t.Error("goes on")
	}
}

func TestLedgerRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		ledger Ledger
		want   string
	}{
		{Ledger{RegistryPasswordFile: missing}, "says nothing without --registry-dsn"},
		{Ledger{RegistryDSN: "postgres://u:sesame@far/d"}, "--registry-dsn: not a PostgreSQL address"},
		{Ledger{RegistryDSN: "host=db password=sesame"}, "--registry-dsn: not a PostgreSQL address"},
	} {
		if err := c.ledger.check(); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%+v: %v", c.ledger, err)
		}
	}
	l := Ledger{RegistryDSN: "postgres://u@127.0.0.1/d", RegistryPasswordFile: missing}
	if _, _, err := l.address(""); !errors.Is(err, ErrRefused) || l.check() != nil {
		t.Errorf("no password file: %v, %v", err, l.check())
	}
}

// A registry whose file is gone used to be made anew without a word.
func TestRegistryGone(t *testing.T) {
	data := apptest.Dir(t)
	if err := run(t, data, noHistory).stop(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"registry.sqlite", "registry.sqlite-wal", "registry.sqlite-shm"} {
		if err := os.Remove(filepath.Join(data, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	cfg := Config{Data: data, HTTP: "127.0.0.1:0", MQTT: "127.0.0.1:0", AdminKey: apptest.Key, History: "off", SpoolBytes: host.MinSpoolBytes}
	err := Run(t.Context(), cfg, slog.New(slog.DiscardHandler), io.Discard)
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "--new-registry") || !strings.Contains(err.Error(), "registry.sqlite is gone") {
		t.Errorf("err %v", err)
	}
	if _, err := os.Stat(filepath.Join(data, "registry.sqlite")); err == nil {
		t.Error("one was made nevertheless")
	}
	if err := run(t, data, func(c *Config) { noHistory(c); c.NewRegistry = true }).stop(); err != nil {
		t.Error(err)
	}
}
