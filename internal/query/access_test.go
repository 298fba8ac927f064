package query

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A foreign page whose name is made to point at this machine used to read the open map as if it sat here.
func TestForeignNamesForThisMachineNeedTheKey(t *testing.T) {
	k, made, err := OpenKeys(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	k.Anonymous = true
	h := k.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), func(string) {})
	for host, want := range map[string]int{
		"localhost": 200, "LocalHost:8080": 200, "127.0.0.1:8080": 200, "127.9.9.9": 200, "[::1]:8080": 200, "[::1]": 200,
		"evil.example": 401, "evil.example:8080": 401, "localhost.evil.example": 401, "127.0.0.1.evil.example": 401,
		"192.0.2.1:8080": 401, "": 401,
	} {
		r := httptest.NewRequest(http.MethodGet, "/v1/things", nil)
		r.Host = host
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
		r.Header.Set("Authorization", "Bearer "+made)
		w = httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Errorf("Host %q with the key: %d", host, w.Code)
		}
	}
}
