package app

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
)

// routes lists every "METHOD /path" of docs/api.md and of the server's own OpenAPI document, with values for what
// stands in braces, so that a route that somebody adds is tried as well.
func routes(t *testing.T, r *rig) []string {
	t.Helper()
	list := map[string]bool{}
	for _, d := range documented(t) {
		list[d] = true
	}
	for _, o := range described(t, r) {
		list[o] = true
	}
	values := strings.NewReplacer("{h3}", "8740e9a1bffffff", "{cell}", "8740e9a1bffffff", "{owner}", "eco", "{name}", "a1", "{set}", "pm2_5",
		"{z}", "10", "{x}", "815", "{y}", "424", "{id}", "1")
	var out []string
	for route := range list {
		if route = values.Replace(route); strings.Contains(route, "{") {
			t.Fatalf("%s: say in this test what stands in the braces", route)
		}
		out = append(out, route)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var apiRoute = regexp.MustCompile("`(?:(GET|POST|PUT|PATCH|DELETE) )?(/[^`?]*)")

// documented gives the routes in the table of docs/api.md.
func documented(t *testing.T) (list []string) {
	t.Helper()
	b, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		column := strings.SplitN(line, "|", 3)[1]
		method := ""
		for _, m := range apiRoute.FindAllStringSubmatch(column, -1) {
			if m[1] != "" {
				method = m[1]
			}
			list = append(list, first(method, http.MethodGet)+" "+m[2])
		}
	}
	if len(list) < 20 {
		t.Fatalf("docs/api.md has only %d routes", len(list))
	}
	return list
}

// described gives the routes of /openapi.json.
func described(t *testing.T, r *rig) (list []string) {
	t.Helper()
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]json.RawMessage
	}
	r.Get(t, "/openapi.json", &doc)
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %q", doc.OpenAPI)
	}
	for path, operations := range doc.Paths {
		for method := range maps.Keys(operations) {
			list = append(list, strings.ToUpper(method)+" "+path)
		}
	}
	return list
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Nothing but these is for everybody.
var forAll = []string{"GET /healthz", "GET /readyz"}

// A server that is not a demonstration answers nobody without the key, on no route.
func TestEveryRouteAsksForTheKey(t *testing.T) {
	r := run(t, apptest.Dir(t), nil)
	all := routes(t, r)
	t.Logf("%d routes", len(all))
	for _, route := range all {
		method, path, _ := strings.Cut(route, " ")
		without := r.Do(t, "", method, path, "")
		switch {
		case slices.Contains(forAll, route):
			if without.Status != http.StatusOK {
				t.Errorf("%s without key: %d", route, without.Status)
			}
			continue
		case path == "/":
			if without.Status != http.StatusSeeOther || without.Header.Get("Location") != "/login" {
				t.Errorf("%s without key: %d to %q, want the login page", route, without.Status, without.Header.Get("Location"))
			}
		case without.Status != http.StatusUnauthorized || without.Header.Get("Content-Type") != "application/problem+json" ||
			without.Header.Get("WWW-Authenticate") == "":
			t.Errorf("%s without key: %d %v %.100s", route, without.Status, without.Header, without.Body)
		}
		if a := r.Do(t, apptest.Key+"x", method, path, ""); a.Status != http.StatusUnauthorized && a.Status != http.StatusSeeOther {
			t.Errorf("%s with a wrong key: %d %.100s", route, a.Status, a.Body)
		}
		if path == "/live" {
			continue // it lasts; TestLive looks at it
		}
		if a := r.Do(t, apptest.Key, method, path, ""); a.Status == http.StatusUnauthorized || a.Status >= 500 {
			t.Errorf("%s with the key: %d %.200s", route, a.Status, a.Body)
		}
	}
}

// Paths that nobody wrote down, and ways around a guard that looks at the path, are closed too.
func TestUnknownPathsAreClosed(t *testing.T) {
	r := run(t, apptest.Dir(t), noHistory)
	for _, route := range []string{
		"GET /v1/", "GET /v1/new", "GET /debug/pprof/", "GET /clickhouse/?query=SELECT+1", "POST /clickhouse/", "GET /index.html",
		"GET /healthz/../v1/deadletters", "GET /tiles/..%2fv1/deadletters", "GET /assets/../v1/status", "GET /assets/..%2f..%2fv1/status",
		"GET //v1/status", "GET /login/../v1/status", "GET /V1/STATUS", "GET /v1/status/", "GET /%76%31/status", "HEAD /v1/status", "OPTIONS /v1/status",
		"DELETE /v1/things/eco/a1", "PUT /healthz", "POST /metrics", "POST /live", "TRACE /v1/status",
	} {
		method, path, _ := strings.Cut(route, " ")
		a := r.Do(t, "", method, path, "")
		if moved := a.Header.Get("Location"); a.Status/100 == 3 && moved != "" { // to the same path, written plainly
			a = r.Do(t, "", http.MethodGet, strings.TrimPrefix(moved, r.URL), "")
		}
		if a.Status != http.StatusUnauthorized && a.Status != http.StatusNotFound && a.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %.200s", route, a.Status, a.Body)
		}
	}
}

