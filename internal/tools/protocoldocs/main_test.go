package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../.."

// Every page is what would be written now.
func TestPages(t *testing.T) {
	files, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its package and cases say now: go generate ./internal/decode/all (%v)", path, err)
		}
	}
	pages, err := filepath.Glob(filepath.Join(root, dir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if files[dir+"/"+filepath.Base(page)] == nil {
			t.Errorf("%s is of no protocol", page)
		}
	}
}

// Every protocol that situ lists has its row, and a case that shows it.
func TestTable(t *testing.T) {
	all, err := protocols()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.title == "" || p.sector == "" || p.standard == "" || p.edition == "" {
			t.Errorf("%s: a cell is empty", p.name)
		}
		if p.name == "wasm" {
			continue
		}
		cases, err := read(root, p)
		if err != nil {
			t.Fatal(err)
		}
		shows := false
		for _, e := range cases {
			shows = shows || e.name == p.example && len(e.outcome.Readings) > 0
		}
		if !shows {
			t.Errorf("%s: %q is no case with readings", p.name, p.example)
		}
	}
	entries, err := os.ReadDir(filepath.Join(root, "testdata", "payloads"))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(all)-1 {
		t.Errorf("%d protocols have cases, the table has %d rows", len(entries), len(all))
	}
}

// The example in Go of README.md works as it is pasted: in a module beside situ's, its case is written, and holds.
func TestWorkedExample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, index))
	if err != nil {
		t.Fatal(err)
	}
	at := t.TempDir()
	pasted := regexp.MustCompile("(?s)`([a-z0-9_/.]+)`:\n\n```[a-z]+\n(.*?)```").FindAllSubmatch(text, -1)
	n := 0
	for _, m := range pasted {
		if path := string(m[1]); strings.Contains(path, "/noise/") {
			put(t, filepath.Join(at, path), m[2])
			n++
		}
	}
	if n != 5 {
		t.Fatalf("%d files of the example, want 5", n)
	}
	there, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	const situ = "github.com/situ-city/situ"
	text = bytes.Replace(mod, []byte("module "+situ), []byte("module "+situ+"/example"), 1)
	put(t, filepath.Join(at, "go.mod"), append(text, "\nrequire "+situ+" v0.0.0\n\nreplace "+situ+" => "+there+"\n"...))
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(at, "go.sum"), sums)
	for _, args := range [][]string{{"-run", "Golden", "-update"}, {"-v"}} {
		run := exec.CommandContext(t.Context(), "go", append([]string{"test", "./internal/decode/noise"}, args...)...)
		run.Dir = at
		run.Env = append(os.Environ(), "GOFLAGS=-mod=mod -trimpath", "GOWORK=off", "GOPROXY=off")
		said, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", run.Args, err, said)
		}
		if args[0] == "-v" && !strings.Contains(string(said), "--- PASS: TestGolden/usual") {
			t.Errorf("%s", said)
		}
	}
	readings, err := os.ReadFile(filepath.Join(at, "testdata/payloads/noise/usual/readings.json"))
	if err != nil || !strings.Contains(string(readings), `"number": 3.6`) || !strings.Contains(string(readings), `"serial": "N17"`) {
		t.Errorf("%s %v", readings, err)
	}
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
