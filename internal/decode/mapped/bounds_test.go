package mapped

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/decode"
)

// What would take the machine's time or memory is refused, whatever the configuration asks and the payload holds.
func TestBounds(t *testing.T) {
	ones := "[" + strings.TrimSuffix(strings.Repeat("1,", 4000), ",") + "]"
	text := strings.Repeat("x", 3000)
	for _, c := range []struct {
		name, each, value, payload string
		cause                      error
	}{
		{"loops over loops", "payload.a", "len(filter(payload.a, # > 0))", `{"a":` + ones + `}`, decode.ErrBound},
		{"a loop in a loop", "", "count(payload.a, any(payload.a, # == 2))", `{"a":` + ones + `}`, decode.ErrBound},
		{"text grows", "", "len(payload.s + payload.s)", `{"s":"` + text + `"}`, decode.ErrBound},
		{"text grows in a loop", "", `len(map(payload.a, payload.s + payload.s)[0])`, `{"a":[1],"s":"` + text + `"}`, decode.ErrBound},
		{"arrays grow", "", "len(map(payload.a, map(payload.a, 1)))", `{"a":` + ones[:1000] + `1]}`, decode.ErrBound},
		{"long text", "", "payload.s", `{"s":"` + strings.Repeat("y", MaxText+1) + `"}`, decode.ErrMalformed},
		{"nested", "", "payload.a", strings.Repeat(`{"a":`, 10_000), decode.ErrBound},
		{"nested arrays", "", "payload.a", strings.Repeat(`[`, 1<<20), decode.ErrBound},
		{"many members", "", "payload.a", "[" + strings.Repeat("1,", 1<<19) + "1]", decode.ErrBound},
		{"many readings", "payload", "1", "[" + strings.TrimSuffix(strings.Repeat("1,", decode.MaxReadings+1), ",") + "]", decode.ErrBound},
		{"many pieces", "", `len(split(payload.s, ","))`, `{"s":"` + strings.Repeat(",", 300) + `"}`, decode.ErrBound},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := decoder(t, &Mapping{Each: c.each, Values: []Value{{Property: "v", Value: c.value}}}, decode.Settings{})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			out, err := d.Decode(nil, []byte(c.payload))
			runtime.ReadMemStats(&after)
			if err == nil && len(out) == 1 {
				err = out[0].Err
			}
			if !errors.Is(err, c.cause) {
				t.Errorf("%v, want %v", err, c.cause)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
				t.Errorf("%d MiB allocated", used>>20)
			}
		})
	}
}

// A replay must give what the first reading gave: nothing depends on the order of a map.
func TestEntriesHaveAnOrder(t *testing.T) {
	var payload strings.Builder
	payload.WriteString(`{"s":{`)
	for i := range 50 {
		fmt.Fprintf(&payload, `"k%02d":{"v":%d},`, 49-i, 49-i)
	}
	payload.WriteString(`"z":{"v":50}}}`)
	d := decoder(t, &Mapping{Each: "entries(payload.s)", Values: []Value{{Key: "item.key", Value: "item.value.v"}}}, decode.Settings{})
	for range 5 {
		out, err := d.Decode(nil, []byte(payload.String()))
		if err != nil || len(out) != 51 {
			t.Fatal(len(out), err)
		}
		for i := range out {
			if out[i].Number != float64(i) {
				t.Fatalf("reading %d is %v", i, out[i])
			}
		}
	}
}

// Names, units and identity around a protocol's own decoder.
func TestRelabel(t *testing.T) {
	d := decoder(t, &Mapping{Thing: "{site}-{payload.dev.sn}", Rename: map[string]string{"temp": "air_temperature"}, Units: map[string]string{"temp": "Cel", "hum": "%"}}, decode.Settings{})
	out, err := d.Decode(nil, []byte(`{"dev":{"sn":"7"},"temp":21.5,"hum":40}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `acme/north-7 dev.sn=dev.sn 7  t0 false{0 0}
acme/north-7 temp=air_temperature 21.5 Cel t0 false{0 0}
acme/north-7 hum=hum 40 % t0 false{0 0}
`
	if got := show(out); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	out, err = d.Decode(nil, []byte(`{"temp":21.5}`))
	if err != nil || len(out) != 1 || !errors.Is(out[0].Err, decode.ErrThing) {
		t.Errorf("%+v, %v", out, err)
	}
}

// What a Mapping may not say, and how it is said.
func TestMappingErrors(t *testing.T) {
	v := []Value{{Property: "v", Value: "item.v"}}
	for _, c := range []struct {
		m        Mapping
		protocol string
		says     string
	}{
		{Mapping{Each: "payload.a"}, "json", "values: is empty"},
		{Mapping{Values: v}, "hj212", "protocol json"},
		{Mapping{Values: v, Lon: "item.x"}, "json", "go together"},
		{Mapping{Values: []Value{{Value: "1"}}}, "json", "values[0]: property and key are both empty"},
		{Mapping{Values: []Value{{Property: "v"}}}, "json", "values[0].value: is empty"},
		{Mapping{Values: []Value{v[0], {Property: "v", Value: "1", Unit: "bananas"}}}, "json", "values[1].unit"},
		{Mapping{Values: []Value{{Property: "v", Value: "1", Statistic: "often"}}}, "json", "values[0].statistic"},
		{Mapping{Units: map[string]string{"a": "bananas"}}, "hj212", `units: "a"`},
		{Mapping{Rename: map[string]string{"a": " "}}, "hj212", `rename: "a" has no property`},
		{Mapping{Thing: "{nix}"}, "hj212", "{nix} is none of the topics' parts ({site})"},
		{Mapping{Thing: "a/b"}, "hj212", "has no }, /"},
		{Mapping{Thing: "{site"}, "hj212", "without '}'"},
		{Mapping{Thing: "{payload.a.#}"}, "json", "names with '.'"},
		{Mapping{Thing: "{serial}", Values: v}, "json", "{payload.NAME} and {item.NAME}"},
	} {
		if _, err := Compile(&c.m, c.protocol, decode.Settings{}, []string{"site"}); !errors.Is(err, ErrMapping) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.m, err, c.says)
		}
	}
}
