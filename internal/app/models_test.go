package app

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/pkg/sensor"
)

// A sensor model is listed, fills in a Thing that is registered by form or by file, and one that is not known is refused
// where it was asked for by name.
func TestModelsFillInARegistration(t *testing.T) {
	r := run(t, apptest.Dir(t), noHistory)
	var models []sensor.Model
	r.Get(t, "/v1/models?q=LHT65", &models)
	if len(models) != 1 || models[0].ID != "dragino/lht65" || len(models[0].Datastreams) != 4 || models[0].Datastreams[0].Interval != 20*time.Minute {
		t.Errorf("%+v", models)
	}
	r.Get(t, "/v1/models", &models)
	if len(models) < 30 {
		t.Errorf("%d models", len(models))
	}
	if a := r.Do(t, apptest.Key, http.MethodPost, "/v1/things", `{"id":"eco/form","owner_class":"government","model":"lht65"}`); a.Status != http.StatusCreated || strings.Count(a.Body, `"property"`) != 4 {
		t.Errorf("form: %d %s", a.Status, a.Body)
	}
	if a := r.Do(t, apptest.Key, http.MethodPost, "/v1/things", `{"id":"eco/bad","owner_class":"government","model":"lht66"}`); a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, "GET /v1/models") {
		t.Errorf("unknown in a form: %d %s", a.Status, a.Body)
	}
	const csv = "id,class,model\neco/one,social,\neco/two,social,lht65\n"
	if a := r.Do(t, apptest.Key, http.MethodPost, "/v1/register?model=sds011", csv); a.Status != http.StatusMultiStatus || strings.Count(a.Body, `"created"`) != 2 {
		t.Errorf("file: %d %s", a.Status, a.Body)
	}
	for thing, want := range map[string]int{"one": 2, "two": 4} {
		var doc struct{ Datastreams []sensor.Datastream }
		r.Get(t, "/v1/things/eco/"+thing, &doc)
		if len(doc.Datastreams) != want {
			t.Errorf("%s has %d Datastreams, want %d", thing, len(doc.Datastreams), want)
		}
	}
	if a := r.Do(t, apptest.Key, http.MethodPost, "/v1/register?model=sds012", csv); a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, "no such model") {
		t.Errorf("unknown for a file: %d %s", a.Status, a.Body)
	}
}
