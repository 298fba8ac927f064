package sensor

import (
	"strings"
	"testing"
)

func TestNameFrom(t *testing.T) {
	seen := map[string]string{}
	for serial, want := range map[string]string{
		"MN001": "MN001", "plant/edge1/gate": "plant.edge1.gate", "urn:dev:ow:10e2": "urn.dev.ow.10e2",
		"厂区/边缘": "厂区.边缘", "!deadbeef": "deadbeef", "a.b/c": "a.b.c-", "a/b:c": "a.b.c-", strings.Repeat("x/", 60): "x.x.", strings.Repeat("水/", 60): "水.水.",
	} {
		got, ok := NameFrom(serial)
		if !ok || !ValidName(got) || !strings.HasPrefix(got, want) || seen[got] != "" {
			t.Errorf("%q is %q, want %q; %q has that name too", serial, got, want, seen[got])
		}
		seen[got] = serial
	}
	for _, serial := range []string{"", "MN 2/#", "room\x003/a", "a/\xff"} {
		if got, ok := NameFrom(serial); ok {
			t.Errorf("%q is %q", serial, got)
		}
	}
}
