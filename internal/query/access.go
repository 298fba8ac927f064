package query

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Keys decides who a request comes from. Today there is one key, the administrator's; only its SHA-256 is kept.
type Keys struct {
	hash [sha256.Size]byte
	// Anonymous opens the paths of the map to everybody who reaches the listener (--demo and --auto-register on a
	// loopback listener only: whoever reaches it sits at this machine).
	Anonymous bool
}

// ErrKey: the key given by flag or environment is too short to be one.
var ErrKey = errors.New("key is too short (want at least 16 characters)")

// OpenKeys takes the administrator's key from given, or the one whose hash dir holds, or makes one and returns it:
// it is shown once and never again.
func OpenKeys(dir, given string) (k *Keys, made string, err error) {
	k = &Keys{}
	if given != "" {
		if len(given) < 16 {
			return nil, "", ErrKey
		}
		k.hash = sha256.Sum256([]byte(given))
		return k, "", nil
	}
	path := filepath.Join(dir, "admin-key.sha256")
	if b, err := os.ReadFile(path); err == nil {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
		if err != nil || len(raw) != sha256.Size {
			return nil, "", fmt.Errorf("%s is damaged; delete it and a new key is made", path)
		}
		copy(k.hash[:], raw)
		return k, "", nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, "", fmt.Errorf("read admin key: %w", err)
	}
	secret := make([]byte, 24)
	rand.Read(secret) // never fails
	made = "situ_admin_" + base64.RawURLEncoding.EncodeToString(secret)
	k.hash = sha256.Sum256([]byte(made))
	text := base64.StdEncoding.EncodeToString(k.hash[:]) + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, "", fmt.Errorf("keep admin key: %w", err)
	}
	return k, made, nil
}

// Is reports whether s is the administrator's key, in constant time.
func (k *Keys) Is(s string) bool {
	given := sha256.Sum256([]byte(s))
	return s != "" && subtle.ConstantTimeCompare(given[:], k.hash[:]) == 1
}

// Principal is who asks.
type Principal struct {
	Name  string // "admin" or "anonymous"
	Admin bool
}

type principalKey struct{}

// From gives the request's principal.
func From(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}

const cookieName = "situ_session"

// key finds the key in a request: Bearer, Basic password, ClickHouse's header, or the cookie that /login sets.
func key(r *http.Request) string {
	auth := r.Header.Get("Authorization")
	if s, ok := strings.CutPrefix(auth, "Bearer "); ok {
		return strings.TrimSpace(s)
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	if s := r.Header.Get("X-ClickHouse-Key"); s != "" {
		return s
	}
	if c, err := r.Cookie(cookieName); err == nil {
		return c.Value
	}
	return ""
}

// need is what a path asks for.
type need int

const (
	needAdmin need = iota // the zero value, so that a path nobody thought of is closed
	needMap               // anonymous where Keys.Anonymous says so
	needNone
)

// needOf classifies a request. Writes always need the key.
func needOf(r *http.Request) need {
	p := r.URL.Path
	switch {
	case p == "/healthz" || p == "/readyz" || p == "/login" || strings.HasPrefix(p, "/assets/") || p == "/icon.svg":
		return needNone
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return needAdmin
	case p == "/" || p == "/index.html" || p == "/openapi.json" || p == "/metrics",
		p == "/v1/status", p == "/v1/properties", p == "/v1/models", p == "/v1/divisions", p == "/v1/divisions.geojson",
		p == "/live", strings.HasPrefix(p, "/tiles/"),
		strings.HasPrefix(p, "/v1/cells/"), p == "/v1/things", strings.HasPrefix(p, "/v1/things/"), p == "/v1/observations":
		return needMap
	}
	return needAdmin
}

// guard lets a request through, or says 401 (or, to a browser asking for the page, shows the way in).
func (k *Keys) guard(next http.Handler, denied func(path string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := Principal{Name: "anonymous"}
		given := key(r)
		if k.Is(given) {
			who = Principal{Name: "admin", Admin: true}
		}
		n := needOf(r)
		switch {
		case who.Admin && sameOrigin(r), n == needNone, n == needMap && k.Anonymous && thisMachine(r.Host):
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, who)))
			return
		case r.URL.Path == "/":
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		denied(r.URL.Path)
		w.Header().Set("WWW-Authenticate", `Bearer realm="situ"`)
		detail := "this path needs a key: send it as 'Authorization: Bearer situ_...'"
		switch {
		case who.Admin:
			detail = "a page of another site may not write here with this browser's key"
		case given != "":
			detail = "the key is not known"
		}
		problem(w, http.StatusUnauthorized, "no access", detail)
	})
}

// thisMachine reports whether the browser was told the address of this machine itself. A foreign page may have its own
// name point here, and would read the map as its own site; it cannot choose the Host that its browser sends.
func thisMachine(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return ip != nil && ip.IsLoopback()
}

// sameOrigin refuses a write that a foreign page makes a browser send with our cookie.
func sameOrigin(r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Header.Get("Authorization") != "" {
		return true
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "same-origin" || site == "none"
}

const loginPage = `<!doctype html><html lang="zh"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>situ</title><style>body{background:#0b1118;color:#d7e0ea;font:16px system-ui;display:grid;place-items:center;height:100vh;margin:0}
form{display:grid;gap:12px;width:340px}input,button{font:inherit;padding:10px;border-radius:6px;border:1px solid #33475b;background:#121c27;color:inherit}
button{background:#1f6feb;border:0;cursor:pointer}small{color:#8aa0b5}</style>
<form method="post" action="/login"><b>situ</b><label for="k">密钥 / key</label>
<input id="k" name="key" type="password" autocomplete="current-password" autofocus required>
<button>进入 / enter</button><small>启动时打印一次 / printed once at the first start: situ_admin_...</small></form></html>`

// login shows the form and trades a key for a session cookie of this browser.
func (k *Keys) login(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if r.Method != http.MethodPost {
		_, _ = w.Write([]byte(loginPage))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	given := r.PostFormValue("key")
	if !k.Is(given) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(loginPage))
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: given, Path: "/", HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
