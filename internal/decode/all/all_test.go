package all

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/decode"
)

// Every protocol is in the list once, under the name of its directory and of its cases, and begins with no settings.
func TestProtocols(t *testing.T) {
	var names []string
	for _, p := range Protocols() {
		if p.Name == "wasm" {
			continue // is what its source's module makes it
		}
		names = append(names, p.Name)
		if !regexp.MustCompile(`^[a-z0-9-]+$`).MatchString(p.Name) {
			t.Errorf("%q cannot end a topic", p.Name)
		}
		d, err := p.New(decode.Settings{})
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		if got, err := d.Decode(nil, nil); len(got) != 0 || err == nil {
			t.Errorf("%s makes %v, %v of nothing", p.Name, got, err)
		}
		if _, ok := d.(decode.Emptier); !ok {
			t.Errorf("%s cannot say why a payload has no readings", p.Name)
		}
	}
	slices.Sort(names)
	packages := slices.Clone(names)
	for i, n := range packages {
		packages[i] = strings.ReplaceAll(strings.TrimSuffix(n, "-cbor"), "-", "") // one package reads both forms
	}
	slices.Sort(packages)
	packages = slices.Compact(packages)
	for _, where := range []string{"..", filepath.Join("..", "..", "..", "testdata", "payloads")} {
		entries, err := os.ReadDir(where)
		if err != nil {
			t.Fatal(err)
		}
		var dirs []string
		for _, e := range entries {
			if e.IsDir() && !slices.Contains([]string{"all", "decodetest", "doc", "frames", "lorawan", "mapped", "wasm"}, e.Name()) {
				dirs = append(dirs, e.Name())
			}
		}
		want := names
		if where == ".." {
			want = packages
		}
		if !slices.Equal(dirs, want) {
			t.Errorf("%s holds %v, the list %v", where, dirs, want)
		}
	}
}
