package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/decode/mapped"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// acme is a vendor whose devices publish to the embedded front as they always did.
func acme() []Source {
	return []Source{
		{Name: "acme", Topics: []string{"acme/{site}/{device}/up"}, Owner: "ecology", Protocol: "json", CRS: geo.GCJ02, Mapping: mapped.Mapping{
			Thing: "{site}-{device}", Rename: map[string]string{"temp": "air_temperature"}, Units: map[string]string{"temp": "K"}}},
		{Name: "acme-serial", Topics: []string{"acme/raw"}, Owner: "ecology", Protocol: "json", Mapping: mapped.Mapping{
			Thing: "s-{payload.sn}", Each: "payload.data", Values: []mapped.Value{{Property: "pm2_5", Value: "item.dust / 10", Unit: "ug/m3"}}}},
		{Name: "cams", Topics: []string{"cams/{owner}/{thing}/#"}, Protocol: "json"},
		{Name: "own", Topics: []string{"situ/v1/ecology/+/json"}, Protocol: "json", Owner: "ecology", Mapping: mapped.Mapping{
			Thing: "renamed", Rename: map[string]string{"x": "pm10"}}},
	}
}

// A topic of the embedded front that is not situ's own is taken where a source describes it, for the Thing that the
// source makes of it; the credential must cover that Thing, whatever the topic looks like.
func TestSourcesOfTheEmbeddedFront(t *testing.T) {
	r := newRig(t, func(c *Config, _ *normalize.Options) { c.Anonymous, c.Sources = false, acme() })
	one, err := r.reg.IssueCredential(t.Context(), "one", "ecology/north-7")
	must(t, err)
	other, err := r.reg.IssueCredential(t.Context(), "other", "other")
	must(t, err)
	passwords := map[string]string{"ecology": r.password, "one": one, "other": other}
	for _, k := range []struct{ user, topic, payload, want string }{
		{"ecology", "acme/north/7/up", `{"temp":300}`, "ecology/north-7 property 0 26.85"},
		{"one", "acme/north/7/up", `{"temp":300}`, "ecology/north-7 property 0 26.85"},
		{"one", "acme/north/8/up", `{"temp":300}`, `acl of ecology: by source "acme" this topic is of ecology/north-8`},
		{"other", "acme/north/7/up", `{"temp":300}`, `acl of other: by source "acme"`},
		{"ecology", "acme/raw", `{"sn":12,"data":[{"dust":352}]}`, "ecology/s-12 35.2"},
		{"one", "acme/raw", `{"sn":12,"data":[{"dust":352}]}`, `acl of ecology: by source "acme-serial" this topic is of ecology/-`},
		{"ecology", "acme/raw", `{"data":[{"dust":352}]}`, "thing of ecology"},
		{"ecology", "acme/raw", `{"sn":12}`, "unsupported of ecology"},
		{"other", "cams/other/c1/a/b", `{"pm2_5":1}`, "other/c1 1"},
		{"other", "cams/ecology/c1/a", `{"pm2_5":1}`, `acl of other: by source "cams" this topic is of ecology/c1`},
		{"ecology", "acme/north 1/7/up", `{"temp":300}`, "topic of ecology"},
		{"other", "acme/north 1/7/up", `{"temp":300}`, "acl of other"},
		{"ecology", "nobody/knows", `{}`, "acl of ecology: this credential may publish under situ/v1/ecology only"},
		{"other", "situ/v1/other/a/json", `{"pm2_5":2}`, "other/a 2"},
		{"ecology", "situ/v1/ecology/a/json", `{"x":2}`, "ecology/renamed 2"},
		{"ecology", "situ/v1/ecology/a/hj212", `hello`, "ecology: hj212"},
	} {
		from := len(r.messages(sensor.Live))
		c := r.connect(k.user, passwords[k.user])
		publish(t, c, k.topic, k.payload)
		c.Disconnect(50)
		got := ""
		for _, m := range r.messages(sensor.Live)[from:] {
			for _, d := range m.DeadLetters {
				got += fmt.Sprintf("%s of %s: %s", d.Reason, d.Owner, d.Detail)
			}
			for i := range m.Observations {
				o := &m.Observations[i]
				got += fmt.Sprintf("%s %.6g", r.thing(o.Thing, "ecology/north-7", "ecology/s-12", "other/c1", "other/a", "ecology/renamed"), o.Result)
			}
		}
		want := strings.Replace(k.want, " property 0", "", 1)
		if !strings.HasPrefix(got, want) && !(strings.HasPrefix(k.want, "ecology: ") && strings.Contains(got, k.want[9:])) {
			t.Errorf("%s on %s %s: %s, want %s", k.user, k.topic, k.payload, got, want)
		}
	}
}

// thing tells which of the names a key is of.
func (r *rig) thing(key sensor.ThingKey, names ...sensor.ThingID) sensor.ThingID {
	if i := slices.IndexFunc(names, func(id sensor.ThingID) bool { return id.Key() == key }); i >= 0 {
		return names[i]
	}
	return "?"
}

// Of several Things in one payload, a refused value belongs to its own, not to the one before it.
func TestDeadLettersOfSeveralThings(t *testing.T) {
	r := newRig(t, func(c *Config, _ *normalize.Options) {
		c.Sources = []Source{{Name: "acme", Topics: []string{"acme/raw"}, Owner: "acme", Protocol: "json", Mapping: mapped.Mapping{
			Thing: "{item.sn}", Each: "payload.data", Values: []mapped.Value{{Property: "pm2_5", Value: "item.v * 2"}}}}}
	})
	publish(t, r.connect("", ""), "acme/raw", `{"data":[{"sn":"a","v":1},{"sn":"b","v":"x"},{"v":3},{"sn":"c","v":4}]}`)
	m := r.messages(sensor.Live)
	if len(m) != 1 || len(m[0].Observations) != 2 || len(m[0].DeadLetters) != 2 {
		t.Fatalf("%+v", m)
	}
	for i, want := range []string{"acme/b malformed", " thing"} {
		if d := m[0].DeadLetters[i]; d.Thing+" "+string(d.Reason) != want || d.Owner != "acme" {
			t.Errorf("%s of %q, owner %s: want %s", d.Reason, d.Thing, d.Owner, want)
		}
	}
}
