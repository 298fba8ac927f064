package registry

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/peers"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestPostgresRefuses(t *testing.T) {
	server := peers.Postgres(t)
	db := newSchemas(server.DSN)
	made := func(statements ...string) string {
		t.Helper()
		address := db(t)
		r := open(t, address)
		if _, err := r.PutThing(t.Context(), thing("city/a")); err != nil {
			t.Fatal(err)
		}
		onServer(t, address, statements...)
		return address
	}
	foreign := db(t)
	onServer(t, foreign, "CREATE TABLE songs (name TEXT)", "CREATE TABLE things (name TEXT)")
	onServer(t, server.DSN, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
	for name, c := range map[string]struct{ address, want string }{
		"newer":    {made("UPDATE situ_registry SET schema = 99"), "schema 99, this build knows up to 1"},
		"foreign":  {foreign, "not a situ registry"},
		"corrupt":  {made("DELETE FROM things"), "tables hold 0 Things"},
		"nonsense": {made("UPDATE changes SET doc = '{'"), "change 1: the registry contradicts itself"},
		"latin":    {strings.Replace(server.DSN, "/postgres?", "/latin?", 1), "the database is in LATIN1"},
		"missing":  {strings.Replace(server.DSN, "/postgres?", "/nowhere?", 1), "3D000"},
		"stranger": {strings.Replace(server.DSN, "sesame", "guess", 1), "28P01"},
	} {
		r, err := Open(t.Context(), c.address, Options{})
		if err == nil {
			r.Close()
			t.Errorf("%s: opened", name)
		} else if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "open registry postgres://situ@127.0.0.1:") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		tellsNothing(t, err.Error(), server)
	}
	// Tables of others beside it are theirs.
	beside := db(t)
	onServer(t, beside, "CREATE TABLE songs (name TEXT)")
	open(t, beside)
}

// tellsNothing fails if text has the password in it, as it is or as a URL has it.
func tellsNothing(t *testing.T, text string, server *peers.PostgresServer) {
	t.Helper()
	for _, secret := range []string{server.Password, url.QueryEscape(server.Password), "sesame", "guess"} {
		if strings.Contains(text, secret) {
			t.Errorf("tells the password: %s", text)
		}
	}
}

func TestPostgresAddress(t *testing.T) {
	for _, a := range []string{
		"postgres://u:sesame@127.0.0.1/d", "postgresql://u@localhost:5433/d", "postgres:///d?host=/run/postgresql",
		"postgres://u@db/d?sslmode=disable", "postgres://u@db.example/d?sslmode=verify-full", "postgres://u@[::1]/d",
	} {
		if err := CheckPostgres(a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, a := range []string{
		"postgres://u:sesame@db/d", "postgres://u:sesame@db/d?sslmode=prefer", "postgres://u:sesame@127.0.0.1:x/d",
		"postgres://u:ses ame@127.0.0.1/d%zz", "host=127.0.0.1 password=sesame", "mysql://u:sesame@h/d", "", "sesame",
		"postgres://u:se/sam#e@h:1/d", "postgres://u@127.0.0.1,db/d?password=sesame", "postgres://u:sesame@127.0.0.1/d?sslmode=no",
	} {
		err := CheckPostgres(a)
		if !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", a, err)
		} else if strings.Contains(err.Error(), "ses") {
			t.Errorf("the error tells: %v", err)
		}
	}
}

// The server crashes and comes back: who writes or reads meanwhile waits for it, and nothing that was told is lost.
// Its default would not wait for the disk at a commit; the ledger's sessions do.
func TestPostgresGoesAndComesBack(t *testing.T) {
	server := peers.Postgres(t, "fsync=on", "synchronous_commit=off")
	var log bytes.Buffer
	o := testOptions(t)
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Password = server.Password
	u, err := url.Parse(server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User("situ")
	r := openWith(t, u.String(), o)
	if _, err := r.PutThing(t.Context(), thing("a/before")); err != nil {
		t.Fatal(err)
	}
	var mode string
	if err := r.write.QueryRow("SHOW synchronous_commit").Scan(&mode); err != nil || mode != "on" {
		t.Errorf("synchronous_commit %s, %v", mode, err)
	}
	if _, err := r.read.Exec("DELETE FROM things"); err == nil {
		t.Error("the reading side writes")
	}
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	if _, err := r.PutThing(ctx, thing("a/never")); err == nil || r.Snapshot().Version() != 1 {
		t.Errorf("written without a server: %v", err)
	}
	cancel()
	written, read := make(chan error, 1), make(chan error, 1)
	go func() { _, err := r.PutThing(t.Context(), thing("a/during")); written <- err }()
	go func() {
		changes, _, err := r.Changes(t.Context(), 0, 1)
		if err == nil && (len(changes) != 1 || changes[0].Thing.ID != "a/before") {
			t.Errorf("after the crash: %+v", changes)
		}
		read <- err
	}()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-written, <-read); err != nil {
		t.Error(err)
	}
	again := openWith(t, u.String(), o)
	for _, id := range []sensor.ThingID{"a/before", "a/during"} {
		if x, _ := again.Snapshot().Thing(id); x == nil {
			t.Errorf("%s is lost", id)
		}
	}
	if !strings.Contains(log.String(), "the registry's database is away") || !strings.Contains(log.String(), "registry open") {
		t.Errorf("log:\n%s", log.String())
	}
	tellsNothing(t, log.String(), server)
}
