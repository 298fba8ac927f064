package registry

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/pkg/sensor"
)

func declared(t *testing.T, r *Registry, id sensor.ThingID, p sensor.PropertyCode, st sensor.Statistic, key string) sensor.Datastream {
	t.Helper()
	for _, d := range r.Snapshot().DatastreamsOf(id) {
		if d.Property == p && d.Statistic == st && d.SourceKey == key {
			return *d
		}
	}
	t.Fatalf("%s has no %s %s %q: %v", id, p, st, key, r.Snapshot().DatastreamsOf(id))
	return sensor.Datastream{}
}

func TestModelFillsInWhatARowLeavesEmpty(t *testing.T) {
	r := openNew(t)
	verdicts := registerAll(t, r, parseText(t, `id,class,model,properties,property,source_key,unit,interval,min,max
x/all,government,Dragino LHT65,,,,,,,
x/often,government,lht65,,,,,60,,
x/some,government,lht65,temperature;battery_voltage=mV,,,,,,
x/one,government,ldds75,,distance,,cm,,0.5,
x/other,government,ldds75,,noise,,,,,
x/two,social,sds011;BME280,,,,,,,
x/odd,government,x9,noise,,,,,,
x/bad,government,lht65,,,,Cel,,,
`))
	for i, want := range []Status{Created, Created, Created, Created, Created, Created, Created, Failed} {
		if verdicts[i].Status != want {
			t.Errorf("row %d: %+v, want %s", i, verdicts[i], want)
		}
	}
	if n := len(r.Snapshot().DatastreamsOf("x/all")); n != 4 {
		t.Errorf("x/all has %d Datastreams", n)
	}
	all := declared(t, r, "x/all", "temperature", sensor.Instant, "TempC_SHT")
	if all.Unit != "Cel" || all.Interval != 20*time.Minute || *all.Min != -40 || *all.Max != 80 {
		t.Errorf("%+v", all)
	}
	if d := declared(t, r, "x/often", "humidity", sensor.Instant, "Hum_SHT"); d.Interval != time.Minute || *d.Max != 100 {
		t.Errorf("the row's interval goes before the model's: %+v", d)
	}
	if n := len(r.Snapshot().DatastreamsOf("x/some")); n != 2 {
		t.Errorf("x/some has %d Datastreams", n)
	}
	if d := declared(t, r, "x/some", "battery_voltage", sensor.Instant, "BatV"); d.Unit != "mV" || d.Interval != 20*time.Minute {
		t.Errorf("the row's unit goes before the model's: %+v", d)
	}
	if d := declared(t, r, "x/one", "distance", sensor.Instant, "Distance"); d.Unit != "cm" || *d.Min != 0.5 || *d.Max != 7.5 {
		t.Errorf("the row's range goes before the model's: %+v", d)
	}
	if d := declared(t, r, "x/other", "noise", sensor.Instant, ""); d.Interval != 0 || d.Min != nil {
		t.Errorf("what the model does not observe: %+v", d)
	}
	if n := len(r.Snapshot().DatastreamsOf("x/two")); n != 5 {
		t.Errorf("two models, %d Datastreams", n)
	}
	if notes := strings.Join(verdicts[6].Notes, "\n"); !strings.Contains(notes, `model "x9" is not among those known here`) {
		t.Errorf("notes %q", notes)
	}
	if verdicts[7].Column != "unit" {
		t.Errorf("%+v", verdicts[7])
	}
}

// What was registered by the owner's word stays when the row comes again with a model; the same file changes nothing.
func TestModelLeavesWhatIsRegistered(t *testing.T) {
	r := openNew(t)
	registerAll(t, r, parseText(t, "id,class,property,source_key,unit,max\nx/a,government,temperature,TempC_SHT,[degF],50\n"))
	again := parseText(t, "id,class,型号\nx/a,government,LHT65\n")
	if v := registerAll(t, r, again); v[0].Status != Updated || !slices.ContainsFunc(v[0].Notes, func(n string) bool { return strings.Contains(n, "usually 1.5 m above ground") }) {
		t.Errorf("%+v", v)
	}
	d := declared(t, r, "x/a", "temperature", sensor.Instant, "TempC_SHT")
	if d.Unit != "[degF]" || *d.Max != 50 || *d.Min != -40 || d.Interval != 20*time.Minute {
		t.Errorf("%+v", d)
	}
	if v := registerAll(t, r, again); v[0].Status != Unchanged {
		t.Errorf("%+v", v)
	}
	row := again[0]
	row.Default(ColModel, "am319")
	row.Default(ColUnit, "Cel")
	if row.Cell(ColModel) != "LHT65" || row.Cell(ColUnit) != "Cel" {
		t.Errorf("defaults: %q %q", row.Cell(ColModel), row.Cell(ColUnit))
	}
}

func TestModelsAbsent(t *testing.T) {
	o := testOptions(t)
	o.Models = nil
	r := openWith(t, newFile(t), o)
	v := registerAll(t, r, parseText(t, "id,class,model\nx/a,government,LHT65\n"))
	if v[0].Status != Created || !strings.Contains(strings.Join(v[0].Notes, "\n"), "no sensor models here") {
		t.Errorf("%+v", v)
	}
}
