package sensor

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestConversion(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		in, want float64
	}{
		{"Cel", "K", 20, 293.15}, {"K", "Cel", 273.15, 0}, {"[degF]", "Cel", 32, 0}, {"[degF]", "Cel", 212, 100},
		{"[degF]", "Cel", -40, -40}, {"Cel", "[degF]", 37, 98.6}, {"°F", "℃", 68, 20}, {"C", "Cel", 12.34, 12.34},
		{"cm", "m", 0.1, 0.001}, {"mm", "m", 1234, 1.234}, {"km", "m", 1.2, 1200}, {"m", "mm", 0.003, 3}, {"[ft_i]", "m", 10, 3.048},
		{"mg/m3", "ug/m3", 0.0523, 52.3}, {"ug/m3", "mg/m3", 427, 0.427}, {"g/m3", "ug/m3", 0.001, 1000}, {"ng/m3", "ug/m3", 5, 0.005},
		{"μg/m³", "ug/m3", 35, 35}, {"毫克/立方米", "ug/m3", 0.011, 11}, {"微克每立方米", "ug/m3", 7, 7},
		{"kPa", "hPa", 101.02, 1010.2}, {"Pa", "hPa", 98765, 987.65}, {"mm[Hg]", "hPa", 760, 1013.2472}, {"inHg", "hPa", 29.92, 1013.20453696},
		{"mbar", "hPa", 1013.2, 1013.2}, {"atm", "kPa", 1, 101.325}, {"bar", "MPa", 2.5, 0.25}, {"兆帕", "MPa", 0.3, 0.3},
		{"km/h", "m/s", 36, 10}, {"mph", "km/h", 60, 96.56064}, {"mile/h", "km/h", 1, 1.609344}, {"kn", "m/s", 10, 5.14444444444}, {"米/秒", "m/s", 3.1, 3.1},
		{"L/s", "m3/s", 36.91, 0.03691}, {"m3/h", "m3/s", 3600, 1}, {"升/秒", "m3/s", 1, 0.001}, {"L/min", "m3/s", 60, 0.001},
		{"1", "%", 0.435, 43.5}, {"[ppm]", "%", 400, 0.04}, {"ppb", "[ppm]", 405000, 405}, {"%LEL", "%{LEL}", 12, 12},
		{"mg/L", "ug/L", 0.02, 20}, {"mg/m3", "mg/L", 1500, 1.5}, {"毫克/升", "mg/L", 10.15, 10.15}, {"微西[门子]/厘米", "uS/cm", 1425, 1425},
		{"mS/cm", "uS/cm", 1.4, 1400}, {"uS/m", "uS/cm", 100, 1}, {"NTU", "{NTU}", 13.1, 13.1}, {"L/m2", "mm", 4.2, 4.2}, {"[in_i]", "mm", 1, 25.4},
		{"dB(A)", "dB[SPL]", 50.1, 50.1}, {"dBm", "dB{mW}", -90, -90}, {"rad", "deg", math.Pi, 180}, {"'", "deg", 30, 0.5},
		{"kWh", "kW.h", 3, 3}, {"J", "kW.h", 3.6e6, 1}, {"nSv/h", "uSv/h", 90, 0.09}, {"ug.m-3", "ug/m3", 9, 9}, {"{cars}/h", "{veh}/h", 9, 9},
		{"{veh}/min", "{veh}/h", 2, 120}, {"[g]", "m/s2", 1, 9.80665}, {"(mg)/(m3)", "ug/m3", 1, 1000}, {"/h", "Hz", 3600, 1}, {"kN", "N", 2, 2000}, {"kn", "m/s", 10, 5.14444444444}, {"kvar", "kV.A{reactive}", 3, 3}, {"VA", "kV.A", 92, 0.092},
		{"dB", "dB{snr}", -7, -7}, {"rpm", "/min", 1450, 1450}, {"umol/(m2.s)", "mmol/(m2.s)", 400, 0.4}, {"[ft_i]3/s", "m3/s", 974, 27.5806085806},
		{"ug/m^3", "ug/m3", 1, 1}, {"KM/H", "km/h", 5, 5}, {"m/s", "km/h", 1e300, 3.6e300}, {"m", "mm", -1e-300, -1e-297}, {"m", "mm", 0, 0},
	} {
		c, err := NewConversion(tc.from, tc.to)
		if err != nil {
			t.Errorf("%s to %s: %v", tc.from, tc.to, err)
			continue
		}
		if got := c.Apply(tc.in); got != tc.want || math.Signbit(got) && got == 0 {
			t.Errorf("%v %s = %v %s, want %v", tc.in, tc.from, got, tc.to, tc.want)
		}
	}
}

