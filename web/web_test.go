package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

var script = strings.Repeat("export const a = 1;\n", 200)

func built() fstest.MapFS {
	return fstest.MapFS{
		".gitkeep":                      {},
		"index.html":                    {Data: []byte("<!doctype html><title>situ</title>")},
		"icon.svg":                      {Data: []byte("<svg/>")},
		"assets/index-DkCtApXw.js":      {Data: []byte(script)},
		"assets/index-D64YN1VP.css":     {Data: []byte("b{}")},
		"assets/gl-worker-CZtFQQIV.mjs": {Data: []byte("self;")},
		"assets/blob-CZtFQQIV.bin":      {Data: []byte{0, 1}},
	}
}

func get(t *testing.T, h http.Handler, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTypesAndCaching(t *testing.T) {
	h := handler(built())
	const forever, ask = "public, max-age=31536000, immutable", "no-cache"
	for _, c := range []struct {
		path   string
		status int
		typ    string
		cache  string
	}{
		{"/", 200, "text/html; charset=utf-8", ask},
		{"/index.html", 200, "text/html; charset=utf-8", ask},
		{"/icon.svg", 200, "image/svg+xml", ask},
		{"/assets/index-DkCtApXw.js", 200, "text/javascript; charset=utf-8", forever},
		{"/assets/index-D64YN1VP.css", 200, "text/css; charset=utf-8", forever},
		{"/assets/gl-worker-CZtFQQIV.mjs", 200, "text/javascript; charset=utf-8", forever},
		{"/assets/blob-CZtFQQIV.bin", 200, "application/octet-stream", forever},
		{"/assets/", 404, "text/plain; charset=utf-8", ""},
		{"/.gitkeep", 404, "text/plain; charset=utf-8", ""},
		{"/../web.go", 404, "text/plain; charset=utf-8", ""},
	} {
		r := get(t, h, "GET", c.path)
		if r.StatusCode != c.status || r.Header.Get("Content-Type") != c.typ || r.Header.Get("Cache-Control") != c.cache {
			t.Errorf("%s: %d %q %q, want %d %q %q", c.path, r.StatusCode, r.Header.Get("Content-Type"), r.Header.Get("Cache-Control"), c.status, c.typ, c.cache)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: types may be guessed", c.path)
		}
	}
}

func TestPolicyForbidsInlineAndForeign(t *testing.T) {
	p := get(t, handler(built()), "GET", "/").Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "worker-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(p, want) {
			t.Errorf("policy %q lacks %q", p, want)
		}
	}
	for _, bad := range []string{"unsafe-inline", "unsafe-eval", "http:", "https:", "*"} {
		if strings.Contains(p, bad) {
			t.Errorf("policy %q allows %q", p, bad)
		}
	}
}

func TestUnchangedPageIsNotSentAgain(t *testing.T) {
	h := handler(built())
	for _, encoding := range []string{"", "gzip"} {
		first := get(t, h, "GET", "/assets/index-DkCtApXw.js", "Accept-Encoding", encoding)
		again := get(t, h, "GET", "/assets/index-DkCtApXw.js", "Accept-Encoding", encoding, "If-None-Match", `"x", W/`+first.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified || body(t, again) != "" {
			t.Errorf("encoding %q: %d with a body, want 304 without", encoding, again.StatusCode)
		}
		changed := get(t, h, "GET", "/assets/index-DkCtApXw.js", "Accept-Encoding", encoding, "If-None-Match", `"other"`)
		if changed.StatusCode != http.StatusOK {
			t.Errorf("encoding %q: another ETag got %d", encoding, changed.StatusCode)
		}
	}
}

func TestGzipOnlyForThoseWhoTakeIt(t *testing.T) {
	h := handler(built())
	for _, c := range []struct {
		accept string
		zipped bool
	}{{"", false}, {"br", false}, {"gzip", true}, {"br, gzip;q=0.5", true}, {"gzip;q=0", false}, {"gzip; q=0.0", false}, {"*", true}} {
		r := get(t, h, "GET", "/assets/index-DkCtApXw.js", "Accept-Encoding", c.accept)
		got := body(t, r)
		if zipped := r.Header.Get("Content-Encoding") == "gzip"; zipped != c.zipped {
			t.Errorf("Accept-Encoding %q: zipped %v, want %v", c.accept, zipped, c.zipped)
		}
		if c.zipped {
			z, err := gzip.NewReader(bytes.NewReader([]byte(got)))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			got = string(plain)
		}
		if got != script {
			t.Errorf("Accept-Encoding %q: %d bytes after unpacking, want the %d of the file", c.accept, len(got), len(script))
		}
	}
	if r := get(t, h, "GET", "/", "Accept-Encoding", "gzip"); r.Header.Get("Content-Encoding") != "" {
		t.Error("a page of a few bytes was zipped")
	}
}

func TestHeadAndOtherMethods(t *testing.T) {
	h := handler(built())
	if r := get(t, h, "HEAD", "/"); r.StatusCode != 200 || body(t, r) != "" || r.Header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %d, length %q", r.StatusCode, r.Header.Get("Content-Length"))
	}
	if r := get(t, h, "POST", "/"); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", r.StatusCode, r.Header.Get("Allow"))
	}
}

func TestNotBuiltSaysHow(t *testing.T) {
	r := get(t, handler(fstest.MapFS{".gitkeep": {}}), "GET", "/")
	if got := body(t, r); r.StatusCode != http.StatusNotFound || got != notBuilt || r.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%d %q %q, want 404 and %q as plain text", r.StatusCode, r.Header.Get("Content-Type"), got, notBuilt)
	}
}

// The binary of a clean clone has no page; one after make web has. Either must be served without a panic.
func TestEmbedded(t *testing.T) {
	r := get(t, Handler(), "GET", "/")
	if r.StatusCode != http.StatusOK && body(t, r) != notBuilt {
		t.Errorf("embedded page: %d", r.StatusCode)
	}
}
