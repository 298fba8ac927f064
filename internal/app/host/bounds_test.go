package host

import (
	"errors"
	"reflect"
	"runtime/debug"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestHorizons(t *testing.T) {
	var h Horizons
	if err := h.UnmarshalText([]byte("social=3d, enterprise=36h30m")); err != nil {
		t.Fatal(err)
	}
	want := []spool.Horizon{{Class: sensor.Social, Keep: 72 * time.Hour}, {Class: sensor.Enterprise, Keep: 36*time.Hour + 30*time.Minute}}
	if !reflect.DeepEqual(h.List, want) {
		t.Fatalf("%+v", h.List)
	}
	text, err := h.MarshalText()
	if err != nil || string(text) != "social=72h0m0s,enterprise=36h30m0s" {
		t.Fatalf("%s, %v", text, err)
	}
	if err := h.UnmarshalText(nil); err != nil || len(h.List) != 0 {
		t.Fatalf("%+v, %v", h.List, err)
	}
	for _, bad := range []string{"government=1h", "social", "social=", "social=-1h", "social=1h,social=2h", "unknown=1h", "citizens=1h", "=1h", "social=1x"} {
		if err := h.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken as %+v", bad, h.List)
		}
	}
}

func TestBoundsAreChecked(t *testing.T) {
	for _, b := range []Bounds{{BackfillShare: -0.1}, {BackfillShare: 1.5}, {MemoryLimit: MemoryLimit{Bytes: 1000}}, {MaxConnections: -1},
		{MaxConnections: 5000, MemoryLimit: MemoryLimit{Bytes: 512 << 20}}} {
		if err := b.Check(); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", b, err)
		}
	}
	for _, b := range []Bounds{{}, {BackfillShare: 1}, {MaxConnections: 50_000}, {MaxConnections: 4000, MemoryLimit: MemoryLimit{Bytes: 512 << 20}}, {MemoryLimit: MemoryLimit{Bytes: 1 << 30}}} {
		if err := b.Check(); err != nil {
			t.Errorf("%+v: %v", b, err)
		}
	}
}

func TestMemoryLimitReachesTheRuntime(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	m := MemoryLimit{Bytes: 1000 << 20}
	m.Apply(Logging{Level: "error"}.Logger(t.Output()))
	if got := debug.SetMemoryLimit(-1); got != 819<<20 {
		t.Fatalf("limit %d", got)
	}
}

func TestConnectionsFitTheMemoryLimit(t *testing.T) {
	for _, c := range []struct {
		limit int64
		most  int
		want  int
	}{{0, 0, 10_000}, {0, 50_000, 50_000}, {512 << 20, 0, 4096}, {512 << 20, 100, 100}, {8 << 30, 0, 10_000}} {
		b := Bounds{MaxConnections: c.most, MemoryLimit: MemoryLimit{Bytes: c.limit}}
		if got := b.Connections(); got != c.want {
			t.Errorf("--memory-limit %d --max-connections %d: %d, want %d", c.limit, c.most, got, c.want)
		}
	}
}
