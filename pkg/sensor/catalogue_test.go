package sensor

import (
	"errors"
	"strings"
	"testing"
)

func loadCatalogue(t testing.TB) *Catalogue {
	t.Helper()
	c, err := LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCatalogueLookup(t *testing.T) {
	c := loadCatalogue(t)
	for _, tc := range []struct{ name, want string }{
		{"pm2_5", "pm2_5"}, {"PM2.5", "pm2_5"}, {"pm25", "pm2_5"}, {"PM25", "pm2_5"}, {"a34004", "pm2_5"}, {"A34004", "pm2_5"},
		{"细颗粒物", "pm2_5"}, {"TEM", "temperature"}, {"TEMP", "temperature"}, {"HUMI", "humidity"}, {"RH", "humidity"},
		{"WD", "wind_direction"}, {"WS", "wind_speed"}, {"LAMPBLACK", "oil_fume"}, {"LA", ""}, {"Leq", "noise_leq"}, {"no", ""}, {"do", ""}, {"speed", ""},
		{"wind-speed", "wind_speed"}, {"Dissolved Oxygen", "dissolved_oxygen"}, {"w01018", "cod"}, {"水位", "water_level"},
		{"02", ""}, {"011", ""}, {"B01", ""}, {"S01", ""}, {"e20201", ""}, {"", ""}, {"e202xx", ""},
		{"no such", ""}, {strings.Repeat("x", 65), ""}, {strings.Repeat("x", 1<<20), ""},
	} {
		p, ok := c.Lookup(tc.name)
		if ok != (tc.want != "") || ok && string(p.Code) != tc.want {
			t.Errorf("Lookup(%.20q) = %v, %v, want %q", tc.name, p, ok, tc.want)
		}
	}
}

func TestCatalogueHJ212(t *testing.T) {
	c := loadCatalogue(t)
	for _, tc := range []struct{ code, want, unit string }{
		{"a34004", "pm2_5", "ug/m3"}, {"a34002", "pm10", "ug/m3"}, {"a21026", "so2", "mg/m3"}, {"a21005", "co", "mg/m3"},
		{"a05024", "o3", "mg/m3"}, {"a01006", "pressure", "kPa"}, {"02", "so2", "mg/m3"}, {"B01", "flow", "L/s"},
		{"b01", "flow", "L/s"}, {"011", "cod", "mg/L"}, {"060", "ammonia_nitrogen", "mg/L"}, {"LA", "noise", "dB[SPL]"},
		{"S02", "flue_velocity", "m/s"}, {"e20201", "cod", "mg/L"}, {"e10199", "flow", "L/s"},
		{"e2020x", "", ""}, {"pm25", "", ""}, {"", "", ""},
	} {
		h, ok := c.HJ212(tc.code)
		if ok != (tc.want != "") || ok && (string(h.Property.Code) != tc.want || h.Unit != tc.unit) {
			t.Errorf("HJ212(%q) = %+v, %v, want %s in %s", tc.code, h, ok, tc.want, tc.unit)
		}
	}
}

func TestCatalogueIndexesAgree(t *testing.T) {
	c := loadCatalogue(t)
	if n := len(c.All()); n < 45 {
		t.Fatalf("only %d properties", n)
	}
	sectors := map[string]int{}
	for _, p := range c.All() {
		sectors[p.Sector]++
		if q, ok := c.ByNumber(p.Number); !ok || q.Code != p.Code {
			t.Errorf("ByNumber(%d) = %v, %v, want %s", p.Number, q, ok, p.Code)
		}
		if q, ok := c.ByCode(p.Code); !ok || q.Number != p.Number {
			t.Errorf("ByCode(%q) = %v, %v, want %d", p.Code, q, ok, p.Number)
		}
		for _, b := range p.Breaks {
			if b < p.Min || b > p.Max {
				t.Errorf("%s: break %v outside %v to %v", p.Code, b, p.Min, p.Max)
			}
		}
	}
	for _, s := range strings.Fields("air weather water slope fire gas kitchens lifts traffic noise electricity soil radiation") {
		if sectors[s] == 0 {
			t.Errorf("sector %s has no property", s)
		}
	}
	if _, ok := c.ByNumber(0); ok {
		t.Error("number 0 means not in the catalogue")
	}
	if _, ok := c.ByNumber(65535); ok {
		t.Error("number 65535 found")
	}
}

// The numbers are written in logs and tables: a change here is a change of format.
func TestCatalogueNumbersAreStable(t *testing.T) {
	c := loadCatalogue(t)
	for code, n := range map[PropertyCode]PropertyNumber{"pm2_5": 1, "co": 5, "temperature": 20, "water_level": 40,
		"crack": 65, "methane": 85, "oil_fume": 95, "traffic_speed": 110, "noise": 120, "voltage": 130, "battery": 180} {
		if p, ok := c.ByCode(code); !ok || p.Number != n {
			t.Errorf("%s: %+v, want number %d", code, p, n)
		}
	}
}

func TestCatalogueRefuses(t *testing.T) {
	const head = "number,code,name_zh,name_en,unit,resolution,min,max,worse,sector,breaks,hj212,aliases\n"
	for name, text := range map[string]string{
		"empty":             "",
		"columns":           "number,code\n1,a\n",
		"number zero":       head + "0,a,甲,A,1,1,0,1,high,s,,,\n",
		"number twice":      head + "1,a,甲,A,1,1,0,1,high,s,,,\n1,b,乙,B,1,1,0,1,high,s,,,\n",
		"alias twice":       head + "1,a,甲,A,1,1,0,1,high,s,,,x\n2,b,乙,B,1,1,0,1,high,s,,,X\n",
		"hj twice":          head + "1,a,甲,A,1,1,0,1,high,s,,02:1,\n2,b,乙,B,1,1,0,1,high,s,,02:1,\n",
		"hj no unit":        head + "1,a,甲,A,1,1,0,1,high,s,,02,\n",
		"worse":             head + "1,a,甲,A,1,1,0,1,up,s,,,\n",
		"range":             head + "1,a,甲,A,1,1,1,1,high,s,,,\n",
		"breaks fall":       head + "1,a,甲,A,1,1,0,9,high,s,2 1,,\n",
		"break a word":      head + "1,a,甲,A,1,1,0,9,high,s,x,,\n",
		"min a word":        head + "1,a,甲,A,1,1,x,9,high,s,,,\n",
		"no unit":           head + "1,a,甲,A,,1,0,1,high,s,,,\n",
		"fields":            head + "1,a\n",
		"nan in resolution": head + "1,a,甲,A,1,NaN,0,1,high,s,,,\n",
	} {
		if _, err := ParseCatalogue(strings.NewReader(text)); !errors.Is(err, ErrCatalogue) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCatalogueLookupDoesNotAllocate(t *testing.T) {
	c := loadCatalogue(t)
	if n := testing.AllocsPerRun(100, func() {
		c.Lookup("PM2.5")
		c.HJ212("e20201")
		c.ByCode("pm10")
		c.ByNumber(3)
	}); n != 0 {
		t.Errorf("%v allocations a look-up", n)
	}
}

func BenchmarkCatalogueLookup(b *testing.B) {
	c := loadCatalogue(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Lookup("PM2.5"); !ok {
			b.Fatal("not found")
		}
	}
}
