package registry

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/situ-city/situ/pkg/sensor"
)

func testCredentials(t *testing.T, db fresh) {
	path := db(t)
	r := open(t, path)
	if _, ok := r.CheckCredential("city", nil); ok {
		t.Error("let in where nobody has a credential")
	}
	first, err := r.IssueCredential(t.Context(), "city", "city/*")
	if err != nil || len(first) != 43 {
		t.Fatalf("password %q, %v", first, err)
	}
	other, err := r.IssueCredential(t.Context(), "town/one", "town/one")
	if err != nil || other == first {
		t.Fatal(err)
	}
	check := func(r *Registry, user, password string, want TopicScope) {
		t.Helper()
		if got, ok := r.CheckCredential(user, []byte(password)); got != want || ok != (want != "") {
			t.Errorf("%s with %.4s...: scope %q %v, want %q", user, password, got, ok, want)
		}
	}
	check(r, "city", first, "city")
	check(r, "town/one", other, "town/one")
	check(r, "city", other, "")
	check(r, "city", "", "")
	check(r, "city", first+"x", "")
	check(r, "nobody", first, "")
	check(r, "", "", "")

	second, err := r.IssueCredential(t.Context(), "city", "*")
	if err != nil {
		t.Fatal(err)
	}
	check(r, "city", first, "")
	check(r, "city", second, "*")
	if err := r.RevokeCredential(t.Context(), "town/one"); err != nil {
		t.Fatal(err)
	}
	check(r, "town/one", other, "")
	if err := r.RevokeCredential(t.Context(), "town/one"); !errors.Is(err, ErrCredential) {
		t.Errorf("revoked twice: %v", err)
	}

	again := open(t, path)
	check(again, "city", second, "*")
	check(again, "town/one", other, "")
	for _, c := range again.Credentials() {
		if c.Created.IsZero() || (c.User == "city") != (c.Rotated != nil) || (c.User == "city") != (c.Revoked == nil) {
			t.Errorf("listed %+v", c)
		}
	}
	third, err := again.IssueCredential(t.Context(), "town/one", "town")
	if err != nil {
		t.Fatal(err)
	}
	check(r, "town/one", third, "") // not known here yet
	if _, err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(r, "town/one", third, "town")
	for _, kept := range keptOfCredentials(t, r) {
		for _, p := range []string{first, second, other, third} {
			if strings.Contains(kept, p) {
				t.Errorf("the database holds a password: %.8s...", p)
			}
		}
	}
}

// keptOfCredentials is what the disk holds of them: the files of SQLite, the rows of PostgreSQL.
func keptOfCredentials(t *testing.T, r *Registry) (kept []string) {
	t.Helper()
	if r.words.advance == "" {
		for _, suffix := range []string{"", "-wal"} {
			file, err := os.ReadFile(r.name + suffix)
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, string(file))
		}
		return kept
	}
	rows, err := r.read.QueryContext(t.Context(), "SELECT credentials::text || encode(hash, 'escape') FROM credentials")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		kept = append(kept, "")
		if err := rows.Scan(&kept[len(kept)-1]); err != nil {
			t.Fatal(err)
		}
	}
	if len(kept) != 2 {
		t.Errorf("%d credentials kept, %v", len(kept), rows.Err())
	}
	return kept
}

func testCredentialRefusals(t *testing.T, db fresh) {
	r := db.openNew(t)
	for _, user := range []string{"", "a b", "a\n", strings.Repeat("x", 129), "\xff"} {
		if _, err := r.IssueCredential(t.Context(), user, "city"); !errors.Is(err, ErrUser) {
			t.Errorf("user %q: %v", user, err)
		}
	}
	for _, scope := range []TopicScope{"", "/", "a/", "/b", "a/b/c", "#", "a/+", "**", "situ/v1/a"} {
		if _, err := r.IssueCredential(t.Context(), "u", scope); !errors.Is(err, ErrScope) {
			t.Errorf("scope %q: %v", scope, err)
		}
	}
	if n := len(r.Credentials()); n != 0 {
		t.Errorf("%d credentials", n)
	}
}

func TestScope(t *testing.T) {
	for _, c := range []struct {
		scope TopicScope
		topic string
		thing sensor.ThingID
		want  bool
	}{
		{"*", "situ/v1/a/b/json", "a/b", true},
		{"a", "situ/v1/a/b/json", "a/b", true},
		{"a/b", "situ/v1/a/b/json", "a/b", true},
		{"a/b", "situ/v1/a/b/json/more", "a/b", true},
		{"a/b", "situ/v1/a/bc/json", "a/bc", false},
		{"a/b", "situ/v1/a/c/json", "a/c", false},
		{"a", "situ/v1/ab/b/json", "ab/b", false},
		{"a/b", "situ/v1/a/b/", "a/b", true},
		{"", "situ/v1/a/b/json", "a/b", false},
	} {
		if got := c.scope.Allows(c.thing); got != c.want {
			t.Errorf("%q allows %s: %v", c.scope, c.thing, got)
		}
		if got := c.scope.AllowsTopic(c.topic); got != c.want {
			t.Errorf("%q allows %s: %v", c.scope, c.topic, got)
		}
	}
	for _, topic := range []string{"", "situ/v1/", "situ/v1/a", "situ/v1/a/b", "situ/v1//b/json", "situ/v1/a//json", "x/v1/a/b/json", "$SYS/a/b/c"} {
		if TopicScope("*").AllowsTopic(topic) {
			t.Errorf("* allows %q", topic)
		}
	}
}
