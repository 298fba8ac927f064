// Package floors holds one test: imports go down the floors of ARCHITECTURE.md, never up.
package floors

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/situ-city/situ/"

// floorOf lists prefixes; the longest match counts. A package that matches none fails the test, so that a new
// room has to be put on a floor. Floor 0 imports nothing of situ.
var floorOf = map[string]int{
	"cmd/": 5, "internal/journey": 5, "internal/app": 5, "internal/compose": 5,
	"internal/replay": 4, "internal/adapter": 4, "internal/gateway": 4, "internal/ingester": 4, "internal/rollup": 4, "internal/query": 4, "internal/city": 4, "internal/bench": 4, "internal/torture": 4,
	"internal/livestate": 3, "internal/warning": 3, "internal/live": 3, "internal/deadletter": 3, "internal/redecode": 3,
	"internal/decode": 2, "internal/registry": 2, "internal/normalize": 2, "internal/spool": 2, "internal/bus": 2,
	"internal/store": 2, "internal/tile": 2, "internal/sqlgate": 2, "internal/batch": 2,
	"pkg/sensor": 1, "internal/protocol": 1,
	"pkg/geo": 0, "schema": 0, "web": 0, "engine": 0, "internal/embedded": 0, "internal/version": 0,
	"internal/tools": 0, "internal/failpoint": 0, "internal/publisher": 0, "internal/progress": 0, "internal/pace": 0, "internal/floors": 0, "internal/deps": 0, "internal/peers": 0,
}

// sideways lists the imports allowed inside one floor: importer prefix -> imported prefixes.
var sideways = map[string][]string{
	"internal/normalize": {"internal/decode"},
	"internal/decode":    {"internal/decode"},
	"internal/bus":       {"internal/bus", "internal/spool"},
	"internal/batch":     {"internal/bus", "internal/spool"}, // the gateway's hand between its spool and a bus
	"internal/store":     {"internal/store"},
	"internal/registry":  {"internal/registry"},
	"pkg/sensor":         {"pkg/sensor"},
	"internal/protocol":  {"pkg/sensor"}, // whose seqs it judges
	"pkg/geo":            {"pkg/geo"},
	"internal/embedded":  {"internal/embedded", "engine"}, // engine: the npm manifest, as data
	"internal/gateway":   {"internal/gateway"}, "internal/ingester": {"internal/ingester"}, "internal/query": {"internal/query"},
	"internal/city":      {"internal/city"},
	"internal/bench":     {"internal/city"},
	"internal/torture":   {"internal/torture", "internal/rollup"}, // the judge recomputes
	"internal/livestate": {"internal/livestate"},
	"internal/live":      {"internal/livestate"},
	"internal/redecode":  {"internal/deadletter"}, // whose letters it resolves
	"internal/tile":      {"internal/tile"},
	"internal/sqlgate":   {"internal/sqlgate"},
	"internal/app":       {"internal/app"}, "internal/journey": {"internal/app"}, "cmd/": {"internal/app"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestImportsGoDown(t *testing.T) {
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	seen := 0
	for dec.More() {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		seen++
		from := strings.TrimPrefix(p.ImportPath, module)
		fromPrefix, fromFloor := floor(from)
		if fromPrefix == "" {
			t.Errorf("%s stands on no floor: add it to floorOf", from)
			continue
		}
		for _, imp := range p.Imports {
			to, ok := strings.CutPrefix(imp, module)
			if !ok {
				continue
			}
			if why := allowed(fromPrefix, fromFloor, to); why != "" {
				t.Errorf("%s imports %s: %s", from, to, why)
			}
		}
	}
	if seen < 5 {
		t.Fatalf("go list gave %d packages only", seen)
	}
}

// allowed says "" or why not.
func allowed(fromPrefix string, fromFloor int, to string) string {
	toPrefix, toFloor := floor(to)
	switch {
	case toPrefix == "":
		return "it stands on no floor"
	case toFloor < fromFloor:
		return ""
	case toFloor > fromFloor:
		return "that is up the floors"
	}
	for _, ok := range sideways[fromPrefix] {
		if ok == toPrefix {
			return ""
		}
	}
	return "sideways, and not one of the exceptions"
}

func floor(pkg string) (prefix string, n int) {
	for p, f := range floorOf {
		if (pkg == strings.TrimSuffix(p, "/") || strings.HasPrefix(pkg, strings.TrimSuffix(p, "/")+"/")) && len(p) > len(prefix) {
			prefix, n = p, f
		}
	}
	return prefix, n
}

func TestTheRuleItself(t *testing.T) {
	if allowed("internal/spool", 2, "internal/gateway") == "" {
		t.Error("an import up the floors passed")
	}
	if allowed("internal/spool", 2, "internal/registry") == "" {
		t.Error("a sideways import passed")
	}
	if why := allowed("internal/bus", 2, "internal/spool"); why != "" {
		t.Error(why)
	}
}
