package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/situ-city/situ/internal/gateway"
)

// A changed file is taken, a bad one is refused and the sources go on, SIGHUP takes it at once.
func TestReloader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "situ.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	sources := func(names ...string) string {
		text := "http: 127.0.0.1:0\nsources:\n"
		for _, n := range names {
			text += fmt.Sprintf("  - name: %s\n    topics: [\"a/{thing}\"]\n    owner: o\n    protocol: json\n", n)
		}
		return text
	}
	write(sources("a"))
	file, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := file.Sources[0].Where; got != path+":3" {
		t.Errorf("the source stands at %s", got)
	}
	applied := make(chan string, 10)
	out := new(syncBuffer)
	r := &Reloader{File: file, Every: 5 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(out, nil)),
		Apply: func(_ context.Context, list []gateway.Source) error {
			names := ""
			for _, s := range list {
				names += s.Name
			}
			applied <- names
			if strings.Contains(names, "x") {
				return errors.New("x cannot work")
			}
			return nil
		}}
	r.Register(prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-applied:
			if got != want {
				t.Fatalf("applied %s, want %s", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s was not applied", want)
		}
	}
	said := func(what string) {
		t.Helper()
		deadline := time.After(time.Minute)
		for !strings.Contains(out.String(), what) {
			select {
			case <-time.After(5 * time.Millisecond):
			case <-deadline:
				t.Fatalf("the log does not say %q:\n%s", what, out)
			}
		}
	}
	write(sources("a", "b"))
	expect("ab")
	write(sources("a", "x"))
	expect("ax")
	said("x cannot work")
	write("sources: [")
	said("did not find expected")
	write(strings.Replace(sources("a", "c"), "http: 127.0.0.1:0", "http: 127.0.0.1:1", 1))
	expect("ac")
	said("settings=[http]")
	if got := testutil.ToFloat64(r.reloads.WithLabelValues("refused")); got != 2 {
		t.Errorf("%v refused", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := testutil.ToFloat64(r.refused); got != 0 {
		t.Error("still refused")
	}
}

// A plug-in that is exchanged is a change of the configuration, though the file that names it stays as it is.
func TestReloaderWatchesPlugins(t *testing.T) {
	dir := t.TempDir()
	path, plugin := filepath.Join(dir, "situ.yaml"), filepath.Join(dir, "a.wasm")
	put := func(to, text string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(to+".new", []byte(text), 0o600), os.Rename(to+".new", to)); err != nil {
			t.Fatal(err)
		}
	}
	put(path, fmt.Sprintf("sources: [{name: a, topics: [a], profiles: [{plugin: {file: %s}}]}]", plugin))
	put(plugin, "one")
	file, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	applied := make(chan []gateway.Source, 10)
	r := &Reloader{File: file, Every: 5 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		Apply: func(_ context.Context, list []gateway.Source) error { applied <- list; return nil }}
	r.Register(prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	for _, text := range []string{"two", "three"} {
		put(plugin, text)
		select {
		case <-applied:
		case <-time.After(time.Minute):
			t.Fatalf("content %s is not noticed", text)
		}
	}
	put(plugin, "three") // another file, the same content
	put(path, "sources: [{name: b, topics: [a]}]")
	if got := <-applied; got[0].Name != "b" {
		t.Errorf("the same content is taken for another: %+v", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// SIGHUP does not wait for the next look.
func TestReloaderTakesSIGHUP(t *testing.T) {
	path := filepath.Join(t.TempDir(), "situ.yaml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("sources: [{name: a, topics: [a]}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	mine := make(chan os.Signal, 1)
	signal.Notify(mine, syscall.SIGHUP) // before Run listens it would end the test
	defer signal.Stop(mine)
	applied := make(chan []gateway.Source, 1)
	r := &Reloader{File: file, Every: time.Hour, Logger: slog.New(slog.DiscardHandler),
		Apply: func(_ context.Context, list []gateway.Source) error { applied <- list; return nil }}
	r.Register(prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	deadline := time.After(time.Minute)
	for got := false; !got; {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		select {
		case list := <-applied:
			got = len(list) == 1 && list[0].Name == "a"
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatal("not applied")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
