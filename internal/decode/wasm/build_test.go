package wasm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBuild makes the modules of testdata/plugins again: they are what their sources say.
func TestBuild(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "examples", "decoders", "assemblyscript")
	asc, err := filepath.Abs(filepath.Join(dir, "node_modules", ".bin", "asc"))
	if err == nil {
		_, err = os.Stat(asc)
	}
	if err != nil {
		t.Skip("not run: the AssemblyScript compiler is not there; npm ci in examples/decoders/assemblyscript")
	}
	for name, optimize := range map[string]string{"acme": "-O3", "hostile": "-O1"} {
		out := filepath.Join(t.TempDir(), name+".wasm")
		args := []string{name + ".ts", "-o", out, optimize, "--runtime", "stub", "--use", "abort="}
		if name == "acme" {
			args = append(args, "--noAssert")
		}
		cmd := exec.CommandContext(t.Context(), asc, args...)
		cmd.Dir = dir
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(file(name + ".wasm"))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("testdata/plugins/%s.wasm is not what its source makes now: npm run build in %s, and copy it; %v", name, dir, err)
		}
	}
}
