package doc

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
)

// same compares what Members and gjson find in a value, all the way down.
func same(t *testing.T, w *Walk, v gjson.Result) {
	t.Helper()
	if v.Type != gjson.JSON {
		return
	}
	m := w.Members(v)
	v.ForEach(func(key, want gjson.Result) bool {
		if !m.Next() {
			t.Fatalf("%.80q ends before %.80q", v.Raw, want.Raw)
		}
		got := m.Value()
		if name := key.Str; name != m.Name() && !lone(key.Raw) {
			t.Fatalf("%.80q: %q, want %q", v.Raw, m.Name(), name)
		}
		if raw := strings.TrimRight(want.Raw, " \t\r\n"); got.Raw != raw || got.Type != want.Type || got.Num != want.Num || got.Index != want.Index || got.Str != want.Str && !lone(raw) {
			t.Fatalf("%.80q: %#v, want %#v", v.Raw, got, want)
		}
		same(t, w, got)
		return true
	})
	if m.Next() {
		t.Fatalf("%.80q has %q besides", v.Raw, m.Name())
	}
}

// lone: gjson makes one U+FFFD of half a surrogate pair and whatever escape follows it, encoding/json one of each.
func lone(raw string) bool { return strings.Contains(strings.ToLower(raw), `\ud`) }

func TestMembers(t *testing.T) {
	w := newWalk(t)
	for _, payload := range []string{
		`{}`, `[]`, ` [ ] `, `{"a":1}`, `[[],[[]],{}]`, "\ufeff { \"a\" : [ 1 , { \"b\" : \"x\" , \"c\":-2.5e3 } ] , \"d\" : { \"e\" : true } } \n",
		`{"long text of more than eight bytes":"and its value, with a \"quote\" and \u00b0","":null,"\ud83d\ude00\t":"\ud83d\ude00 \/\b\f\n\r\t\\"}`,
		`{"a":1,"a":{"a":[false,1e400,-0]}}`,
	} {
		root, err := w.Begin(nil, []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		if root.Get("@this").Raw != strings.TrimSpace(strings.TrimPrefix(payload, "\ufeff")) {
			t.Errorf("%q: root %q", payload, root.Raw)
		}
		same(t, w, root)
		same(t, w, gjson.Parse(`{"no piece":["of it",{"gjson":"\u0061"}]}`))
	}
	for _, none := range []string{"7", `{"a":not JSON}`, ""} {
		if m := w.Members(gjson.Parse(none)); m.Next() {
			t.Errorf("%s has members", none)
		}
	}
}

// A document in a string: its values are read, and what is wrong with one of them is said at the string's place.
func TestInner(t *testing.T) {
	w := newWalk(t)
	const payload = `{"text":"{\"a\":{\"b\\\"\":1e400},\"c\":\"\\u00b0\"}","plain":"[1,2]","broken":"{","empty":""}`
	root, err := w.Begin(nil, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := w.Inner(root.Get("text"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, w, inner)
	w.Flatten("", inner, nil)
	if got, err := w.Inner(root.Get("plain")); err != nil || got.Raw != "[1,2]" {
		t.Errorf("%v %v", got, err)
	} else {
		w.Flatten("list", got, nil)
	}
	for _, name := range []string{"broken", "empty"} {
		if _, err := w.Inner(root.Get(name)); !errors.Is(err, decode.ErrTruncated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	same(t, w, root)
	out, err := w.End()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range out {
		lines = append(lines, fmt.Sprintf("%s=%v%s", r.Key, r.Number, r.Text))
	}
	if got := strings.Join(lines, " "); got != `a.b"=0 c=0° list.0=1 list.1=2` {
		t.Error(got)
	}
	var where *decode.Error
	if !errors.As(out[0].Err, &where) || where.Offset != strings.Index(payload, `"{`) || where.Field != `a.b"` {
		t.Errorf("%v", out[0].Err)
	}
}

// So many values that nobody could want them cost their payload, and no room is kept for them.
func TestTooManyValues(t *testing.T) {
	w := newWalk(t)
	many := "[" + strings.Repeat("0,", MaxValues) + "0]"
	if _, err := w.Begin(nil, []byte(many)); !errors.Is(err, decode.ErrBound) {
		t.Error(err)
	}
	if _, err := w.Begin(nil, []byte(many[2:])); !errors.Is(err, decode.ErrMalformed) {
		t.Error(err)
	}
	if cap(w.nodes) > keep {
		t.Errorf("room for %d values is kept", cap(w.nodes))
	}
	if _, err := w.BeginText(nil, []byte("x")); err != nil {
		t.Error(err)
	}
	same(t, w, gjson.Parse("[0]"))
}
