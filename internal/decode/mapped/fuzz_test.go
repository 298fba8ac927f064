package mapped

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

// What decodetest.Invariants lists, for any payload.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{oneReport, `{"data":{}}`, `{"data":[null,1,"x",[],{"sn":1,"ts":"2026-01-01T00:00:00Z","n":"k","v":"\u00b0"}]}`, `[`, "\ufeff{}",
		`{"data":[{"sn":1e999,"ts":1e20,"pos":[1],"dust":"x","ok":3}]}`, strings.Repeat("[", 100), `{"a":"\ud800"}`, `{"data":[{"v":-0}]}`} {
		f.Add([]byte(seed))
	}
	m := vendor()
	m.Values = m.Values[:1]
	m.Values = append(m.Values, Value{Key: "item.n", Value: "item.v"}, Value{Property: "all", Value: "len(filter(payload.data, #.ok == true))"})
	d := decoder(f, m, decode.Settings{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > 64 && strings.Count(string(payload), "{") > len(payload)/4 {
			t.Skip("three values an object: more readings than bytes are meant to be possible")
		}
		decodetest.Invariants(t, d, payload)
	})
}

// The documents are those of encoding/json, where that takes them too.
func FuzzTree(f *testing.F) {
	for _, seed := range []string{oneReport, `[1,2.5,-3e2,"a\n\u00e9",true,false,null,{}]`, `{"a":1,"a":2}`, `[1,]`, `01`, `"\x"`, " [ ] ", `{"a" : [ { } ] }`} {
		f.Add([]byte(seed))
	}
	var tr tree
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, _, err := tr.read(b)
		var want any
		if wantErr := json.Unmarshal(b, &want); wantErr != nil || !utf8.Valid(b) {
			if err == nil && utf8.Valid(b) && !strings.HasPrefix(string(b), "\ufeff") && !strings.Contains(wantErr.Error(), "cannot unmarshal number") {
				t.Fatalf("%q was read as %v; encoding/json says %v", b, doc, wantErr)
			}
			return
		}
		if errors.Is(err, decode.ErrBound) || len(b) > MaxText {
			return
		}
		if err != nil || !reflect.DeepEqual(doc, want) {
			t.Fatalf("%q is %#v, %v; encoding/json says %#v", b, doc, err, want)
		}
	})
}

// Any text is refused with a place or compiled, and what is compiled ends, in a value or an error.
func FuzzExpression(f *testing.F) {
	for _, seed := range []string{"item.dust / 10", `"ch" + string(item.n)`, "filter(payload.a, # > 1)[0].b", "a ?? b", "1 + 2 * -x", `split(payload.s, ",")`,
		"entries(payload)", "all(payload.a, any(payload.a, # == 1)) ? 1 : payload?.a", `payload.s matches "a+"`, "payload.a[1:2]", "not true", "map(payload.a, [#, #])"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Compile(&Mapping{Values: []Value{{Property: "v", Value: text}}}, "json", decode.Settings{}, []string{"site"})
		if err != nil {
			if !errors.Is(err, ErrMapping) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		d := p.NewState(nil).On("a", "o", map[string]string{"site": "n"})
		if _, err := decodetest.Invariants(t, d, []byte(`{"a":[1,2,{"b":3}],"s":"1,2","n":4,"o":{"x":1},"t":true,"z":null}                              `)); err != nil && !errors.Is(err, decode.ErrBound) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
