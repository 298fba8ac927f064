package doc

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		payload string
		cause   error
		at      int
	}{
		{"", decode.ErrEmpty, 0},
		{" \r\n\t", decode.ErrEmpty, 4},
		{"\ufeff", decode.ErrEmpty, 3},
		{`{"a":1}`, nil, 0},
		{"\ufeff {\"a\":1}\n", nil, 4},
		{`[]`, nil, 0},
		{`{"a":[1,2.5e-3,-0,true,false,null,"\u00b0\n"],"":{}}`, nil, 0},
		{`{"a":\xff}`, decode.ErrMalformed, 5},
		{"{\"a\":\"\xff\"}", decode.ErrEncoding, 6},
		{`{"a":1`, decode.ErrTruncated, 6},
		{`{"a":"x`, decode.ErrTruncated, 7},
		{`{"a":`, decode.ErrTruncated, 5},
		{`{"a":tru`, decode.ErrTruncated, 8},
		{`{"a":1}}`, decode.ErrMalformed, 7},
		{`{"a":1,}`, decode.ErrMalformed, 7},
		{`{"a":,"b":1}`, decode.ErrMalformed, 5},
		{`{a:1}`, decode.ErrMalformed, 1},
		{`{'a':1}`, decode.ErrMalformed, 1},
		{`{"a" 1}`, decode.ErrMalformed, 5},
		{`[1 2]`, decode.ErrMalformed, 3},
		{`[1,]`, decode.ErrMalformed, 3},
		{`[,1]`, decode.ErrMalformed, 1},
		{`[1}`, decode.ErrMalformed, 2},
		{`{"a":NaN}`, decode.ErrMalformed, 5},
		{`{"a":Infinity}`, decode.ErrMalformed, 5},
		{`{"a":01}`, decode.ErrMalformed, 6},
		{`{"a":1.}`, decode.ErrMalformed, 7},
		{`{"a":.5}`, decode.ErrMalformed, 5},
		{`{"a":1e}`, decode.ErrMalformed, 7},
		{`{"a":-}`, decode.ErrMalformed, 6},
		{`{"a":"\q"}`, decode.ErrMalformed, 7},
		{`{"a":"\u00g0"}`, decode.ErrMalformed, 10},
		{"{\"a\":\"\x01\"}", decode.ErrMalformed, 6},
		{"{\"a\":1\x00}", decode.ErrMalformed, 6},
		{strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth), nil, 0},
		{strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), decode.ErrBound, MaxDepth},
		{strings.Repeat(`{"a":`, 10000), decode.ErrBound, 5 * MaxDepth},
		{strings.Repeat(" ", MaxSize) + "1", decode.ErrBound, MaxSize},
	} {
		root, err := Parse("test", []byte(c.payload))
		short := c.payload[:min(len(c.payload), 40)]
		if !errors.Is(err, c.cause) {
			t.Errorf("%q: %v, want %v", short, err, c.cause)
			continue
		}
		at := root.Index
		var where *decode.Error
		if errors.As(err, &where) {
			at = where.Offset
		}
		if at != c.at {
			t.Errorf("%q: at %d, want %d (%v)", short, at, c.at, err)
		}
	}
}

// Every value's Index is its place in the payload, at any depth and behind a byte order mark.
func TestIndex(t *testing.T) {
	payload := "\ufeff { \"a\" : [ 1 , { \"b\" : \"x\" , \"c\":-2.5 } ] , \"d\" : { \"e\" : true } }"
	root, err := Parse("test", []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(v gjson.Result)
	walk = func(v gjson.Result) {
		if v.Index == 0 || !strings.HasPrefix(payload[v.Index:], v.Raw) {
			t.Errorf("%q is not at %d", v.Raw, v.Index)
		}
		n++
		if v.Type == gjson.JSON {
			v.ForEach(func(_, member gjson.Result) bool { walk(member); return true })
		}
	}
	walk(root)
	if n != 8 {
		t.Errorf("%d values, want 8", n)
	}
	if e := root.Get("d.e"); payload[e.Index:e.Index+4] != "true" {
		t.Errorf("d.e at %d", e.Index)
	}
}

// FuzzParse: what encoding/json calls valid passes, but for its depth, and nothing else; the payload stays as it is.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e3,"x\u00b0",null,true,false,{}]}`, `[[[]]]`, "\ufeff1", `"`, `{"a":1e999}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		before := bytes.Clone(payload)
		root, err := Parse("test", payload)
		if !bytes.Equal(before, payload) {
			t.Fatalf("payload changed to %q", payload)
		}
		valid := json.Valid(bytes.TrimPrefix(payload, []byte("\ufeff"))) && utf8.Valid(payload)
		if valid != (err == nil) && !errors.Is(err, decode.ErrBound) {
			t.Fatalf("%v, valid %t", err, valid)
		}
		w := newWalk(t)
		if root, err := w.Begin(nil, payload); err == nil {
			same(t, w, root)
		}
		if err == nil && !root.Exists() {
			t.Fatal("no root")
		}
	})
}
