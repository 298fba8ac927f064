package geo

import (
	"errors"
	"testing"
)

func TestParseBox(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Box
	}{
		{"106,29,107,30", Box{106, 29, 107, 30}},
		{" 106 , 29, 107,30", Box{106, 29, 107, 30}},
		{"170,-10,190,10", Box{170, -10, -170, 10}},    // across the antimeridian, as MapLibre says it
		{"-190,-10,-170,10", Box{170, -10, -170, 10}},  // the same, from the other side
		{"466,29,467,30", Box{106, 29, 107, 30}},       // once around the world
		{"-500,-100,500,100", Box{-180, -90, 180, 90}}, // more than the world
	} {
		if got, err := ParseBox(c.in); err != nil || got != c.want {
			t.Errorf("%q: %v, %v, want %v", c.in, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "1,2,3", "1,2,3,4,5", "a,b,c,d", "NaN,0,1,1", "0,0,Inf,1", "0,2,1,1", "1e300,0,1e300,1"} {
		if _, err := ParseBox(bad); !errors.Is(err, ErrBox) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestBoxContains(t *testing.T) {
	b := Box{West: 170, South: -10, East: -170, North: 10}
	for _, c := range []struct {
		p    LonLat
		want bool
	}{{LonLat{175, 0}, true}, {LonLat{-175, 10}, true}, {LonLat{0, 0}, false}, {LonLat{180, 11}, false}} {
		if b.Contains(c.p) != c.want {
			t.Errorf("%v: not %v", c.p, c.want)
		}
	}
	if !(Box{106, 29, 107, 30}).Contains(LonLat{106.5, 29.5}) {
		t.Error("the middle is outside")
	}
}