// On a loopback server for everybody, the map is open; writes, SQL and what is not the map's still need the key.
func TestOpenServerStillAsks(t *testing.T) {
	r := run(t, apptest.Dir(t), func(c *Config) { open(c); noHistory(c) })
	reads := []string{"GET /v1/status", "GET /v1/things", "GET /v1/properties", "GET /v1/models", "GET /tiles/pm2_5.json", "GET /openapi.json", "GET /metrics", "GET /"}
	for _, route := range routes(t, r) {
		method, path, _ := strings.Cut(route, " ")
		if path == "/live" {
			continue
		}
		a := r.Do(t, "", method, path, "")
		switch {
		case slices.Contains(reads, route):
			if a.Status != http.StatusOK {
				t.Errorf("%s on an open server: %d", route, a.Status)
			}
		case method != http.MethodGet, path == "/v1/deadletters", path == "/v1/balance", path == "/v1/registry/changes", strings.HasPrefix(path, "/clickhouse"):
			if a.Status != http.StatusUnauthorized {
				t.Errorf("%s without key on an open server: %d %.100s", route, a.Status, a.Body)
			}
		}
	}
	for _, path := range []string{"/v1/sql", "/v1/sql?query=SELECT+1"} {
		if a := r.Do(t, "", http.MethodGet, path, ""); a.Status != http.StatusUnauthorized {
			t.Errorf("GET %s without key: %d", path, a.Status)
		}
	}
	if n := r.Metric(t, "situ_query_refused_total", `reason="key"`); n == 0 {
		t.Error("refusals are not counted")
	}
}

// A browser trades the key for a cookie that no other page can use.
func TestLogin(t *testing.T) {
	r := run(t, apptest.Dir(t), noHistory)
	form := func(key string) apptest.Answer {
		return r.Send(t, http.MethodPost, "/login", url.Values{"key": {key}}.Encode(), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	}
	if a := r.Do(t, "", http.MethodGet, "/login", ""); a.Status != http.StatusOK || !strings.Contains(a.Body, `name="key"`) {
		t.Errorf("the login page: %d %.200s", a.Status, a.Body)
	}
	if a := form("situ_not_the_key_at_all"); a.Status != http.StatusUnauthorized || a.Header.Get("Set-Cookie") != "" {
		t.Errorf("a wrong key: %d %v", a.Status, a.Header)
	}
	in := form(apptest.Key)
	set := in.Header.Get("Set-Cookie")
	if in.Status != http.StatusSeeOther || in.Header.Get("Location") != "/" || !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Strict") {
		t.Fatalf("the right key: %d %v", in.Status, in.Header)
	}
	cookie, _, _ := strings.Cut(set, ";")
	with := func(method, path, site string) int {
		h := map[string]string{"Cookie": cookie}
		if site != "" {
			h["Sec-Fetch-Site"] = site
		}
		return r.Send(t, method, path, "{}", h).Status
	}
	if s := with(http.MethodGet, "/v1/status", ""); s != http.StatusOK {
		t.Errorf("a read with the cookie: %d", s)
	}
	if s := with(http.MethodGet, "/", ""); s != http.StatusOK {
		t.Errorf("the page with the cookie: %d", s)
	}
	if s := with(http.MethodPost, "/v1/things", "same-origin"); s != http.StatusUnprocessableEntity {
		t.Errorf("a write of the page itself, empty: %d", s)
	}
	if s := with(http.MethodPost, "/v1/things", "cross-site"); s != http.StatusUnauthorized {
		t.Errorf("a write that a foreign page makes: %d", s)
	}
}

