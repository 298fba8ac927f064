package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/deadletter"
	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/decode/mapped"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/sensor"
)

// A dead letter says where it came from and which readings it stands for, and reading it again gives those and no others,
// as a PUBLISH would today.
func TestDeadLettersAreReadAgain(t *testing.T) {
	r := newRig(t, func(_ *Config, o *normalize.Options) { o.AutoRegister = false })
	if _, err := r.reg.PutThing(t.Context(), &sensor.Thing{ID: "ecology/t1"}); err != nil {
		t.Fatal(err)
	}
	c := r.connect("ecology", r.password)
	now := time.Now().UnixMilli()
	publish(t, c, "situ/v1/ecology/t1/json", fmt.Sprintf(`[{"t":%d,"pm2_5":1,"pm10":1e400},{"t":"1999-01-01T00:00:00Z","pm2_5":2},{"t":%d,"pm2_5":3,"nonsense":4}]`, now, now))
	publish(t, c, "situ/v1/ecology/t2/json", `{"pm2_5":5,"pm10":6}`)
	m := r.messages(sensor.Live)
	letters := append(m[0].DeadLetters, m[1].DeadLetters...)
	if len(m[0].Observations) != 2 || len(letters) != 4 {
		t.Fatalf("%+v", m)
	}
	cat, err := sensor.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	sources := []Source{{Name: "plant", Broker: "tcp://b", Topics: []string{"factory/{thing}"}, Owner: "plant", Protocol: "json"}}
	again, err := NewAgain(sources, all.Protocols(), func() *normalize.Normalizer {
		return normalize.New(normalize.Options{Catalogue: cat, Ledger: func() normalize.Ledger { return r.reg.Snapshot() }})
	})
	if err != nil {
		t.Fatal(err)
	}
	read := func(l sensor.DeadLetter, payload []byte, clock deadletter.Clock) string {
		o, err := sensor.ParseOrdinals(l.Readings)
		if err != nil {
			t.Fatal(err)
		}
		got := again.Read(&sensor.LoggedDeadLetter{Arrival: m[0].Arrival, DeadLetter: l}, payload, func(i int, _ string) bool { return l.Readings == "" || o.Has(i) }, clock)
		if got.Refused != nil {
			return string(got.Refused.Reason) + ": " + got.Refused.Detail
		}
		text := ""
		for _, v := range got.Values {
			if v.Refused != nil {
				text += fmt.Sprintf("%d %s; ", v.Ordinal, v.Refused.Reason)
				continue
			}
			text += fmt.Sprintf("%d %g %s %d; ", v.Ordinal, v.Observation.Result, v.Observation.Quality&^sensor.UnitAssumed, v.Observation.PhenomenonTime-m[0].Arrival)
		}
		return text
	}
	if _, err := r.reg.PutThing(t.Context(), &sensor.Thing{ID: "ecology/t2"}); err != nil { // what was wrong is mended
		t.Fatal(err)
	}
	for i, k := range []struct{ readings, field, plain, corrected string }{
		{"1", "pm10", "1 number; ", "1 number; "},
		{"2", "pm2_5", "2 time; ", "2 2 clock_skew|no_time 0; "},
		{"4", "nonsense", "4 property; ", "4 property; "},
		{"0-1", "", "0 5 no_time 0; 1 6 no_time 0; ", "0 5 clock_skew|no_time 0; 1 6 clock_skew|no_time 0; "},
	} {
		l, payload := letters[i], letters[0].Payload
		if i == 3 {
			payload = l.Payload
		}
		if l.Readings != k.readings || l.Field != k.field || l.User != "ecology" || l.Client != "t-ecology" || l.Packet == 0 || l.QoS != 1 {
			t.Errorf("letter %d: %+v", i, l)
		}
		if got := read(l, payload, deadletter.Clock{}); got != k.plain {
			t.Errorf("letter %d became %q, want %q", i, got, k.plain)
		}
		if got := read(l, payload, deadletter.Clock{Arrival: true}); got != k.corrected {
			t.Errorf("letter %d with its clock corrected became %q, want %q", i, got, k.corrected)
		}
	}
	pulled := sensor.DeadLetter{Source: "plant", Topic: "factory/t9"}
	if got := read(pulled, []byte(`{"pm2_5":1}`), deadletter.Clock{}); got != "0 thing; " {
		t.Errorf("of a source: %q", got)
	}
	pulled.Source = "gone"
	if got := read(pulled, []byte(`{}`), deadletter.Clock{}); !strings.Contains(got, `source "gone", which is not in this configuration`) {
		t.Errorf("of a source that is gone: %q", got)
	}
}

// A source's rules are mended between a message and its replay: the letter's value is stored, also under another name;
// but not the value that now stands in its place.
func TestReplayAfterTheRulesChanged(t *testing.T) {
	r := newRig(t, func(c *Config, _ *normalize.Options) {
		c.Sources = []Source{{Name: "acme", Topics: []string{"acme/{thing}"}, Owner: "acme", Protocol: "json", Mapping: mapped.Mapping{Values: []mapped.Value{
			{Property: "pm10", Value: "item.a"}, {Property: "pm2_5", Value: "item.b * 2"}}}}}
	})
	publish(t, r.connect("", ""), "acme/t1", `{"a":1,"b":"21","c":3}`)
	m := r.messages(sensor.Live)
	if len(m) != 1 || len(m[0].Observations) != 1 || len(m[0].DeadLetters) != 1 {
		t.Fatalf("%+v", m)
	}
	letter := sensor.LoggedDeadLetter{Arrival: m[0].Arrival, DeadLetter: m[0].DeadLetters[0]}
	ordinals, err := sensor.ParseOrdinals(letter.Readings)
	must(t, err)
	good := mapped.Value{Property: "pm2_5", Value: "float(item.b) * 2"}
	for name, k := range map[string]struct {
		values []mapped.Value
		want   string
	}{
		"mended":         {[]mapped.Value{{Property: "pm10", Value: "item.a"}, good}, "42"},
		"named anew":     {[]mapped.Value{{Property: "pm10", Value: "item.a"}, {Property: "dust", Value: good.Value}}, "42"},
		"one more":       {[]mapped.Value{{Property: "pm10", Value: "item.a"}, good, {Property: "no2", Value: "item.c"}}, "42"},
		"another before": {[]mapped.Value{{Property: "pm10", Value: "item.a"}, {Property: "no2", Value: "item.c"}, good}, `value "pm2_5" of this payload is reading 2`},
	} {
		s := Source{Name: "acme", Topics: []string{"acme/{thing}"}, Owner: "acme", Protocol: "json", Mapping: mapped.Mapping{Values: k.values}}
		again, err := NewAgain([]Source{s}, all.Protocols(), func() *normalize.Normalizer { return r.g.cfg.Normalizer() })
		must(t, err)
		got := again.Read(&letter, letter.Payload, func(i int, _ string) bool { return ordinals.Has(i) }, deadletter.Clock{})
		text := ""
		switch {
		case got.Refused != nil:
			text = got.Refused.Detail
		case len(got.Values) == 1:
			text = fmt.Sprint(got.Values[0].Observation.Result)
		}
		if text != k.want && (len(k.want) < 5 || !strings.Contains(text, k.want)) {
			t.Errorf("%s: %s, want %s", name, text, k.want)
		}
	}
}
