package mapped

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/json"
)

// vendor is a mapping of a payload such as many vendors send.
func vendor() *Mapping {
	return &Mapping{
		Each: "payload.data", Time: "item.ts * 1000", Lon: "item.pos[0]", Lat: "item.pos[1]", Thing: "{site}-{item.sn}",
		Values: []Value{
			{Property: "pm2_5", Value: "item.dust / 10", Unit: "ug/m3", When: "item.ok"},
			{Key: `"ch" + string(item.n)`, Value: "item.v"},
		},
	}
}

func decoder(t testing.TB, m *Mapping, s decode.Settings) *Decoder {
	t.Helper()
	p, err := Compile(m, "json", s, []string{"site"})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := json.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return p.NewState(inner).On("acme/north/up", "acme", map[string]string{"site": "north"})
}

func show(rs []decode.Reading) string {
	var b strings.Builder
	for _, r := range rs {
		fmt.Fprintf(&b, "%s %s=%s ", r.Thing, r.Key, r.Property)
		if r.Err != nil {
			fmt.Fprintf(&b, "%v [%s]\n", r.Err, decode.ReasonOf(r.Err))
			continue
		}
		fmt.Fprintf(&b, "%v%s %s t%d %v%v\n", r.Number, r.Text, r.Unit, r.Time, r.HasPosition, r.Position)
	}
	return b.String()
}

func TestVendor(t *testing.T) {
	d := decoder(t, vendor(), decode.Settings{})
	out, err := d.Decode(nil, []byte(`{"data":[
		{"sn":17,"ts":1767225600,"pos":[106.55,29.56],"dust":352,"ok":true,"n":1,"v":"23.5"},
		{"sn":"b","ts":1767225601,"pos":[106.55,29.56],"dust":352,"ok":false,"n":2,"v":true},
		{"sn":"c","ts":"no","n":3,"v":3},
		{"ts":1767225600,"n":4,"v":4},
		{"sn":"e","dust":"x","ok":true,"n":1.5,"v":5}
	]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `acme/north-17 pm2_5=pm2_5 35.2 ug/m3 t1767225600000 true{106.55 29.56}
acme/north-17 ch1=ch1 23.5  t1767225600000 true{106.55 29.56}
acme/north-b ch2=ch2 1  t1767225601000 true{106.55 29.56}
acme/north-c ch3=ch3 json field "report 2, time": "item.ts * 1000", column 9: invalid operation: string * int: payload breaks the format's grammar [malformed]
 ch4=ch4 json field "report 3, thing": the payload has no {item.sn}, which names the Thing: does not say of which Thing it is [thing]
acme/north-e pm2_5=pm2_5 json field "report 4, values[0].value": "item.dust / 10", column 11: invalid operation: string / int: payload breaks the format's grammar [malformed]
acme/north-e ch1.5=ch1.5 5  t0 false{0 0}
`
	if got := show(out); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// One expression each: its value, or the text of what is wrong with it.
func TestExpressions(t *testing.T) {
	const payload = `{"a":[1,2,3],"o":{"y":{"k":2},"x":{"k":1}},"s":"12,34","n":5,"z":null,"yes":true,"big":1e999,"no":"","w":"ok","neg":-3}`
	for _, c := range []struct{ expression, want string }{
		{`payload.n`, "5"}, {`item.n`, "5"}, {`payload.n + 1`, "6"}, {`payload.n + payload.a[0]`, "6"}, {`payload.a[-1]`, "3"},
		{`payload.a[3]`, "nothing"}, {`payload.o.x.k`, "1"}, {`payload.q.r.s`, "nothing"}, {`payload.q * 2`, "nothing"},
		{`(payload.q ?? 3) * 2`, "6"}, {`payload?.q?.r`, "nothing"}, {`payload.yes ? 1 : 2`, "1"}, {`payload.yes`, "1"},
		{`sum(payload.a)`, "6"}, {`len(filter(payload.a, # > 1))`, "2"}, {`max(payload.a)`, "3"}, {`abs(payload.neg)`, "3"},
		{`float(split(payload.s, ",")[1])`, "34"}, {`entries(payload.o)[0].value.k`, "1"}, {`entries(payload.o)[1].key`, "y"},
		{`payload.w`, "ok"}, {`payload.w + "!"`, "ok!"}, {`payload.no`, "nothing"}, {`payload.z`, "nothing"}, {`index`, "0"},
		{`part.site`, "north"}, {`topic`, "acme/north/up"}, {`upper(part.site)`, "NORTH"}, {`payload.n == payload.a[0]`, "0"},
		{`payload.n != payload.a[0]`, "1"}, {`payload.w matches "^o"`, "1"}, {`payload.n in payload.a`, "0"}, {`count(payload.a, # > 1) + 1`, "3"},
		{`payload.big`, "beyond float64"}, {`payload.big + 1`, "a number beyond float64 + int"}, {`payload.n / 0`, "not a finite number"},
		{`payload.o`, "gives an object"}, {`payload.o == payload.o`, "an object == an object"}, {`payload.w * 2`, "invalid operation"},
		{`string(payload.o)`, "string(an object)"}, {`payload.w + 1`, "invalid operation"}, {`payload.w[0:1]`, "o"}, {`int(payload.w)`, "int"},
		{`payload["w"]`, "ok"}, {`find(payload.a, # > 1)`, "2"}, {`all(payload.a, any(payload.a, # > 0))`, "1"},

		{`item.`, "values[0].value: column 5: the expression ends too early"}, {`foo`, "values[0].value: column 1: unknown name foo"}, {`now()`, "column 1: unknown name now"},
		{`part.nix`, "column 6: unknown field nix"}, {`1..9`, "column 2: ranges"}, {`let a = 1; a`, "not taken"}, {`1; 2`, "not taken"},
		{`{"a": 1}.a`, "not taken"}, {`repeat("a", 9)`, "unknown name repeat"}, {`reduce(payload.a, #acc + #)`, "unknown name reduce"},
		{`sort(payload.a)`, "unknown name sort"}, {`keys(payload.o)`, "unknown name keys"}, {`payload.w matches payload.s`, "must be written out"},
		{`map(payload.a, map(payload.a, map(payload.a, #)))`, "more than 2 deep"}, {`map(payload.a, map(payload.a, sum(payload.a)))`, "more than 2 deep"},
		{`payload.f()`, "only functions"}, {`$env.payload.n`, "$env"}, {strings.Repeat("1+", 200) + "1", "nodes"}, {strings.Repeat("(", 3000), "3000 bytes"},
		{`fromJSON("1")`, "unknown name fromJSON"}, {`date("2026-01-01")`, "unknown name date"},
	} {
		got := ""
		p, err := Compile(&Mapping{Values: []Value{{Property: "v", Value: c.expression}}}, "json", decode.Settings{}, []string{"site"})
		if err != nil {
			got = err.Error()
			if !errors.Is(err, ErrMapping) {
				t.Errorf("%s: %v is no ErrMapping", c.expression, err)
			}
		} else {
			out, err := p.NewState(nil).On("acme/north/up", "acme", map[string]string{"site": "north"}).Decode(nil, []byte(payload))
			switch {
			case err != nil:
				got = err.Error()
			case len(out) == 0:
				got = "nothing"
			case out[0].Err != nil:
				got = out[0].Err.Error()
			case out[0].Text != "":
				got = out[0].Text
			default:
				got = fmt.Sprint(out[0].Number)
			}
		}
		if got != c.want && (len(c.want) < 3 || !strings.Contains(got, c.want)) {
			t.Errorf("%.80s: %s, want %s", c.expression, got, c.want)
		}
	}
}
