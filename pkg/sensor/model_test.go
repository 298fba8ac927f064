package sensor

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func loadModels(t testing.TB) *Models {
	t.Helper()
	m, err := LoadModels(loadCatalogue(t))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestModels(t *testing.T) {
	m, c := loadModels(t), loadCatalogue(t)
	if n := len(m.All()); n < 30 {
		t.Fatalf("only %d models", n)
	}
	protocols := map[string]int{}
	for _, model := range m.All() {
		protocols[model.Protocol]++
		if found, ok := m.Find(model.ID); !ok || found.ID != model.ID {
			t.Errorf("Find(%q) = %v, %v", model.ID, found, ok)
		}
		if model.ID != strings.ToLower(model.ID) || (model.MountingZH == "") != (model.MountingEN == "") {
			t.Errorf("%s: lower case, and mounting in both languages or none", model.ID)
		}
		for _, d := range model.Datastreams {
			p, _ := c.ByCode(d.Property)
			if d.Max != nil && *d.Max <= p.Min || d.Min != nil && *d.Min >= p.Max {
				t.Errorf("%s: %s: nothing it measures is plausible (%v to %v)", model.ID, d.Property, p.Min, p.Max)
			}
			if d.Interval > 7*24*time.Hour {
				t.Errorf("%s: %s: every %v", model.ID, d.Property, d.Interval)
			}
			if d.SourceKey == "" || d.Unit != "" { // else the name's own unit holds, and it must be the right property
				continue
			}
			if found, ok := c.Mean(model.Protocol, d.SourceKey); ok && found.Unit != "" && found.Property.Code != d.Property {
				t.Errorf("%s: %s means %s in %s: give the unit", model.ID, d.SourceKey, found.Property.Code, found.Unit)
			}
		}
	}
	for _, p := range strings.Fields("ttn sensor-community ecowitt zigbee2mqtt tasmota meshtastic hj212 sl651 json") {
		if protocols[p] == 0 {
			t.Errorf("no model speaks %s", p)
		}
	}
}

func TestFindModel(t *testing.T) {
	m := loadModels(t)
	for name, want := range map[string]string{"dragino/lht65": "dragino/lht65", "LHT65": "dragino/lht65", "Dragino LHT65": "dragino/lht65",
		"Thermo Scientific 43i": "thermo/43i", "SDS011": "nova/sds011", "": "", "no/such": "", "Dragino": "", strings.Repeat("x", 1000): ""} {
		found, ok := m.Find(name)
		if ok != (want != "") || ok && found.ID != want {
			t.Errorf("Find(%.20q) = %v, %v, want %s", name, found, ok, want)
		}
	}
	d, _ := m.Find("ldds75")
	if s := d.Datastreams[0]; s.SourceKey != "Distance" || s.Property != "distance" || s.Unit != "mm" || *s.Min != 0.28 || *s.Max != 7.5 || s.Interval != 20*time.Minute {
		t.Errorf("%+v", s)
	}
}

const modelHead = "model,maker,name,protocol,height,mounting_zh,mounting_en,key,property,statistic,unit,resolution,min,max,interval\n"

func TestParseModelsRefuses(t *testing.T) {
	c := loadCatalogue(t)
	for name, text := range map[string]string{
		"empty": "", "columns": "model,maker\n", "no slash": modelHead + "a,A,N,json,,,,k,noise,,,1,0,1,60\n", "no maker": modelHead + "a/b,,N,json,,,,k,noise,,,1,0,1,60\n",
		"twice": modelHead + "a/b,A,N,json,,,,k,noise,,,1,0,1,60\na/b,A,N,json,,,,k,noise,,,1,0,1,60\n", "continues nothing": modelHead + ",,,,,,,k,noise,,,1,0,1,60\n",
		"half a model": modelHead + "a/b,A,N,json,,,,k,noise,,,1,0,1,60\n,,,json,,,,l,noise,,,1,0,1,60\n", "property": modelHead + "a/b,A,N,json,,,,k,nois,,,1,0,1,60\n",
		"unit": modelHead + "a/b,A,N,json,,,,k,noise,,m,1,0,1,60\n", "statistic": modelHead + "a/b,A,N,json,,,,k,noise,mode,,1,0,1,60\n",
		"resolution": modelHead + "a/b,A,N,json,,,,k,noise,,,0,0,1,60\n", "range": modelHead + "a/b,A,N,json,,,,k,noise,,,1,1,1,60\n", "min": modelHead + "a/b,A,N,json,,,,k,noise,,,1,x,1,60\n",
		"max": modelHead + "a/b,A,N,json,,,,k,noise,,,1,0,Inf,60\n", "interval": modelHead + "a/b,A,N,json,,,,k,noise,,,1,0,1,0\n", "height": modelHead + "a/b,A,N,json,x,,,k,noise,,,1,0,1,60\n",
		"key twice": modelHead + "a/b,A,N,json,,,,k,noise,,,1,0,1,60\n,,,,,,,k,noise,,,1,0,1,60\n", "fields": modelHead + "a/b,A\n",
	} {
		if _, err := ParseModels(strings.NewReader(text), c); !errors.Is(err, ErrModels) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Two makers' models of one name are found by id only.
	m, err := ParseModels(strings.NewReader(modelHead+"a/x1,A,N,json,,,,k,noise,,,1,0,1,60\nb/x1,B,N,json,,,,k,noise,,,1,0,1,60\nc/x1,C,N,json,,,,k,noise,,,1,0,1,60\n"), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := m.Find("x1"); ok {
		t.Error("x1 is three makers'")
	}
	if b, ok := m.Find("b/x1"); !ok || b.Maker != "B" {
		t.Errorf("%v, %v", b, ok)
	}
}
