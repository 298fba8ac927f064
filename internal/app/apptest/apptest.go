// Package apptest helps tests that use situ as its users do: HTTP with and without the key, SQL as rows, MQTT with
// QoS 1. It knows docs/api.md and nothing of situ's inside. Nothing here starts situ: cmd/situ starts it as a process,
// internal/app in process.
package apptest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Key is the administrator's in tests.
const Key = "situ_test_0123456789abcdef"

// Server is where a running situ is to be found.
type Server struct {
	URL  string // http://host:port
	MQTT string // host:port
	Data string // its data directory
}

// Answer of one HTTP request.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// client does not follow redirects: where a path leads is part of its answer.
var client = &http.Client{
	Timeout:       time.Minute,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Do sends one request; key "" sends none.
func (s Server) Do(t testing.TB, key, method, path, body string) Answer {
	t.Helper()
	if key == "" {
		return s.Send(t, method, path, body, nil)
	}
	return s.Send(t, method, path, body, map[string]string{"Authorization": "Bearer " + key})
}

// Send sends one request with headers of its own.
func (s Server) Send(t testing.TB, method, path, body string, headers map[string]string) Answer {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	return send(t, client, req)
}

func send(t testing.TB, c *http.Client, req *http.Request) Answer {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	return Answer{res.StatusCode, res.Header, string(b)}
}

// Get is a GET with the key that must succeed; into, if not nil, takes its JSON.
func (s Server) Get(t testing.TB, path string, into any) string {
	t.Helper()
	a := s.Do(t, Key, http.MethodGet, path, "")
	if a.Status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, a.Status, a.Body)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(a.Body), into); err != nil {
			t.Fatalf("GET %s: %v in %s", path, err, a.Body)
		}
	}
	return a.Body
}

// Row is one row of a result; numbers are kept as they were written.
type Row map[string]any

// String gives a column's value as text.
func (r Row) String(column string) string { return fmt.Sprint(r[column]) }

// Int gives a column's value as a whole number.
func (r Row) Int(t testing.TB, column string) (n int64) {
	t.Helper()
	if _, err := fmt.Sscan(r.String(column), &n); err != nil {
		t.Fatalf("column %s of %v: %v", column, r, err)
	}
	return n
}

// Float gives a column's value as a number.
func (r Row) Float(t testing.TB, column string) (x float64) {
	t.Helper()
	if _, err := fmt.Sscan(r.String(column), &x); err != nil {
		t.Fatalf("column %s of %v: %v", column, r, err)
	}
	return x
}

// SQL asks POST /v1/sql with the key.
func (s Server) SQL(t testing.TB, query string) []Row {
	t.Helper()
	a := s.Do(t, Key, http.MethodPost, "/v1/sql?format=jsonl", query)
	if a.Status != http.StatusOK {
		t.Fatalf("%s\n%d %s", query, a.Status, a.Body)
	}
	return rows(t, a.Body)
}

// Store asks the embedded engine itself, past the gate: the raw tables that analysts do not see.
func (s Server) Store(t testing.TB, query string) []Row {
	t.Helper()
	var d net.Dialer
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "unix", filepath.Join(s.Data, "store.sock"))
	}}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://store/", strings.NewReader(query+" FORMAT JSONEachRow"))
	if err != nil {
		t.Fatal(err)
	}
	a := send(t, &http.Client{Transport: tr, Timeout: time.Minute}, req)
	if a.Status != http.StatusOK {
		t.Fatalf("%s\n%d %s", query, a.Status, a.Body)
	}
	return rows(t, a.Body)
}

func rows(t testing.TB, lines string) (list []Row) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(lines))
	dec.UseNumber()
	for dec.More() {
		var r Row
		if err := dec.Decode(&r); err != nil {
			t.Fatalf("%v in %s", err, lines)
		}
		list = append(list, r)
	}
	return list
}

// NotReady lists what /readyz names, nil when all is ready or nobody answers.
func (s Server) NotReady(t testing.TB) map[string]string {
	t.Helper()
	a := s.Do(t, "", http.MethodGet, "/readyz", "")
	if a.Status == http.StatusOK {
		return nil
	}
	var doc struct {
		NotReady []struct{ Component, Why string } `json:"not_ready"`
	}
	if err := json.Unmarshal([]byte(a.Body), &doc); err != nil || a.Status != http.StatusServiceUnavailable {
		t.Fatalf("/readyz: %d %s", a.Status, a.Body)
	}
	list := map[string]string{}
	for _, n := range doc.NotReady {
		list[n.Component] = n.Why
	}
	return list
}

// WaitReady waits until /readyz has nothing to name.
func (s Server) WaitReady(t testing.TB) {
	t.Helper()
	Until(t, time.Minute, func() string {
		if list := s.NotReady(t); len(list) > 0 {
			return fmt.Sprint("not ready: ", list)
		}
		return ""
	})
}

// Until asks again and again until missing says "" or limit has passed; then the test fails with its words.
func Until(t testing.TB, limit time.Duration, missing func() string) {
	t.Helper()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	over := time.After(limit)
	for {
		why := missing()
		if why == "" {
			return
		}
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("after %s: %s", limit, why)
		}
	}
}

// Metric sums the samples of one metric whose labels hold all of with; absent is 0.
func (s Server) Metric(t testing.TB, name string, with ...string) (sum float64) {
	t.Helper()
	for line := range strings.Lines(s.Get(t, "/metrics", nil)) {
		id, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		base, labels, _ := strings.Cut(id, "{")
		if base != name {
			continue
		}
		fits := true
		for _, w := range with {
			fits = fits && strings.Contains(labels, w)
		}
		var x float64
		if _, err := fmt.Sscan(value, &x); fits && err == nil {
			sum += x
		}
	}
	return sum
}

// Dir makes a data directory whose path is short enough for a unix socket inside.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "situ-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove data directory: %v", err)
		}
	})
	return dir
}

// Samples gives a file of the field samples, or skips the test.
func Samples(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("SITU_SAMPLES")
	if dir == "" {
		wd, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		root := wd
		for !exists(filepath.Join(root, "go.mod")) && root != filepath.Dir(root) {
			root = filepath.Dir(root)
		}
		dir = filepath.Join(root, "..", "shared", "samples")
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if !exists(path) {
		t.Skipf("not run: no sample %s; set SITU_SAMPLES to the directory of field samples", path)
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