// What docs/api.md tells people, the OpenAPI document tells tools, and the other way round.
func TestOpenAPITellsTheWholeInterface(t *testing.T) {
	r := run(t, apptest.Dir(t), noHistory)
	list, told := described(t, r), documented(t)
	for _, route := range list {
		if !slices.Contains(told, strings.ReplaceAll(route, "{cell}", "{h3}")) {
			t.Errorf("%s is in /openapi.json and not in docs/api.md", route)
		}
	}
	for _, route := range told {
		_, path, _ := strings.Cut(route, " ")
		if !strings.HasPrefix(path, "/v1/") && !strings.HasPrefix(path, "/tiles/") && path != "/live" {
			continue // the page, its health, the document itself
		}
		if !slices.Contains(list, strings.ReplaceAll(route, "{h3}", "{cell}")) {
			t.Errorf("%s is in docs/api.md and not in /openapi.json", route)
		}
	}
}

// ClickHouse's port asks for the key like everything else, in each form that ClickHouse's clients send it, and SQL
// behind it passes the gate.
func TestClickHouseDoor(t *testing.T) {
	r := run(t, apptest.Dir(t), func(c *Config) { open(c); c.ClickHouseHTTP = "127.0.0.1:0" })
	line, ok := r.out.After("SQL   ")
	if !ok {
		t.Fatalf("the port is not announced: %s", r.out.String())
	}
	address, _, _ := strings.Cut(line, " ")
	door := apptest.Server{URL: strings.TrimSuffix(address, "/")}
	if a := door.Do(t, "", http.MethodGet, "/ping", ""); a.Status != http.StatusOK || a.Body != "Ok.\n" {
		t.Errorf("ping: %d %q", a.Status, a.Body)
	}
	const query = "/?query=SELECT+property+FROM+history+FORMAT+JSONEachRow"
	r.Publish(t, "situ/v1/me/shed/json", `{"pm2_5":21.5}`)
	key := map[string]string{"X-ClickHouse-User": "admin", "X-ClickHouse-Key": apptest.Key}
	apptest.Until(t, 20*time.Second, func() string {
		if a := door.Send(t, http.MethodGet, query, "", key); a.Status != http.StatusOK || a.Body != "{\"property\":\"pm2_5\"}\n" {
			return fmt.Sprint(a.Status, a.Body)
		}
		return ""
	})
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+apptest.Key))
	if a := door.Send(t, http.MethodPost, "/", "SELECT count() FROM history", map[string]string{"Authorization": basic}); a.Status != http.StatusOK || a.Body != "1\n" {
		t.Errorf("with the key as password: %d %q", a.Status, a.Body)
	}
	for _, path := range []string{query, "/", "/play", "/dashboard", "/metrics", "/healthz", "/replicas_status", "/ping/../?query=SELECT+1"} {
		for _, h := range []map[string]string{nil, {"X-ClickHouse-Key": "wrong"}} {
			if a := door.Send(t, http.MethodGet, path, "", h); a.Status != http.StatusUnauthorized && a.Status/100 != 3 {
				t.Errorf("GET %s without key: %d %.100s", path, a.Status, a.Body)
			}
		}
	}
	for _, sql := range []string{"DROP TABLE situ.observations", "SELECT * FROM file('/etc/passwd')", "SELECT 1; SELECT 2", "SELECT * FROM system.settings", "SELECT * FROM situ.observations"} {
		if a := door.Send(t, http.MethodPost, "/", sql, key); a.Status == http.StatusOK {
			t.Errorf("%s passes: %.100s", sql, a.Body)
		}
		if a := r.Do(t, apptest.Key, http.MethodPost, "/v1/sql", sql); a.Status/100 != 4 {
			t.Errorf("%s passes /v1/sql: %d %.100s", sql, a.Status, a.Body)
		}
	}
}

// A key that nobody gave is made at the first start, printed once, kept as a hash, and good for ever after.
func TestGeneratedKey(t *testing.T) {
	data := apptest.Dir(t)
	generated := func(c *Config) { noHistory(c); c.AdminKey = "" }
	r := run(t, data, generated)
	key, ok := r.out.After("administrator's key (shown once):")
	if !ok || !strings.HasPrefix(key, "situ_admin_") || len(key) < 40 {
		t.Fatalf("it prints no key: %s", r.out.String())
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = run(t, data, generated)
	if _, again := r.out.After("administrator's key"); again {
		t.Error("the key is printed again")
	}
	if a := r.Do(t, key, http.MethodGet, "/v1/deadletters", ""); a.Status == http.StatusUnauthorized {
		t.Errorf("the key of the first start: %d", a.Status)
	}
	if a := r.Do(t, apptest.Key, http.MethodGet, "/v1/status", ""); a.Status != http.StatusUnauthorized {
		t.Errorf("another key: %d", a.Status)
	}
	files, err := filepath.Glob(filepath.Join(data, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal("nothing in the data directory: ", err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), key) {
			t.Errorf("%s holds the key itself", f)
		}
	}
}