func TestConversionRefuses(t *testing.T) {
	for _, tc := range []struct{ from, to, says string }{
		{"ppb", "ug/m3", "molar mass"}, {"ug/m3", "[ppm]", "molar mass"}, {"%", "%{LEL}", "explosive"}, {"m", "s", "different things"},
		{"Cel", "dB", "different things"}, {"dB", "dBm", "different things"}, {"quux", "m", `"quux"`}, {"", "m", "UCUM"}, {"m", "", "UCUM"},
		{"m/", "m", "empty place"}, {"m//s", "m", "empty place"}, {"(m", "m", "("}, {"((((((m))))))", "m", "((("}, {"m{x", "m", "{x"}, {"Cel/m", "m", "Cel"},
		{"m)", "m", ")"}, {strings.Repeat("m", 65), "m", "64 bytes"}, {"m9.m9.m9", "m", "different things"}, {"\xff", "m", "unit"}, {"MG/L2", "mg/L", "MG"},
	} {
		_, err := NewConversion(tc.from, tc.to)
		if !errors.Is(err, ErrUnit) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%q to %q: %v, want it to say %q", tc.from, tc.to, err, tc.says)
		}
	}
}

// Equal units need no parsing: a Datastream may keep a unit of its own under a property that is not in the catalogue.
func TestConversionOfEqualUnitsChangesNothing(t *testing.T) {
	c, err := NewConversion("quux", "quux")
	if err != nil || c.Apply(0.1+0.2) != 0.1+0.2 || c.Factor() != 1 || c.Offset() != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestConversionThereAndBack(t *testing.T) {
	pairs := [][2]string{{"Cel", "[degF]"}, {"m", "[mi_i]"}, {"hPa", "[in_i'Hg]"}, {"m/s", "[kn_i]"}, {"m3/s", "L/min"}, {"deg", "rad"}}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(pairs).Draw(t, "units")
		x := float64(rapid.IntRange(-1_000_000, 1_000_000).Draw(t, "thousandths")) / 1000
		there, _ := NewConversion(p[0], p[1])
		back, _ := NewConversion(p[1], p[0])
		if got := back.Apply(there.Apply(x)); math.Abs(got-x) > 1e-8 {
			t.Fatalf("%v %s comes back as %v", x, p[0], got)
		}
	})
}

// A decimal power must turn a decimal into the very decimal a person would write.
func TestConversionKeepsDecimals(t *testing.T) {
	cm, _ := NewConversion("cm", "m")
	mg, _ := NewConversion("mg/m3", "ug/m3")
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(-10_000_000, 10_000_000).Draw(t, "n")
		var x, wantCM, wantMG float64
		fmt.Sscan(fmt.Sprintf("%de-3", n), &x)
		fmt.Sscan(fmt.Sprintf("%de-5", n), &wantCM)
		wantMG = float64(n)
		if a, b := cm.Apply(x), mg.Apply(x); a != wantCM || b != wantMG {
			t.Fatalf("%v: %v and %v, want %v and %v", x, a, b, wantCM, wantMG)
		}
	})
}

func TestCatalogueUnitsAreUCUM(t *testing.T) {
	c := loadCatalogue(t)
	for _, p := range c.All() {
		u, err := ParseUnit(p.Unit)
		if err != nil {
			t.Errorf("%s: %v", p.Code, err)
		} else if u.String() != p.Unit {
			t.Errorf("%s: unit %q is a spelling of %q", p.Code, p.Unit, u)
		}
		for _, code := range p.HJ212 {
			h, ok := c.HJ212(code)
			if _, err := NewConversion(h.Unit, p.Unit); !ok || err != nil {
				t.Errorf("%s: %s: %v", p.Code, code, err)
			}
		}
	}
}

func TestSole(t *testing.T) {
	for code, want := range map[string]bool{"1": true, "[pH]": true, "dB[SPL]": true, "{NTU}": true, "{Hazen}": true, "{veh}/h": false, "ug/m3": false, "%": false, "Cel": false} {
		u, err := ParseUnit(code)
		if err != nil || u.Sole() != want {
			t.Errorf("%s: %v, %v", code, u.Sole(), err)
		}
	}
}

func FuzzParseUnit(f *testing.F) {
	for _, s := range []string{"ug/m3", "Cel", "(m.s-2)/{x}", "°C", "毫克/升", "kW.h", "m-", "1", "/", "{", "9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseUnit(s)
		if err != nil {
			if !errors.Is(err, ErrUnit) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		again, err := ParseUnit(u.String())
		if err != nil || again != u {
			t.Fatalf("%q reads as %q, which reads as %q, %v", s, u, again, err)
		}
		if _, err := u.To(u); err != nil && !strings.Contains(err.Error(), "beyond") {
			t.Fatalf("%q to itself: %v", s, err)
		}
	})
}

func BenchmarkConversionApply(b *testing.B) {
	c, err := NewConversion("kPa", "hPa")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	x := 101.02
	for b.Loop() {
		if c.Apply(x) != 1010.2 {
			b.Fatal("wrong")
		}
	}
}
